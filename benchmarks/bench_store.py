"""The catalog's store and cache against the plain way of doing the same, in the same run.

1. Bulk upsert of products, against one transaction a product.
2. Pages of a search in a large catalog (p95), against OFFSET paging of the last page.
3. Stock look-ups through the cache, against visit the database each time.

  bench_store.py --mysql mysql+pymysql://root@127.0.0.1:3306/test --redis redis://127.0.0.1:6379/10

Without --mysql and --redis only SQLite and memory:// are measured. A MySQL database of its own is made and dropped.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table
from sqlalchemy import create_engine, select, text

from livecart.shop.availability.cache import AvailabilityCache
from livecart.shop.availability.open import open_cache
from livecart.shop.database.store import Store, open_store
from livecart.shop.models.products import ProductRow
from livecart.shop.repositories import (
    bulk,
    hosts,
    products,
)
from livecart.shop.repositories.search import search
from livecart.shop.schemas.product import ProductPatch

ROOT = Path(__file__).resolve().parent.parent


HOST = "shop.example.com"
T = TypeVar("T")
BRANDS = ("好欢螺", "农夫山泉", "康师傅", "三只松鼠", "百草味", "良品铺子", "旺旺", "统一", "蒙牛", "伊利")
GOODS = ("螺蛳粉", "矿泉水", "方便面", "坚果", "牛肉干", "雪饼", "绿茶", "酸奶", "薯片", "饼干", "咖啡", "酱油", "面膜")
TASTES = ("原味", "麻辣", "荔枝味", "柠檬味", "海盐", "无糖", "加辣", "番茄", "芝士", "抹茶")
RARE = 7919


def product(number: int) -> ProductPatch:
    """A product of the large catalog; each 7919th has a word that no other has."""
    brand, goods, taste = (
        names[number // divisor % len(names)] for names, divisor in ((BRANDS, 1), (GOODS, 10), (TASTES, 160))
    )
    rare = ("稀有货",) if number % RARE == 0 else ()
    return ProductPatch(
        sku=f"{number:08d}",
        name=f"{brand}{taste}{goods} {number % 500 + 1}g",
        url=f"https://{HOST}/item/{number}",
        brand=brand,
        words=(goods, taste, *rare),
        price=Decimal(number % 9973) / 100,
        currency="CNY",
        stock=number % 50,
    )


def rate(work: Callable[[], Any], count: int) -> float:
    started_s = time.perf_counter()
    work()
    return count / (time.perf_counter() - started_s)


def quantiles_ms(work: Callable[[int], Any], rounds: int) -> tuple[float, float]:
    took = []
    for number in range(rounds):
        started_s = time.perf_counter()
        work(number)
        took.append(time.perf_counter() - started_s)
    took.sort()
    return took[len(took) // 2] * 1e3, took[int(len(took) * 0.95)] * 1e3


def bench_bulk(store: Store, count: int) -> dict[str, float]:
    """Products/s: created, changed, unchanged; and one at a time."""
    edit = partial(store.edit, "bench")
    created = rate(lambda: bulk.in_batches(edit, map(product, range(count))), count)
    some = min(count, 10_000)
    changed = rate(lambda: bulk.in_batches(edit, (ProductPatch(sku=f"{n:08d}", stock=51) for n in range(some))), some)
    unchanged = rate(lambda: bulk.in_batches(edit, (ProductPatch(sku=f"{n:08d}", stock=51) for n in range(some))), some)
    single = 300

    def one_at_a_time() -> None:
        for number in range(count, count + single):
            with store.write("bench") as session:
                products.create(session, product(number))

    return {
        "created_per_s": created,
        "changed_per_s": changed,
        "unchanged_per_s": unchanged,
        "one_at_a_time_per_s": rate(one_at_a_time, single),
    }


def bench_pages(store: Store, count: int, rounds: int) -> dict[str, float]:
    """Milliseconds of a page: list, search for what is common, rare and nowhere, and edit."""
    chosen = random.Random(0)  # noqa: S311
    queries: dict[str, Callable[[Any], Any]] = {
        "list": lambda session: search(session, cursor=chosen.randrange(count)),
        "common": lambda session: search(session, chosen.choice(GOODS), cursor=chosen.randrange(count)),
        "two words": lambda session: search(session, f"{chosen.choice(BRANDS)} {chosen.choice(TASTES)}"),
        "rare": lambda session: search(session, "稀有"),
        "nowhere": lambda session: search(session, "没有这个"),
        "sku": lambda session: search(session, f"{chosen.randrange(count):08d}"),
        "edit page": lambda session: products.get(session, f"{chosen.randrange(count):08d}"),
    }
    found: dict[str, float] = {}
    for name, query in queries.items():

        def page(_: int, query: Callable[[Any], Any] = query) -> None:
            with store.read() as session:
                query(session)

        _, found[f"{name}_p95_ms"] = quantiles_ms(page, rounds)

    def save(number: int) -> None:
        with store.write("bench") as session:
            sku = f"{chosen.randrange(count):08d}"
            products.update(session, ProductPatch(sku=sku, stock=number % 40 + 60), expected_version=None)

    _, found["save_p95_ms"] = quantiles_ms(save, rounds)

    def last_page_by_offset(_: int) -> None:
        with store.read() as session:
            query = select(ProductRow).where(ProductRow.name.like("%螺蛳粉%")).order_by(ProductRow.sku)
            session.scalars(query.limit(50).offset(count // len(GOODS) - 60)).all()

    _, found["offset_paging_p95_ms"] = quantiles_ms(last_page_by_offset, max(5, rounds // 5))
    return found


def bench_lookups(cache: AvailabilityCache, count: int, seconds: float) -> float:
    """Confirmations/s of one thread; a hundred products on air, as in a show."""
    chosen = random.Random(0)  # noqa: S311
    skus = [f"{chosen.randrange(count):08d}" for _ in range(100)]
    done, started_s = 0, time.perf_counter()
    while time.perf_counter() - started_s < seconds:
        for sku in skus:
            cache.check([sku])
        done += len(skus)
    return done / (time.perf_counter() - started_s)


def bench_uncached(store: Store, count: int, seconds: float) -> float:
    """The same, from the database each time."""
    chosen = random.Random(0)  # noqa: S311
    done, started_s = 0, time.perf_counter()
    while time.perf_counter() - started_s < seconds:
        with store.read() as session:
            products.get(session, f"{chosen.randrange(count):08d}")
            hosts.allowed(session)
        done += 1
    return done / (time.perf_counter() - started_s)


@contextmanager
def mysql_database(url: str) -> Iterator[str]:
    """A database of its own on the server of `url`."""
    name = f"livecart_bench_{uuid.uuid4().hex[:8]}"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
        try:
            yield engine.url.set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(text(f"DROP DATABASE {name}"))
    engine.dispose()


def on_each_database(mysql: str | None, bench: Callable[[str], T]) -> dict[str, T]:
    """Results of `bench` on a SQLite file and, given a server's URL, on MySQL; each is empty at first."""
    with tempfile.TemporaryDirectory() as folder:
        results = {"sqlite": bench(f"sqlite:///{folder}/catalog.db")}
    if mysql:
        with mysql_database(mysql) as url:
            results["mysql"] = bench(url)
    return results


