"""`livecart catalog lift` and `… postback`: options of the commands in attribution_work.py."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from livecart.cli.catalog_commands import Config, Folder, Json, Url, command_group, moment, run_on_catalog

if TYPE_CHECKING:
    from livecart.cli.catalog_work import CommandResult
    from livecart.shop.service import CatalogService

LIFT_HELP = """订单与讲解：讲解时卖了多少、其余时间卖了多少。

Orders of each product while it was explained in ROOM and for 5 minutes after, against the rest of the show: a
correlation, which says nothing of the cause. For platforms whose carts tell us of no click. ORDERS is a platform's
export, a .csv or .xlsx with columns for sku (商家编码) and time (付款时间); times without a zone are this machine's.

\b
  livecart catalog lift orders.csv room-1 --start 2026-11-30T20:00:00+08:00 --end 2026-11-30T23:00:00+08:00
"""
_POSTBACK = """订单回传 shops that may report orders at /postback/SHOP (docs/attribution.md).

\b
  livecart catalog postback add till --config rooms.toml
"""

postback_cli = command_group(_POSTBACK)
Place = tuple[Path | None, str | None, Path | None]
Shop = Annotated[str, typer.Argument(metavar="SHOP", help="商店名 its name.", show_default=False)]


def lift_command(
    orders: Annotated[Path, typer.Argument(metavar="ORDERS", show_default=False)],
    room: Annotated[str, typer.Argument(metavar="ROOM", show_default=False)],
    *,
    start: Annotated[
        datetime, typer.Option("--start", parser=moment, metavar="TIME", help="开播 of the show, with its zone.")
    ],
    end: Annotated[
        datetime | None, typer.Option("--end", parser=moment, metavar="TIME", help="下播 its end; default: now.")
    ] = None,
    config: Config = None,
    url: Url = None,
    folder: Folder = None,
    json: Json = False,
) -> None:
    _run((config, url, folder), json, lambda work, service: work.lift(service, orders, room, start, end))


@postback_cli.command("list", help="列出 the shops.")
def list_shops(config: Config = None, url: Url = None, folder: Folder = None, json: Json = False) -> None:
    _run((config, url, folder), json, lambda work, service: work.list_shops(service))


@postback_cli.command("add", help="添加 let a shop report orders; its secret is printed this once.")
def add_shop(shop: Shop, config: Config = None, url: Url = None, folder: Folder = None, json: Json = False) -> None:
    _run((config, url, folder), json, lambda work, service: work.shop_secret(service, shop, is_new=True))


@postback_cli.command("rotate", help="换密钥 a new secret; the old one is taken too for a day.")
def rotate_shop(shop: Shop, config: Config = None, url: Url = None, folder: Folder = None, json: Json = False) -> None:
    _run((config, url, folder), json, lambda work, service: work.shop_secret(service, shop, is_new=False))


@postback_cli.command("remove", help="移除 take no more reports of a shop; its orders stay.")
def remove_shop(shop: Shop, config: Config = None, url: Url = None, folder: Folder = None, json: Json = False) -> None:
    _run((config, url, folder), json, lambda work, service: work.remove_shop(service, shop))


def _run(place: Place, as_json: bool, do: Callable[[Any, CatalogService], CommandResult]) -> None:
    def on_catalog(_: Any, service: CatalogService) -> CommandResult:
        # Not above: the catalog's packages may not be there.
        from livecart.cli import attribution_work

        return do(attribution_work, service)

    run_on_catalog(place, as_json, on_catalog)
