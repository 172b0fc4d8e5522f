"""From a viewer's connection to the store and the review queue: a real hub, a real store, crops of cards."""

import asyncio
import time
import uuid
from contextlib import asynccontextmanager
from types import SimpleNamespace

import httpx
from prometheus_client import CollectorRegistry

from livecart.core.rate_limits import TokenBuckets
from livecart.live.enrich.crops import CropCache, ProductCrop
from livecart.server.feedback_store import StoreFeedback
from livecart.server.review_gate import FeedbackSettings, ReviewGate
from livecart.shop.errors import StoreUnavailable
from livecart.shop.repositories import cards, hosts, products, reviews, viewer_events
from livecart.shop.repositories.sales import NO_SALES
from livecart.shop.service import CatalogSettings, open_catalog
from tests.shop.catalog_stores import SHOP, patch
from tests.shop.photo_files import photo
from tests.waiting import until
from tests.web.hub_clients import Viewer, event, feedback_batch, feedback_event, running_hub


def show(room, card_id, *, seed=1, crop=True):
    """A card that the store knows, and its crop."""
    shown = event("card", 1, card_id=card_id, sku="1001", emitted_at_s=time.time())
    with room.service.store.write("pipeline") as session:
        cards.record(session, shown)
    if crop:
        room.book.keep(crop_of(card_id, seed))


def crop_of(card_id, seed=1, sku="1001", reason="card"):
    return ProductCrop("room-1", sku, card_id, 0.96, reason, photo(seed), time.time())


@asynccontextmanager
async def feeding(tmp_path, **settings):
    """A hub whose feedback goes to a store; `room` has both, the book of crops and what failed."""
    catalog = CatalogSettings(url=f"sqlite:///{tmp_path / 'c.db'}", folder=str(tmp_path / "catalog"), publish=False)
    with open_catalog(catalog) as service:
        service.store.upgrade()
        with service.store.write("setup") as session:
            hosts.allow(session, SHOP)
            products.create(session, patch("1001"))
        book, registry, failures = CropCache(), CollectorRegistry(), []
        sink = StoreFeedback(service, book, FeedbackSettings(**settings), registry, failures.append)
        async with running_hub(sink=sink) as hub:
            yield SimpleNamespace(
                service=service, book=book, sink=sink, hub=hub, api=hub.api, registry=registry, failures=failures
            )
        await sink.close()


def counted(room, name, **labels):
    return room.registry.get_sample_value(f"livecart_feedback_{name}", labels) or 0


def queue(room):
    with room.service.store.read() as session:
        return reviews.queue(session)


def figures(room):
    with room.service.store.read() as session:
        return viewer_events.by_product(session, since_s=0.0)


def did(kind, card_id, **more):
    return feedback_event(kind, at_s=time.time(), card_id=card_id, **more)


async def acked(viewer, batch):
    await until(lambda: batch["batch_id"] in [message["batch_id"] for message in viewer.of_type("ack")])


async def test_a_batch_is_stored_and_a_report_puts_the_crop_into_the_queue(tmp_path):
    async with feeding(tmp_path) as room, Viewer(room.api) as viewer:
        card_id = uuid.uuid4().hex
        show(room, card_id)
        events = [did(kind, card_id) for kind in ("impression", "click", "close", "wrong")]
        await acked(viewer, viewer.feedback(*events, did("dwell", card_id, dwell_s=3.5)))
        # Another page load of the same person: the batch is new, the person is not.
        await acked(viewer, viewer.feedback(*(each | {"id": uuid.uuid4().hex} for each in events)))
        await until(lambda: queue(room))
        [entry] = queue(room)
        assert (entry.sku, entry.room, entry.card_id, entry.reason) == ("1001", "room-1", card_id, "wrong_report")
        assert (entry.reports, entry.confidence) == (1, 0.96)
        assert room.service.crops.read(entry.crop_digest, "jpg") == photo(1)
        [of_product] = figures(room)
        assert of_product == viewer_events.Figures("1001", 1, 1, 1, 1, 1, 3.5, 1.0, 1.0, sales=NO_SALES)
        assert (counted(room, "stored_events_total", outcome="kept"), room.hub.failures) == (5, [])


