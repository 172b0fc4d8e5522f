"""Platforms as their documents have them: they verify what they are sent, by code that shares nothing with ours.

A fake's clock is `now_s`. What a test does to it: `faults` are answered before anything else, one a call; `on_list` is
called after each page of the list; `products` may change at any time.
"""

import base64
import hashlib
import hmac
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from email.utils import formatdate
from urllib.parse import parse_qsl

from livecart.shop.connectors.platform_client import PlatformClient
from livecart.shop.sync.http_fetch import Fetcher
from tests.shop.feed_server import Answer, FeedServer

SECRET = "app-s3cret"
SIGN_SECRET = "sign-s3cret"
NOW_S = 1_780_000_000.0
PICTURE = "https://img.example.com/{}.jpg"
CHINA = timezone(timedelta(hours=8))


class Unknown(Exception):
    """With the answer that says so."""


@dataclass
class Sku:
    sku_id: str
    name: str
    fen: int
    stock: int
    outer_id: str = ""


@dataclass
class Product:
    item_id: str
    title: str = ""
    fen: int = 5990
    stock: int = 7
    outer_id: str = ""
    modified_s: float = NOW_S - 86_400
    on_sale: bool = True
    skus: list[Sku] = field(default_factory=list)

    def __post_init__(self):
        self.title = self.title or f"好欢螺螺蛳粉 {self.item_id}"
        self.outer_id = self.outer_id or f"SKU-{self.item_id[-3:]}"
        self.skus = self.skus or [Sku(f"{self.item_id}1", "红色", self.fen, self.stock)]

    def sell(self, fen=None, stock=None, at_s=NOW_S):
        self.skus[0].fen = self.fen = self.fen if fen is None else fen
        self.skus[0].stock = self.stock = self.stock if stock is None else stock
        self.modified_s = at_s

    @property
    def pictures(self):
        return [PICTURE.format(f"{self.item_id}-{number}") for number in (1, 2)]


class FakePlatform:
    kind = ""
    per_page = 100
    #: Ids as long as a JavaScript number does not keep them.
    first_id = 3_472_490_447_010_721_000
    #: Names of its secrets.
    secrets = ("app_secret",)
    #: Seconds that a clock may be off.
    skew_s = 600.0
    #: Its list does not say all of a product.
    has_details = True
    #: Its list tells when a product has changed.
    has_changes = True
    has_total = True
    #: By a refresh token.
    renews = True
    #: Without a refresh token too.
    grants_itself = False
    #: It leaves out of its answers what an app is not granted.
    thins = True
    #: Hosts of its products' links, beside those that hold their ids.
    link_hosts: tuple[str, ...] = ()

    def __init__(self, count=3):
        self.server = FeedServer()
        self.server.answer = self._answer
        self.now_s = NOW_S
        self.products = self.made(count)
        self.calls = Counter()
        self.details: list[str] = []
        self.faults: list = []
        self.on_list = lambda: None
        self.access, self.refresh = "access-1", "refresh-1"
        #: Good for some minutes more, as the platforms have it.
        self.last_refresh = ""
        self.renewals = 0

    def close(self):
        self.server.close()

    def made(self, count):
        return [Product(str(self.first_id + number)) for number in range(count)]

    def feed(self, folder, **more):
        raise NotImplementedError

    def client(self, offset_s=0.0, **more):
        fetcher = Fetcher(headers={}, headers_from_env={}, most_bytes=8_000_000, retries=1, backoff_s=0.001)
        more.setdefault("wait", lambda _: None)
        return PlatformClient(fetcher=fetcher, clock=lambda: self.now_s + offset_s, **more)

    def source(self, folder, offset_s=0.0, **more):
        return self.feed(folder, **more).source(self.client(offset_s))

    def named(self, item_id):
        """Of one that is no more an answer is made that says so."""
        return next((product for product in self.products if product.item_id == item_id), None) or self.unknown(item_id)

    def unknown(self, item_id):
        raise Unknown(self.error(*self.refusal(f"{item_id} is not there")))

    def rotate(self):
        self.renewals += 1
        self.last_refresh = self.refresh
        self.access, self.refresh = f"access-{self.renewals + 1}", f"refresh-{self.renewals + 1}"
        return self.access

    def page(self, number, size):
        """Products on sale of a page, from 1, and how many there are in all."""
        listed = [product for product in self.products if product.on_sale]
        found = listed[(number - 1) * size : number * size], len(listed)
        self.on_list()
        return found

    def _answer(self, request):
        try:
            answer = self._fault(request) or self.answer(request)
        except Unknown as error:
            (answer,) = error.args
        if not isinstance(answer, Answer):
            answer = Answer(json.dumps(answer, ensure_ascii=False).encode())
        answer.headers.setdefault("Date", formatdate(self.now_s, usegmt=True))
        return answer

    def _fault(self, request):
        fault = self.faults.pop(0) if self.faults else None
        return fault(request) if callable(fault) else fault

    def answer(self, request):
        raise NotImplementedError

    #: What it answers, by what is wrong.
    def throttled(self):
        raise NotImplementedError

    def off(self, at_s):
        return abs(at_s - self.now_s) > self.skew_s