def add_row(
    table: Table, results: dict[str, dict[str, Any]], title: str, value: Callable[[dict[str, Any]], str]
) -> None:
    table.add_row(title, *(value(found) for found in results.values()))


def bench_store(url: str, caches: dict[str, str], options: argparse.Namespace) -> dict[str, Any]:
    store = open_store(url)
    store.upgrade()
    with store.write("bench") as session:
        hosts.allow(session, HOST)
    found: dict[str, Any] = {"bulk": bench_bulk(store, options.products)}
    found["pages"] = bench_pages(store, options.products, options.rounds)
    found["uncached_per_s"] = bench_uncached(store, options.products, options.seconds)
    found["cached_per_s"] = {}
    for name, cache_url in caches.items():
        cache = open_cache(cache_url, store)
        found["cached_per_s"][name] = bench_lookups(cache, options.products, options.seconds)
        cache.close()
    store.close()
    return found


def show(results: dict[str, dict[str, Any]], console: Console) -> None:
    """Figures and ratios, a column a database."""
    table = Table("", *results)

    row = partial(add_row, table, results)
    first = next(iter(results.values()))
    for name in first["bulk"]:
        row(
            f"bulk {name}",
            lambda found, name=name: (  # type: ignore[misc]
                f"{found['bulk'][name]:,.0f} ({found['bulk'][name] / found['bulk']['one_at_a_time_per_s']:.1f}x)"
            ),
        )
    for name in first["pages"]:
        row(name, lambda found, name=name: f"{found['pages'][name]:.1f}")  # type: ignore[misc]
    row("look-ups/s, database", lambda found: f"{found['uncached_per_s']:,.0f}")
    for name in first["cached_per_s"]:
        row(
            f"look-ups/s, {name}",
            lambda found, name=name: (  # type: ignore[misc]
                f"{found['cached_per_s'][name]:,.0f} ({found['cached_per_s'][name] / found['uncached_per_s']:.1f}x)"
            ),
        )
    console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=60, help="pages of each kind (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of look-ups of each kind (default: %(default)s)")
    parser.add_argument("--mysql", help="URL of a server where databases may be made")
    parser.add_argument("--redis")
    parser.add_argument("--output", type=Path, help="JSON")
    options = parser.parse_args()
    caches = {"memory": "memory://"}
    if options.redis:
        caches["redis"] = f"{options.redis}?prefix=bench-{uuid.uuid4().hex[:8]}"
    results = on_each_database(options.mysql, lambda url: bench_store(url, caches, options))
    console = Console()
    show(results, console)
    console.print(f"{options.products:,} products, {len(os.sched_getaffinity(0))} cores")
    if options.output:
        options.output.write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
