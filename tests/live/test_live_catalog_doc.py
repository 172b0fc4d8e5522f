"""docs/catalog-service.md says of `livecart run` what is: its section is read, its metrics exist."""

from __future__ import annotations

import re
import tomllib

import msgspec
from prometheus_client import CollectorRegistry

from livecart.catalog_run import run_catalog
from livecart.pipeline.crops import CropBook
from livecart.pipeline.metrics import LiveMetrics
from livecart.rooms_file import read_rooms_file
from tests.conftest import ROOT

TEXT = (ROOT / "docs" / "catalog-service.md").read_text(encoding="utf-8")
EXAMPLE = re.search(r"```toml\n(.*?)```", TEXT, re.DOTALL)[1]


def test_the_section_is_read_and_shows_the_defaults(tmp_path):
    path = tmp_path / "rooms.toml"
    path.write_text(EXAMPLE, encoding="utf-8")
    file = read_rooms_file(path, {})
    assert [feed.name for feed in file.catalog.feeds] == ["shop", "platform", "erp"]
    path.write_text("catalog = {url = 'sqlite:///catalog.db'}\n")
    defaults = read_rooms_file(path, {})
    told = tomllib.loads(EXAMPLE)
    for section in ("catalog", "feedback"):
        values = msgspec.to_builtins(getattr(defaults, section))
        for key, value in told[section].items():
            if isinstance(value, dict):
                assert value.items() <= values[key].items()
            elif key != "feeds":
                assert values[key] == value, f"{section}.{key}"


def names(registry: CollectorRegistry) -> set[str]:
    return {metric.name + ("_total" if metric.type == "counter" else "") for metric in registry.collect()}


async def test_every_metric_is_documented_and_every_documented_one_exists(tmp_path):
    path = tmp_path / "rooms.toml"
    place = f'url = "sqlite:///{tmp_path / "c.db"}"\nfolder = "{tmp_path / "catalog"}"\n'
    command = 'build_command = ["false", "{folder}", "{output}"]\n'
    path.write_text(f"[catalog]\n{place}{command}")
    metrics = LiveMetrics()
    before = names(metrics.registry)
    async with run_catalog(read_rooms_file(path, {}), metrics, CropBook()):
        added = names(metrics.registry) - before
    table = TEXT.split("| metric | meaning |")[1].split("## Commands")[0]
    assert set(re.findall(r"`(livecart_\w+)", table)) == added
