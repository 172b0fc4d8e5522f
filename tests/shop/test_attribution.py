"""Links through `/go`, orders by postback, and the sales that are counted of them."""

import json
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from fastapi import FastAPI

from contract.catalog import Variant
from livecart.core import card_links
from livecart.core.rate_limits import TokenBuckets
from livecart.shop.attribution import attribution_router, with_utm
from livecart.shop.errors import StoreUnavailable
from livecart.shop.repositories import cards, hosts, orders, products, sales
from livecart.shop.retention import purge
from livecart.shop.schemas.product import ProductPatch
from livecart.shop.settings import Keep
from livecart.shop.webhooks.post import signed_headers
from tests.card_events import card_event
from tests.shop.api_clients import app_of, client_of, token_of
from tests.shop.catalog_stores import change, link, patch
from tests.shop.conftest import DATABASES

CARD = "0d3f3c9f5e2a4d0c9a8b7c6d5e4f3a2b"
OTHER = "ffffffffffffffffffffffffffffffff"


@pytest.fixture
def store_url(request, sqlite_url):
    """SQLite, or what `on_each_database` says."""
    is_mysql = getattr(request, "param", "sqlite") == "mysql"
    return request.getfixturevalue("_mysql_url") if is_mysql else sqlite_url


on_each_database = pytest.mark.parametrize("store_url", DATABASES, indirect=True)


@pytest.fixture
def shown(service, clock):
    """Two cards of products that are in the catalog."""
    with service.store.write("setup") as session:
        for card_id, sku in ((CARD, "1001"), (OTHER, "1002")):
            products.create(session, patch(sku))
            cards.record(session, card_event(card_id=card_id, sku=sku, room="Room-1", url=link(sku), at_s=clock.at_s))


@pytest.fixture
def stats():
    return Counter()


@pytest.fixture
def client(service, shown, stats):
    app = FastAPI()
    app.include_router(attribution_router(service, lambda room: f"from-{room.lower()}", stats))
    return client_of(app, None, follow_redirects=False)


def follow(client, card_id=CARD, query="", **headers):
    return client.get(f"http://127.0.0.1/go/{card_links.short_id(card_id)}{query}", headers=headers)


def counted(service, card_id=CARD):
    client = client_of(app_of(service), token_of(service.store, "read"))
    return client.get(f"cards/{card_id}").json()


# Ids and links


def test_a_short_id_is_22_letters_and_digits_and_leads_back():
    numbers = [0, 1, 2**128 - 1, *(random.Random(1).getrandbits(128) for _ in range(200))]
    for card_id in (f"{number:032x}" for number in numbers):
        short = card_links.short_id(card_id)
        assert (len(short), short.isalnum(), card_links.card_id_of(short)) == (22, True, card_id)


@pytest.mark.parametrize("text", ["", "z" * 22, "0" * 21, "0" * 23, "../" + "0" * 19, "０" * 22, CARD, "0" * 22 + "\n"])
def test_what_no_card_has_is_no_short_id(text):
    assert card_links.card_id_of(text) is None


@pytest.mark.parametrize("card_id", ["c1", CARD.upper(), CARD + "\n", "0" * 31])
def test_an_id_of_another_kind_has_no_link(card_id):
    assert card_links.go_link("https://live.example.com", card_id) is None
    assert card_links.go_link(None, CARD) is None


UTM = {"utm_source": "douyin", "utm_content": "å&=#%"}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example/p", "https://a.example/p?utm_source=douyin&utm_content=%C3%A5%26%3D%23%25"),
        ("https://a.example/p?id=1%2F2&b#/x?y", "https://a.example/p?id=1%2F2&b&utm_source=douyin&utm_content=%C3%A5%26%3D%23%25#/x?y"),
        ("https://a.example?utm_source=shop&utm_content=", "https://a.example?utm_source=shop&utm_content="),
        ("https://a.example/p?q=商品", "https://a.example/p?q=商品&utm_source=douyin&utm_content=%C3%A5%26%3D%23%25"),
    ],
)  # fmt: skip
def test_parameters_stand_behind_those_of_the_link_once(url, expected):
    assert with_utm(url, UTM) == expected
    assert with_utm(expected, UTM) == expected


# /go


def test_a_link_leads_to_the_product_with_where_the_viewer_comes_from(client, clock):
    answer = follow(client)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (302, "no-store")
    target = urlsplit(answer.headers["Location"])
    assert f"{target.scheme}://{target.netloc}{target.path}" == link("1001")
    day = datetime.fromtimestamp(clock.at_s).astimezone().date().isoformat()
    assert {name: values[0] for name, values in parse_qs(target.query).items()} == {
        "utm_source": "from-room-1",
        "utm_medium": "live",
        "utm_campaign": f"room-1-{day}",
        "utm_content": CARD,
    }


