"""`livecart run` with a catalog: a card needs its word, is kept, and goes when the product sells out."""

import asyncio
import io
import threading
import time
from decimal import Decimal

import msgspec
import pytest
from aiohttp import web
from standardwebhooks import Webhook

from contract.card import CardEvent, PlatformOffer
from contract.offers import Offers, ProductOffer
from follow.sources import LinkSource
from livecart.core.card_links import short_id
from livecart.core.errors import SettingsError
from livecart.server.rooms_file import read_rooms_file
from livecart.shop.database.store import Store
from livecart.shop.errors import StoreUnavailable
from livecart.shop.publish.snapshot_folder import SnapshotFolder
from livecart.shop.repositories import audit, cards, hosts, photos, tokens, viewer_events, webhooks
from livecart.shop.repositories.blobs import BlobFolder
from tests.live.video.streams import ByteServer
from tests.server.catalog_rooms import MAX_AGE_S, ROOM, Shop, on_air, rooms_file
from tests.shop.photo_files import photo
from tests.shop.test_webhooks import serving
from tests.waiting import until

#: From an edit by another process to what viewers see: the age, and a look at the standing cards.
SEEN_WITHIN_S = MAX_AGE_S + 1.0


@pytest.fixture
def shop(tmp_path):
    opened = Shop(f"sqlite:///{tmp_path / 'catalog.db'}")
    yield opened
    opened.store.close()


@pytest.fixture
def stream(flv):
    with ByteServer(flv, bytes_per_s=len(flv) / 6.0, then="hang") as server:
        yield server


@pytest.fixture
def config(tmp_path, archive, stream, shop):
    catalog = f'url = "sqlite:///{tmp_path / "catalog.db"}"\npublish = false\ninternal_hosts = ["127.0.0.1"]\n'
    return rooms_file(tmp_path, recognizer=archive.url, source=stream.url, catalog=catalog)


async def test_a_card_comes_with_the_shops_word_goes_when_sold_out_and_comes_again(config, shop, monkeypatch):
    shop.sell("red", price=Decimal("12.90"), currency="CNY", stock=0)
    async with on_air(config, monkeypatch) as show:
        refused = 'livecart_live_availability_refusals_total{reason="sold_out"}'
        while not await show.metric(refused):
            await asyncio.sleep(0.05)
        assert show.events == []
        shop.change("red", stock=3)
        await until(lambda: show.told() == ["card"], SEEN_WITHIN_S + 1)
        card = show.events[0]
        assert (card.name, card.url, card.price) == ("店里的red", "https://shop.example.com/item/red", "12.90")
        shop.change("red", stock=0)
        began_s = time.monotonic()
        await until(lambda: show.told() == ["card", ("withdraw", "off_sale")])
        assert time.monotonic() - began_s < SEEN_WITHIN_S
        shop.change("red", stock=1)
        await until(lambda: len(show.told()) == 3)
        assert show.told()[2] == "card"
        await until(lambda: _kept(shop) == 2)
        ready = (await show.client.get("/readyz")).json()
        assert ready["checks"] == {"recognizer": True, "bus": True, "database": True}
        assert await show.metric('livecart_catalog_card_records_total{what="kept"}') >= 3
    with shop.store.read() as session:
        kept = cards.latest(session)
    assert [card.reason for card in kept] == ["room_closed", "off_sale"]
    assert kept[0].price == Decimal("12.90")


async def test_a_card_goes_to_other_systems_with_its_offers_and_so_does_its_end(config, shop, monkeypatch):
    offer = PlatformOffer(platform="douyin", item_id="3712345678901234567", url="https://shop.example.com/d", slot=7)
    shop.sell("red", offers=(offer,))
    got = []

    async def take(request):
        got.append(Webhook(secret).verify(await request.read(), dict(request.headers)))
        return web.Response(status=204)

    async with serving(take) as hook:
        with shop.store.write("shop") as session:
            _, secret = webhooks.add(session, hook, [], ["127.0.0.1"])
        async with on_air(config, monkeypatch) as show:
            await until(lambda: [message["type"] for message in got] == ["card.shown"], 5.0)
            shown = show.events[0]
        # The program has ended: what it told at last was sent before.
        assert got[-1]["type"] == "card.withdrawn"
    assert msgspec.convert(got[0]["data"], CardEvent) == shown
    assert shown.offers == (offer,)


async def test_the_link_of_a_card_leads_to_its_product_and_counts(config, shop, monkeypatch):
    shop.sell("red")
    async with on_air(config, monkeypatch) as show:
        await until(lambda: show.told() == ["card"] and _kept(shop) == 1, 5.0)
        answer = await show.client.get(f"/go/{short_id(show.events[0].card_id)}")
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith(f"{show.events[0].url}?utm_source=livecart&utm_medium=live&")
        assert (await show.client.post("/postback/till", json={})).status_code == 401
        assert await show.metric('livecart_catalog_links_total{what="followed"}') == 1
    with shop.store.read() as session:
        assert viewer_events.by_room(session, since_s=0.0)[0].clicks == 1


