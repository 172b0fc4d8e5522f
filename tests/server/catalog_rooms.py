"""`livecart run` with a catalog, in the test's own event loop: one room that shows red all the time."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from contract.card import CardEvent
from livecart.events import open_bus
from livecart.server.app import run_rooms
from livecart.shop.database.store import Store
from livecart.shop.repositories import products
from livecart.shop.schemas.product import ProductPatch
from tests.shop.catalog_stores import allow_shop, open_upgraded

MAX_AGE_S = 1.0
ROOM = "room-1"


@dataclass
class Show:
    """A running `livecart run`, and everything that it put on the bus."""

    url: str
    client: httpx.AsyncClient
    events: list[CardEvent] = field(default_factory=list)

    def told(self):
        return [(e.event, e.reason) if e.reason else e.event for e in self.events if e.event != "update"]

    async def metric(self, name: str, labels: str = "") -> float:
        text = (await self.client.get("/metrics")).text
        lines = [line for line in text.splitlines() if line.startswith(f"{name}{labels} ")]
        return float(lines[0].split()[-1]) if lines else 0.0


class Shop:
    """Another process's hands on the same database."""

    def __init__(self, url: str) -> None:
        self.store: Store = open_upgraded(url)
        allow_shop(self.store)

    def sell(self, sku: str, **values) -> None:
        with self.store.write("shop") as session:
            given = {"name": f"店里的{sku}", "url": f"https://shop.example.com/item/{sku}", **values}
            products.create(session, ProductPatch(sku=sku, **given))

    def change(self, sku: str, **values) -> None:
        with self.store.write("shop") as session:
            products.update(session, ProductPatch(sku=sku, **values), expected_version=None)


def rooms_file(folder: Path, *, recognizer: str, source: str, catalog: str, bus: str = "memory://") -> Path:
    path = folder / "rooms.toml"
    path.write_text(
        f"""
        recognizer = {{base_url = "{recognizer}"}}
        http = {{port = 0}}
        bus = {{url = "{bus}"}}
        decision = {{agreeing_results = 1}}
        ingest = {{backoff_first_s = 0.05}}
        rooms = [{{id = "{ROOM}", source = "{source}", rate_hz = 5}}]
        [catalog]
        folder = "{folder / "catalog"}"
        max_age_s = {MAX_AGE_S}
        {catalog}
        """,
        encoding="utf-8",
    )
    return path


@asynccontextmanager
async def on_air(path: Path, monkeypatch):
    """Run the rooms of the file until the block ends."""
    events: list[CardEvent] = []
    kept = open_bus

    def watched(url: str):
        bus = kept(url)
        publish = bus.publish

        async def noted(event: CardEvent) -> None:
            events.append(event)
            await publish(event)

        bus.publish = noted
        return bus

    monkeypatch.setattr("livecart.server.app.open_bus", watched)
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    running = asyncio.create_task(run_rooms(path, stop, on_ready=ready.set_result))
    await asyncio.wait({running, ready}, timeout=20, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()
    url = ready.result()
    try:
        async with httpx.AsyncClient(base_url=url) as client:
            yield Show(url, client, events)
    finally:
        stop.set()
        await asyncio.wait_for(running, 20)