@on_each_database
def test_a_viewer_counts_once_and_who_only_looks_at_the_link_never(client, service, stats):
    for _ in range(3):
        assert follow(client, **{"User-Agent": "phone"}).status_code == 302
    assert counted(service)["clicks"] == 1
    follow(client, **{"User-Agent": "another phone"})
    assert counted(service)["clicks"] == 2
    path = f"http://127.0.0.1/go/{card_links.short_id(CARD)}"
    assert client.head(path, headers={"User-Agent": "preview"}).status_code == 302
    follow(client, **{"User-Agent": "browser", "Sec-Purpose": "prefetch;prerender"})
    follow(client, query="?v=1", **{"User-Agent": "element"})
    assert counted(service)["clicks"] == 2
    assert counted(service, OTHER)["clicks"] == 0
    assert stats["followed"] == 7


def test_of_one_network_browsers_of_whatever_name_count_thirty_times_at_once(client, service):
    for number in range(40):
        assert follow(client, **{"User-Agent": f"made up {number}"}).status_code == 302
    assert counted(service)["clicks"] == 30


def test_who_cannot_be_counted_is_led_on(client, service, stats, monkeypatch):
    def away(*_):
        raise StoreUnavailable("store_silent", cause="gone")

    monkeypatch.setattr(service.store, "edit", away)
    assert follow(client).status_code == 302
    assert stats == {"followed": 1, "uncounted": 1}
    monkeypatch.setattr(service.store, "read", away)
    assert (follow(client).status_code, stats["refused"]) == (503, 1)


def test_the_link_is_that_of_now_and_only_to_hosts_of_the_list(client, service):
    change(service.store, "1001", url=link("新") + "?a=%20b#c")
    found = follow(client).headers["Location"]
    assert found.startswith("https://shop.example.com/item/%E6%96%B0?a=%20b&utm_source=")
    assert found.endswith("#c")
    with service.store.write("setup") as session:
        products.remove(session, "1001", expected_version=None)
    assert follow(client).headers["Location"].startswith(link("1001"))
    with service.store.write("setup") as session:
        hosts.forbid(session, "shop.example.com")
    refused = follow(client)
    assert (refused.status_code, refused.json()["error"]["reason"]) == (404, "card_leads_nowhere")
    assert "Location" not in refused.headers
    with service.store.write("setup") as session:
        hosts.allow(session, "例子.中国:8443")
        products.create(session, patch("1001", url="https://例子.中国:8443/p"))
    assert follow(client).headers["Location"].startswith("https://xn--fsqu00a.xn--fiqs8s:8443/p?utm_")


ELSEWHERE = ["0" * 22, "x", CARD, "https:%2F%2Fevil.example", "0?url=https://evil.example", "%00", "a" * 3000]


def test_no_address_leads_anywhere_but_to_a_card(client):
    for path in ELSEWHERE:
        answer = client.get(f"http://127.0.0.1/go/{path}")
        assert (answer.status_code, "Location" in answer.headers) == (404, False), path


def test_a_flood_of_one_address_is_told_to_wait(client, service, shown):
    settings = type(service.settings)(
        url="sqlite:///x", api=type(service.settings.api)(address_burst=2, address_per_s=1e-3)
    )
    limited = type(service)(**{name: getattr(service, name) for name in service.__slots__} | {"settings": settings})
    app, stats = FastAPI(), Counter()
    app.include_router(attribution_router(limited, str, stats))
    asked = client_of(app, None, follow_redirects=False)
    assert [follow(asked).status_code for _ in range(3)] == [302, 302, 429]
    assert post(asked, "whsec_AAAA", {}, clock_s=0).status_code == 429
    assert stats["refused"] == 2


def test_nothing_is_kept_of_links_to_no_card(service, shown, monkeypatch):
    kept = []

    class Watched(TokenBuckets):
        def wait_s(self, key):
            kept.append(key)
            return super().wait_s(key)

    monkeypatch.setattr("livecart.shop.attribution.TokenBuckets", Watched)
    app = FastAPI()
    app.include_router(attribution_router(service, str, Counter()))
    client = client_of(app, None, follow_redirects=False)
    assert client.get(f"http://127.0.0.1/go/{'x' * 30_000}").status_code == 404
    assert max(map(len, kept)) < 100
    assert follow(client).status_code == 302
    assert kept[-2].endswith(card_links.short_id(CARD))


# /postback


