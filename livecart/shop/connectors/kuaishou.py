"""快手小店 (https://open.kwaixiaodian.com, open.item.list.get). Its list says all there is of a product."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlencode

import msgspec

from livecart.shop.connectors import sign
from livecart.shop.connectors.platform_client import PlatformAnswer, PlatformClient, Throttled, TokenRefused
from livecart.shop.connectors.platform_items import Id, Item, ItemSku, check_template, fen, known, link_of, texts
from livecart.shop.connectors.platform_source import Entry, ListPage, PlatformFeed, PlatformSource
from livecart.shop.connectors.token_pairs import TokenPair, Tokens
from livecart.shop.sync.http_fetch import Request

_METHOD = "open.item.list.get"
_PER_PAGE = 100
_ON_SHELF = 1
_TOKEN_CODE = 100200102
#: FAQ K1008: of the day, and of a second.
_THROTTLED = re.compile(r"exceed (?:quota|qps) limit", re.IGNORECASE)
#: Of a token's 48 hours. Each renewal is one of the refresh token too, whose last day stays the same.
_MARGIN_S = 3600.0


class KuaishouFeed(PlatformFeed, frozen=True, kw_only=True, tag="kuaishou"):
    """A feed of kind "kuaishou". `folder`/tokens.json is to hold the first pair."""

    app_key: str
    #: `env:VARIABLE` or `file:/path` of the app's secret, which renews tokens.
    app_secret: str
    #: As `app_secret`, of the secret for signatures.
    sign_secret: str
    #: Link of a product, with `{id}` in it; what the platform names itself comes first.
    link: str
    url: str = "https://openapi.kwaixiaodian.com"

    def source(self, client: PlatformClient | None = None) -> KuaishouSource:
        return KuaishouSource(self, client or PlatformClient())


class _Sku(msgspec.Struct, frozen=True, rename="camel"):
    kwai_sku_id: Id
    sku_sale_price: int | None = None
    sku_stock: int | None = None
    specification: str | None = None
    sku_nick: str | None = None
    image_url: str | None = None
    is_valid: int | None = None


class _Item(msgspec.Struct, frozen=True, rename="camel"):
    kwai_item_id: Id
    title: str
    shelf_status: int
    price: int | None = None
    link_url: str | None = None
    rel_item_id: Id | None = None
    main_image_url: str | None = None
    image_urls: list[str] | None = None
    sku_list: list[_Sku] | None = None


class _Page(msgspec.Struct, frozen=True, rename="camel"):
    items: list[dict[str, Any]]
    total_page: int


class KuaishouSource(PlatformSource):
    platform = "kuaishou"

    def __init__(self, feed: KuaishouFeed, client: PlatformClient) -> None:
        check_template(feed.name, feed.link)
        self._settings = feed
        self._secret, self._sign_secret = feed.secret("app_secret"), feed.secret("sign_secret")
        client.hide(self._secret, self._sign_secret)
        tokens = Tokens(self._renew, path=feed.token_file(), margin_s=_MARGIN_S, clock=client.clock)
        super().__init__(feed, client, tokens)

    def list_page(self, cursor: str | None) -> ListPage:
        number = int(cursor or 1)
        asked = {"pageNumber": number, "pageSize": _PER_PAGE, "onOfflineStatus": _ON_SHELF}
        answer, page = self._page(asked)
        entries = []
        for row in page.items:
            self.saw("list", row)
            item = self._item(answer, row)
            entries.append(Entry(item.item_id, "listed", item.outer_id, item))
        following = str(number + 1) if number < page.total_page else None
        return ListPage(entries, following, pages=page.total_page)

    def detail(self, entry: Entry, before: Item | None) -> Item:
        answer, page = self._page({"kwaiItemId": int(entry.item_id), "pageNumber": 1, "pageSize": 10})
        for row in page.items:
            item = self._item(answer, row)
            if item.item_id == entry.item_id:
                return item
        raise answer.unknown("not the item that was asked for")

    def _item(self, answer: PlatformAnswer, row: dict[str, Any]) -> Item:
        item = answer.take(_Item, row)
        item_id = str(item.kwai_item_id)
        skus = [
            ItemSku(
                str(sku.kwai_sku_id),
                sku.specification or "",
                sku.sku_nick or "",
                fen(sku.sku_sale_price),
                known(sku.sku_stock),
                sku.image_url or "",
                sku.is_valid in (1, None),
            )
            for sku in item.sku_list or ()
        ]
        link = item.link_url or ""
        return Item(
            item_id=item_id,
            title=item.title,
            url=link if link.startswith("https://") else link_of(self._settings.link, item_id),
            images=texts([item.main_image_url, *(item.image_urls or ())]),
            currency="CNY",
            on_sale=item.shelf_status == _ON_SHELF,
            # 0: there is none.
            outer_id=str(item.rel_item_id or ""),
            price=fen(item.price),
            skus=tuple(skus),
        )

    def _page(self, asked: dict[str, Any]) -> tuple[PlatformAnswer, _Page]:
        # Once: what is signed is what is sent.
        param = json.dumps(asked)

        def make(token: str) -> Request:
            sent = {
                "access_token": token,
                "appkey": self._settings.app_key,
                "method": _METHOD,
                "param": param,
                "signMethod": "HMAC_SHA256",
                "timestamp": str(int(self._client.clock() * 1000)),
                "version": "1",
            }
            sent["sign"] = sign.kuaishou(sent, self._sign_secret)
            return Request(f"{self._settings.url}/{_METHOD.replace('.', '/')}?{urlencode(sent)}")

        answer = self._client.call(_METHOD, make, self._check, tokens=self._tokens)
        return answer, answer.take(_Page, answer.body.get("data"))

    def _check(self, answer: PlatformAnswer) -> PlatformAnswer:
        code, said = answer.body.get("result"), answer.body.get("error_msg") or answer.body.get("error")
        if not isinstance(code, int):
            raise answer.unknown("no result")
        if code == _TOKEN_CODE:
            raise TokenRefused(code, said)
        if _THROTTLED.search(str(said)):
            raise Throttled
        if code != 1:
            raise self._client.refused(answer, code, said)
        return answer

    def _renew(self, pair: TokenPair | None) -> TokenPair:
        def ask(refresh_token: str) -> TokenPair:
            form = {
                "grant_type": "refresh_token",
                "refresh_token": refresh_token,
                "app_id": self._settings.app_key,
                "app_secret": self._secret,
            }
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            request = Request(f"{self._settings.url}/oauth2/refresh_token", headers, urlencode(form).encode())
            answer = self._client.call("refresh_token", lambda _: request, self._check)
            token, refresh = (answer.take(str, answer.body.get(name)) for name in ("access_token", "refresh_token"))
            ends = [answer.body.get(name) for name in ("expires_in", "refresh_token_expires_in")]
            return TokenPair.of(token, refresh, *ends, from_s=self._client.clock())

        return self.renewed_by(pair, ask)
