"""The catalog's API over HTTP against the bare database query, in the same run, one server process.

1. Bulk upsert through `POST /products/bulk`, against the same through the store.
2. List, search and edit in a large catalog (median, p95), against the query that they make.
3. Stock look-ups through `POST /stock/confirm`, 500 at once, against `AvailabilityCache.check` without HTTP.

  bench_api.py --mysql mysql+pymysql://root@127.0.0.1:3306/test

Without --mysql only SQLite is measured. A MySQL database of its own is made and dropped.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
import requests
from bench_store import (
    BRANDS,
    GOODS,
    HOST,
    TASTES,
    add_row,
    bench_lookups,
    on_each_database,
    product,
    quantiles_ms,
    rate,
)
from rich.console import Console
from rich.table import Table

from livecart.shop.availability.open import open_cache
from livecart.shop.database.store import Store, open_store
from livecart.shop.repositories import (
    bulk,
    hosts,
    products,
    tokens,
)
from livecart.shop.repositories.search import search
from livecart.shop.schemas.product import ProductPatch

ROOT = Path(__file__).resolve().parent.parent


PER_REQUEST = 1000
CONFIRMED = 500


def serve(url: str, folder: str, says: Connection) -> None:
    """The API in a process of its own; says its address."""
    import asyncio

    from fastapi import FastAPI

    from livecart.shop.api import ApiSettings, catalog_router
    from livecart.shop.service import CatalogSettings, open_catalog
    from livecart.web import HttpServer

    fast = ApiSettings(address_burst=1e9, address_per_s=1e9, token_burst=1e9, token_per_s=1e9)
    with open_catalog(CatalogSettings(url=url, folder=folder, publish=False)) as service:
        app = FastAPI(openapi_url=None)
        app.include_router(catalog_router(service, settings=fast))
        server = HttpServer(app, "127.0.0.1", 0)
        says.send(server.url)
        asyncio.run(server.run())


@contextmanager
def served(url: str, folder: str) -> Iterator[str]:
    """The address of the API over a database."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(url, folder, there))
    process.start()
    try:
        yield f"{here.recv()}/catalog/v1"
    finally:
        process.terminate()
        process.join()


class Client:
    """Asks, and fails where the answer is no good one."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {token}"

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """The answer's JSON."""
        answer = self._session.request(method, f"{self._url}/{path}", timeout=60, **options)
        answer.raise_for_status()
        return answer.json()


def bench_bulk(client: Client, store: Store, count: int) -> dict[str, float]:
    """Products/s, created over HTTP and, others, through the store."""

    def over_http() -> None:
        for start in range(0, count, PER_REQUEST):
            patches = [msgspec.to_builtins(product(number)) for number in range(start, min(start + PER_REQUEST, count))]
            client.ask("POST", "products/bulk", json={"products": patches})

    some = min(count, 10_000)
    through_store = map(product, range(count, count + some))
    return {
        "HTTP": rate(over_http, count),
        "store": rate(lambda: bulk.in_batches(partial(store.edit, "bench"), through_store), some),
    }


def bench_pages(client: Client, store: Store, count: int, rounds: int) -> dict[str, dict[str, tuple[float, float]]]:
    """Milliseconds, median and p95: over HTTP, and the query itself."""
    found: dict[str, dict[str, tuple[float, float]]] = {}

    def measure(name: str, http: Callable[[random.Random], Any], query: Callable[[Any, random.Random], Any]) -> None:
        def bare(_: int, chosen: random.Random) -> None:
            with store.read() as session:
                query(session, chosen)

        asked, queried = random.Random(1), random.Random(1)  # noqa: S311  the same questions
        found[name] = {
            "HTTP": quantiles_ms(lambda _: http(asked), rounds),
            "query": quantiles_ms(lambda number: bare(number, queried), rounds),
        }

    def page(of: Callable[[random.Random], dict[str, Any]]) -> Callable[[random.Random], Any]:
        return lambda chosen: client.ask("GET", "products", params=of(chosen))

    def list_from(chosen: random.Random) -> dict[str, Any]:
        return {"cursor": chosen.randrange(count)}

    def common(chosen: random.Random) -> dict[str, Any]:
        return {"q": chosen.choice(GOODS), "cursor": chosen.randrange(count)}

    def two_words(chosen: random.Random) -> dict[str, Any]:
        return {"q": f"{chosen.choice(BRANDS)} {chosen.choice(TASTES)}"}

    questions = {
        "list": list_from,
        "search, common": common,
        "search, two words": two_words,
        "search, rare": lambda _: {"q": "稀有"},
        "search, nowhere": lambda _: {"q": "没有这个"},
    }
    for name, of in questions.items():

        def query(session: Any, chosen: random.Random, of: Callable[[random.Random], dict[str, Any]] = of) -> Any:
            asked = of(chosen)
            return search(session, asked.get("q", ""), cursor=asked.get("cursor"))

        measure(name, page(of), query)

    def sku(chosen: random.Random) -> str:
        return f"{chosen.randrange(count):08d}"

    def read(chosen: random.Random) -> Any:
        return client.ask("GET", f"products/{sku(chosen)}")

    measure("read", read, lambda session, chosen: products.get(session, sku(chosen)))
    found["save"] = bench_save(client, store, count, rounds)
    return found


