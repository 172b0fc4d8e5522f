"""One room from its source to its events."""

import asyncio

import av
import numpy as np
import pytest
from aiohttp import web

from livecart.cli.clip_score import score
from livecart.live.recognise.settings import RecognizerSettings
from livecart.server.app import open_engine
from tests.card_events import card_event
from tests.live.recognise.archive_stand_in import product
from tests.live.video.streams import ByteServer
from tests.server.conftest import plan, told
from tests.server.stand_in import COLOURS, HEIGHT_PX, SHOWS, WIDTH_PX, ColourArchive, write_clip
from tests.waiting import until

ALL_SHOWN = [step for sku, _, _ in SHOWS for step in (("card", sku), ("withdraw", sku))]


async def test_a_file_gives_the_right_cards_and_none_twice_in_its_own_time(engine, events, clip, archive):
    path, truth = clip
    runner = await engine.rooms.put(plan("room-1", path, product_list="明星直播间"))
    await asyncio.wait_for(runner.finished.wait(), 30)
    await engine.outbox.flush(1)
    assert told(events) == ALL_SHOWN
    view = runner.view()
    result = score(events, truth, calls=len(archive.rooms), sampled_frames=view.frames_sampled, skipped_frames=0)
    assert (result.precision, result.recall, result.duplicates) == (1.0, 1.0, 0)
    assert view.state == "ended"
    assert runner.failure is None
    assert set(archive.rooms) == {"明星直播间"}
    # However fast it is read, a product goes some seconds of the clip after its show.
    gone = {event.sku: event.pts_s for event in events if event.event == "withdraw"}
    for show in truth.shows[:2]:
        assert show.to_s <= gone[show.sku] <= show.to_s + 6
    assert all(event.captured_at_s <= event.decided_at_s <= event.emitted_at_s for event in events)


async def test_every_sampled_frame_of_a_file_is_looked_at_without_a_gate(engine, clip, archive):
    path, _ = clip
    runner = await engine.rooms.put(plan("room-1", path, gate=False, ingest={"fast_hz": 1.0}))
    await asyncio.wait_for(runner.finished.wait(), 30)
    assert len(archive.rooms) == runner.view().frames_sampled == 28
    assert engine.metrics.outcomes("room-1") == {"answered": 28}


@pytest.mark.parametrize(
    ("mirror", "told", "asked"), [("auto", True, [None, "true", "true"]), (False, True, ["false"] * 3)]
)
async def test_a_room_is_mirrored_as_its_results_tell_or_as_it_is_set(engine, clip, archive, mirror, told, asked):
    archive.mirrored = told
    runner = await engine.rooms.put(plan("room-1", clip[0], mirror=mirror, gate=False, rate_hz=0.1))
    await asyncio.wait_for(runner.finished.wait(), 30)
    assert archive.mirrors[:3] == asked
    assert runner.view().mirrored is (told if mirror == "auto" else mirror)


async def test_a_file_that_is_no_video_ends_with_its_reason(engine, tmp_path):
    path = tmp_path / "noise.mp4"
    path.write_bytes(b"no video at all " * 100)
    runner = await engine.rooms.put(plan("room-1", path))
    await asyncio.wait_for(runner.finished.wait(), 10)
    assert "cannot be opened" in str(runner.failure)


async def test_an_unchanged_scene_costs_few_calls_and_keeps_its_card(engine, events, archive, tmp_path):
    # One picture for 30 s: after the vote only forced looks are due, and the card stays.
    path = tmp_path / "still.mp4"
    write_clip(path, [("red", 0.0, 30.0)], 30.0, moving=False)
    runner = await engine.rooms.put(plan("room-1", path))
    await asyncio.wait_for(runner.finished.wait(), 30)
    await engine.outbox.flush(1)
    assert told(events) == [("card", "red"), ("withdraw", "red")]
    assert events[-1].reason == "room_closed"
    # Two for the vote, then one in ten seconds.
    assert len(archive.rooms) <= 6
    assert runner.view().gate["unchanged"] >= 24


class SeesTheOverlayToo(ColourArchive):
    """Knows products at the upper right as well, where an overlay's card stands."""

    async def _answer(self, request, body):
        answer = await super()._answer(request, body)
        (picture,) = av.CodecContext.create("mjpeg", "r").decode(av.Packet(body))
        rgb = picture.to_ndarray(format="rgb24").astype(float)
        height, width = rgb.shape[:2]
        x1, y1, x2, y2 = (each * side for each, side in zip(CARD, (width, height) * 2, strict=True))
        colour = rgb[round(y1) : round(y2), round(x1) : round(x2)].mean(axis=(0, 1))
        found = [sku for sku, wanted in COLOURS.items() if np.abs(colour - wanted).max() < 45]
        self.products += [product(sku, name=f"商品 {sku}", box=[x1, y1, x2, y2]) for sku in found]
        return web.json_response(self.reply(width, height)) if found else answer


#: As shares.
CARD = (0.33, 0.16, 0.8, 0.29)


