"""Products, photos, rooms, stock and search through the API, on every database."""

import threading

import pytest

from livecart.shop.repositories import products
from tests.shop.api_clients import app_of, client_of, token_of
from tests.shop.catalog_stores import link
from tests.shop.photo_files import photo


@pytest.fixture
def client(service, store):
    return client_of(app_of(service), token_of(store, "edit"))


def body(sku="1001", **more):
    return {"sku": sku, "name": f"好欢螺螺蛳粉 {sku}", "url": link(sku)} | more


def offer(platform="douyin", **more):
    return {"platform": platform, "item_id": "3712345678901234567", "url": link("d1"), **more}


def add(client, sku="1001", **more):
    answer = client.post("products", json=body(sku, **more))
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_offers_of_platforms_are_kept_and_held_to_the_same_links(client):
    made = add(client, offers=[offer(slot=7), offer("taobao", sku_id="9")])
    assert made["offers"] == [offer(slot=7, sku_id=None), offer("taobao", sku_id="9", slot=None)]
    for offers, reason in (
        ([offer(), offer()], "platform_twice"),
        ([offer(url="https://elsewhere.example.com/")], "link_host_not_allowed"),
        ([offer(url="http://shop.example.com/")], "link_not_https"),
    ):
        refused = client.patch("products/1001", json={"offers": offers}, headers={"If-Match": "*"})
        assert (refused.status_code, refused.json()["error"]["reason"]) == (422, reason)
    for wrong in (offer("Dou Yin"), offer(slot=0), offer(item_id="1 2"), offer(price="1")):
        assert client.patch("products/1001", json={"offers": [wrong]}, headers={"If-Match": "*"}).status_code == 422
    kept = client.patch("products/1001", json={"stock": 1}, headers={"If-Match": "*"}).json()
    assert kept["offers"] == made["offers"]
    assert client.patch("products/1001", json={"offers": []}, headers={"If-Match": "*"}).json()["offers"] == []


def if_match(version):
    return {"If-Match": f'"{version}"'}


def test_a_product_is_created_read_changed_and_removed(client):
    made = client.post("products", json=body(price="12.90", currency="CNY", stock=40, words=["柳州"], rooms=["r1"]))
    assert (made.status_code, made.headers["ETag"], made.headers["Location"]) == (201, '"1"', "products/1001")
    product = made.json()
    assert (product["price"], product["words"], product["rooms"], product["source"]) == (
        "12.90",
        ["柳州"],
        ["r1"],
        None,
    )
    for answer in (client.patch("products/1001", json={"stock": 1}), client.delete("products/1001")):
        assert (answer.status_code, answer.json()["error"]["code"]) == (428, "version_required")
    assert client.patch("products/1001", json={"stock": 1}, headers={"If-Match": '"x"'}).status_code == 422
    changed = client.patch("products/1001", json={"price": "11.5", "rooms": None}, headers=if_match(1))
    assert (changed.json()["price"], changed.json()["rooms"], changed.json()["stock"]) == ("11.5", None, 40)
    read = client.get("products/1001")
    assert (read.json(), read.headers["ETag"]) == (changed.json(), '"2"')
    assert client.patch("products/1001", json={"on_sale": False}, headers={"If-Match": "*"}).json()["version"] == 3
    assert client.delete("products/1001", headers=if_match(3)).status_code == 204
    gone = client.get("products/1001")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "not_found")


def test_a_lost_edit_is_told_with_both_values(client):
    add(client, price="12.90")
    client.patch("products/1001", json={"price": "11.90"}, headers=if_match(1))
    answer = client.patch("products/1001", json={"price": "10.90"}, headers=if_match(1))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], answer.json()["schema"]) == (409, "conflict", 1)
    assert (error["theirs"]["price"], error["theirs"]["version"], error["yours"]["price"]) == ("11.90", 2, "10.90")
    assert client.delete("products/1001", headers=if_match(1)).status_code == 409
    assert client.get("products/1001").json()["price"] == "11.90"
    taken = client.post("products", json=body(name="yours"))
    assert (taken.status_code, taken.json()["error"]["theirs"]["price"]) == (409, "11.90")
    assert taken.json()["error"]["yours"]["name"] == "yours"


