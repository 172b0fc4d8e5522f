"""TikTok Shop (https://partner.tiktokshop.com/docv2/page/search-products-202502 and get-product-202309)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from livecart.shop.connectors import sign
from livecart.shop.connectors.platform_client import PlatformAnswer, PlatformClient, Throttled, TokenRefused
from livecart.shop.connectors.platform_items import Item, ItemSku, check_template, link_of, texts
from livecart.shop.connectors.platform_source import Entry, ListPage, PlatformFeed, PlatformSource
from livecart.shop.connectors.token_pairs import TokenPair, Tokens
from livecart.shop.sync.http_fetch import Request

_PER_PAGE = 100
_TOKEN_CODES = (105000, 105001, 105002)
_TOO_MANY_CALLS = (36009002,)
#: Of a token's 7 days.
_MARGIN_S = 3600.0


class TiktokFeed(PlatformFeed, frozen=True, kw_only=True, tag="tiktok"):
    """A feed of kind "tiktok". `folder`/tokens.json is to hold the first pair."""

    app_key: str
    #: `env:VARIABLE` or `file:/path` of the app's secret.
    app_secret: str
    shop_cipher: str
    #: Link of a product, with `{id}` in it.
    link: str
    url: str = "https://open-api.tiktokglobalshop.com"
    token_url: str = "https://auth.tiktok-shops.com"

    def source(self, client: PlatformClient | None = None) -> TiktokSource:
        return TiktokSource(self, client or PlatformClient())


class _Price(msgspec.Struct, frozen=True):
    currency: str
    sale_price: str | None = None
    tax_exclusive_price: str | None = None


class _Stock(msgspec.Struct, frozen=True):
    quantity: int


class _Status(msgspec.Struct, frozen=True):
    status: str | None = None


class _Image(msgspec.Struct, frozen=True):
    urls: list[str] = []


class _Attribute(msgspec.Struct, frozen=True):
    value_name: str | None = None
    sku_img: _Image = _Image()


class _Sku(msgspec.Struct, frozen=True):
    id: str
    price: _Price
    inventory: list[_Stock]
    seller_sku: str | None = None
    status_info: _Status = _Status()
    sales_attributes: list[_Attribute] = []


class _Row(msgspec.Struct, frozen=True):
    id: str
    update_time: int
    skus: list[_Sku] = []


class _Search(msgspec.Struct, frozen=True):
    total_count: int
    products: list[dict[str, Any]] = []
    next_page_token: str | None = None


class _Brand(msgspec.Struct, frozen=True):
    name: str | None = None


class _Detail(msgspec.Struct, frozen=True):
    id: str
    title: str
    status: str
    main_images: list[_Image]
    skus: list[_Sku]
    brand: _Brand | None = None
    is_not_for_sale: bool = False


class _Renewed(msgspec.Struct, frozen=True):
    access_token: str
    refresh_token: str
    #: UNIX times, whatever their names say.
    access_token_expire_in: Any = None
    refresh_token_expire_in: Any = None


class TiktokSource(PlatformSource):
    platform = "tiktok"

    def __init__(self, feed: TiktokFeed, client: PlatformClient) -> None:
        check_template(feed.name, feed.link)
        self._settings = feed
        self._secret = feed.secret("app_secret")
        client.hide(self._secret)
        tokens = Tokens(self._renew, path=feed.token_file(), margin_s=_MARGIN_S, clock=client.clock)
        super().__init__(feed, client, tokens)

    def list_page(self, cursor: str | None) -> ListPage:
        query = {"page_size": str(_PER_PAGE)} | ({"page_token": cursor} if cursor else {})
        answer, data = self._call("/product/202502/products/search", query, '{"status":"ACTIVATE"}')
        page = answer.take(_Search, data)
        entries = []
        for row in page.products:
            self.saw("list", row)
            product = answer.take(_Row, row)
            outer_ids = {sku.seller_sku for sku in product.skus}
            stamp = msgspec.json.encode([[sku.price, sku.inventory, sku.status_info] for sku in product.skus]).decode()
            outer_id = (outer_ids.pop() or "") if len(outer_ids) == 1 else ""
            entries.append(Entry(product.id, f"{product.update_time} {stamp}", outer_id))
        return ListPage(entries, page.next_page_token or None, page.total_count)

    def detail(self, entry: Entry, before: Item | None) -> Item:
        answer, data = self._call(f"/product/202309/products/{entry.item_id}", {}, None)
        self.saw("detail", data)
        product = answer.take(_Detail, data)
        skus = []
        for sku in product.skus:
            images = [url for each in sku.sales_attributes for url in each.sku_img.urls[:1]]
            price = sku.price.sale_price or sku.price.tax_exclusive_price
            skus.append(
                ItemSku(
                    sku.id,
                    " ".join(each.value_name for each in sku.sales_attributes if each.value_name),
                    sku.seller_sku or "",
                    answer.money(price) if price else None,
                    sum(each.quantity for each in sku.inventory),
                    images[0] if images else "",
                    sku.status_info.status in ("NORMAL", None),
                )
            )
        currencies = {sku.price.currency for sku in product.skus}
        if len(currencies) != 1:
            raise answer.unknown("not one currency")
        return Item(
            item_id=product.id,
            title=product.title,
            url=link_of(self._settings.link, product.id),
            images=texts(url for image in product.main_images for url in image.urls[:1]),
            currency=currencies.pop(),
            on_sale=product.status == "ACTIVATE" and not product.is_not_for_sale,
            brand=(product.brand.name or "") if product.brand else "",
            skus=tuple(skus),
        )

    def _call(self, path: str, asked: dict[str, str], body: str | None) -> tuple[PlatformAnswer, Any]:
        def make(token: str) -> Request:
            query = asked | {
                "app_key": self._settings.app_key,
                "shop_cipher": self._settings.shop_cipher,
                "timestamp": str(int(self._client.clock())),
            }
            # A path below the host's own, such as of a proxy, is part of what they sign.
            signed_path = urlsplit(self._settings.url).path + path
            query["sign"] = sign.tiktok(signed_path, query, body or "", self._secret)
            headers = {"x-tts-access-token": token, "Content-Type": "application/json"}
            url = f"{self._settings.url}{path}?{urlencode(query)}"
            return Request(url, headers, None if body is None else body.encode())

        return self._client.call(path, make, self._check, tokens=self._tokens)

    def _check(self, answer: PlatformAnswer) -> tuple[PlatformAnswer, Any]:
        code, message = answer.body.get("code"), answer.body.get("message")
        if code in _TOKEN_CODES:
            raise TokenRefused(code, message)
        if code in _TOO_MANY_CALLS:
            raise Throttled
        if not isinstance(code, int):
            raise answer.unknown("no code")
        if code != 0:
            raise self._client.refused(answer, code, message)
        return answer, answer.body.get("data")

    def _renew(self, pair: TokenPair | None) -> TokenPair:
        def ask(refresh_token: str) -> TokenPair:
            query = {
                "app_key": self._settings.app_key,
                "app_secret": self._secret,
                "refresh_token": refresh_token,
                "grant_type": "refresh_token",
            }
            url = f"{self._settings.token_url}/api/v2/token/refresh?{urlencode(query)}"
            answer, data = self._client.call("token/refresh", lambda _: Request(url), self._check)
            new = answer.take(_Renewed, data)
            ends = (new.access_token_expire_in, new.refresh_token_expire_in)
            return TokenPair.of(new.access_token, new.refresh_token, *ends)

        return self.renewed_by(pair, ask)
