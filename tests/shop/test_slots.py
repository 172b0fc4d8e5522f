"""Numbers of products on the platform, as somebody pastes them."""

import pytest
from fastapi import FastAPI, HTTPException

from livecart.shop.repositories import audit, products
from livecart.shop.slots import slots_router
from tests.shop.api_clients import client_of
from tests.shop.catalog_stores import link, patch

URL = "http://127.0.0.1/rooms/room-1/slots"


@pytest.fixture
def client(service):
    with service.store.write("setup") as session:
        for sku in ("1001", "A 7,b", "色号-3"):
            products.create(session, patch(sku, name=f"口红 {sku}", url=link("1")))

    async def hosts(room: str, ticket: str | None = None):
        if ticket == "other":
            raise HTTPException(401)

    app = FastAPI()
    app.include_router(slots_router(service, hosts))
    return client_of(app, None)


def test_a_spreadsheets_rows_are_the_list_until_others_are_pasted(client, service):
    pasted = "序号\t货号\t商品\r\n7\t1001\t玫瑰口红\r\n\r\n№12，A 7,b\n 3 色号-3 \n"
    answer = client.put(URL, content="\ufeff" + pasted)
    wanted = [(3, "色号-3"), (7, "1001"), (12, "A 7,b")]
    assert [(each["slot"], each["sku"]) for each in answer.json()["slots"]] == wanted
    assert answer.json()["slots"][1]["name"] == "口红 1001"
    assert client.get(URL).json() == answer.json()
    assert client.get(URL.replace("room-1", "room-2")).json() == {"slots": []}
    with service.store.write("shop") as session:
        products.remove(session, "1001", expected_version=None)
    assert client.get(URL).json()["slots"][1] == {"slot": 7, "sku": "1001", "name": None}
    assert client.put(URL, content="").json() == {"slots": []}
    with service.store.read() as session:
        assert [entry.after for entry in audit.latest(session, subject="room", name="room-1")] == [
            {"slots": 0},
            {"slots": 3},
        ]


def test_each_line_that_cannot_be_used_is_named_and_nothing_is_changed(client):
    client.put(URL, content="1 1001")
    answer = client.put(URL, content="1 色号-3\n2 9999\nfoo 1001\n\n1 1001\n5 色号-3\n№ 1001")
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert [(each["line"], each["reason"]) for each in error["lines"]] == [
        (2, "no_product"),
        (3, "slot_malformed"),
        (5, "slot_twice"),
        (6, "sku_twice"),
        (7, "slot_malformed"),
    ]
    assert error["lines"][2]["zh-CN"] == "序号 1 已在第 1 行"
    assert "line 2: no product has sku '9999'; line 3: slot: 'foo 1001' is no number" in error["message"]
    assert [each["sku"] for each in client.get(URL).json()["slots"]] == ["1001"]


@pytest.mark.parametrize(
    ("content", "status"),
    [("\n" * 1001, 422), (b"\xff\xfe", 422), (b"1 " + b"x" * 70_000, 413)],
)
def test_what_is_no_list_is_refused(client, content, status):
    assert client.put(URL, content=content).status_code == status
    assert client.put(URL, content="1 1001", params={"ticket": "other"}).status_code == 401
