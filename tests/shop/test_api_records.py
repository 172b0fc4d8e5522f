"""Cards, viewers' events, reviews, hosts, tokens, audit, feeds and files through the API, on every database."""

from decimal import Decimal

import pytest

from livecart.shop.repositories import cards, reviews
from livecart.shop.settings import TableFeed
from tests.card_events import card_event
from tests.shop.api_clients import app_of, client_of, service_of, token_of
from tests.shop.catalog_stores import add, link, patch
from tests.shop.photo_files import photo


@pytest.fixture
def service(store, tmp_path):
    feed = tmp_path / "feed.csv"
    feed.write_text(f"sku,name,url,stock\n1,螺蛳粉,{link('1')},3\n2,酸奶,{link('2')},4\n", encoding="utf-8")
    made = service_of(store, tmp_path / "files", feeds=(TableFeed(name="shop", path=str(feed)),))
    yield made
    made.cache.close()


@pytest.fixture
def client(service, store):
    return client_of(app_of(service), token_of(store, "admin"))


def show_cards(store, count=3, room="room-1"):
    with store.write("test") as session:
        for number in range(count):
            cards.record(session, card_event(card_id=f"{number:032x}", room=room, at_s=1000.0 + number))


def event(key, kind="impression", card=0, viewer="viewer-0001", **more):
    return {"event_key": f"key-{key:06d}", "kind": kind, "card_id": f"{card:032x}", "viewer": viewer, **more}


def test_cards_are_listed_newest_first_in_pages(client, store):
    show_cards(store)
    page = client.get("cards", params={"limit": 2}).json()
    assert [card["shown_at_s"] for card in page["cards"]] == [1002.0, 1001.0]
    assert page["cards"][0]["price"] == "12.90"
    rest = client.get("cards", params={"limit": 2, "cursor": page["next_cursor"]}).json()
    assert ([card["shown_at_s"] for card in rest["cards"]], rest["next_cursor"]) == ([1000.0], None)
    assert client.get("cards", params={"room": "elsewhere"}).json()["cards"] == []
    assert client.get(f"cards/{0:032x}").json()["sku"] == "1001"
    assert client.get("cards/none").status_code == 404
    assert client.get("cards", params={"cursor": "inf:x"}).status_code == 422


def test_events_are_counted_once_and_make_figures(client, store):
    show_cards(store)
    seen = [event(1), event(2, viewer="viewer-0002"), event(3, "click"), event(4, "wrong")]
    batch = {"events": [*seen, event(5, "dwell", dwell_s=2.5), event(6, card=99)]}
    assert client.post("viewer-events", json=batch).json() == {"kept": 5, "known": 0, "unknown_card": 1}
    assert client.post("viewer-events", json=batch).json() == {"kept": 0, "known": 5, "unknown_card": 1}
    for by, name in (("products", "1001"), ("rooms", "room-1")):
        (figure,) = client.get(f"figures/{by}", params={"since_s": 0}).json()["figures"]
        assert (figure["name"], figure["cards"], figure["impressions"], figure["clicks"]) == (name, 3, 2, 1)
        assert (figure["click_rate"], figure["wrong_rate"], figure["dwell_s"]) == (0.5, 0.5, 2.5)


def test_a_crop_is_looked_at_and_decided_once(client, store, service):
    client.post("products", json={"sku": "1001", "name": "螺蛳粉", "url": link("1001")})
    with store.write("recogniser") as session:
        for seed in (1, 2):
            reviews.submit(session, service.crops, photo(seed), reason="low_margin", room="r", sku="1001")
    queue = client.get("reviews").json()
    assert (queue["pending"], len(queue["reviews"])) == (2, 2)
    first, second = queue["reviews"]
    who = client.get("audit").json()["entries"][0]["who"]
    crop = client.get(f"reviews/{first['id']}/crop")
    assert (crop.content, crop.headers["Content-Type"]) == (photo(1), "image/jpeg")
    decision = {"state": "approved", "version": first["version"]}
    decided = client.post(f"reviews/{first['id']}/decision", json=decision)
    assert (decided.json()["state"], decided.json()["decided_by"]) == ("approved", who)
    assert len(client.get("products/1001/photos").json()["photos"]) == 1
    late = client.post(f"reviews/{first['id']}/decision", json={**decision, "state": "rejected"})
    assert (late.status_code, late.json()["error"]["theirs"]["state"]) == (409, "approved")
    wrong = {"state": "corrected", "version": second["version"]}
    assert client.post(f"reviews/{second['id']}/decision", json=wrong).status_code == 422
    assert client.get(f"reviews/{second['id'] + 100}/crop").status_code == 404
    assert client.get("reviews", params={"state": "approved"}).json()["reviews"][0]["id"] == first["id"]


