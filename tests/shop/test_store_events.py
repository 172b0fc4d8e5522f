"""Cards, what viewers did with them, crops to judge, and how long all of it is kept."""

import uuid
from decimal import Decimal

import pytest

from livecart.shop import retention
from livecart.shop.errors import InvalidValue, NotFound
from livecart.shop.repositories import (
    audit,
    cards,
    idempotency,
    negatives,
    photos,
    products,
    reviews,
    rooms,
    viewer_events,
)
from livecart.shop.repositories.blobs import BlobFolder
from livecart.shop.repositories.viewer_events import ViewerEvent
from livecart.shop.settings import Keep
from tests.card_events import card_event
from tests.shop.catalog_stores import add, patch
from tests.shop.photo_files import photo

DAY_S = 86_400.0


def made(clock, *, card_id=None, **values):
    return card_event(card_id=card_id or uuid.uuid4().hex, at_s=clock(), **values)


def show(store, clock, **values):
    event = made(clock, **values)
    with store.write("pipeline") as session:
        cards.record(session, event)
    return event


def send(store, *events):
    with store.write("viewers") as session:
        return viewer_events.record(session, events)


def seen(card_id, kind="impression", viewer="viewer-0001", **values):
    return ViewerEvent(event_key=uuid.uuid4().hex, kind=kind, card_id=card_id, viewer=viewer, **values)


def test_a_card_is_kept_once_and_ended(store, clock):
    event = show(store, clock)
    show(store, clock, card_id=event.card_id, price="99.00")
    clock.pass_s(8)
    show(store, clock, card_id=event.card_id, event="update")
    show(store, clock, card_id=event.card_id, event="withdraw", reason="gone")
    clock.pass_s(8)
    show(store, clock, card_id=event.card_id, event="withdraw", reason="host")
    show(store, clock, event="withdraw", reason="gone")
    with store.read() as session:
        (card,) = cards.latest(session)
        assert cards.find(session, event.card_id) == card
    assert (card.price, card.currency, card.sku) == (Decimal("12.90"), "CNY", "1001")
    assert (card.withdrawn_at_s, card.reason) == (event.emitted_at_s + 8, "gone")


def test_each_viewer_counts_once_a_card(store, clock):
    card_id = show(store, clock).card_id
    first = seen(card_id)
    assert send(store, first, first, seen(card_id), seen(card_id, viewer="viewer-0002")).kept == 2
    done = send(store, first, seen(card_id, "click"), seen("0" * 32))
    assert done == viewer_events.Recorded(1, 1, unknown_card=1, unknown_cards=frozenset({"0" * 32}))


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"event_key": "short"}, "event_key"),
        ({"viewer": "<script>alert(1)"}, "viewer"),
        ({"kind": "buy"}, "kind"),
        ({"kind": "click", "dwell_s": 1.0}, "dwell_s"),
        ({"kind": "dwell", "dwell_s": float("nan")}, "between"),
    ],
)
def test_what_no_viewer_would_send_is_refused(sqlite_store, values, told):
    event = ViewerEvent(**{"event_key": "k" * 8, "kind": "click", "card_id": "0" * 32, "viewer": "v" * 8, **values})
    with pytest.raises(InvalidValue, match=told):
        send(sqlite_store, event)


class Review:
    def __init__(self, store, tmp_path):
        self.store = store
        self.crops, self.photos = BlobFolder(tmp_path / "crops"), BlobFolder(tmp_path / "photos")
        add(store, patch("1001"), patch("1002"))

    def submit(self, seed=1, sku="1001", reason="wrong_report", **values):
        with self.store.write("viewers") as session:
            return reviews.submit(session, self.crops, photo(seed), reason=reason, room="room-1", sku=sku, **values)

    def decide(self, review, state, **options):
        with self.store.write("bob") as session:
            return reviews.decide(
                session, self.crops, self.photos, review.id, state, expected_version=review.version, **options
            )

    def photos_of(self, sku):
        with self.store.read() as session:
            return [info.digest for info in products.get(session, sku).photos]

    def negatives_of(self, sku):
        with self.store.read() as session:
            return [negative.digest for negative in negatives.of_product(session, sku)]


@pytest.fixture
def review(store, tmp_path):
    return Review(store, tmp_path)


def test_a_corrected_crop_becomes_a_photo_of_the_other_and_a_negative_of_this_and_the_other_way_round(review):
    with review.store.write("alice") as session:
        own = [photos.add(session, review.photos, "1001", photo(seed)).photos[-1].digest for seed in (7, 8, 9)]
    entry = review.submit()
    review.decide(entry, "corrected", corrected_sku="1002")
    assert (review.photos_of("1001"), review.photos_of("1002")) == (own, [entry.crop_digest])
    assert (review.negatives_of("1001"), review.negatives_of("1002")) == ([entry.crop_digest], own[1::-1])


def test_a_rejected_crop_teaches_a_negative_only_and_shows_in_the_next_snapshot(review):
    entry = review.submit()
    changes = []
    review.store.on_change(changes.append)
    review.decide(entry, "rejected")
    assert (review.photos_of("1001"), review.negatives_of("1001")) == ([], [entry.crop_digest])
    assert changes[0].shows_in_snapshot


