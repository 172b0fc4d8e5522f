"""Correlates orders with explanations: orders while a product was explained and soon after, against the rest.

A correlation: a product that is explained when the room is fullest sells then anyway.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from livecart.shop.chapters import Explanation
from livecart.shop.errors import FeedError, InvalidValue
from livecart.shop.import_export.cells import read_sku
from livecart.shop.import_export.columns import ORDER_TITLES
from livecart.shop.import_export.prices import read_date
from livecart.shop.import_export.spreadsheet import open_table

AFTER_S = 300.0
#: With fewer on either side a ratio says nothing.
FEW = 5
#: Standard deviations of a 95 % interval.
_WIDTH = 1.96


@dataclass(frozen=True, slots=True)
class Lift:
    """Orders of a product near its explanations and in the rest of the show; seconds of both.

    `ratio` is of their rates, `low` to `high` its 95 % interval, as if orders came by chance alone; None without an
    order on both sides.
    """

    sku: str
    name: str
    orders_near: int
    near_s: float
    orders_else: int
    else_s: float
    ratio: float | None
    low: float | None
    high: float | None
    is_few: bool


@dataclass(slots=True)
class Orders:
    """Lines of orders as (sku, UNIX time); those without a time are counted, those that cannot be read said."""

    lines: list[tuple[str, float]] = field(default_factory=list)
    without_time: int = 0
    bad: list[InvalidValue] = field(default_factory=list)


def read_orders(data: bytes, file_name: str) -> Orders:
    """Orders of a table, a line of an order in each row; times without a zone are this machine's.

    Raises:
        FeedError: as of `open_table`, or it has no column for the time.
    """
    table = open_table(data, file_name, ORDER_TITLES)
    if "ordered_at" not in table.heading.columns.values():
        raise FeedError("no_time_column", where=file_name)
    found = Orders()
    for where, values in table.cells():
        try:
            at, sku = read_date(values.get("ordered_at")), read_sku(values.get("sku"))
        except InvalidValue as error:
            error.where = where
            error.field = "ordered_at" if error.field == "price" else error.field
            found.bad.append(error)
            continue
        if at is None:
            found.without_time += 1
        elif sku:
            found.lines.append((sku, at.timestamp()))
    return found


def lifts(
    explained: Sequence[Explanation], lines: Iterable[tuple[str, float]], *, start_s: float, end_s: float
) -> list[Lift]:
    """Each product that was explained in a show from `start_s` to `end_s`, UNIX time; most orders first."""
    ordered: defaultdict[str, list[float]] = defaultdict(list)
    for sku, at_s in lines:
        if start_s <= at_s < end_s:
            ordered[sku].append(at_s)
    of_product: defaultdict[str, list[Explanation]] = defaultdict(list)
    for one in explained:
        of_product[one.sku].append(one)
    found = []
    for sku, parts in of_product.items():
        spans = list(_merged((part.started_at_s, _ends_s(part, end_s)) for part in parts))
        near_s = sum(to_s - from_s for from_s, to_s in spans)
        near = sum(any(from_s <= at_s < to_s for from_s, to_s in spans) for at_s in ordered[sku])
        times = (near, near_s, len(ordered[sku]) - near, end_s - start_s - near_s)
        found.append(Lift(sku, parts[-1].name, *times, *_ratio(*times), min(times[0], times[2]) < FEW))
    return sorted(found, key=lambda lift: (-lift.orders_near - lift.orders_else, lift.sku))


def _ends_s(part: Explanation, end_s: float) -> float:
    return min(part.started_at_s + part.end_s - part.start_s + AFTER_S, end_s)


def _merged(spans: Iterable[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    last: tuple[float, float] | None = None
    for from_s, to_s in sorted(spans):
        if last is not None and from_s <= last[1]:
            last = (last[0], max(last[1], to_s))
            continue
        if last is not None:
            yield last
        last = (from_s, to_s)
    if last is not None:
        yield last


def _ratio(near: int, near_s: float, elsewhere: int, else_s: float) -> tuple[float | None, float | None, float | None]:
    if not (near and elsewhere and near_s > 0 and else_s > 0):
        return None, None, None
    ratio = near / near_s / (elsewhere / else_s)
    factor = math.exp(_WIDTH * math.sqrt(1 / near + 1 / elsewhere))
    return ratio, ratio / factor, ratio * factor
