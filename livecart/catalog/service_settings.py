"""The section [catalog] of rooms.toml: where the catalog is, and what is done with it. docs/catalog-service.md."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from livecart.catalog.api_settings import ApiSettings
from livecart.catalog.records.retention import Keep
from livecart.catalog.sync.http_json import HttpJsonSettings, HttpJsonSource
from livecart.catalog.sync.merchant_xml import MerchantXmlSettings, MerchantXmlSource
from livecart.catalog.sync.source import Source
from livecart.catalog.sync.syncer import Guard
from livecart.catalog.sync.table_file import TableFileSource
from livecart.errors import SettingsError

#: Of a feed: seconds from the end of one reading to the start of the next.
_EVERY_S = 300.0


class JsonFeed(HttpJsonSettings, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="json"):
    """`[[catalog.feeds]]` with kind = "json"."""

    every_s: float = _EVERY_S
    guard: Guard = Guard()

    def source(self) -> Source:
        """The feed.

        Raises:
            SettingsError: it cannot be read so.
        """
        return HttpJsonSource(self)


class XmlFeed(
    MerchantXmlSettings, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="merchant"
):
    """`[[catalog.feeds]]` with kind = "merchant"."""

    every_s: float = _EVERY_S
    guard: Guard = Guard()

    def source(self) -> Source:
        """The feed.

        Raises:
            SettingsError: it cannot be read so.
        """
        return MerchantXmlSource(self)


class TableFeed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="table"):
    """`[[catalog.feeds]]` with kind = "table": a .csv or .xlsx file that somebody replaces from time to time."""

    name: str
    path: str
    every_s: float = _EVERY_S
    guard: Guard = Guard()

    def source(self) -> Source:
        """The feed."""
        return TableFileSource(self.name, Path(self.path))


class CatalogSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section [catalog].

    Raises:
        SettingsError: a value out of bounds; names it.
    """

    #: `sqlite:///file.db` or `mysql+pymysql://user:password@host/database`; None: there is no catalog.
    url: str | None = None
    #: Photos, crops for review, and the published snapshots.
    folder: str = "catalog"
    #: `memory://`, or `redis://host:port/db?prefix=livecart`, which processes share.
    cache: str = "memory://"
    #: No card is confirmed on what the database said longer ago, 0.2 to 60 s; standing cards are asked about as often.
    max_age_s: float = 5.0
    #: Whether changes become snapshots in `folder`/published. Of several processes one does it at a time.
    publish: bool = True
    #: What makes a snapshot, an argument list that names {folder} and {output}; None: the project's own, kept running.
    build_command: tuple[str, ...] | None = None
    #: Of the project's own: the archive whose network embeds photos, and the model-config.yaml for its allowed hosts;
    #: None: those that `make archive` builds and reads.
    archive: str | None = None
    model_config: str | None = None
    #: Limit of one build, in seconds.
    build_limit_s: float = 600.0
    keep: Keep = Keep()
    api: ApiSettings = ApiSettings()
    feeds: tuple[JsonFeed | XmlFeed | TableFeed, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.max_age_s) and 0.2 <= self.max_age_s <= 60):
            raise SettingsError(f"max_age_s is {self.max_age_s}; it must be 0.2 to 60")
        if not (math.isfinite(self.build_limit_s) and self.build_limit_s > 0):
            raise SettingsError(f"build_limit_s is {self.build_limit_s}; it must be more than 0")
        if self.build_command is not None and (self.archive is not None or self.model_config is not None):
            raise SettingsError("build_command says itself which archive and model-config.yaml; leave those keys out")
        names = [feed.name for feed in self.feeds]
        for feed in self.feeds:
            if not 1 <= len(feed.name) <= 64 or not feed.name.isprintable():
                raise SettingsError(f"feeds: the name {feed.name!r} must be 1 to 64 printable characters")
            if names.count(feed.name) > 1:
                raise SettingsError(f"feeds: the name {feed.name!r} stands there twice")
            if not (math.isfinite(feed.every_s) and feed.every_s >= 1):
                raise SettingsError(f"feeds: {feed.name}: every_s is {feed.every_s}; it must be 1 or more")
