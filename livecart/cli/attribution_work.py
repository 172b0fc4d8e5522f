"""The commands of attribution_commands.py as functions over the open catalog."""

from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from livecart.cli.catalog_work import MOST_LINES, CommandResult, bytes_of, who
from livecart.shop.chapters import of_room
from livecart.shop.lift import Lift, lifts, read_orders
from livecart.shop.repositories import orders
from livecart.shop.repositories.product_rows import load_by_sku
from livecart.shop.service import CatalogService


def lift(service: CatalogService, table: Path, room: str, start: datetime, end: datetime | None) -> CommandResult:
    """Orders near explanations, and in the rest of the show."""
    found = read_orders(bytes_of(table), table.name)
    start_s, end_s = start.timestamp(), service.store.now_s() if end is None else end.timestamp()
    with service.store.read() as session:
        explained = of_room(session, room, start_s=start_s, end_s=end_s)
        sold = load_by_sku(session, [one.sku for one in explained])
    product_of = {variant.sku: product.sku for product in sold.values() for variant in product.variants}
    ordered = [(product_of.get(sku, sku), at_s) for sku, at_s in found.lines]
    rows = lifts(explained, ordered, start_s=start_s, end_s=end_s)
    lines = [
        "相关，不是因果：讲解时及之后 5 分钟的订单，与其余时间相比",
        "correlation, not cause: orders during an explanation and 5 min after it, against the rest of the show",
        "订单 near / else   每小时 an hour near / else   倍数 ratio (95 %)   货号 sku, 商品 name",
        *map(_lift_line, rows),
    ]
    if found.without_time:
        lines.append(f"没有时间，未计 left out, without a time: {found.without_time}")
    lines += [f"有误 wrong: {error}" for error in found.bad[:MOST_LINES]]
    data = {"correlation": [asdict(row) for row in rows], "orders": len(found.lines), "bad": len(found.bad)}
    return CommandResult(data | {"without_time": found.without_time}, lines, is_good=not found.bad)


def _lift_line(row: Lift) -> str:
    rates = " / ".join(
        f"{3600 * count / seconds:.1f}" if seconds else "–"
        for count, seconds in ((row.orders_near, row.near_s), (row.orders_else, row.else_s))
    )
    ratio = "–" if row.ratio is None else f"{row.ratio:.1f} ({row.low:.1f}–{row.high:.1f})"
    few = "  订单太少，不能说明什么 too few to tell" if row.is_few else ""
    return f"{row.orders_near} / {row.orders_else}   {rates}   {ratio}   {row.sku} {row.name}{few}"


def list_shops(service: CatalogService) -> CommandResult:
    with service.store.read() as session:
        shops = orders.sources(session)
    return CommandResult({"shops": shops}, shops or ["（空 none）"])


def shop_secret(service: CatalogService, shop: str, *, is_new: bool) -> CommandResult:
    with service.store.write(who()) as session:
        secret = (orders.add_source if is_new else orders.rotate_source)(session, shop)
    return CommandResult({"shop": shop, "secret": secret}, [], secret=secret)


def remove_shop(service: CatalogService, shop: str) -> CommandResult:
    with service.store.write(who()) as session:
        orders.remove_source(session, shop)
    return CommandResult({"removed": shop}, [f"已移除 removed: {shop}"])
