"""The section [catalog] of rooms.toml: where the catalog is, and what is done with it. docs/catalog-service.md."""

import math
from typing import TypeAlias

import msgspec

from livecart.core.errors import SettingsError
from livecart.shop.connectors.doudian import DoudianFeed
from livecart.shop.connectors.kuaishou import KuaishouFeed
from livecart.shop.connectors.platform_source import PlatformFeed
from livecart.shop.connectors.shopify import ShopifyFeed
from livecart.shop.connectors.taobao import TaobaoFeed
from livecart.shop.connectors.tiktok import TiktokFeed
from livecart.shop.connectors.wechat import WechatFeed
from livecart.shop.sync.http_json import HttpJsonSettings
from livecart.shop.sync.merchant_xml import MerchantXmlSettings
from livecart.shop.sync.table_file import TableFeed

_DAY_S = 86_400.0
#: Of the 20 connections of `database/engine.py`: pages, cards and jobs need some too.
_MOST_AT_ONCE = 16


Feeds: TypeAlias = (
    HttpJsonSettings
    | MerchantXmlSettings
    | TableFeed
    | TaobaoFeed
    | DoudianFeed
    | WechatFeed
    | TiktokFeed
    | ShopifyFeed
    | KuaishouFeed
)


class Keep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section [catalog.keep]: seconds that each kind of record is kept.

    Three years for what belongs to transactions: the least that Article 31 of the E-Commerce Law of the People's
    Republic of China asks of platforms, counted from the transaction.
    """

    #: Cards as they went out, with their events.
    cards_s: float = 3 * 365.25 * _DAY_S
    #: Viewers' purchases and what led to them.
    transactions_s: float = 3 * 365.25 * _DAY_S
    #: The log of who changed what.
    audit_s: float = 3 * 365.25 * _DAY_S
    #: Other events of viewers.
    viewer_events_s: float = 180 * _DAY_S
    #: Crops for review.
    crops_s: float = 30 * _DAY_S
    #: Readings of feeds.
    sync_runs_s: float = 90 * _DAY_S
    #: Messages of webhooks, and dead letters.
    webhooks_s: float = 30 * _DAY_S
    #: Idempotency keys and their answers.
    idempotency_s: float = 2 * _DAY_S

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if not getattr(self, name) > 0:
                raise SettingsError(f"retention: {name} must be more than 0 seconds")


class ApiSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section [catalog.api]: limits of one process. docs/api.md."""

    #: Requests of one address (of IPv6: one /64) at once; counted before the token is looked at.
    address_burst: float = 400.0
    #: Requests of one address in a second.
    address_per_s: float = 100.0
    #: Requests with one token at once.
    token_burst: float = 200.0
    #: Requests with one token in a second.
    token_per_s: float = 50.0
    #: Seconds for which a token that was looked up is believed, at most 5.
    token_age_s: float = 2.0
    #: Requests that are worked at, at once, each in a thread with a connection to the database, at most 16.
    at_once: int = 12
    #: Requests that wait for that; further ones are answered 503.
    waiting: int = 64
    #: Large bodies (photos, tables, bulk) in memory at once.
    large_at_once: int = 4
    #: Large bodies that wait for that.
    large_waiting: int = 16
    #: Seconds in which a body must have arrived.
    body_s: float = 60.0

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise SettingsError(f"api: {name} is {value}; it must be more than 0")
        if self.token_age_s > 5:
            raise SettingsError("api: token_age_s must be at most 5, so that a revoked token is void soon")
        if self.at_once > _MOST_AT_ONCE:
            raise SettingsError(f"api: at_once is {self.at_once}; it must be at most {_MOST_AT_ONCE}")


class CatalogSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section [catalog]."""

    #: `sqlite:///file.db` or `mysql+pymysql://user:password@host/database`; None: there is no catalog.
    #: LIVECART_CATALOG_URL stands in.
    url: str | None = None
    #: Photos, crops for review, and the published snapshots.
    folder: str = "catalog"
    #: `memory://`, or `redis://host:port/db?prefix=livecart`, which processes share. LIVECART_CACHE_URL stands in.
    cache: str = "memory://"
    #: No card is confirmed on what the database said longer ago, 0.2 to 60 s; standing cards are asked about as often.
    max_age_s: float = 5.0
    #: Whether changes become snapshots in `folder`/published. Of several processes one does it at a time.
    publish: bool = True
    #: What makes a snapshot, an argument list that names {folder} and {output}; None: the project's own, kept running.
    build_command: tuple[str, ...] | None = None
    #: The archive whose network embeds photos; None: the one that `make archive` builds.
    archive: str | None = None
    #: The model-config.yaml for its allowed hosts; None: the one that `make archive` reads.
    model_config: str | None = None
    #: Limit of one build, in seconds.
    build_limit_s: float = 600.0
    #: Hosts of the shop's own network, `host` or `host:port`, that webhooks may go to, over http too. To others they go
    #: by https, and to public addresses alone.
    internal_hosts: tuple[str, ...] = ()
    keep: Keep = Keep()
    api: ApiSettings = ApiSettings()
    feeds: tuple[Feeds, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.max_age_s) and 0.2 <= self.max_age_s <= 60):
            raise SettingsError(f"max_age_s is {self.max_age_s}; it must be 0.2 to 60")
        if not (math.isfinite(self.build_limit_s) and self.build_limit_s > 0):
            raise SettingsError(f"build_limit_s is {self.build_limit_s}; it must be more than 0")
        if self.build_command is not None and (self.archive is not None or self.model_config is not None):
            raise SettingsError("build_command says itself which archive and model-config.yaml; leave those keys out")
        names = [feed.name for feed in self.feeds]
        folders = [feed.folder for feed in self.feeds if isinstance(feed, PlatformFeed)]
        if len(folders) > len(set(folders)):
            raise SettingsError("feeds: two have the same folder; each keeps its own tokens")
        for feed in self.feeds:
            if not 1 <= len(feed.name) <= 64 or not feed.name.isprintable():
                raise SettingsError(f"feeds: the name {feed.name!r} must be 1 to 64 printable characters")
            if names.count(feed.name) > 1:
                raise SettingsError(f"feeds: the name {feed.name!r} stands there twice")
            if not (math.isfinite(feed.every_s) and feed.every_s >= 1):
                raise SettingsError(f"feeds: {feed.name}: every_s is {feed.every_s}; it must be 1 or more")
