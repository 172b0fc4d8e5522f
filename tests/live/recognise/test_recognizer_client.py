"""The client against a real server that answers well, badly, late, or not at all."""

import re
import threading
from dataclasses import replace

import numpy as np
import pytest

from contract.reply import Evidence
from livecart.core.errors import RecognizerBusy, RecognizerError
from livecart.core.types import Detection, Frame
from livecart.live.recognise.client import RecognizerClient
from livecart.live.recognise.settings import RecognizerSettings
from livecart.live.video.picture import ArrayPicture
from tests.live.recognise.archive_stand_in import (
    BUSY_BODY,
    DIED_BODY,
    Archive,
    answering,
    cut_at_once,
    cut_midway,
    endless,
    hang,
    product,
    size_of,
)
from tests.live.recognise.tally import Tally

FRAME = Frame("room-1", ArrayPicture(np.full((1280, 720, 3), 120, np.uint8)), 12.5, 1700000000.25)


@pytest.fixture
async def archive():
    async with Archive() as running:
        yield running


def client(archive: Archive, **changes) -> RecognizerClient:
    options = {key: changes.pop(key) for key in ("product_list", "metrics") if key in changes}
    options.setdefault("metrics", Tally())
    return RecognizerClient(RecognizerSettings(base_url=archive.url, **changes), **options)


async def raised(archive: Archive, answer, kind: type[RecognizerError] = RecognizerError, **changes) -> RecognizerError:
    archive.always = answer
    async with client(archive, **changes) as asked:
        with pytest.raises(kind) as caught:
            await asked.recognize(FRAME)
    assert type(caught.value) is kind
    return caught.value


async def test_a_look_is_in_the_frames_own_pixels(archive):
    archive.products = [product(box=[10.0, 20.0, 110.0, 220.0]), product("1002", box=None, price=None)]
    tally = Tally()
    async with client(archive, longest_side_px=640, metrics=tally) as asked:
        look = await asked.recognize(FRAME)
    assert (look.room, look.pts_s, look.captured_at_s) == ("room-1", 12.5, 1700000000.25)
    assert (look.frame_width_px, look.frame_height_px) == (720, 1280)
    name, url, by_photo = "好欢螺螺蛳粉", "https://shop.example.com/item", Evidence(photo=0.8)
    assert look.products == (
        Detection("1001", name, f"{url}/1001", 0.93, (20, 40, 220, 440), "12.90", "CNY", evidence=by_photo),
        Detection("1002", name, f"{url}/1002", 0.93, None, None, "CNY", evidence=by_photo),
    )
    assert look.stage_seconds == {"decode": 0.004, "network": 0.031, "keypoints": 0.0095, "text": 0.0, "match": 0.0004}
    assert {stage: count for stage, (count, _) in tally.stage_seconds.items()} == {"encode": 1, "request": 1}
    assert size_of(archive.requests[0][1]) == (360, 640)


async def test_what_is_sent(archive):
    async with client(archive, token="s3cret", text="never", product_list={"room-1": "夏季"}.get) as asked:
        await asked.recognize(FRAME)
    headers = archive.requests[0][0]
    assert headers["Content-Type"] == "image/jpeg"
    assert headers["Authorization"] == "Bearer s3cret"
    assert headers["X-Text"] == "never"
    assert headers["X-Room"] == "夏季"
    assert headers["X-Top-K"] == "0"