async def test_what_hosts_ask_by_the_api_is_in_the_audit_log(config, shop, monkeypatch):
    shop.sell("red")
    async with on_air(config, monkeypatch) as show:
        await until(lambda: show.told() == ["card"], 5.0)
        ticket = (await show.client.post(f"/rooms/{ROOM}/tickets", json={"role": "host"})).json()["ticket"]
        host = {"Authorization": f"Bearer {ticket}"}
        for wish in ("pin", "mute", "withdraw"):
            answer = await show.client.post(f"/rooms/{ROOM}/{wish}", json={"sku": "red"}, headers=host)
            assert answer.status_code == 200
        assert (await show.client.delete(f"/rooms/{ROOM}/mute/red")).status_code == 200
        assert (await show.client.delete(f"/rooms/{ROOM}/pin")).status_code == 200
        assert (await show.client.post("/rooms/none/pin", json={"sku": "red"})).status_code == 404
        with shop.store.read() as session:
            entries = audit.latest(session, subject="live")
        # A database that is away keeps no host from acting.
        monkeypatch.setattr(Store, "edit", _away)
        assert (await show.client.post(f"/rooms/{ROOM}/mute", json={"sku": "red"})).status_code == 200
    assert [(entry.who, entry.action, entry.name, entry.after) for entry in reversed(entries)] == [
        ("host", "pin", ROOM, {"sku": "red"}),
        ("host", "mute", ROOM, {"sku": "red"}),
        ("host", "withdraw", ROOM, {"sku": "red"}),
        ("http", "unmute", ROOM, {"sku": "red"}),
        ("http", "unpin", ROOM, {"sku": None}),
    ]


def _away(*_):
    raise StoreUnavailable("store_silent", cause="gone")


async def test_what_the_catalog_does_not_know_is_never_shown_not_even_pinned(config, shop, monkeypatch):
    async with on_air(config, monkeypatch) as show:
        unknown = 'livecart_live_availability_refusals_total{reason="unknown"}'
        while not await show.metric(unknown):
            await asyncio.sleep(0.05)
        pin = {"sku": "red", "name": "红", "url": "https://elsewhere.example.org/red"}
        assert (await show.client.post(f"/rooms/{ROOM}/pin", json=pin)).status_code == 200
        await asyncio.sleep(0.3)
        assert show.events == []
        shop.sell("red")
        await until(lambda: show.told() == ["card"])
        assert show.events[0].url == "https://shop.example.com/item/red"
        with shop.store.write("shop") as session:
            hosts.forbid(session, "shop.example.com")
        await until(lambda: show.told() == ["card", ("withdraw", "off_sale")])