def order(**values):
    made = {
        "order_id": "4711",
        "lines": [{"sku": "1001", "qty": 2, "amount": "25.80"}, {"sku": "1002", "qty": 1, "amount": 9.9}],
        "currency": "CNY",
        "card_id": CARD,
        "at": "2025-10-09T08:50:00Z",
        "status": "paid",
    }
    return made | values


def post(client, secret, body, *, clock_s, shop="till", **changed):
    text = body if isinstance(body, str) else json.dumps(body)
    headers = signed_headers("msg-1", text, [secret], clock_s) | changed
    return client.post(f"http://127.0.0.1/postback/{shop}", content=text, headers=headers)


@pytest.fixture
def secret(service, shown):
    with service.store.write("setup") as session:
        return orders.add_source(session, "till")


@pytest.fixture
def report(client, secret, clock):
    def send(**values):
        answer = post(client, secret, order(**values), clock_s=clock.at_s)
        assert answer.status_code == 200, answer.text
        return answer.json()["outcome"]

    return send


NOTHING = {"orders": 0, "refunds": 0, "quantity": 0, "amounts": {}}
PAID = {"orders": 1, "refunds": 0, "quantity": 3, "amounts": {"CNY": "35.70"}}


@on_each_database
def test_an_order_counts_once_for_its_card_room_and_products(report, service, stats):
    assert counted(service)["sales"] == NOTHING
    assert [report() for _ in range(3)] == ["kept", "known", "known"]
    assert counted(service)["sales"] == PAID
    assert counted(service)["short_id"] == card_links.short_id(CARD)
    client = client_of(app_of(service), token_of(service.store, "read"))
    listed = client.get("cards").json()["cards"]
    assert {card["card_id"]: card["sales"] for card in listed} == {CARD: PAID, OTHER: NOTHING}
    by_room = client.get("figures/rooms").json()["figures"]
    assert [(one["name"], one["sales"]) for one in by_room] == [("Room-1", PAID)]
    by_product = client.get("figures/products").json()["figures"]
    assert {one["name"]: one["sales"]["amounts"]["CNY"] for one in by_product} == {"1001": "25.80", "1002": "9.90"}
    assert (stats["kept"], stats["known"]) == (1, 2)


REFUND = {"status": "refunded", "lines": [{"sku": "1001", "qty": 1, "amount": "12.90"}], "at": "2025-10-09T08:51:00Z"}
ALL_BACK = REFUND | {"lines": order()["lines"], "at": "2025-10-09T08:52:00Z"}


@pytest.mark.parametrize("seed", range(3))
@on_each_database
def test_reports_may_come_in_any_order_and_again(report, service, seed):
    reports = [{}, REFUND, ALL_BACK, {"order_id": "4712", "sub_id": card_links.short_id(CARD), "card_id": None}]
    sent = reports * 2
    random.Random(seed).shuffle(sent)
    for each in sent:
        report(**each)
    expected = {"orders": 2, "refunds": 1, "quantity": 3, "amounts": {"CNY": "35.70"}}
    assert counted(service)["sales"] == expected


@on_each_database
def test_the_same_report_at_once_counts_once(service, secret):
    reports = [msgspec.convert(order(at=f"2025-10-09T08:50:0{number % 3}Z"), orders.Order) for number in range(12)]

    def record(report):
        return service.store.edit("test", lambda session: orders.record(session, "till", report))

    with ThreadPoolExecutor(6) as pool:
        outcomes = Counter(pool.map(record, reports))
    assert outcomes.keys() <= {"kept", "known"}
    assert 1 <= outcomes["kept"] <= 3
    assert counted(service)["sales"] == PAID


def test_a_line_of_a_variant_counts_for_its_product(report, service):
    with service.store.write("shop") as session:
        variants = (Variant(sku="1001-red", name="红"), Variant(sku="1001-blue", name="蓝"))
        products.update(session, ProductPatch(sku="1001", variants=variants), expected_version=None)
    line = {"qty": 1, "amount": 10}
    report(lines=[line | {"sku": sku} for sku in ("1001-red", "1001-blue", "1001", "9")])
    with service.store.read() as session:
        found = sales.sales_by(session, "sku", since_s=0)
    assert {sku: one.quantity for sku, one in found.items()} == {"1001": 3, "9": 1}


@on_each_database
def test_a_refund_counts_with_its_payment_alone(report, service):
    assert report(**REFUND) == "kept"
    assert counted(service)["sales"] == NOTHING
    report()
    assert counted(service)["sales"] == {"orders": 1, "refunds": 1, "quantity": 2, "amounts": {"CNY": "22.80"}}
    report(order_id="4713", currency="JPY", lines=[{"sku": "1001", "qty": 1, "amount": 300}])
    assert counted(service)["sales"]["amounts"] == {"CNY": "22.80", "JPY": "300.00"}