@pytest.mark.parametrize(
    ("start", "sent"),
    [(b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"), (b"RIFF\0\0\0\0WEBP", "image/webp")],
)
async def test_a_photo_is_sent_as_the_kind_that_its_first_bytes_say(archive, start, sent):
    archive.always = answering(200, archive.reply(64, 64))
    async with client(archive) as asked:
        await asked.ask(start + bytes(16))
    assert archive.requests[0][0]["Content-Type"] == sent


async def test_where_to_look_first_is_in_pixels_of_the_jpeg(archive):
    async with client(archive, longest_side_px=640) as asked:
        await asked.recognize(replace(FRAME, roi_xyxy_px=(100.0, 200.0, 301.0, 640.5)))
    assert archive.requests[0][0]["X-Roi"] == "50.0,100.0,150.5,320.2"
    assert size_of(archive.requests[0][1]) == (360, 640)


async def test_nothing_is_sent_that_is_not_set(archive):
    async with client(archive) as asked:
        await asked.recognize(FRAME)
    assert not {"X-Room", "X-Text", "X-Roi", "X-Mirror", "Authorization", "Cookie"} & set(archive.requests[0][0])


@pytest.mark.parametrize(("mirror", "sent"), [(True, "true"), (False, "false")])
async def test_a_mirrored_room_is_asked_about_as_such_and_a_reply_tells_what_it_saw(archive, mirror, sent):
    archive.mirrored = mirror
    async with client(archive) as asked:
        look = await asked.recognize(replace(FRAME, mirror=mirror))
    assert archive.requests[0][0]["X-Mirror"] == sent
    assert look.mirrored is mirror


async def test_boxes_are_cut_at_the_frames_edge(archive):
    archive.products = [product(box=[-5.0, -5.0, 900.0, 2000.0])]
    async with client(archive) as asked:
        look = await asked.recognize(FRAME)
    assert look.products[0].box_xyxy_px == (0, 0, 720, 1280)


async def test_a_look_says_what_was_read_and_what_speaks_for_a_product(archive):
    archive.texts = [
        {"text": "好欢螺", "confidence": 0.99, "box": [10.0, 20.0, 60.0, 40.0]},
        {"text": "outside", "confidence": 0.9, "box": [9000.0, 20.0, 9060.0, 40.0]},
    ]
    async with client(archive, longest_side_px=640) as asked:
        look = await asked.recognize(FRAME)
    assert [(line.text, line.confidence, line.box) for line in look.texts] == [("好欢螺", 0.99, (20, 40, 120, 80))]
    assert look.products[0].evidence == Evidence(photo=0.8, text=None, label=None)


async def test_a_link_that_is_not_https_is_dropped_and_counted(archive, caplog):
    tally = Tally()
    archive.products = [product("1", url="http://shop.example.com/1"), product("2"), product("3", url="javascript:x()")]
    async with client(archive, metrics=tally) as asked:
        for _ in range(2):
            assert [c.sku for c in (await asked.recognize(FRAME)).products] == ["2"]
    assert tally.incidents == {"link_not_https": 4}
    assert sum("not https" in message for message in caplog.messages) == 2


@pytest.mark.parametrize(
    "answer",
    [
        answering(503, BUSY_BODY),
        answering(500, DIED_BODY),
        answering(507, {"code": 507, "type": "InternalServerException", "message": "Worker died"}),
        answering(502, b"<html>bad gateway</html>"),
        answering(429, b""),
        cut_at_once,
        cut_midway,
    ],
)
async def test_what_may_work_in_a_moment_is_busy(archive, answer):
    await raised(archive, answer, RecognizerBusy)


async def test_a_server_that_hangs_is_busy(archive):
    error = await raised(archive, hang, RecognizerBusy, timeout_s=0.1)
    assert "within 0.1 s" in str(error)


async def test_a_server_that_is_not_there_is_busy_until_it_is_back_on_its_port(archive):
    async with client(archive) as asked:
        await asked.recognize(FRAME)
        await archive.stop()
        with pytest.raises(RecognizerBusy):
            await asked.recognize(FRAME)
        assert not await asked.ready()
        await archive.start()
        assert (await asked.recognize(FRAME)).products


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            answering(400, {"schema": 1, "error": {"code": "bad_image", "message": "cut short"}}),
            "400 bad_image cut short",
        ),
        (answering(500, {"schema": 1, "error": {"code": "internal_error", "message": "oh"}}), "500 internal_error oh"),
        (answering(404, {"code": 404, "type": "ModelNotFoundException", "message": "no"}), "is the model registered"),
        (answering(401, b""), "token"),
        (answering(413, b""), "refused the frame: 413"),
        (answering(302, b"", Location="http://127.0.0.1:1/"), "not followed"),
        (answering(200, b"<html>"), "schema 1"),
        (answering(200, b'{"schema": 1, "image": "\xff"}'), "schema 1"),
        (answering(200, {"schema": 2, "image": {"width": 540, "height": 960}, "products": []}), r"\$.schema"),
        (endless, "more than 1048576 bytes"),
    ],
)
async def test_what_asking_again_would_not_mend_is_an_error(archive, answer, said):
    assert re.search(said, str(await raised(archive, answer)))
    assert len(archive.requests) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"confidence": 1.2}, "confidence"),
        ({"confidence": "high"}, "confidence"),
        ({"sku": ""}, "sku"),
        ({"box": [1, 2, 3]}, "box"),
        ({"box": [50, 20, 10, 30]}, "1001"),
        ({"box": [5000, 20, 5100, 30]}, "1001"),
        ({"url": None}, "url"),
    ],
)
async def test_a_product_that_breaks_the_contract_is_an_error(archive, changes, said):
    archive.products = [product(**changes)]
    async with client(archive) as asked:
        with pytest.raises(RecognizerError, match=said):
            await asked.recognize(FRAME)


async def test_a_reply_about_another_picture_is_an_error(archive):
    assert "960" in str(await raised(archive, answering(200, archive.reply(960, 540))))


async def test_a_product_list_that_no_header_can_hold_is_an_error(archive):
    async with client(archive, product_list=lambda room: "a\r\nX-Threshold: 0") as asked:
        with pytest.raises(RecognizerError, match="room-1"):
            await asked.recognize(FRAME)
    assert archive.requests == []


@pytest.mark.parametrize("managed", [True, False])
async def test_ready_is_what_a_frame_would_find(archive, managed):
    async with client(archive, management_url=archive.url if managed else None) as asked:
        assert await asked.ready()
        archive.workers, archive.always = ["UNLOADING", "LOADING"], answering(503, BUSY_BODY)
        assert not await asked.ready()
        await archive.stop()
        assert not await asked.ready()


async def test_no_thread_outlives_the_client(archive):
    before = threading.active_count()
    async with client(archive) as asked:
        await asked.recognize(FRAME)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("livecart-jpeg")]
    # asyncio's own default pool may have started one thread, to wait for ours.
    assert threading.active_count() <= before + 1


async def test_the_catalog_that_is_served_is_asked_for_without_a_picture(archive):
    described = {"schema": 1, "model": {"name": "m", "catalog": "3f2a", "offers": 7}}
    older = {"schema": 1, "model": {"name": "m", "catalog": "3f2a"}}
    for body in (described, older, {"model": {"catalog": None}}):
        archive.faults.append(answering(200, body))
    archive.faults += [answering(200, []), answering(503, {})]
    async with client(archive) as asked:
        assert [await asked.served_catalog() for _ in range(3)] == ["3f2a/7", "3f2a/0", None]
        headers, body = archive.requests[-1]
        assert (headers["describe"], body) == ("True", b"{}")
        with pytest.raises(RecognizerError, match="description"):
            await asked.served_catalog()
        with pytest.raises(RecognizerBusy):
            await asked.served_catalog()