def test_a_sku_may_hold_anything_that_prints(client):
    for sku in ("a/b", "货号 1", "50%", "a?b#c", "x/photos"):
        add(client, sku, url=link("1"))
        read = client.get("products/" + sku.replace("%", "%25").replace("?", "%3F").replace("#", "%23"))
        if sku != "x/photos":
            assert read.json()["sku"] == sku
    # The one kind of sku that a path cannot name is still found.
    assert client.get("products", params={"q": "x/photos"}).json()["products"][0]["sku"] == "x/photos"


def test_pages_follow_each_other_and_lose_nothing(client):
    for number in range(7):
        add(client, f"{number}", brand="好欢螺" if number % 2 else "康师傅")
    seen, cursor = [], None
    while True:
        page = client.get("products", params={"limit": 3, **({} if cursor is None else {"cursor": cursor})}).json()
        seen += [product["sku"] for product in page["products"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [str(number) for number in range(7)]
    found = client.get("products", params={"q": "螺蛳", "brand": "好欢螺"}).json()["products"]
    assert [product["sku"] for product in found] == ["1", "3", "5"]
    assert client.get("products", params={"q": "nothing"}).json() == {"products": [], "next_cursor": None}


def test_many_products_at_once_are_written_or_none(client):
    add(client, "1")
    answer = client.post("products/bulk", json={"products": [{"sku": "1", "stock": 9}, body("2", price="1.50")]})
    assert answer.json() == {"created": 1, "changed": 1, "unchanged": 0}
    lines = b'{"sku": "1", "stock": 8}\n\n{"sku": "2", "stock": 8}\n'
    answer = client.post("products/bulk", content=lines, headers={"Content-Type": "application/x-ndjson"})
    assert answer.json() == {"created": 0, "changed": 2, "unchanged": 0}
    answer = client.post("products/bulk", json={"products": [{"sku": "1", "stock": 7}, {"sku": "3"}]})
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "name")
    assert client.get("products/1").json()["stock"] == 8
    for first in (b'{"sku": "1",}', b'{"sku": "\xff"}', b'{"a":' * 5000 + b"}"):
        answer = client.post("products/bulk", content=first + b'\n{"sku": "2", "stock": 1}')
        assert answer.status_code == 422
        assert "line 1" in answer.json()["error"]["message"]


def test_photos_are_added_ordered_read_and_removed(client, service):
    add(client)
    for seed, kind in enumerate(("jpeg", "png", "webp")):
        answer = client.post("products/1001/photos", files={"photo": (f"{kind}.bin", photo(seed, kind))})
        assert answer.status_code == 201
    listed = client.get("products/1001/photos").json()["photos"]
    assert [(entry["kind"], entry["name"]) for entry in listed][1:] == [("png", "png.bin"), ("webp", "webp.bin")]
    digests = [entry["digest"] for entry in listed]
    version = client.get("products/1001").json()["version"]
    turned = client.put("products/1001/photos/order", json={"digests": digests[::-1]}, headers=if_match(version))
    assert [entry["digest"] for entry in turned.json()["photos"]] == digests[::-1]
    assert {**turned.json()["photos"][0], "name": "webp.bin"} == {**listed[2]}
    stale = client.put("products/1001/photos/order", json={"digests": digests}, headers=if_match(version))
    assert stale.status_code == 409
    assert client.put("products/1001/photos/order", json={"digests": digests[:2]}).status_code == 422
    shown = client.get(f"photos/{digests[1]}")
    assert (shown.content, shown.headers["Content-Type"]) == (photo(1, "png"), "image/png")
    assert "sandbox" in shown.headers["Content-Security-Policy"]
    left = client.delete(f"products/1001/photos/{digests[0]}").json()["photos"]
    assert [entry["digest"] for entry in left] == [digests[2], digests[1]]
    assert client.delete(f"products/1001/photos/{digests[0]}").status_code == 404


def test_rooms_and_their_lists(client):
    for sku in ("1", "2", "3"):
        add(client, sku)
    made = client.put("rooms/room-1", json={"title": "零食专场"})
    assert made.json() == {"name": "room-1", "title": "零食专场", "version": 1, "listed": 0}
    assert client.put("rooms/room-1/products", json={"skus": ["3", "1"]}).json() == {"skus": ["1", "3"]}
    assert client.get("rooms/room-1/products").json() == {"skus": ["1", "3"]}
    found = client.get("products", params={"room": "room-1"}).json()["products"]
    assert [product["sku"] for product in found] == ["1", "3"]
    assert client.put("rooms/room-1/products", json={"skus": ["nowhere"]}).status_code == 404
    assert client.put("rooms/room-1", json={"title": "晚场"}, headers=if_match(1)).json()["version"] == 2
    assert client.put("rooms/room-1", json={"title": "午场"}, headers=if_match(1)).json()["error"]["code"] == "conflict"
    assert client.get("rooms").json()["rooms"][0] == {"name": "room-1", "title": "晚场", "version": 2, "listed": 2}
    assert (client.delete("rooms/room-1").status_code, client.delete("rooms/room-1").status_code) == (204, 404)


def test_stock_is_set_by_a_till_and_confirmed_for_a_card(client):
    add(client, "1", stock=1)
    add(client, "2", on_sale=False)
    asked = {"skus": ["1", "2", "3"]}
    answer = client.post("stock/confirm", json=asked).json()
    assert [entry["stock"] for entry in answer["confirmed"]] == [1]
    assert answer["refused"] == {"2": "off_sale", "3": "unknown"}
    assert client.put("stock/1", json={"stock": 0}).json()["stock"] == 0
    assert client.post("stock/confirm", json=asked).json()["refused"]["1"] == "sold_out"
    assert client.put("stock/1", json={"stock": 5}, headers=if_match(1)).status_code == 409
    assert client.put("stock/9", json={"stock": 5}).status_code == 404


def test_a_request_that_is_sent_twice_is_done_once(client, store):
    key = {"Idempotency-Key": "create-1001"}
    first = client.post("products", json=body(stock=3), headers=key)
    client.patch("products/1001", json={"stock": 2}, headers=if_match(1))
    again = client.post("products", json=body(stock=3), headers=key)
    assert (again.status_code, again.content, again.headers["ETag"]) == (201, first.content, '"1"')
    assert (again.headers["Idempotency-Replayed"], first.headers.get("Idempotency-Replayed")) == ("true", None)
    other = client.post("products", json=body(stock=4), headers=key)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "conflict")
    stranger = client_of(client.app, token_of(store, "edit"))
    assert stranger.post("products", json=body(), headers=key).json()["error"]["message"].startswith("sku '1001' is")


