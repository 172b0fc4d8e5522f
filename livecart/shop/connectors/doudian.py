"""抖店 (https://op.jinritemai.com/docs/guide-docs/10/23, product.listV2 and product.detail)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec

from livecart.shop.connectors import sign
from livecart.shop.connectors.platform_client import (
    PlatformAnswer,
    PlatformClient,
    PlatformRefused,
    Throttled,
    TokenRefused,
)
from livecart.shop.connectors.platform_items import Id, Item, ItemSku, check_template, fen, known, link_of, texts
from livecart.shop.connectors.platform_source import Entry, ListPage, PlatformFeed, PlatformSource
from livecart.shop.connectors.token_pairs import TokenPair, Tokens
from livecart.shop.sync.http_fetch import Request

_PER_PAGE = 100
_GOOD = 10000
_ON_SALE, _PASSED = 0, 3
#: A token is replaced in the last hour of its 7 days alone; the old one is good for an hour more.
_MARGIN_S = 1800.0


class DoudianFeed(PlatformFeed, frozen=True, kw_only=True, tag="doudian"):
    """A feed of kind "doudian", by an app of the shop's own: it gets its tokens by itself."""

    app_key: str
    #: `env:VARIABLE` or `file:/path` of the app's secret.
    app_secret: str
    shop_id: str
    link: str = "https://haohuo.jinritemai.com/ecommerce/trade/detail/index.html?id={id}"
    url: str = "https://openapi-fxg.jinritemai.com"

    def source(self, client: PlatformClient | None = None) -> DoudianSource:
        return DoudianSource(self, client or PlatformClient())


class _Row(msgspec.Struct, frozen=True):
    product_id: Id
    update_time: Id | None = None
    discount_price: int | None = None
    outer_product_id: str | None = None


class _Rows(msgspec.Struct, frozen=True):
    data: list[dict[str, Any]]
    total: int


class _Value(msgspec.Struct, frozen=True):
    id: Id
    name: str


class _Spec(msgspec.Struct, frozen=True):
    values: list[_Value] = []


class _SpecPrice(msgspec.Struct, frozen=True):
    sku_id: Id
    price: int | None = None
    stock_num: int | None = None
    outer_sku_id: str | None = None
    spec_detail_ids: list[Id] | None = None


class _SpecPicture(msgspec.Struct, frozen=True):
    spec_detail_id: Id
    pic: str


class _Detail(msgspec.Struct, frozen=True):
    product_id: Id
    name: str
    status: int
    check_status: int
    pic: list[str] | None = None
    img: str | None = None
    discount_price: int | None = None
    outer_product_id: str | None = None
    specs: list[_Spec] | None = None
    spec_prices: list[_SpecPrice] | None = None
    spec_pics: list[_SpecPicture] | None = None


class _Granted(msgspec.Struct, frozen=True):
    access_token: str
    refresh_token: str
    expires_in: Any = None


class DoudianSource(PlatformSource):
    platform = "douyin"
    #: The list does not show the stock.
    details_age_s = 3600.0

    def __init__(self, feed: DoudianFeed, client: PlatformClient) -> None:
        check_template(feed.name, feed.link)
        self._settings = feed
        self._secret = feed.secret("app_secret")
        client.hide(self._secret)
        tokens = Tokens(self._renew, path=feed.token_file(), margin_s=_MARGIN_S, clock=client.clock)
        super().__init__(feed, client, tokens)

    def list_page(self, cursor: str | None) -> ListPage:
        number = int(cursor or 1)
        asked = {"page": number, "size": _PER_PAGE, "status": _ON_SALE, "check_status": _PASSED}
        answer = self._call("product.listV2", asked)
        page = answer.take(_Rows, answer.body.get("data"))
        entries = []
        for row in page.data:
            self.saw("list", row)
            product = answer.take(_Row, row)
            stamp = f"{product.update_time} {product.discount_price}" if product.update_time else ""
            entries.append(Entry(str(product.product_id), stamp, product.outer_product_id or ""))
        return ListPage(entries, str(number + 1), page.total)

    def detail(self, entry: Entry, before: Item | None) -> Item:
        answer = self._call("product.detail", {"product_id": entry.item_id})
        self.saw("detail", answer.body.get("data"))
        product = answer.take(_Detail, answer.body.get("data"))
        names = {str(value.id): value.name for spec in product.specs or () for value in spec.values}
        pictures = {str(picture.spec_detail_id): picture.pic for picture in product.spec_pics or ()}
        skus = []
        for sku in product.spec_prices or ():
            values = [str(value) for value in sku.spec_detail_ids or ()]
            skus.append(
                ItemSku(
                    str(sku.sku_id),
                    " ".join(names[value] for value in values if value in names),
                    sku.outer_sku_id or "",
                    fen(sku.price),
                    known(sku.stock_num),
                    next((pictures[value] for value in values if value in pictures), ""),
                )
            )
        return Item(
            item_id=str(product.product_id),
            title=product.name,
            url=link_of(self._settings.link, entry.item_id),
            images=texts([*(product.pic or ()), product.img]),
            currency="CNY",
            on_sale=(product.status, product.check_status) == (_ON_SALE, _PASSED),
            outer_id=product.outer_product_id or "",
            price=fen(product.discount_price),
            skus=tuple(skus),
        )

    def _call(self, method: str, asked: dict[str, Any], *, with_token: bool = True) -> PlatformAnswer:
        # Once: what is signed is what is sent.
        body = sign.compact_json(asked)

        def make(token: str) -> Request:
            timestamp = str(int(self._client.clock()))
            query = {
                "method": method,
                "app_key": self._settings.app_key,
                "timestamp": timestamp,
                "v": "2",
                "sign_method": "hmac-sha256",
                "sign": sign.doudian(self._settings.app_key, method, body, timestamp, self._secret),
            }
            query |= {"access_token": token} if token else {}
            url = f"{self._settings.url}/{method.replace('.', '/')}?{urlencode(query)}"
            return Request(url, {"Content-Type": "application/json"}, body.encode())

        return self._client.call(method, make, self._check, tokens=self._tokens if with_token else None)

    def _check(self, answer: PlatformAnswer) -> PlatformAnswer:
        # `err_no` in old answers.
        code, said = answer.body.get("code", answer.body.get("err_no")), str(answer.body.get("sub_code") or "")
        if not isinstance(code, int):
            raise answer.unknown("no code")
        if code == _GOOD or ("code" not in answer.body and code == 0):
            return answer
        if "access-token" in said:
            raise TokenRefused(code, said)
        if "limit" in said:
            raise Throttled
        message = answer.body.get("sub_msg") or answer.body.get("msg") or answer.body.get("message")
        raise self._client.refused(answer, code, f"{said} {message}")

    def _renew(self, pair: TokenPair | None) -> TokenPair:
        if pair is not None and pair.refresh_token:
            self._client.hide(pair.refresh_token)
            asked = {"grant_type": "refresh_token", "refresh_token": pair.refresh_token}
            try:
                return self._granted(self._call("token.refresh", asked, with_token=False))
            except PlatformRefused:
                # It has ended as well; an app of the shop's own may ask for another.
                pass
        asked = {"grant_type": "authorization_self", "code": "", "shop_id": self._settings.shop_id}
        return self._granted(self._call("token.create", asked, with_token=False))

    def _granted(self, answer: PlatformAnswer) -> TokenPair:
        new = answer.take(_Granted, answer.body.get("data"))
        return TokenPair.of(new.access_token, new.refresh_token, new.expires_in, from_s=self._client.clock())
