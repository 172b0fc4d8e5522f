"""Whole rooms with the real face detector: cards say that there is no face, and their products are cut out."""

from livecart.live.enrich.faces import FacesSettings
from livecart.live.recognise.settings import RecognizerSettings
from livecart.server.app import open_engine
from tests.server.conftest import plan
from tests.waiting import until


async def test_cards_of_a_clip_know_of_faces_and_have_crops(archive, clip):
    path, _ = clip
    events = []
    async with open_engine(
        RecognizerSettings(base_url=archive.url), faces=FacesSettings(enabled="required", wait_s=5)
    ) as engine:
        engine.outbox.listen(events.append)
        runner = await engine.rooms.put(plan("room-1", path))
        await runner.finished.wait()
        crops = engine.rooms.crops
        await until(lambda: len(crops) == 3)
    cards = [event for event in events if event.event == "card"]
    assert len(cards) == 3
    assert [card.avoid for card in cards] == [()] * len(cards)
    assert [crops.crop_of(card.card_id).sku for card in cards] == [card.sku for card in cards]
    by_card = {}
    for event in events:
        by_card.setdefault(event.card_id, []).append(event.event)
    assert all(kinds[0] == "card" and kinds[-1] == "withdraw" for kinds in by_card.values())
    assert [event.event_id for event in events] == list(range(1, len(events) + 1))