async def test_the_cards_photo_is_served_to_everybody(config, shop, tmp_path, monkeypatch):
    shop.sell("red")
    blobs, data = BlobFolder(tmp_path / "catalog" / "photos"), photo(1)
    with shop.store.write("shop") as session:
        photos.add(session, blobs, "red", data)
    async with on_air(config, monkeypatch) as show:
        await until(lambda: show.told() == ["card"])
        path = show.events[0].image_url
        answer = await show.client.get(path)
        assert (answer.status_code, answer.content) == (200, data)
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "immutable" in answer.headers["Cache-Control"]
        again = await show.client.get(path, headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        digest = path.rpartition("/")[2].partition(".")[0]
        for wrong in ("no.jpg", f"{digest}.html", f"{digest}.png", f"{digest}.jpg.svg", "..%2F..%2Fcatalog.db", digest):
            assert (await show.client.get(f"/catalog/photos/{wrong}")).status_code == 404


async def test_the_snapshot_is_for_those_with_a_token(config, shop, tmp_path, monkeypatch):
    with shop.store.write("shop") as session:
        token, info = tokens.issue(session, "archive", "read")
    basic = ("archive", token)
    async with on_air(config, monkeypatch) as show:
        for wrong in ({}, {"Authorization": "Bearer lc_no"}, {"Authorization": "Basic ???"}, {"Authorization": token}):
            answer = await show.client.get("/catalog/snapshot", headers=wrong)
            assert (answer.status_code, "Bearer" in answer.headers["WWW-Authenticate"]) == (401, True)
        for name in ("snapshot", "offers.json"):
            assert (await show.client.get(f"/catalog/{name}", auth=basic)).status_code == 404
        _publish(tmp_path, b"first")
        answer = await show.client.get("/catalog/snapshot", auth=basic)
        assert (answer.status_code, answer.content) == (200, b"first")
        bearer = {"Authorization": f"Bearer {token}", "If-None-Match": answer.headers["ETag"]}
        assert (await show.client.get("/catalog/snapshot", headers=bearer)).status_code == 304
        _publish(tmp_path, b"second")
        assert (await show.client.get("/catalog/snapshot", headers=bearer)).content == b"second"
        offers = await show.client.get("/catalog/offers.json", auth=basic)
        assert (offers.status_code, offers.json()["products"]) == (200, {"1001": ["12.90", "CNY", False, False]})
        bearer["If-None-Match"] = offers.headers["ETag"]
        assert (await show.client.get("/catalog/offers.json", headers=bearer)).status_code == 304
        assert (await show.client.get("/catalog/offers.json")).status_code == 401
        archive_link = show.url.replace("http://", f"http://archive:{token}@") + "/catalog/snapshot"
        assert await asyncio.to_thread(_followed, archive_link) == (b"second", None)
        with shop.store.write("shop") as session:
            tokens.revoke(session, info.id)
        assert (await show.client.get("/catalog/snapshot", auth=basic)).status_code == 401


async def test_api_and_staff_pages_are_there_and_an_edit_over_http_is_seen_at_once(config, shop, monkeypatch):
    config.write_text(config.read_text().replace(f"max_age_s = {MAX_AGE_S}", "max_age_s = 60.0"))
    shop.sell("red", stock=5)
    with shop.store.write("shop") as session:
        token, _ = tokens.issue(session, "till", "edit")
    bearer = {"Authorization": f"Bearer {token}"}
    async with on_air(config, monkeypatch) as show:
        await until(lambda: show.told() == ["card"])
        assert (await show.client.get("/catalog/v1/products/red")).status_code == 401
        product = await show.client.get("/catalog/v1/products/red", headers=bearer)
        assert product.json()["sku"] == "red"
        began_s = time.monotonic()
        changed = {**bearer, "If-Match": product.headers["ETag"]}
        answer = await show.client.patch("/catalog/v1/products/red", json={"stock": 0}, headers=changed)
        assert answer.status_code == 200, answer.text
        await until(lambda: show.told() == ["card", ("withdraw", "off_sale")])
        # Not at the age's end: this process made the edit.
        assert time.monotonic() - began_s < 10
        page = await show.client.get("/admin/", follow_redirects=True)
        assert (page.status_code, "livecart" in page.text) == (200, True)
        assert await show.metric('livecart_catalog_api_requests_total{what="answered"}') == 3


def test_without_the_section_there_is_no_catalog(tmp_path):
    path = tmp_path / "rooms.toml"
    path.write_text("")
    assert read_rooms_file(path, {}).catalog is None
    url = "sqlite:///from-the-environment.db"
    assert read_rooms_file(path, {"LIVECART_CATALOG_URL": url}).catalog.url == url


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("max_age_s = 0", "max_age_s is 0"),
        ("urll = 'x'", "did you mean 'url'"),
        ("keep = {cards_s = 0}", "cards_s must be more than 0"),
        ("keep = {card_s = 5}", "card_s"),
        ("feeds = [{kind = 'csv', name = 'a'}]", "csv"),
        ("feeds = [{kind = 'table', name = 'a', path = 'a.csv', every = 5}]", "every"),
        ("feeds = [{kind = 'table', name = 'a', path = 'a.csv', every_s = 0}]", "every_s is 0"),
        ("feeds = [{kind = 'table', name = '', path = 'a.csv'}]", "1 to 64"),
        ("feeds = [{kind = 'table', name='a', path='a'}, {kind = 'table', name='a', path='b'}]", "twice"),
    ],
)
def test_what_cannot_be_used_in_the_section_is_named(tmp_path, text, told):
    path = tmp_path / "rooms.toml"
    path.write_text(f"[catalog]\n{text}\n")
    with pytest.raises(SettingsError, match=rf"\[catalog\].*{told}"):
        read_rooms_file(path, {})


def _kept(shop):
    with shop.store.read() as session:
        return len(cards.latest(session))


def _followed(link):
    """What an archive that follows the link gets, and what it gets when it asks again."""
    source, stop = LinkSource(link, max_bytes=1000), threading.Event()
    file = io.BytesIO()
    with source.ask({}, stop) as answer:
        answer.copy_to(file, stop)
        validators = answer.validators
    with source.ask(validators, stop) as again:
        return file.getvalue(), again


def _publish(folder, data):
    place = SnapshotFolder(folder / "catalog" / "published")
    with place.staged() as path:
        path.write_bytes(data)
        place.publish_offers(Offers(revision=1, products={"1001": ProductOffer("12.90", "CNY", is_sold_out=False)}))
        place.publish(path, revision=1, products=1, built_at_s=1.0, build_s=0.1)
