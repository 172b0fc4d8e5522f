"""Shopify by its Admin GraphQL API (https://shopify.dev/docs/api/admin-graphql)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import msgspec

from livecart.core.errors import SettingsError
from livecart.shop.connectors.platform_client import PlatformAnswer, PlatformClient, Throttled, TokenRefused
from livecart.shop.connectors.platform_items import Item, ItemSku, texts
from livecart.shop.connectors.platform_source import Entry, ListPage, PlatformFeed, PlatformSource
from livecart.shop.connectors.token_pairs import TokenPair, Tokens
from livecart.shop.sync.http_fetch import Request

_LIST = """query List($after: String) {
  products(first: 100, after: $after, query: "status:active", sortKey: ID) {
    nodes { id updatedAt totalInventory }
    pageInfo { hasNextPage endCursor }
  }
}"""
_DETAIL = """query Detail($id: ID!, $after: String) {
  shop { currencyCode }
  product(id: $id) {
    id title vendor status onlineStoreUrl
    media(first: 8) { nodes { ... on MediaImage { image { url } } } }
    variants(first: 100, after: $after) {
      nodes {
        id title sku price inventoryQuantity availableForSale
        media(first: 1) { nodes { ... on MediaImage { image { url } } } }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
}"""
#: Shopify allows 2,048 variants.
_MOST_VARIANT_PAGES = 21
_GID = "gid://shopify/Product/"
#: Of a token's 24 hours.
_MARGIN_S = 600.0


class ShopifyFeed(PlatformFeed, frozen=True, kw_only=True, tag="shopify"):
    """A feed of kind "shopify", by an app of the shop's own organisation."""

    #: `my-shop` of my-shop.myshopify.com.
    shop: str
    client_id: str
    #: `env:VARIABLE` or `file:/path` of the client's secret.
    client_secret: str
    version: str = "2026-10"
    #: None: of `shop`.
    url: str | None = None

    def source(self, client: PlatformClient | None = None) -> ShopifySource:
        return ShopifySource(self, client or PlatformClient())


class _PageInfo(msgspec.Struct, frozen=True):
    hasNextPage: bool  # noqa: N815  their names
    endCursor: str | None = None  # noqa: N815


class _Products(msgspec.Struct, frozen=True):
    nodes: list[dict[str, Any]]
    pageInfo: _PageInfo  # noqa: N815


class _Row(msgspec.Struct, frozen=True):
    id: str
    updatedAt: str  # noqa: N815
    totalInventory: int | None = None  # noqa: N815


class _Image(msgspec.Struct, frozen=True):
    url: str


class _Medium(msgspec.Struct, frozen=True):
    """`image` None: a video, or not ready yet."""

    image: _Image | None = None


class _Media(msgspec.Struct, frozen=True):
    nodes: list[_Medium]


class _Variant(msgspec.Struct, frozen=True):
    id: str
    title: str
    price: str
    availableForSale: bool  # noqa: N815
    sku: str | None = None
    inventoryQuantity: int | None = None  # noqa: N815
    media: _Media = _Media([])


class _Variants(msgspec.Struct, frozen=True):
    nodes: list[_Variant]
    pageInfo: _PageInfo  # noqa: N815


class _Product(msgspec.Struct, frozen=True):
    id: str
    title: str
    status: str
    media: _Media
    variants: _Variants
    vendor: str | None = None
    onlineStoreUrl: str | None = None  # noqa: N815


class _Shop(msgspec.Struct, frozen=True):
    currencyCode: str  # noqa: N815


class _Found(msgspec.Struct, frozen=True):
    shop: _Shop
    product: _Product


class ShopifySource(PlatformSource):
    platform = "shopify"

    def __init__(self, feed: ShopifyFeed, client: PlatformClient) -> None:
        if not feed.shop.replace("-", "").isalnum():
            raise SettingsError(f"feed {feed.name}: shop must be the name before .myshopify.com")
        self._settings = feed
        self._url = feed.url or f"https://{feed.shop}.myshopify.com"
        self._secret = feed.secret("client_secret")
        client.hide(self._secret)
        # It may be asked for again at any time.
        super().__init__(feed, client, Tokens(self._grant, path=None, margin_s=_MARGIN_S, clock=client.clock))

    def list_page(self, cursor: str | None) -> ListPage:
        answer, data = self._query("List", _LIST, {"after": cursor})
        page = answer.take(_Products, data.get("products"))
        entries = []
        for row in page.nodes:
            self.saw("list", row)
            product = answer.take(_Row, row)
            entries.append(Entry(_number(product.id), f"{product.updatedAt} {product.totalInventory}"))
        if page.pageInfo.hasNextPage and not page.pageInfo.endCursor:
            raise answer.unknown("more, and no endCursor")
        return ListPage(entries, page.pageInfo.endCursor if page.pageInfo.hasNextPage else None)

    def detail(self, entry: Entry, before: Item | None) -> Item:
        skus: list[ItemSku] = []
        cursor: str | None = None
        for _ in range(_MOST_VARIANT_PAGES):
            answer, data = self._query("Detail", _DETAIL, {"id": f"{_GID}{entry.item_id}", "after": cursor})
            self.saw("detail", data.get("product"))
            found = answer.take(_Found, data)
            variants = found.product.variants
            skus += [_sku(answer, variant) for variant in variants.nodes]
            cursor = variants.pageInfo.endCursor
            if not variants.pageInfo.hasNextPage:
                break
        else:
            raise answer.unknown("too many variants")
        product = found.product
        return Item(
            item_id=_number(product.id),
            title=product.title,
            # Products that the online shop does not show have none.
            url=product.onlineStoreUrl or "",
            images=texts(medium.image.url for medium in product.media.nodes if medium.image),
            currency=found.shop.currencyCode,
            on_sale=product.status == "ACTIVE",
            brand=product.vendor or "",
            skus=tuple(skus),
        )

    def _query(self, name: str, query: str, variables: dict[str, Any]) -> tuple[PlatformAnswer, dict[str, Any]]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        url = f"{self._url}/admin/api/{self._settings.version}/graphql.json"

        def make(token: str) -> Request:
            return Request(url, {"Content-Type": "application/json", "X-Shopify-Access-Token": token}, body)

        return self._client.call(f"graphql {name}", make, self._check, tokens=self._tokens)

    def _check(self, answer: PlatformAnswer) -> tuple[PlatformAnswer, dict[str, Any]]:
        data = answer.body.get("data")
        if answer.status == 401:
            raise TokenRefused(401, answer.body.get("errors"))
        self._check_errors(answer)
        if not isinstance(data, dict):
            raise answer.unknown("no data")
        return answer, data

    def _check_errors(self, answer: PlatformAnswer) -> None:
        if errors := answer.body.get("errors"):
            first = errors[0] if isinstance(errors, list) else errors
            more = first.get("extensions") if isinstance(first, dict) else None
            code = more.get("code") if isinstance(more, dict) else answer.status
            if code == "THROTTLED" or answer.status == 429:
                raise Throttled(_wait_s(answer.body))
            raise self._client.refused(answer, code, first.get("message") if isinstance(first, dict) else first)

    def _grant(self, _: TokenPair | None) -> TokenPair:
        asked = {
            "grant_type": "client_credentials",
            "client_id": self._settings.client_id,
            "client_secret": self._secret,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        request = Request(f"{self._url}/admin/oauth/access_token", headers, urlencode(asked).encode())

        def check(answer: PlatformAnswer) -> TokenPair:
            token, lasts_s = answer.body.get("access_token"), answer.body.get("expires_in")
            if isinstance(token, str) and token and isinstance(lasts_s, int):
                return TokenPair(token, expires_at_s=self._client.clock() + lasts_s)
            self._check_errors(answer)
            if answer.body.get("error"):
                raise self._client.refused(answer, answer.body["error"], answer.body.get("error_description"))
            raise answer.unknown("no access_token")

        return self._client.call("access_token", lambda _: request, check)


def _sku(answer: PlatformAnswer, variant: _Variant) -> ItemSku:
    count = variant.inventoryQuantity
    # What sells with none left is not counted.
    stock = 0 if not variant.availableForSale else count if count is not None and count > 0 else None
    images = [medium.image.url for medium in variant.media.nodes if medium.image]
    name = "" if variant.title == "Default Title" else variant.title
    price = answer.money(variant.price)
    return ItemSku(variant.id.rsplit("/", 1)[-1], name, variant.sku or "", price, stock, images[0] if images else "")


def _number(gid: str) -> str:
    return gid.removeprefix(_GID)


def _wait_s(body: dict[str, Any]) -> float:
    """Seconds until the bucket holds what the query costs."""
    try:
        cost = body["extensions"]["cost"]
        there = cost["throttleStatus"]
        return float((cost["requestedQueryCost"] - there["currentlyAvailable"]) / there["restoreRate"])
    except (KeyError, TypeError, ArithmeticError):
        return 0.0
