"""微信小店 (https://developers.weixin.qq.com/doc/store/shop/API/). Nothing is signed; the token is in the query."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import msgspec

from livecart.shop.connectors.platform_client import PlatformAnswer, PlatformClient, Throttled, TokenRefused
from livecart.shop.connectors.platform_items import Id, Item, ItemSku, fen, known, texts
from livecart.shop.connectors.platform_source import Entry, ListPage, PlatformFeed, PlatformSource
from livecart.shop.connectors.token_pairs import TokenPair, Tokens
from livecart.shop.sync.http_fetch import Request

_PER_PAGE = 30
_ON_SALE = 5
_TOKEN_CODES = (40001, 40014, 42001)
#: Too many in a minute, and a server that is busy.
_TOO_MANY_CALLS = (45009, -1)
#: Of a token's 2 hours; the platform gives a new one in the last 5 minutes.
_MARGIN_S = 240.0


class WechatFeed(PlatformFeed, frozen=True, kw_only=True, tag="wechat"):
    """A feed of kind "wechat". Its list says nothing but ids: each product is asked for each time."""

    app_id: str
    #: `env:VARIABLE` or `file:/path` of the app's secret.
    app_secret: str
    url: str = "https://api.weixin.qq.com"
    every_s: float = 1800.0

    def source(self, client: PlatformClient | None = None) -> WechatSource:
        return WechatSource(self, client or PlatformClient())


class _Page(msgspec.Struct, frozen=True):
    product_ids: list[Id]
    total_num: int
    next_key: str | None = None


class _Attribute(msgspec.Struct, frozen=True):
    attr_value: str | None = None


class _Sku(msgspec.Struct, frozen=True):
    sku_id: Id
    sale_price: int
    stock_num: int | None = None
    out_sku_id: str | None = None
    sku_code: str | None = None
    thumb_img: str | None = None
    status: int | None = None
    sku_attrs: list[_Attribute] | None = None


class _Product(msgspec.Struct, frozen=True):
    product_id: Id
    title: str
    status: int
    head_imgs: list[str]
    skus: list[_Sku]
    min_price: int | None = None
    out_product_id: str | None = None


class WechatSource(PlatformSource):
    platform = "wechat"

    def __init__(self, feed: WechatFeed, client: PlatformClient) -> None:
        self._settings = feed
        self._secret = feed.secret("app_secret")
        client.hide(self._secret)
        # It may be asked for again at any time, and is the same until its end.
        super().__init__(feed, client, Tokens(self._grant, path=None, margin_s=_MARGIN_S, clock=client.clock))

    def list_page(self, cursor: str | None) -> ListPage:
        asked = {"status": _ON_SALE, "page_size": _PER_PAGE} | ({"next_key": cursor} if cursor else {})
        answer = self._call("/channels/ec/product/list/get", asked)
        page = answer.take(_Page, answer.body)
        self.saw("list", answer.body)
        return ListPage(
            [Entry(str(product_id)) for product_id in page.product_ids], page.next_key or None, page.total_num
        )

    def detail(self, entry: Entry, before: Item | None) -> Item:
        answer = self._call("/channels/ec/product/get", {"product_id": entry.item_id, "data_type": 1})
        self.saw("detail", answer.body.get("product"))
        product = answer.take(_Product, answer.body.get("product"))
        skus = [
            ItemSku(
                str(sku.sku_id),
                " ".join(each.attr_value for each in sku.sku_attrs or () if each.attr_value),
                sku.out_sku_id or sku.sku_code or "",
                fen(sku.sale_price),
                known(sku.stock_num),
                sku.thumb_img or "",
                sku.status in (_ON_SALE, None),
            )
            for sku in product.skus
        ]
        on_sale = product.status == _ON_SALE
        url = before.url if before else ""
        if on_sale and not url:
            # It stays the same, and is given of products on sale alone.
            link = self._call("/channels/ec/product/h5url/get", {"product_id": entry.item_id})
            url = link.take(str, link.body.get("product_h5url"))
        return Item(
            item_id=str(product.product_id),
            title=product.title,
            url=url,
            images=texts(product.head_imgs),
            currency="CNY",
            on_sale=on_sale,
            outer_id=product.out_product_id or "",
            price=fen(product.min_price),
            skus=tuple(skus),
        )

    def _call(self, path: str, asked: dict[str, Any]) -> PlatformAnswer:
        body = json.dumps(asked).encode()

        def make(token: str) -> Request:
            url = f"{self._settings.url}{path}?{urlencode({'access_token': token})}"
            return Request(url, {"Content-Type": "application/json"}, body)

        return self._client.call(path, make, self._check, tokens=self._tokens)

    def _check(self, answer: PlatformAnswer) -> PlatformAnswer:
        code, message = answer.body.get("errcode"), answer.body.get("errmsg")
        if code in _TOKEN_CODES:
            raise TokenRefused(code, message)
        if code in _TOO_MANY_CALLS:
            raise Throttled
        if not isinstance(code, int):
            raise answer.unknown("no errcode")
        if code != 0:
            raise self._client.refused(answer, code, message)
        return answer

    def _grant(self, _: TokenPair | None) -> TokenPair:
        asked = {"grant_type": "client_credential", "appid": self._settings.app_id, "secret": self._secret}
        request = Request(
            f"{self._settings.url}/cgi-bin/stable_token",
            {"Content-Type": "application/json"},
            json.dumps(asked).encode(),
        )

        def check(answer: PlatformAnswer) -> TokenPair:
            token, lasts_s = answer.body.get("access_token"), answer.body.get("expires_in")
            if isinstance(token, str) and token and isinstance(lasts_s, int):
                return TokenPair(token, expires_at_s=self._client.clock() + lasts_s)
            if answer.body.get("errcode") in _TOO_MANY_CALLS:
                raise Throttled
            if answer.body.get("errcode"):
                raise self._client.refused(answer, answer.body["errcode"], answer.body.get("errmsg"))
            raise answer.unknown("no access_token")

        return self._client.call("stable_token", lambda _: request, check)
