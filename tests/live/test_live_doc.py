"""docs/live.md says what is: its example file is read, its defaults are the defaults, its metrics exist."""

from __future__ import annotations

import asyncio
import re
import tomllib
from pathlib import Path

import msgspec

from livecart.app import open_engine
from livecart.pipeline.recognizer import RecognizerSettings
from livecart.rooms_file import read_rooms_file
from tests.live.conftest import plan

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "live.md").read_text(encoding="utf-8")
EXAMPLE = re.search(r"```toml\n(.*?)```", TEXT, re.DOTALL)[1]
#: Values of the example that are marked as being no default.
NO_DEFAULTS = {("recognizer", "management_url"), ("recognizer", "token"), ("recognizer", "text"), ("http", "token")}


def test_the_example_is_read_and_shows_the_defaults(tmp_path):
    path = tmp_path / "rooms.toml"
    path.write_text(EXAMPLE, encoding="utf-8")
    file = read_rooms_file(path, {})
    assert file.rooms["room-1"].products == ("1001", "1002")
    path.write_text("")
    defaults = msgspec.json.decode(msgspec.json.encode(read_rooms_file(path, {})))
    for section, table in tomllib.loads(EXAMPLE).items():
        for key, value in table.items() if section != "rooms" else ():
            if (section, key) not in NO_DEFAULTS:
                assert defaults[section][key] == value, f"{section}.{key}"


async def test_every_metric_is_documented_and_every_documented_one_exists(clip, archive):
    async with open_engine(RecognizerSettings(base_url=archive.url)) as engine:
        runner = await engine.rooms.put(plan("room-1", clip[0]))
        await asyncio.wait_for(runner.finished.wait(), 30)
        told = set()
        for metric in engine.metrics.registry.collect():
            suffix = "_total" if metric.type == "counter" else ""
            told.add(metric.name.removeprefix("livecart_live_") + suffix)
    table = TEXT.split("## Metrics")[1].split("## Policies")[0]
    rows = "".join(line.split("|")[1] for line in table.splitlines() if line.startswith("| `"))
    documented = set(re.findall(r"`(\w+)(?:\{[\w,]+\})?`", rows))
    assert documented == told
