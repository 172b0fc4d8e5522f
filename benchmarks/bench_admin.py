"""The staff's pages over a large catalog: list, search and edit, p95 of the whole page beside the bare query.

  bench_admin.py --mysql mysql+pymysql://root@127.0.0.1:3306/test

Pages are asked for in process, over ASGI, with a session: what is measured is everything but the network. Without
--mysql only SQLite is measured. A MySQL database of its own is made and dropped.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from rich.console import Console
from rich.table import Table
from sqlalchemy.orm import Session

from benchmarks.bench_store import BRANDS, GOODS, HOST, TASTES, on_each_database, product
from livecart.shop.admin import admin_app, product_query
from livecart.shop.repositories import (
    bulk,
    hosts,
    products,
    tokens,
)
from livecart.shop.service import CatalogService, open_catalog
from livecart.shop.settings import CatalogSettings

ROOT = Path(__file__).resolve().parent.parent


BASE = "http://admin.example"
TARGET_MS = 200.0
PER_PAGE = 25


def p95_ms(took_s: list[float]) -> float:
    return sorted(took_s)[int(len(took_s) * 0.95)] * 1e3


def figures(pages_s: list[float], cpu_s: list[float], queries_s: list[float]) -> dict[str, float]:
    """Of one case: the page as waited for, what of it this process worked, and the bare query."""
    return {"page_p95_ms": p95_ms(pages_s), "page_cpu_p95_ms": p95_ms(cpu_s), "query_p95_ms": p95_ms(queries_s)}


def cases(count: int) -> dict[str, tuple[Callable[[], str], Callable[[Session], Any]]]:
    """By name: the page's path, and the query that it stands for."""
    chosen = random.Random(0)  # noqa: S311

    def listed(text: str, sort: str, skip: int) -> Callable[[Session], Any]:
        def query(session: Session) -> Any:
            name, _, direction = sort.partition("__")
            found = product_query.page(session, product_query.Wanted(skip, PER_PAGE, text, [(name, direction)], None))
            return product_query.count(session, text, None) if found.total is None else found.total

        return query

    def page(text: str, sort: str = "updated_at_s__desc") -> tuple[Callable[[], str], Callable[[Session], Any]]:
        # As far as people turn pages; "last page" is the far end.
        number = 1 if text else chosen.randrange(1, min(40, count // PER_PAGE))
        path = f"/admin/products/list?q={text}&sort={sort}&page={number}"
        return lambda: path, listed(text, sort, (number - 1) * PER_PAGE)

    return {
        "list": page(""),
        "list by price": page("", "price__asc"),
        "list by name": page("", "name__asc"),
        "last page": (
            lambda: f"/admin/products/list?page={count // PER_PAGE}",
            listed("", "updated_at_s__desc", count - PER_PAGE),
        ),
        "search, common": page(GOODS[0]),
        "search, two words": page(f"{BRANDS[1]} {TASTES[2]}"),
        "search, rare": page("稀有"),
        "search, nowhere": page("没有这个"),
        "edit": (
            lambda: f"/admin/products/edit?pk={chosen.randrange(count):08d}",
            lambda session: products.get(session, f"{chosen.randrange(count):08d}"),
        ),
    }


async def bench(service: CatalogService, count: int, rounds: int) -> dict[str, dict[str, float]]:
    """Every case: p95 of the page and of its query, in milliseconds."""
    with service.store.write("bench") as session:
        hosts.allow(session, HOST)
        token, _ = tokens.issue(session, "bench", "edit")
    bulk.in_batches(partial(service.store.edit, "bench"), map(product, range(count)))
    app = FastAPI()
    app.mount("/admin", admin_app(service))
    found: dict[str, dict[str, float]] = {}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as client:
        await sign_in(client, token)
        # Templates are compiled with their first page.
        for path in ("/admin/products/list", "/admin/products/edit?pk=00000001"):
            await client.get(path)
        for name, (path, query) in cases(count).items():
            pages, cpu, queries = [], [], []
            for _ in range(rounds):
                started_s, started_cpu_s = time.perf_counter(), time.process_time()
                answer = await client.get(path())
                pages.append(time.perf_counter() - started_s)
                cpu.append(time.process_time() - started_cpu_s)
                assert answer.status_code == 200, (name, answer.status_code)
                started_s = time.perf_counter()
                with service.store.read() as session:
                    query(session)
                queries.append(time.perf_counter() - started_s)
            found[name] = figures(pages, cpu, queries)
        found["save"] = await bench_save(client, service, count, rounds)
    return found


async def bench_save(client: httpx.AsyncClient, service: CatalogService, count: int, rounds: int) -> dict[str, float]:
    """A form sent, until the answer; and the update alone."""
    from livecart.shop.admin.product_form import base_of, values_of
    from livecart.shop.schemas.product import ProductPatch

    pages, cpu, queries = [], [], []
    for number in range(rounds):
        sku = f"{number * 7 % count:08d}"
        with service.store.read() as session:
            before = products.get(session, sku)
        form = {**values_of(before), "base": base_of(before), "stock": str(number + 100), "on_sale": "on"}
        form = {name: value for name, value in form.items() if value is not False}
        form["csrftoken"] = client.cookies["starlette_admin_csrftoken"]
        started_s, started_cpu_s = time.perf_counter(), time.process_time()
        answer = await client.post(f"/admin/products/edit?pk={sku}", data=form)
        pages.append(time.perf_counter() - started_s)
        cpu.append(time.process_time() - started_cpu_s)
        assert answer.status_code == 303, answer.text
        started_s = time.perf_counter()
        with service.store.write("bench") as session:
            products.update(session, ProductPatch(sku=sku, stock=number + 200), expected_version=None)
        queries.append(time.perf_counter() - started_s)
    return figures(pages, cpu, queries)


async def sign_in(client: httpx.AsyncClient, token: str) -> None:
    await client.get("/admin/login")
    data = {"password": token, "csrftoken": client.cookies["starlette_admin_csrftoken"]}
    answer = await client.post("/admin/login", data=data)
    assert answer.status_code == 303, answer.text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=40, help="of each page (default: %(default)s)")
    parser.add_argument("--mysql", help="URL of a server where databases may be made")
    parser.add_argument("--output", type=Path, help="JSON")
    options = parser.parse_args()

    def measured(url: str) -> dict[str, dict[str, float]]:
        with (
            tempfile.TemporaryDirectory() as folder,
            open_catalog(CatalogSettings(url=url, folder=folder, publish=False)) as service,
        ):
            service.store.upgrade()
            return asyncio.run(bench(service, options.products, options.rounds))

    results = on_each_database(options.mysql, measured)
    table = Table("p95, ms", *(f"{name}: {part}" for name in results for part in ("page", "its CPU", "query")))
    for case in next(iter(results.values())):
        parts = ("page_p95_ms", "page_cpu_p95_ms", "query_p95_ms")
        table.add_row(case, *(f"{found[case][part]:.0f}" for found in results.values() for part in parts))
    console = Console()
    console.print(table)
    slowest = max(case["page_p95_ms"] for found in results.values() for case in found.values())
    cores = len(os.sched_getaffinity(0))
    console.print(
        f"{options.products:,} products, {cores} cores; slowest page {slowest:.0f} ms (target {TARGET_MS:.0f})"
    )
    if options.output:
        options.output.write_text(json.dumps(results, indent=2) + "\n")
    return 1 if slowest > TARGET_MS else 0


if __name__ == "__main__":
    sys.exit(main())