def test_hosts_decide_which_links_are_taken(client):
    product = {"sku": "1", "name": "x", "url": link("1", "other.example.org")}
    assert client.post("products", json=product).json()["error"]["field"] == "url"
    assert client.put("hosts/*.example.org", json=None).json() == {"hosts": ["*.example.org", "shop.example.com"]}
    assert client.post("products", json=product).status_code == 201
    assert client.delete("hosts/*.example.org").status_code == 204
    assert client.delete("hosts/*.example.org").status_code == 404
    assert client.post("stock/confirm", json={"skus": ["1"]}).json()["refused"] == {"1": "link"}
    assert client.put("hosts/no host").status_code == 422


def test_tokens_are_issued_shown_once_and_revoked(client, store):
    issued = client.post("tokens", json={"name": "till", "role": "edit", "lifetime_s": 60}).json()
    token, info = issued["token"], issued["info"]
    assert (info["role"], info["expires_at_s"] - info["created_at_s"]) == ("edit", 60)
    till = client_of(client.app, token)
    assert till.get("hosts").status_code == 200
    assert token not in client.get("tokens").text
    assert token.removeprefix("lc_") not in client.get("audit").text
    assert client.delete(f"tokens/{info['id']}").status_code == 204
    assert till.get("hosts").status_code == 401
    assert client.delete("tokens/999").status_code == 404
    kept = client.post("tokens", json={"name": "x", "role": "read"}, headers={"Idempotency-Key": "k"})
    assert kept.status_code == 422


def test_a_feed_is_read_dry(client):
    assert client.post("feeds/none/dry-run").status_code == 404
    dry = client.post("feeds/shop/dry-run").json()
    assert (dry["outcome"], dry["created"], dry["created_skus"], dry["refused"]) == ("dry", 2, ["1", "2"], None)
    assert client.get("products").json()["products"] == []
    (feed,) = client.get("feeds").json()["feeds"]
    assert (feed["name"], feed["runs"][0]["state"], feed["runs"][0]["fetched"]) == ("shop", "dry", 2)


def test_a_table_is_read_dry_then_taken_in(client, store):
    add(store, patch("1", stock=1, price=Decimal("12.90"), currency="CNY"))
    rows = ["货号,名称,链接,库存", f"1,新名,{link('1')},5", f"2,酸奶,{link('2')},1", "3,,,1", f"2,又来,{link('2')},1"]
    upload = {"table": ("goods.csv", "\n".join([*rows, "4,坏,javascript:alert(1),1"]).encode())}
    dry = client.post("tables", params={"dry_run": True}, files=upload).json()
    assert (dry["dry_run"], dry["created"], dry["changed"], dry["bad"]) == (True, 1, 1, 3)
    assert dry["changes"][0]["after"] == {"name": "新名", "stock": 5}
    assert [row.split(": ")[1] for row in dry["bad_rows"]] == ["row 4", "row 5", "row 6"]
    assert client.get("products/1").json()["stock"] == 1
    done = client.post("tables", files=upload, headers={"Idempotency-Key": "goods"})
    assert {**done.json(), "dry_run": True} == dry
    again = client.post("tables", files=upload, headers={"Idempotency-Key": "goods"})
    assert (again.content, again.headers["Idempotency-Replayed"]) == (done.content, "true")
    assert client.get("products/1").json()["stock"] == 5
    once_more = client.post("tables", files=upload).json()
    assert (once_more["created"], once_more["changed"], once_more["unchanged"]) == (0, 0, 2)
    page = client.get("audit", params={"subject": "product", "name": "1", "limit": 1}).json()
    (entry,) = page["entries"]
    assert (entry["action"], entry["before"]["stock"], entry["after"]["stock"]) == ("update", 1, 5)
    assert entry["who"].startswith("test admin#")
    rest = client.get("audit", params={"subject": "product", "name": "1", "cursor": page["next_cursor"]}).json()
    assert [entry["action"] for entry in rest["entries"]] == ["create"]
    exported = client.get("catalog.csv")
    assert exported.headers["Content-Type"] == "text/csv; charset=utf-8"
    back = client.post("tables", files={"table": ("catalog.csv", exported.content)}).json()
    assert (back["unchanged"], back["changed"], back["bad"]) == (2, 0, 0)
    links = client.get("product_links.json")
    again = client.put("product_links.json", content=links.content, headers={"Content-Type": "application/json"})
    assert again.json() == {"created": 0, "changed": 0, "unchanged": 2}
    assert client.get("product_links.json").text == links.text