async def test_viewers_are_counted_once_each_and_only_enough_of_them_bring_a_crop(tmp_path):
    async with feeding(tmp_path, wrong_viewers=2) as room:
        card_id = uuid.uuid4().hex
        show(room, card_id)

        async def report(ip):
            async with Viewer(room.api, ip=ip) as viewer:
                await acked(viewer, viewer.feedback(did("wrong", card_id)))

        for _ in range(3):
            await report("10.0.0.1")
        assert queue(room) == []
        await report("10.0.0.2")
        await until(lambda: queue(room))
        await report("10.0.0.3")
        await until(lambda: queue(room)[0].reports == 3)
        outcomes = {
            name: counted(room, "crops_total", reason="wrong_report", outcome=name) for name in ("few", "repeated")
        }
        assert outcomes == {"few": 1, "repeated": 2}


async def test_one_viewer_cannot_flood_the_queue(tmp_path):
    async with feeding(tmp_path, reports_per_viewer_hour=3) as room, Viewer(room.api) as viewer:
        card_ids = [uuid.uuid4().hex for _ in range(8)]
        for seed, card_id in enumerate(card_ids):
            show(room, card_id, seed=seed)
        await acked(viewer, viewer.feedback(*(did("wrong", card_id) for card_id in card_ids)))
        await until(lambda: len(queue(room)) == 3)
        assert counted(room, "crops_total", reason="wrong_report", outcome="limited") == 5
        assert figures(room)[0].wrongs == 8


async def test_ten_thousand_events_of_one_client_are_not_taken(tmp_path):
    async with (
        feeding(tmp_path) as room,
        httpx.AsyncClient(transport=httpx.ASGITransport(room.api), base_url="http://127.0.0.1") as client,
    ):
        card_id = uuid.uuid4().hex
        show(room, card_id, crop=False)
        for count, status in ((1_000, 422), (10_000, 413)):
            at_once = feedback_batch(*(did("click", card_id) for _ in range(count)))
            assert (await client.post("/rooms/room-1/feedback", json=at_once)).status_code == status

        async def over_sockets():
            """Each connection is cut off after its 60 messages; the next one begins where it ended."""
            for _ in range(4):
                async with Viewer(room.api) as viewer:
                    for _ in range(125):
                        viewer.feedback(*(did("dwell", card_id, dwell_s=1.0) for _ in range(20)))
                    await until(lambda viewer=viewer: viewer.close_code is not None)
                    assert viewer.close_code == 1008

        # However slow the machine is: 200 batches at once, and none more meanwhile.
        room.hub.hub.intake._networks = TokenBuckets(200, 1e-6)
        await over_sockets()
        [of_product] = figures(room)
        assert 60 * 20 <= of_product.dwell_s <= 20 * 200
        assert counted(room, "stored_events_total", outcome="kept") == of_product.dwell_s
        assert room.hub.registry.get_sample_value("livecart_hub_feedback_refused_total", {"reason": "rate"}) > 0


async def test_what_never_can_be_stored_does_not_keep_its_batch_back(tmp_path):
    async with feeding(tmp_path) as room, Viewer(room.api) as viewer:
        card_id = uuid.uuid4().hex
        show(room, card_id)
        # A dwell without its seconds, and a card that is none of ours.
        await acked(viewer, viewer.feedback(did("dwell", card_id), did("click", card_id), did("click", "f" * 64)))
        assert counted(room, "stored_events_total", outcome="invalid") == 1
        assert counted(room, "stored_events_total", outcome="unknown_card") == 1
        assert figures(room)[0].clicks == 1