def test_a_product_keeps_its_newest_negatives_until_they_are_taken_away(review, clock):
    digests = []
    for seed in range(negatives.MOST_PER_PRODUCT + 2):
        entry = review.submit(seed)
        review.decide(entry, "rejected")
        digests.insert(0, entry.crop_digest)
    assert review.negatives_of("1001") == digests[: negatives.MOST_PER_PRODUCT]
    with review.store.write("bob") as session:
        # Known: nothing changes.
        negatives.add(session, review.photos, "1001", review.photos.read(digests[2], "jpg"))
        negatives.remove(session, "1001", digests[0])
        with pytest.raises(NotFound, match="no negative"):
            negatives.remove(session, "1001", digests[0])
        assert audit.latest(session, subject="negative")[0].before == {"digest": digests[0]}
    assert review.negatives_of("1001") == digests[1 : negatives.MOST_PER_PRODUCT]


def test_a_card_waits_in_the_queue_once_and_a_full_queue_takes_no_more(review, monkeypatch):
    card_id = uuid.uuid4().hex
    first = review.submit(1, card_id=card_id, reports=2)
    again = review.submit(2, card_id=card_id)
    assert (again.id, again.reports, again.crop_digest) == (first.id, 3, first.crop_digest)
    review.decide(again, "rejected")
    assert review.submit(3, card_id=card_id).id != first.id
    monkeypatch.setattr(reviews, "MOST_PENDING", 1)
    assert review.submit(4) is None


def test_decisions_that_make_no_sense_are_refused(review):
    entry, gone = review.submit(), review.submit(2, sku="1002")
    with review.store.write("alice") as session:
        products.remove(session, "1002", expected_version=None)
    # A crop of a product that is gone can still be judged.
    assert review.decide(gone, "rejected").state == "rejected"
    for state, sku in [("corrected", None), ("corrected", "1001"), ("approved", "1002"), ("pending", None)]:
        with pytest.raises(InvalidValue):
            review.decide(entry, state, corrected_sku=sku)
    with pytest.raises(NotFound):
        review.decide(entry, "corrected", corrected_sku="7")


def purge(review, clock, **options):
    return retention.purge(
        review.store,
        keep=options.pop("keep", Keep()),
        crops=review.crops,
        photo_blobs=review.photos,
        now_s=clock(),
        **options,
    )


def pass_days(review, clock, days):
    """The shop goes on meanwhile: something is written in every year."""
    for day in range(0, days, 300):
        clock.pass_s(min(300, days - day) * DAY_S)
        with review.store.write("staff") as session:
            rooms.save(session, "room-1", str(clock()))


def test_everything_goes_at_its_time_and_not_before(review, clock, monkeypatch):
    monkeypatch.setattr(retention, "_BATCH", 2)
    store = review.store
    card_ids = [show(store, clock).card_id for _ in range(5)]
    send(store, *(seen(card_id, kind) for card_id in card_ids for kind in ("impression", "click")))
    approved, _waiting, rejected = review.submit(1), review.submit(2), review.submit(3)
    review.decide(approved, "approved")
    review.decide(rejected, "rejected")
    with store.write("api") as session:
        idempotency.finish(session, "key", b"request", status=200, body=b"")

    def after(days):
        pass_days(review, clock, days)
        return purge(review, clock)

    assert after(1) == retention.Purged()
    assert after(2) == retention.Purged(idempotency=1)
    assert after(26) == retention.Purged()
    month = after(2)
    assert (month.reviews, month.cards) == (3, 0)
    assert not [path for path in review.crops.folder.rglob("*") if path.is_file()]
    # What was learned from them stays.
    assert review.photos.read(approved.crop_digest, "jpg") == photo(1)
    assert review.photos.read(rejected.crop_digest, "jpg") == photo(3)
    assert review.negatives_of("1001") == [rejected.crop_digest]
    assert after(150).viewer_events == 5
    assert after(3 * 365 - 181) == retention.Purged()
    end = after(2)
    assert (end.cards, end.transactions) == (5, 5)
    assert end.audit > 0
    with store.read() as session:
        assert cards.latest(session) == []
        assert photos.count(session) == 1


def test_a_stopped_purge_is_finished_by_the_next(review, clock, monkeypatch):
    monkeypatch.setattr(retention, "_BATCH", 2)
    for _ in range(5):
        show(review.store, clock)
    pass_days(review, clock, 4 * 365)
    pass_days(review, clock, 8)
    answers = iter([False, False, *[True] * 50])
    assert purge(review, clock, stop=lambda: next(answers)).cards == 4
    assert purge(review, clock).cards == 1


def test_a_clock_that_jumped_deletes_nothing(review, clock, caplog):
    show(review.store, clock)
    review.submit(1)
    clock.pass_s(5 * 365 * DAY_S)
    assert purge(review, clock) == retention.Purged()
    # What is written by the wrong clock makes it no truer.
    show(review.store, clock)
    clock.pass_s(DAY_S)
    assert purge(review, clock) == retention.Purged()
    assert "is the clock right" in caplog.text
    clock.pass_s(7 * DAY_S)
    assert purge(review, clock).cards == 1