def same(given, expected):
    return hmac.compare_digest((given or "").encode(), expected.encode())


def yuan(fen):
    return f"{fen // 100}.{fen % 100:02d}"


class FakeTaobao(FakePlatform):
    kind = "taobao"
    first_id = 524_512_345_000
    secrets = ("app_secret", "session")
    renews = False

    def feed(self, folder, **more):
        from livecart.shop.connectors.taobao import TaobaoFeed

        names = {"app_secret": "env:FAKE_APP_SECRET", "session": "env:FAKE_TOKEN"}
        usual = names | {"app_key": "12345678", "folder": str(folder), "url": f"{self.server.url}/router/rest"}
        return TaobaoFeed(name="shop", **usual | more)

    def answer(self, request):
        form = dict(parse_qsl(request.body.decode(), keep_blank_values=True, strict_parsing=True))
        given = form.pop("sign", "")
        # Sort by the bytes of the name, join, put the secret at both ends, MD5 in upper case.
        text = SECRET
        for name in sorted(form, key=lambda name: name.encode("ascii")):
            text += name
            text += form[name]
        expected = hashlib.new("md5", (text + SECRET).encode("utf-8")).digest().hex().upper()
        if not same(given, expected):
            return self.error(25, "Invalid Signature", "isv.invalid-signature")
        stamp = datetime.strptime(form["timestamp"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=CHINA).timestamp()
        if self.off(stamp):
            return self.error(31, "Invalid Timestamp", "isv.invalid-timestamp")
        if form["session"] != self.access:
            return self.error(27, "Invalid session", f"session {form['session']} of {SECRET}")
        if (form["format"], form["v"], form["app_key"]) != ("json", "2.0", "12345678"):
            return self.error(40, "Missing required arguments", "isv.missing-parameter")
        self.calls[form["method"]] += 1
        if form["method"] == "taobao.items.onsale.get":
            found, total = self.page(int(form["page_no"]), min(self.per_page, int(form["page_size"])))
            listed = [
                {
                    "num_iid": int(each.item_id),
                    "outer_id": each.outer_id,
                    "modified": datetime.fromtimestamp(each.modified_s, CHINA).strftime("%Y-%m-%d %H:%M:%S"),
                    "num": each.stock,
                    "price": yuan(each.fen),
                }
                for each in found
            ]
            more = {"items": {"item": listed}} if listed else {}
            return {"items_onsale_get_response": {"total_results": total, "request_id": "x", **more}}
        each = self.named(form["num_iid"])
        self.details.append(each.item_id)
        skus = [
            {
                "sku_id": int(sku.sku_id),
                "price": yuan(sku.fen),
                "quantity": sku.stock,
                "outer_id": sku.outer_id,
                "properties": f"1627207:{number}",
                "properties_name": f"1627207:{number}:颜色:{sku.name}",
                "status": "normal",
            }
            for number, sku in enumerate(each.skus)
        ]
        item = {
            "num_iid": int(each.item_id),
            "title": each.title,
            "price": yuan(each.fen),
            "num": each.stock,
            "approve_status": "onsale" if each.on_sale else "instock",
            "outer_id": each.outer_id,
            "detail_url": f"https://item.taobao.com/item.htm?id={each.item_id}",
            "pic_url": each.pictures[0].removeprefix("https:"),
            "item_imgs": {"item_img": [{"id": 0, "url": url, "position": 0} for url in each.pictures]},
            "skus": {"sku": skus},
        }
        return {"item_seller_get_response": {"item": item, "request_id": "x"}}

    def refusal(self, text):
        return 15, text, "isv.item-error"

    def error(self, code, message, sub_code):
        return {"error_response": {"code": code, "msg": message, "sub_code": sub_code, "request_id": "x"}}

    def throttled(self):
        return self.error(7, "App Call Limited", "accesscontrol.limited-by-api-access-count")


class FakeTiktok(FakePlatform):
    kind = "tiktok"
    thins = False
    first_id = 1_729_592_969_712_207_000
    skew_s = 300.0

    def feed(self, folder, **more):
        from livecart.shop.connectors.tiktok import TiktokFeed

        usual = {
            "app_key": "29a39d",
            "app_secret": "env:FAKE_APP_SECRET",
            "shop_cipher": "GCP_x+y/=",
            "folder": str(folder),
            "link": "https://www.tiktok.com/view/product/{id}",
            "url": self.server.url,
            "token_url": self.server.url,
        }
        return TiktokFeed(name="shop", **usual | more)

    def answer(self, request):
        if request.path == "/api/v2/token/refresh":
            return self.renew(request.query)
        # The query without sign in the order of its keys, the path before, the body behind, the secret around.
        pairs = sorted((name, value) for name, value in request.query.items() if name not in {"sign", "access_token"})
        text = request.path + "".join(map("".join, pairs)) + request.body.decode()
        digest = hmac.new(SECRET.encode(), msg=f"{SECRET}{text}{SECRET}".encode(), digestmod=hashlib.sha256)
        if not same(request.query.get("sign"), digest.hexdigest()):
            return self.error(106001, f"sign invalid, secret {SECRET}")
        if not self.now_s - 300 <= int(request.query["timestamp"]) <= self.now_s + 30:
            return self.error(36009004, "timestamp is invalid")
        if request.headers.get("X-Tts-Access-Token", request.headers.get("x-tts-access-token")) != self.access:
            return Answer(json.dumps(self.error(105002, "Expired credentials")).encode(), status=401)
        if request.path == "/product/202502/products/search":
            assert json.loads(request.body) == {"status": "ACTIVATE"}
            number = int(request.query.get("page_token", "p=1").removeprefix("p="))
            size = min(self.per_page, int(request.query["page_size"]))
            found, total = self.page(number, size)
            following = f"p={number + 1}" if number * size < total else ""
            listed = [
                {
                    "id": each.item_id,
                    "title": each.title,
                    "status": "ACTIVATE",
                    "update_time": int(each.modified_s),
                    "skus": self.skus(each),
                }
                for each in found
            ]
            return self.good({"total_count": total, "products": listed, "next_page_token": following})
        each = self.named(request.path.rsplit("/", 1)[1])
        self.details.append(each.item_id)
        product = {
            "id": each.item_id,
            "title": each.title,
            "status": "ACTIVATE" if each.on_sale else "SELLER_DEACTIVATED",
            "update_time": int(each.modified_s),
            "brand": {"id": "1", "name": "好欢螺"},
            "main_images": [{"urls": [url], "thumb_urls": [url], "uri": "x"} for url in each.pictures],
            "skus": self.skus(each),
        }
        return self.good(product)

    def skus(self, each):
        return [
            {
                "id": sku.sku_id,
                "seller_sku": sku.outer_id or each.outer_id,
                "price": {"currency": "USD", "sale_price": yuan(sku.fen), "tax_exclusive_price": "1"},
                "inventory": [{"warehouse_id": "1", "quantity": sku.stock}],
                "status_info": {"status": "NORMAL"},
                "sales_attributes": [
                    {"name": "Color", "value_name": sku.name, "sku_img": {"urls": [each.pictures[0]]}}
                ],
            }
            for sku in each.skus
        ]

    def renew(self, query):
        assert (query["app_secret"], query["grant_type"]) == (SECRET, "refresh_token")
        if query["refresh_token"] not in (self.refresh, self.last_refresh):
            return self.error(36004004, f"refresh token {query['refresh_token']} is invalid")
        access = self.rotate()
        ends = {
            "access_token_expire_in": int(self.now_s) + 604_800,
            "refresh_token_expire_in": int(self.now_s) + 9_000_000,
        }
        return self.good({"access_token": access, "refresh_token": self.refresh, **ends})

    def good(self, data):
        return {"code": 0, "message": "Success", "data": data, "request_id": "x"}

    def refusal(self, text):
        return 12052023, text

    def error(self, code, message):
        return {"code": code, "message": message, "data": None, "request_id": "x"}

    def throttled(self):
        return self.error(36009002, "Too many requests")


class FakeDoudian(FakePlatform):
    kind = "doudian"
    grants_itself = True
    link_hosts = ("haohuo.jinritemai.com",)

    def feed(self, folder, **more):
        from livecart.shop.connectors.doudian import DoudianFeed

        names = {"app_secret": "env:FAKE_APP_SECRET", "shop_id": "4463798", "folder": str(folder)}
        return DoudianFeed(name="shop", **{"app_key": "6839", "url": self.server.url} | names | more)

    def answer(self, request):
        query, body = request.query, request.body.decode()
        # The parts in their order as the guide lists them, the secret around, HMAC-SHA256 in lower hex.
        parts = [SECRET, "app_key", query["app_key"], "method", query["method"], "param_json", body]
        parts += ["timestamp", query["timestamp"], "v", query["v"], SECRET]
        expected = hmac.HMAC(SECRET.encode(), "".join(parts).encode(), hashlib.sha256).digest().hex()
        asked = json.loads(body)
        in_order = json.dumps(asked, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        if not same(query["sign"], expected) or body != in_order or query["sign_method"] != "hmac-sha256":
            return self.error(30001, "签名校验失败 sign", "isv.signature-invalid")
        if self.off(int(query["timestamp"])):
            return self.error(30001, "timestamp", "isv.timestamp-invalid")
        if request.path != "/" + query["method"].replace(".", "/") or query["app_key"] != "6839":
            return self.error(30001, "path", "isv.method-invalid")
        if query["method"] in ("token.create", "token.refresh"):
            return self.token(asked)
        if query.get("access_token") != self.access:
            return self.error(30002, f"token {query.get('access_token')} expired", "isv.access-token-expired")
        if query["method"] == "product.listV2":
            assert (asked["status"], asked["check_status"]) == (0, 3)
            found, total = self.page(asked["page"], min(self.per_page, asked["size"]))
            listed = [
                {
                    "product_id": int(each.item_id),
                    "outer_product_id": each.outer_id,
                    "name": each.title,
                    "status": 0,
                    "check_status": 3,
                    "discount_price": each.fen,
                    "update_time": int(each.modified_s),
                }
                for each in found
            ]
            return self.good({"data": listed, "total": total, "page": asked["page"], "size": asked["size"]})
        each = self.named(asked["product_id"])
        self.details.append(each.item_id)
        values = [{"id": 71 + number, "name": sku.name} for number, sku in enumerate(each.skus)]
        return self.good(
            {
                "product_id": int(each.item_id),
                "product_id_str": each.item_id,
                "outer_product_id": each.outer_id,
                "name": each.title,
                "status": 0 if each.on_sale else 1,
                "check_status": 3,
                "discount_price": each.fen,
                "pic": each.pictures,
                "img": each.pictures[0],
                "update_time": "2021-03-29T15:52:52+08:00",
                "specs": [{"id": 7, "name": "颜色", "values": values}],
                "spec_pics": [{"spec_detail_id": 71, "pic": "temai/b637513c50b994f4c89d"}],
                "spec_prices": [
                    {
                        "sku_id": int(sku.sku_id),
                        "outer_sku_id": sku.outer_id,
                        "stock_num": sku.stock,
                        "price": sku.fen,
                        "spec_detail_ids": [71 + number],
                    }
                    for number, sku in enumerate(each.skus)
                ],
            }
        )

    def token(self, asked):
        if asked["grant_type"] == "refresh_token":
            if asked["refresh_token"] not in (self.refresh, self.last_refresh):
                return self.error(30003, "refresh token is void", "isv.refresh-token-expired")
        else:
            assert asked == {"grant_type": "authorization_self", "code": "", "shop_id": "4463798"}
        access = self.rotate()
        return self.good({"access_token": access, "refresh_token": self.refresh, "expires_in": 604_800})

    def good(self, data):
        return {"code": 10000, "msg": "success", "sub_code": "", "sub_msg": "", "data": data, "log_id": "x"}

    def refusal(self, text):
        return 50002, text, "isv.business-failed"

    def error(self, code, message, sub_code):
        return {"code": code, "msg": message, "sub_code": sub_code, "sub_msg": message, "data": None}

    def throttled(self):
        return self.error(70000, "too many", "isp.app-call-limited")


class FakeWechat(FakePlatform):
    kind = "wechat"
    first_id = 10_000_000_234_000
    #: It asks for no time.
    skew_s = 0.0
    has_changes = False
    renews = False
    link_hosts = ("channels.weixin.qq.com",)

    def feed(self, folder, **more):
        from livecart.shop.connectors.wechat import WechatFeed

        usual = {"app_id": "wx1", "app_secret": "env:FAKE_APP_SECRET", "folder": str(folder), "url": self.server.url}
        return WechatFeed(name="shop", **usual | more)

    def answer(self, request):
        asked = json.loads(request.body)
        if request.path == "/cgi-bin/stable_token":
            assert asked == {"grant_type": "client_credential", "appid": "wx1", "secret": SECRET}
            return {"access_token": self.access, "expires_in": 7200}
        if request.query["access_token"] != self.access:
            return self.error(40001, f"invalid credential {request.query['access_token']}")
        if request.path == "/channels/ec/product/list/get":
            assert (asked["status"], asked["page_size"]) == (5, 30)
            number = int(asked.get("next_key", "k1")[1:])
            found, total = self.page(number, min(self.per_page, 30))
            # Integers, as their examples have them; the key is there on the last page, too.
            ids = [int(each.item_id) for each in found]
            return {"errcode": 0, "errmsg": "ok", "product_ids": ids, "next_key": f"k{number + 1}", "total_num": total}
        each = self.named(asked["product_id"])
        if request.path == "/channels/ec/product/h5url/get":
            url = f"https://channels.weixin.qq.com/shop/a/{each.item_id[::-1]}"
            return {"errcode": 0, "errmsg": "ok", "product_h5url": url}
        assert request.path == "/channels/ec/product/get"
        self.details.append(each.item_id)
        product = {
            "product_id": each.item_id,
            "out_product_id": each.outer_id,
            "title": each.title,
            "head_imgs": each.pictures,
            "desc_info": {"imgs": []},
            "status": 5 if each.on_sale else 11,
            "min_price": each.fen,
            "skus": [
                {
                    "sku_id": sku.sku_id,
                    "out_sku_id": sku.outer_id,
                    "thumb_img": each.pictures[0],
                    "sale_price": sku.fen,
                    "stock_num": sku.stock,
                    "status": 5,
                    "sku_attrs": [{"attr_key": "颜色", "attr_value": sku.name}],
                }
                for sku in each.skus
            ],
        }
        return {"errcode": 0, "errmsg": "ok", "product": product}

    def refusal(self, text):
        return 10020052, text

    def error(self, code, message):
        return {"errcode": code, "errmsg": message}

    def throttled(self):
        return self.error(45009, "reach max api minute quota limit")


class FakeShopify(FakePlatform):
    kind = "shopify"
    thins = False
    first_id = 8_012_345_678_000
    secrets = ("client_secret",)
    skew_s = 0.0
    has_total = False
    renews = False
    link_hosts = ("my-shop.example.com",)

    def feed(self, folder, **more):
        from livecart.shop.connectors.shopify import ShopifyFeed

        names = {"client_id": "c1", "client_secret": "env:FAKE_APP_SECRET", "url": self.server.url}
        return ShopifyFeed(name="shop", **names | {"shop": "my-shop", "folder": str(folder)} | more)

    def answer(self, request):
        if request.path == "/admin/oauth/access_token":
            form = dict(parse_qsl(request.body.decode(), strict_parsing=True))
            assert form == {"grant_type": "client_credentials", "client_id": "c1", "client_secret": SECRET}
            return {"access_token": self.access, "scope": "read_products", "expires_in": 86_399}
        assert request.path == "/admin/api/2026-10/graphql.json"
        if request.headers["X-Shopify-Access-Token"] != self.access:
            said = {"errors": f"[API] Invalid API key or access token {request.headers['X-Shopify-Access-Token']}"}
            return Answer(json.dumps(said).encode(), status=401)
        asked = json.loads(request.body)
        variables = asked["variables"]
        if asked["query"].startswith("query List"):
            assert "status:active" in asked["query"]
            number = int((variables["after"] or "c1")[1:])
            size = min(self.per_page, 100)
            found, total = self.page(number, size)
            nodes = [
                {
                    "id": f"gid://shopify/Product/{each.item_id}",
                    "updatedAt": datetime.fromtimestamp(each.modified_s, UTC).isoformat(),
                    "totalInventory": each.stock,
                }
                for each in found
            ]
            info = {"hasNextPage": number * size < total, "endCursor": f"c{number + 1}"}
            return {"data": {"products": {"nodes": nodes, "pageInfo": info}}}
        each = self.named(variables["id"].removeprefix("gid://shopify/Product/"))
        if variables["after"] is None:
            self.details.append(each.item_id)
        # Few a page, so that there are several.
        start, size = int(variables["after"] or 0), 2 if len(each.skus) < 10 else 100
        variants = [
            {
                "id": f"gid://shopify/ProductVariant/{sku.sku_id}",
                "title": sku.name,
                "sku": sku.outer_id or each.outer_id or None,
                "price": yuan(sku.fen),
                "inventoryQuantity": sku.stock,
                "availableForSale": sku.stock > 0,
                "media": {"nodes": []},
            }
            for sku in each.skus[start : start + size]
        ]
        info = {"hasNextPage": start + size < len(each.skus), "endCursor": str(start + size)}
        product = {
            "id": f"gid://shopify/Product/{each.item_id}",
            "title": each.title,
            "vendor": "",
            "status": "ACTIVE" if each.on_sale else "DRAFT",
            "onlineStoreUrl": f"https://my-shop.example.com/products/{each.item_id[::-1]}",
            "media": {"nodes": [{}, *({"image": {"url": url}} for url in each.pictures)]},
            "variants": {"nodes": variants, "pageInfo": info},
        }
        return {"data": {"shop": {"currencyCode": "USD"}, "product": product}}

    def refusal(self, text):
        return "ACCESS_DENIED", text

    def error(self, code, message):
        return {"errors": [{"message": message, "extensions": {"code": code}}]}

    def throttled(self):
        status = {"maximumAvailable": 1000.0, "currentlyAvailable": 40, "restoreRate": 50.0}
        return self.error("THROTTLED", "Throttled") | {
            "extensions": {"cost": {"requestedQueryCost": 240, "throttleStatus": status}}
        }


class FakeKuaishou(FakePlatform):
    kind = "kuaishou"
    first_id = 21_234_567_890_000
    secrets = ("app_secret", "sign_secret")
    has_details = False
    has_total = False
    link_hosts = ("app.kwaixiaodian.com",)

    def feed(self, folder, **more):
        from livecart.shop.connectors.kuaishou import KuaishouFeed

        names = {"app_secret": "env:FAKE_APP_SECRET", "sign_secret": "env:FAKE_SIGN_SECRET"}
        usual = {"app_key": "ks1", "folder": str(folder), "url": self.server.url}
        link = "https://app.kwaixiaodian.com/merchant/shop/detail?id={id}"
        return KuaishouFeed(name="shop", **names | usual | {"link": link} | more)

    def answer(self, request):
        if request.path == "/oauth2/refresh_token":
            form = dict(parse_qsl(request.body.decode(), strict_parsing=True))
            assert (form["app_id"], form["app_secret"], form["grant_type"]) == ("ks1", SECRET, "refresh_token")
            if form["refresh_token"] not in (self.refresh, self.last_refresh):
                return self.error(100200102, f"invalid refresh_token {form['refresh_token']}")
            access = self.rotate()
            ends = {"expires_in": 172_800, "refresh_token_expires_in": 15_000_000}
            return {"result": 1, "access_token": access, "refresh_token": self.refresh, **ends}
        query = dict(request.query)
        given = query.pop("sign")
        # k=v of all in order, joined by &, the secret for signatures at the end; HMAC-SHA256 by it, in Base64.
        text = "&".join("=".join(pair) for pair in sorted(query.items())) + f"&signSecret={SIGN_SECRET}"
        digest = hmac.new(SIGN_SECRET.encode(), text.encode(), "sha256").digest()
        if not same(given, base64.standard_b64encode(digest).decode("ascii")):
            return self.error(21, "验签失败 sign")
        if self.off(int(query["timestamp"]) / 1000):
            return self.error(22, "timestamp is out of range")
        if query["access_token"] != self.access:
            return self.error(100200102, f"invalid token {query['access_token']}")
        assert (request.path, query["version"]) == ("/open/item/list/get", "1")
        param = json.loads(query["param"])
        if "kwaiItemId" in param:
            found = [each for each in self.products if int(each.item_id) == param["kwaiItemId"]]
            pages = 1
        else:
            size = min(self.per_page, param["pageSize"])
            found, total = self.page(param["pageNumber"], size)
            pages = -(-total // size)
        items = [
            {
                "kwaiItemId": int(each.item_id),
                "relItemId": 0,
                "title": each.title,
                "price": each.fen,
                "shelfStatus": 1 if each.on_sale else 0,
                "mainImageUrl": each.pictures[0],
                "imageUrls": each.pictures,
                "updateTime": int(each.modified_s * 1000),
                "skuList": [
                    {
                        "kwaiSkuId": int(sku.sku_id),
                        "skuSalePrice": sku.fen,
                        "skuStock": sku.stock,
                        "specification": sku.name,
                        "skuNick": sku.outer_id or each.outer_id,
                        "isValid": 1,
                    }
                    for sku in each.skus
                ],
            }
            for each in found
        ]
        return {"result": 1, "data": {"items": items, "totalPage": pages, "pageNumber": param["pageNumber"]}}

    def refusal(self, text):
        return 802000, text

    def error(self, code, message):
        return {"result": code, "error_msg": message}

    def throttled(self):
        return self.error(1017, "Exceed qps limit, KEY [apiId:open.item.list.get], MAX_QPS [20.0]")


FAKES = [FakeTaobao, FakeTiktok, FakeDoudian, FakeWechat, FakeShopify, FakeKuaishou]