def test_orders_of_no_card_of_ours_are_not_kept(report, service):
    assert report(card_id=None) == "no_card"
    assert report(card_id="f" * 31 + "0", sub_id="x") == "no_card"
    assert report(card_id="unknown", sub_id=OTHER) == "kept"
    assert counted(service, OTHER)["sales"] == PAID


def test_orders_go_with_the_other_transactions(report, service, clock):
    report()
    clock.pass_s(Keep().transactions_s)
    with service.store.write("setup") as session:
        cards.record(session, card_event(card_id="c9", at_s=clock.at_s - 30 * 86_400))
    purged = purge(service.store, keep=Keep(), crops=service.crops, photo_blobs=service.photos, now_s=clock.at_s + 9e4)
    with service.store.read() as session:
        assert (purged.orders, sales.sales_by(session, "sku", since_s=0)) == (2, {})


WRONG = [
    ({"order_id": ""}, "$.order_id"),
    ({"order_id": "4711\n"}, "$.order_id"),
    ({"lines": []}, "$.lines"),
    ({"lines": [{"sku": "1", "qty": 0, "amount": 1}]}, "$.lines[0].qty"),
    ({"lines": [{"sku": "1", "qty": 1, "amount": "x"}]}, "$.lines[0].amount"),
    ({"lines": [{"sku": "1", "qty": 1, "amount": "NaN"}]}, "lines[0]: amount"),
    ({"lines": [{"sku": "1", "qty": 1, "amount": "-1"}]}, "lines[0]: amount"),
    ({"lines": [{"sku": "1", "qty": 1, "amount": "1e-9999999"}]}, "lines[0]: amount"),
    (
        {"lines": [{"sku": "1", "qty": 1, "amount": "1e11"}]},
        "lines[0]: amount: 1E+11 is not between",
    ),
    ({"lines": [{"sku": "a\nb", "qty": 1, "amount": 1}]}, "lines[0]: sku"),
    ({"currency": "yuan"}, "$.currency"),
    ({"at": "2025-10-09T08:50:00"}, "$.at"),
    ({"at": "2026-10-09T08:50:00Z"}, "at: 2026-10-09T08:50:00+00:00 is more than 5 minutes ahead"),
    ({"status": "lost"}, "$.status"),
]


def test_what_is_wrong_is_named_and_nothing_is_kept(client, secret, clock, service):
    for values, named in WRONG:
        answer = post(client, secret, order(**values), clock_s=clock.at_s)
        assert (answer.status_code, named in answer.json()["error"]["message"]) == (422, True), answer.text
    assert counted(service)["sales"] == NOTHING


UNSIGNED = [
    {"shop": "nobody"},
    {"webhook-id": "msg-2"},
    {"webhook-id": ""},
    {"webhook-timestamp": "1"},
    {"webhook-timestamp": "²"},
    {"webhook-signature": ""},
    {"webhook-signature": "v1,"},
    {"webhook-signature": "v1,é"},
    {"webhook-signature": "v1," + "A" * 43 + "= v1a,x"},
]


def test_who_does_not_sign_is_told_nothing(client, secret, clock, service):
    for values in UNSIGNED:
        changed = {name: value.encode("latin-1") if name != "shop" else value for name, value in values.items()}
        answer = post(client, secret, order(), clock_s=clock.at_s, **changed)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "denied"), values
    assert counted(service)["sales"] == NOTHING


def test_a_signature_is_good_for_five_minutes_and_for_its_body_alone(client, secret, clock):
    for off_s, status in ((-301, 401), (301, 401), (-299, 200), (299, 200)):
        assert post(client, secret, order(), clock_s=clock.at_s + off_s).status_code == status
    signed = signed_headers("msg-1", json.dumps(order()), [secret], clock.at_s)
    url = "http://127.0.0.1/postback/till"
    assert client.post(url, content=json.dumps(order(order_id="1")), headers=signed).status_code == 401
    assert client.post(url, content=b"\xff", headers=signed).status_code == 400
    assert client.post(url, content=b"x" * 70_000, headers=signed).status_code == 413


def test_while_a_secret_is_replaced_both_are_good(client, service, secret, clock):
    with service.store.write("setup") as session:
        new = orders.rotate_source(session, "till")
    statuses = [post(client, each, order(), clock_s=clock.at_s).status_code for each in (secret, new)]
    clock.pass_s(86_401)
    statuses += [post(client, each, order(), clock_s=clock.at_s).status_code for each in (secret, new)]
    assert statuses == [200, 200, 401, 200]
    with service.store.write("setup") as session:
        orders.remove_source(session, "till")
    assert post(client, new, order(), clock_s=clock.at_s).status_code == 401