async def test_an_impression_may_come_before_its_card_is_in_the_store(tmp_path):
    async with feeding(tmp_path) as room, Viewer(room.api) as viewer:
        card_id = uuid.uuid4().hex
        batch = viewer.feedback(did("impression", card_id))
        await until(lambda: counted(room, "waiting_events") == 0 and room.sink._tasks)
        show(room, card_id)
        await acked(viewer, batch)
        assert figures(room)[0].impressions == 1


async def test_with_the_store_down_nothing_is_acknowledged_and_all_is_there_when_it_is_back(tmp_path, monkeypatch):
    async with feeding(tmp_path) as room, Viewer(room.api) as viewer:
        card_id = uuid.uuid4().hex
        show(room, card_id)

        def down(who, work):
            raise StoreUnavailable("store_silent", cause="gone")

        with monkeypatch.context() as patched:
            patched.setattr(room.service.store, "edit", down)
            batch = viewer.feedback(did("impression", card_id), did("wrong", card_id))
            await until(lambda: room.hub.failures == ["feedback_sink"])
            # A crop waits, too.
            room.sink.put(crop_of(None, seed=5, reason="uncertain"))
            await until(lambda: room.failures == ["review_crops"])
            assert viewer.of_type("ack") == []
        viewer.say(**batch)
        await acked(viewer, batch)
        await until(lambda: {entry.reason for entry in queue(room)} == {"wrong_report", "low_margin"})
        assert (figures(room)[0].impressions, figures(room)[0].wrongs) == (1, 1)


async def test_what_waits_for_the_store_is_bounded(tmp_path, monkeypatch):
    async with feeding(tmp_path, most_waiting_events=100) as room:
        card_id = uuid.uuid4().hex
        show(room, card_id)
        slow, edit = asyncio.Event(), room.service.store.edit
        loop = asyncio.get_running_loop()

        def wait_and_edit(who, work):
            asyncio.run_coroutine_threadsafe(slow.wait(), loop).result(10)
            return edit(who, work)

        monkeypatch.setattr(room.service.store, "edit", wait_and_edit)
        async with Viewer(room.api) as viewer, Viewer(room.api) as second:
            many = [Viewer(room.api) for _ in range(8)]
            for each in many:
                await each.__aenter__()
                each.feedback(*(did("dwell", card_id, dwell_s=1.0) for _ in range(20)))
            await until(lambda: counted(room, "stored_events_total", outcome="full") > 0)
            assert counted(room, "waiting_events") <= 100
            assert room.hub.failures
            slow.set()
            await until(lambda: counted(room, "waiting_events") == 0)
            await acked(viewer, viewer.feedback(did("click", card_id)))
            await acked(second, second.feedback(did("close", card_id)))
            for each in many:
                await each.__aexit__()


async def test_unsure_crops_are_few_of_a_product_and_reports_need_a_crop(tmp_path):
    async with feeding(tmp_path, uncertain_per_product_hour=2) as room, Viewer(room.api) as viewer:
        for seed in range(4):
            room.sink.put(crop_of(None, seed=seed, reason="close"))
        await until(lambda: len(queue(room)) == 2)
        assert {entry.reason for entry in queue(room)} == {"low_margin"}
        assert counted(room, "crops_total", reason="low_margin", outcome="limited") == 2
        card_id = uuid.uuid4().hex
        show(room, card_id, crop=False)
        await acked(viewer, viewer.feedback(did("wrong", card_id)))
        assert counted(room, "crops_total", reason="wrong_report", outcome="no_crop") == 1


def test_what_the_gate_remembers_is_bounded(monkeypatch):
    monkeypatch.setattr("livecart.server.review_gate._MOST_CARDS", 10)
    gate = ReviewGate(FeedbackSettings())
    for number in range(100):
        gate.reported(card_id=f"{number}", room="r", sku="s", source=f"v{number}")
    assert len(gate._reporters) == 10
