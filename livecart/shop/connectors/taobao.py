"""淘宝 and 天猫 by TOP (https://open.taobao.com/doc.htm?docId=101617&docType=1)."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlencode

import msgspec

from livecart.shop.connectors import sign
from livecart.shop.connectors.platform_client import PlatformAnswer, PlatformClient, Throttled
from livecart.shop.connectors.platform_items import Id, Item, ItemSku, check_template, known, link_of, texts
from livecart.shop.connectors.platform_source import Entry, ListPage, PlatformFeed, PlatformSource
from livecart.shop.sync.http_fetch import Request

_CHINA = timezone(timedelta(hours=8))
_PER_PAGE = 200
_LIST_FIELDS = "num_iid,outer_id,modified,num,price"
_DETAIL_FIELDS = (
    "num_iid,title,price,num,approve_status,modified,detail_url,outer_id,pic_url,item_img,prop_img,sku,props_name"
)
_TOO_MANY_CALLS = 7


class TaobaoFeed(PlatformFeed, frozen=True, kw_only=True, tag="taobao"):
    """A feed of kind "taobao". A session that has ended needs a person: not every app may renew it."""

    app_key: str
    #: `env:VARIABLE` or `file:/path` of the app's secret.
    app_secret: str
    #: As `app_secret`, of the shop's session.
    session: str
    #: Where the platform names no link of a product.
    link: str = "https://item.taobao.com/item.htm?id={id}"
    url: str = "https://eco.taobao.com/router/rest"

    def source(self, client: PlatformClient | None = None) -> TaobaoSource:
        return TaobaoSource(self, client or PlatformClient())


class _Row(msgspec.Struct, frozen=True):
    num_iid: Id
    modified: str
    num: int | None = None
    price: str | None = None
    outer_id: str | None = None


class _Rows(msgspec.Struct, frozen=True):
    item: list[dict[str, Any]] = []


class _Onsale(msgspec.Struct, frozen=True):
    total_results: int
    items: _Rows = _Rows()


class _Picture(msgspec.Struct, frozen=True):
    url: str


class _Sku(msgspec.Struct, frozen=True):
    sku_id: Id
    price: str
    quantity: int | None = None
    outer_id: str | None = None
    properties: str | None = None
    properties_name: str | None = None
    status: str | None = None


class _PropertyPicture(msgspec.Struct, frozen=True):
    properties: str
    url: str


class _Pictures(msgspec.Struct, frozen=True):
    item_img: list[_Picture] = []


class _PropertyPictures(msgspec.Struct, frozen=True):
    prop_img: list[_PropertyPicture] = []


class _Skus(msgspec.Struct, frozen=True):
    sku: list[_Sku] = []


class _Detail(msgspec.Struct, frozen=True):
    num_iid: Id
    title: str
    price: str
    approve_status: str
    num: int | None = None
    detail_url: str | None = None
    outer_id: str | None = None
    pic_url: str | None = None
    item_imgs: _Pictures = _Pictures()
    prop_imgs: _PropertyPictures = _PropertyPictures()
    skus: _Skus = _Skus()


class TaobaoSource(PlatformSource):
    platform = "taobao"
    #: The documents name two limits of deep paging; this is the lower one.
    most_items = 20_000

    def __init__(self, feed: TaobaoFeed, client: PlatformClient) -> None:
        check_template(feed.name, feed.link)
        self._settings = feed
        self._secret = feed.secret("app_secret")
        session = feed.secret("session")
        client.hide(self._secret, session)
        super().__init__(feed, client, None)
        self._session = session

    def list_page(self, cursor: str | None) -> ListPage:
        number = int(cursor or 1)
        asked = {
            "fields": _LIST_FIELDS,
            "page_no": str(number),
            "page_size": str(_PER_PAGE),
            "order_by": "modified:asc",
        }
        answer, body = self._call("taobao.items.onsale.get", asked)
        page = answer.take(_Onsale, body)
        entries = []
        for row in page.items.item:
            self.saw("list", row)
            item = answer.take(_Row, row)
            stamp = f"{item.modified} {item.num} {item.price}"
            entries.append(Entry(str(item.num_iid), stamp, item.outer_id or ""))
        return ListPage(entries, str(number + 1), page.total_results)

    def detail(self, entry: Entry, before: Item | None) -> Item:
        answer, body = self._call("taobao.item.seller.get", {"fields": _DETAIL_FIELDS, "num_iid": entry.item_id})
        self.saw("detail", body.get("item"))
        item = answer.take(_Detail, body.get("item"))
        by_property = {picture.properties: picture.url for picture in item.prop_imgs.prop_img}
        skus = []
        for sku in item.skus.sku:
            of = (sku.properties or "").split(";")
            skus.append(
                ItemSku(
                    str(sku.sku_id),
                    _names(sku.properties_name or ""),
                    sku.outer_id or "",
                    answer.money(sku.price),
                    known(sku.quantity),
                    next((by_property[each] for each in of if each in by_property), ""),
                    sku.status in ("normal", None),
                )
            )
        return Item(
            item_id=str(item.num_iid),
            title=item.title,
            url=item.detail_url or link_of(self._settings.link, entry.item_id),
            images=texts([item.pic_url, *(each.url for each in item.item_imgs.item_img), *by_property.values()]),
            currency="CNY",
            on_sale=item.approve_status == "onsale",
            outer_id=item.outer_id or "",
            price=answer.money(item.price),
            stock=known(item.num),
            skus=tuple(skus),
        )

    def _call(self, method: str, asked: dict[str, str]) -> tuple[PlatformAnswer, dict[str, Any]]:
        def make(_: str) -> Request:
            now = datetime.fromtimestamp(self._client.clock(), _CHINA)
            sent = asked | {
                "method": method,
                "app_key": self._settings.app_key,
                "session": self._session,
                "timestamp": now.strftime("%Y-%m-%d %H:%M:%S"),
                "format": "json",
                "v": "2.0",
                "sign_method": "md5",
            }
            sent["sign"] = sign.top_md5(sent, self._secret)
            headers = {"Content-Type": "application/x-www-form-urlencoded;charset=utf-8"}
            return Request(self._settings.url, headers, urlencode(sent).encode())

        key = method.removeprefix("taobao.").replace(".", "_") + "_response"

        def check(answer: PlatformAnswer) -> tuple[PlatformAnswer, dict[str, Any]]:
            error, body = answer.body.get("error_response"), answer.body.get(key)
            if isinstance(error, dict):
                said = str(error.get("sub_code") or "")
                if error.get("code") == _TOO_MANY_CALLS or "limited" in said:
                    raise Throttled
                raise self._client.refused(
                    answer, error.get("code"), f"{said} {error.get('sub_msg') or error.get('msg')}"
                )
            if not isinstance(body, dict):
                raise answer.unknown(f"no {key}")
            return answer, body

        return self._client.call(method, make, check)


def _names(properties_name: str) -> str:
    """`1627207:28320:颜色:白色;…`: the values' names."""
    return " ".join(each.split(":", 3)[-1] for each in properties_name.split(";") if each)