def test_a_form_that_is_sent_twice_has_another_boundary_and_is_the_same(client):
    add(client)
    sent = [
        client.post(
            "products/1001/photos",
            content=b"--%b\r\nContent-Disposition: form-data; name=photo; filename=a.jpg\r\n\r\n%b\r\n--%b--\r\n"
            % (boundary, photo(1), boundary),
            headers={"Content-Type": f"multipart/form-data; boundary={boundary.decode()}", "Idempotency-Key": "k1"},
        )
        for boundary in (b"one-1", b"two-2")
    ]
    assert [answer.status_code for answer in sent] == [201, 201]
    assert sent[1].headers["Idempotency-Replayed"] == "true"


def test_the_same_request_twice_at_once_is_done_once(service, store):
    token = token_of(store, "edit")
    app = app_of(service)
    answers = []

    def send():
        asked = client_of(app, token).post("products", json=body(), headers={"Idempotency-Key": "at-once"})
        answers.append((asked.status_code, asked.json().get("sku")))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [(201, "1001")] * 4
    with store.read() as session:
        assert products.get(session, "1001").version == 1


def test_a_line_may_say_products_and_is_a_line_all_the_same(client):
    add(client, "1")
    add(client, "2")
    for first in ('"words": ["products"]', '"name": "a \\"products\\" b"', '"brand": "products"'):
        answer = client.post("products/bulk", content=f'{{"sku": "1", {first}}}\n{{"sku": "2", "stock": null}}')
        assert (answer.status_code, answer.json()["changed"]) == (200, 1)
