"""The record of cards: in batches, whole, bounded while the database is away."""

import asyncio
import logging

import pytest

from livecart.core.background import end_task
from livecart.server.card_log import CardLog
from livecart.shop.errors import StoreUnavailable
from livecart.shop.repositories import cards
from tests.server.test_outbox import event
from tests.shop.catalog_stores import open_upgraded
from tests.waiting import until


class Away:
    """A store that is away while `is_away`; counts transactions."""

    def __init__(self, store):
        self._store = store
        self.is_away = False
        self.edits = 0

    def edit(self, who, work):
        self.edits += 1
        if self.is_away:
            raise StoreUnavailable("store_silent", cause="gone")
        return self._store.edit(who, work)


@pytest.fixture
def store(tmp_path):
    opened = open_upgraded(f"sqlite:///{tmp_path / 'catalog.db'}")
    yield opened
    opened.close()


@pytest.fixture
async def log(store, monkeypatch):
    monkeypatch.setattr("livecart.server.card_log._COLLECT_S", 0.02)
    monkeypatch.setattr("livecart.server.card_log._FIRST_RETRY_S", 0.02)
    made = CardLog(Away(store))
    made.store = made._store
    task = asyncio.create_task(made.run())
    yield made
    await end_task(task)


def kept(store):
    with store.read() as session:
        return [(card.card_id, card.reason) for card in reversed(cards.latest(session, limit=1000))]


def card_id(number):
    return f"{number:032x}"


async def test_cards_are_kept_with_their_end_and_updates_are_not(log, store):
    log.put(event(1))
    log.put(event(2, "update", card_id=card_id(1)))
    log.put(event(3, "withdraw", card_id=card_id(1), reason="gone"))
    await until(lambda: log.stats.kept == 2)
    assert kept(store) == [(card_id(1), "gone")]
    assert (log.waiting, log.store.edits) == (0, 1)


async def test_many_are_written_in_batches(log, store):
    for number in range(500):
        log.put(event(number, emitted_at_s=float(number)))
    await until(lambda: log.stats.kept == 500)
    assert kept(store) == [(card_id(number), None) for number in range(500)]
    assert log.store.edits == 3


async def test_while_the_database_is_away_they_wait_and_the_oldest_go(log, store, monkeypatch, caplog):
    monkeypatch.setattr("livecart.server.card_log._MOST_WAITING", 5)
    log.store.is_away = True
    with caplog.at_level(logging.WARNING):
        for number in range(8):
            log.put(event(number, emitted_at_s=float(number)))
            await asyncio.sleep(0.02)
        await until(lambda: log.stats.failures >= 2)
    assert (log.waiting, log.stats.dropped) == (5, 3)
    assert "cards are kept later" in caplog.text
    log.store.is_away = False
    await until(lambda: log.stats.kept == 5)
    assert kept(store) == [(card_id(number), None) for number in range(3, 8)]


async def test_one_that_cannot_be_kept_holds_up_no_other(log, store, caplog):
    with caplog.at_level(logging.ERROR):
        log.put(event(1))
        # No price; and what no database takes.
        log.put(event(2, price="free"))
        log.put(event(3, name="\ud800"))
        log.put(event(4))
        await until(lambda: log.stats.kept == 2)
    assert (log.stats.refused, log.waiting) == (2, 0)
    assert [key for key, _ in kept(store)] == [card_id(1), card_id(4)]
    assert {f"card {card_id(number)} of room r is not kept" in caplog.text for number in (2, 3)} == {True}


async def test_at_the_end_what_waits_is_written_or_told_to_be_lost(store, caplog):
    log = CardLog(Away(store))
    log.put(event(1))
    await log.close()
    assert kept(store) == [(card_id(1), None)]
    log._store.is_away = True
    log.put(event(2))
    with caplog.at_level(logging.ERROR):
        await log.close(timeout_s=0.1)
    assert "1 card events were not kept" in caplog.text