@pytest.mark.parametrize("regions", [(), ((0.3, 0.14, 0.54, 0.17),)])
async def test_a_card_that_an_overlay_draws_into_the_stream_is_no_product_held(tmp_path, regions):
    def overlay(rgb, time_s):
        if time_s >= 10:
            x1, y1, x2, y2 = (round(each * side) for each, side in zip(CARD, (WIDTH_PX, HEIGHT_PX) * 2, strict=True))
            rgb[y1:y2, x1:x2] = COLOURS["blue"]

    path = tmp_path / "overlay.mp4"
    write_clip(path, [("red", 0.0, 20.0)], 20.0, moving=False, draw=overlay)
    events = []
    async with (
        SeesTheOverlayToo() as archive,
        open_engine(RecognizerSettings(base_url=archive.url, timeout_s=2.0)) as engine,
    ):
        engine.outbox.listen(events.append)
        decision = {"max_cards": 2}
        runner = await engine.rooms.put(plan("room-1", path, ignore_regions=regions, decision=decision))
        await asyncio.wait_for(runner.finished.wait(), 30)
        await engine.outbox.flush(1)
    shown = {sku for kind, sku in told(events) if kind == "card"}
    # Nor does it wake the gate: the picture stays what it was.
    assert (shown, runner.view().gate.get("changed", 0)) == (({"red"}, 0) if regions else ({"red", "blue"}, 1))


async def test_a_live_room_asks_about_one_frame_at_a_time_and_is_soon_there_again(engine, events, archive, tmp_path):
    path = tmp_path / "live.mp4"
    write_clip(path, [("red", 1.0, 8.0)], 8.0)
    archive.delay_s = 0.6
    runner = await engine.rooms.put(plan("room-1", path, realtime=True, rate_hz=2))
    await asyncio.wait_for(runner.finished.wait(), 30)
    await engine.outbox.flush(1)
    assert archive.most_at_once == 1
    assert runner.view().gate["pending"] > 0
    # Faster than the rate alone would come to it: every other frame at 2 a second would be one of a second.
    assert told(events)[0] == ("card", "red")
    assert events[0].pts_s < 1.0 + 3 * archive.delay_s


async def test_a_live_source_dies_and_returns_without_a_second_card(engine, events, flv):
    rate = len(flv) / 6.0
    with ByteServer(flv, bytes_per_s=rate) as server:
        runner = await engine.rooms.put(plan("room-1", server.url, rate_hz=2))
        await until(lambda: told(events) == [("card", "red")])
        server.close()
        await until(lambda: runner.view().state == "reconnecting")
        with ByteServer(flv, bytes_per_s=rate, port=server.port):
            await until(lambda: runner.view().state == "live" and runner.view().connections >= 2)
            looks = engine.metrics.outcomes("room-1")["answered"]
            await until(lambda: engine.metrics.outcomes("room-1")["answered"] >= looks + 3)
    assert told(events) == [("card", "red")]
    assert runner.view().failures >= 1


async def test_a_stream_that_stays_away_takes_its_card_with_it(engine, events, flv):
    with ByteServer(flv, bytes_per_s=len(flv) / 6.0) as server:
        await engine.rooms.put(plan("room-1", server.url, rate_hz=2, decision={"silence_s": 1.0}))
        await until(lambda: told(events) == [("card", "red")])
    await until(lambda: told(events) == [("card", "red"), ("withdraw", "red")])
    assert events[-1].reason == "stream_lost"


async def test_the_recogniser_dies_and_returns_without_a_second_card(engine, events, clip, archive):
    path, _ = clip
    runner = await engine.rooms.put(plan("room-1", path))
    await until(lambda: ("card", "red") in told(events))
    await archive.stop()
    await asyncio.sleep(0.5)
    assert not runner.finished.is_set()
    await archive.start()
    await asyncio.wait_for(runner.finished.wait(), 30)
    await engine.outbox.flush(1)
    assert told(events) == ALL_SHOWN


async def test_the_recogniser_dies_under_a_live_room_and_the_next_frame_is_looked_at(engine, events, flv, archive):
    # A stream that begins again as often as it ends: however late a step is, a next frame comes.
    with ByteServer(flv, bytes_per_s=len(flv) / 6.0) as server:
        runner = await engine.rooms.put(plan("room-1", server.url, rate_hz=2))
        await until(lambda: told(events) == [("card", "red")])
        await archive.stop()
        # A product that is followed well is not looked at for seconds.
        runner.on_snapshot_change()
        await until(lambda: engine.metrics.outcomes("room-1").get("gave_up", 0) >= 1)
        answered = engine.metrics.outcomes("room-1")["answered"]
        await archive.start()
        await until(lambda: engine.metrics.outcomes("room-1")["answered"] > answered)
    assert told(events) == [("card", "red")]


async def test_a_look_that_is_wanted_again_speeds_up_sampling(engine, events, flv):
    with ByteServer(flv, bytes_per_s=len(flv) / 6.0, then="hang") as server:
        runner = await engine.rooms.put(plan("room-1", server.url, ingest={"stall_after_s": 20.0}))
        # Nothing was sampled yet: there is no time of the stream to speed up from.
        runner.on_snapshot_change()
        await until(
            lambda: runner._newest_pts_s is not None and not runner._sampling.rate.is_fast(runner._newest_pts_s)
        )
        runner.on_snapshot_change()
        assert runner._sampling.rate.is_fast(runner._newest_pts_s)


async def test_cards_that_an_earlier_process_left_are_withdrawn(engine, events):
    # As a process that was killed would leave it: the card is on the bus, its publisher is not.
    await engine.bus.publish(card_event(event="card", event_id=7, room="room-2"))
    assert await engine.outbox.resume("room-2") == 8
    await engine.outbox.flush(1)
    assert await engine.bus.latest("room-2") == []
    assert (events[-1].room, events[-1].event, events[-1].event_id) == ("room-2", "withdraw", 8)