def bench_save(client: Client, store: Store, count: int, rounds: int) -> dict[str, tuple[float, float]]:
    """An edit that is kept: over HTTP, and in a transaction."""
    chosen = random.Random(2)  # noqa: S311

    def http(number: int) -> None:
        path = f"products/{chosen.randrange(count):08d}"
        client.ask("PATCH", path, json={"stock": number % 40 + 60}, headers={"If-Match": "*"})

    def bare(number: int) -> None:
        patch = ProductPatch(sku=f"{chosen.randrange(count):08d}", stock=number % 40 + 160)
        with store.write("bench") as session:
            products.update(session, patch, expected_version=None)

    return {"HTTP": quantiles_ms(http, rounds), "query": quantiles_ms(bare, rounds)}


def bench_confirm(client: Client, store: Store, count: int, seconds: float) -> dict[str, float]:
    """Look-ups/s: 500 a request over HTTP, and one by one without it. What is known grows old meanwhile."""
    chosen = random.Random(3)  # noqa: S311
    skus = [f"{chosen.randrange(count):08d}" for _ in range(CONFIRMED)]

    def over_http() -> float:
        done, started_s = 0, time.perf_counter()
        while time.perf_counter() - started_s < 3 * seconds:
            client.ask("POST", "stock/confirm", json={"skus": skus})
            done += CONFIRMED
        return done / (time.perf_counter() - started_s)

    cache = open_cache("memory://", store)
    found = {
        "HTTP": over_http(),
        "without": bench_lookups(cache, count, seconds),
    }
    cache.close()
    return found


def bench(url: str, options: argparse.Namespace) -> dict[str, Any]:
    """All of it on one database."""
    store = open_store(url)
    store.upgrade()
    with store.write("bench") as session:
        hosts.allow(session, HOST)
        token, _ = tokens.issue(session, "bench", "edit")
    with tempfile.TemporaryDirectory() as folder, served(url, folder) as address:
        client = Client(address, token)
        found = {
            "bulk_per_s": bench_bulk(client, store, options.products),
            "pages_ms": bench_pages(client, store, options.products, options.rounds),
            "confirmed_per_s": bench_confirm(client, store, options.products, options.seconds),
        }
    store.close()
    return found


def show(results: dict[str, dict[str, Any]], console: Console) -> None:
    """A column a database."""
    table = Table("", *results)

    row = partial(add_row, table, results)
    for way in ("HTTP", "store"):
        row(f"bulk, products/s, {way}", lambda found, way=way: f"{found['bulk_per_s'][way]:,.0f}")  # type: ignore[misc]
    for name in next(iter(results.values()))["pages_ms"]:

        def page(found: dict[str, Any], name: str = name) -> str:
            return "; ".join(f"{way} {took[0]:.1f} / {took[1]:.1f}" for way, took in found["pages_ms"][name].items())

        row(f"{name}, ms p50 / p95", page)
    for way in ("HTTP", "without"):
        row(f"look-ups/s, {way}", lambda found, way=way: f"{found['confirmed_per_s'][way]:,.0f}")  # type: ignore[misc]
    console.print(table)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=60, help="requests of each kind (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of look-ups of each kind (default: %(default)s)")
    parser.add_argument("--mysql", help="URL of a server where databases may be made")
    parser.add_argument("--output", type=Path, help="JSON")
    options = parser.parse_args()
    results = on_each_database(options.mysql, lambda url: bench(url, options))
    console = Console()
    show(results, console)
    console.print(f"{options.products:,} products, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}")
    if options.output:
        options.output.write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
