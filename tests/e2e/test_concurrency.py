"""Many clients at once, some with broken images: nobody is dropped and nobody is touched by a neighbour."""

import asyncio
import itertools
from typing import Any

import aiohttp
import pytest
import requests

import torchserve_control as control
from tests.e2e.prometheus import samples, total

CLIENTS = 60
REQUESTS_PER_CLIENT = 5
JPEG = {"Content-Type": "image/jpeg"}
#: In another batch size the network's last bits differ, and replies are rounded to four digits.
TOLERANCE = 2e-4


def broken(jpeg: bytes) -> list[bytes]:
    scan_bomb = jpeg[:-2] + b"\xff\xda" * 1000 + jpeg[-2:]  # as many passes over the picture: seconds in the decoder
    return [jpeg[: len(jpeg) // 2], b"not an image", b"", b"GIF89a" + bytes(20), scan_bomb]


async def send_all(url: str, photos: list[bytes]) -> list[tuple[int, int, dict[str, Any]]]:
    """(photo's index, status, body) of every request; index -1 for a broken one. One in ten is broken."""
    answers = []
    bad = itertools.cycle(broken(photos[0]))

    async def client(session: aiohttp.ClientSession, number: int) -> None:
        for turn in range(REQUESTS_PER_CLIENT):
            index = -1 if (number + turn) % 10 == 0 else (number + turn) % len(photos)
            data = next(bad) if index < 0 else photos[index]
            async with session.post(url, data=data, headers=JPEG) as answer:
                answers.append((index, answer.status, await answer.json()))

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CLIENTS)) as session:
        await asyncio.gather(*(client(session, number) for number in range(CLIENTS)))
    return answers


@pytest.fixture(scope="module")
def measured(server: control.Server, url: str, jpegs: list[bytes]) -> dict[str, Any]:
    alone = [requests.post(url, data=jpeg, headers=JPEG, timeout=60).json() for jpeg in jpegs]
    before = samples(server)
    answers = asyncio.run(send_all(url, jpegs))
    return {"alone": alone, "answers": answers, "before": before, "after": samples(server)}


def test_every_good_image_gets_the_answer_it_gets_alone(measured: dict[str, Any]) -> None:
    good = [(index, status, body) for index, status, body in measured["answers"] if index >= 0]
    assert len(good) == CLIENTS * REQUESTS_PER_CLIENT * 9 // 10
    for index, status, body in good:
        assert status == 200
        expected = measured["alone"][index]
        assert body["image"] == expected["image"]
        assert [entry["sku"] for entry in body["products"]] == [entry["sku"] for entry in expected["products"]]
        assert [entry["index"] for entry in body["labels"]] == [entry["index"] for entry in expected["labels"]]
        assert [entry["confidence"] for entry in body["labels"]] == pytest.approx(
            [entry["confidence"] for entry in expected["labels"]], abs=TOLERANCE
        )


def test_every_broken_image_gets_its_own_error(measured: dict[str, Any]) -> None:
    bad = [(status, body) for index, status, body in measured["answers"] if index < 0]
    assert len(bad) == CLIENTS * REQUESTS_PER_CLIENT // 10
    for status, body in bad:
        assert 400 <= status < 500
        assert body["error"]["code"] in {"bad_image", "unsupported_image", "image_too_large"}


def test_requests_were_batched(measured: dict[str, Any]) -> None:
    images, batches = (
        total(measured["after"], name) - total(measured["before"], name)
        for name in ("livecart_batch_size_sum", "livecart_batch_size_count")
    )
    assert images == CLIENTS * REQUESTS_PER_CLIENT
    assert images / batches > 2


def test_outcomes_are_counted(measured: dict[str, Any]) -> None:
    def grown(outcome: str) -> float:
        label = f'Outcome="{outcome}"'
        name = "livecart_images_total"
        return total(measured["after"], name, label) - total(measured["before"], name, label)

    assert grown("ok") == CLIENTS * REQUESTS_PER_CLIENT * 9 // 10
    assert (
        grown("bad_image") + grown("unsupported_image") + grown("image_too_large")
        == CLIENTS * REQUESTS_PER_CLIENT // 10
    )
    assert grown("internal_error") == 0


def test_stages_are_timed_in_seconds(measured: dict[str, Any]) -> None:
    after = measured["after"]
    batches = total(after, "livecart_batch_size_count")
    whole = total(after, "livecart_batch_seconds_sum")
    stages = [total(after, f"livecart_{stage}_seconds_sum") for stage in ("decode", "network", "match")]
    assert all(stage > 0 for stage in stages)
    assert sum(stages) <= whole
    assert whole / batches < 30  # a figure in milliseconds would be far above
    for stage in ("decode", "network", "match", "batch"):
        assert total(after, f"livecart_{stage}_seconds_count") == batches
        assert total(after, f"livecart_{stage}_seconds_bucket", 'le="+Inf"') == batches
