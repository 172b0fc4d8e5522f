"""`livecart catalog …`: options of the commands in catalog_work.py. Exit codes: 0 done, 1 not or not all, 2 usage."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from livecart.cli.running import set_up_logging
from livecart.core.errors import LivecartError, SettingsError
from livecart.server.rooms_file import CATALOG_URL_VARIABLE, read_rooms_file

if TYPE_CHECKING:
    from livecart.cli.catalog_work import CommandResult
    from livecart.shop.service import CatalogService
    from livecart.shop.settings import CatalogSettings

_CATALOG = """商品库：建表、导入导出、令牌、同步。

The shop's catalog: tables, import and export, tokens of the API, feeds.

It is the one of --config, section [catalog]; or of --url and --folder. Every command first makes the tables, or brings
them to this version.

\b
  livecart catalog init --config rooms.toml
  livecart catalog import my-shop --allow shop.example.com --config rooms.toml
  livecart catalog token create till --role edit --url sqlite:///catalog.db --folder catalog
"""
_IMPORT = """导入：商品目录、product_links.json、CSV 或 Excel，或装有表格和图片的 zip。

Create and change what SOURCE holds: a catalog folder, a product_links.json, a .csv or a .xlsx, or a .zip of one. Files
that a table's column of pictures names, beside it, become photos. What it does not name stays. It may be run again
after a failure.

\b
  livecart catalog import my-shop --allow shop.example.com
  livecart catalog import product_links.json
  livecart catalog import prices.xlsx --dry-run
"""
_EXPORT = """导出：商品目录、product_links.json 或 CSV。

Write the catalog to TARGET: a .csv, a .json (product_links.json: keys, form and order as they came in), else a folder.
"""
_EXPORT_TRAINING = """导出训练数据：商品、审核过的截图、点击。

Write what staff and viewers taught to FOLDER, for scripts/fit_calibration.py --feedback: the catalog, the crops of the
review queue with what was decided, and counts of clicks and reports. docs/feedback.md describes it.
"""
_TOKEN = """接口令牌 tokens of the API and of /catalog/snapshot; roles: read, edit, admin."""
_TOKEN_CREATE = """新建令牌，只显示这一次。

Make a token; it is printed this once.

\b
  livecart catalog token create archive --role read
"""
_HOSTS = """允许的链接域名 hosts that purchase links may lead to: shop.example.com, host:port, *.example.com."""
_FETCH = """下载商品的图片地址，作为照片。

Fetch now the pictures that products name by URL (a feed's, a table's), which `livecart run` does by itself. Exit code
1: some are refused; the product's page and `GET /products/{sku}/photos` say why.
"""
_CHAPTERS = """回放章节：讲解了什么、从几时到几时。

What was explained when, for a recording of ROOM that began at --start: what its players show as chapters, and what its
cutters cut by. Of a pause of less than 15 s nothing is seen, what was shown for less than 5 s is left out.

\b
  livecart catalog chapters room-1 --start 2026-11-30T20:00:00+08:00 > show.csv
  livecart catalog chapters room-1 --start 2026-11-30T20:00:00+08:00 --format vtt > show.vtt

Formats: csv; vtt for <track kind=chapters>; apple for HLS (com.apple.hls.chapters); dateranges for a playlist; text for
a video's description.
"""
_SYNC = """读取 [[catalog.feeds]] 里的数据源。

Read the feeds of --config now, all or the one named. With --dry-run nothing changes, and the difference is shown. Exit
code 1: a feed failed, or was refused.
"""


_CHECK = """试读一个数据源：时钟、字段、首个商品。

Ask one feed of --config for its first products, and keep nothing: how far this machine's clock is off, which fields the
platform grants, the first product as it would be kept. Exit code 1: it cannot be read, or would not be kept.

\b
  livecart catalog check-source tmall --config rooms.toml
"""


def command_group(about: str) -> typer.Typer:
    """A group of commands."""
    options = {"help_option_names": ["-h", "--help"]}
    return typer.Typer(help=about, no_args_is_help=True, rich_markup_mode=None, context_settings=options)


catalog_cli, token_cli, hosts_cli = command_group(_CATALOG), command_group(_TOKEN), command_group(_HOSTS)
catalog_cli.add_typer(token_cli, name="token")
catalog_cli.add_typer(hosts_cli, name="hosts")

Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="直播间配置 rooms.toml with a section [catalog].")
]
Url = Annotated[
    str | None,
    typer.Option("--url", envvar=CATALOG_URL_VARIABLE, help="数据库 sqlite:///file.db or mysql+pymysql://…"),
]
Folder = Annotated[
    Path | None, typer.Option("--folder", metavar="FOLDER", help="照片和快照 photos, snapshots; default: catalog.")
]
Json = Annotated[bool, typer.Option("--json", help="输出 JSON one object, for programs.")]
Role = Literal["read", "edit", "admin"]
#: `chapters.ChapterFormat`, which is imported with the catalog alone.
ChapterForm = Literal["csv", "vtt", "apple", "dateranges", "text"]


def moment(text: str) -> datetime:
    """A time of the command line."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no time such as 2026-11-30T20:00:00+08:00") from None
    return moment.astimezone()  # without a zone it is this machine's


@catalog_cli.command("init", help="建表 make the tables, or bring them to this version.")
@catalog_cli.command("upgrade", help="更新表 the same as init.")
def upgrade(config: Config = None, url: Url = None, folder: Folder = None, json: Json = False) -> None:
    run_on_catalog((config, url, folder), json, lambda work, service: work.upgrade(service))


@catalog_cli.command("import", help=_IMPORT)
def import_command(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", show_default=False)],
    *,
    allow: Annotated[
        list[str] | None, typer.Option("--allow", metavar="HOST", help="先允许这个域名 allow links to HOST first.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="试算 of a table: only say what would change.")] = False,
    config: Config = None,
    url: Url = None,
    folder: Folder = None,
    json: Json = False,
) -> None:
    run_on_catalog(
        (config, url, folder),
        json,
        lambda work, service: work.bring_in(service, source, allow=allow or [], dry_run=dry_run),
    )


@catalog_cli.command("export", help=_EXPORT)
def export_command(
    target: Annotated[Path, typer.Argument(metavar="TARGET", show_default=False)],
    *,
    config: Config = None,
    url: Url = None,
    folder: Folder = None,
    json: Json = False,
) -> None:
    run_on_catalog((config, url, folder), json, lambda work, service: work.take_out(service, target))


@catalog_cli.command("export-training", help=_EXPORT_TRAINING)
def export_training(
    target: Annotated[Path, typer.Argument(metavar="FOLDER", show_default=False)],
    *,
    config: Config = None,
    url: Url = None,
    folder: Folder = None,
    json: Json = False,
) -> None:
    run_on_catalog((config, url, folder), json, lambda work, service: work.export_for_training(service, target))


@catalog_cli.command("sync", help=_SYNC)
def sync(
    feed: Annotated[str | None, typer.Argument(metavar="[FEED]", show_default=False)] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="试算 only say what would change.")] = False,
    config: Config = None,
    url: Url = None,
    folder: Folder = None,
    json: Json = False,
) -> None:
    run_on_catalog((config, url, folder), json, lambda work, service: work.sync(service, feed, dry_run=dry_run))


@catalog_cli.command("check-source", help=_CHECK)
def check_source(
    name: Annotated[str, typer.Argument(metavar="FEED", show_default=False)],
    config: Config = None,
    url: Url = None,
    folder: Folder = None,
    json: Json = False,
) -> None:
    run_on_catalog((config, url, folder), json, lambda work, service: work.check_source(service, name))


@catalog_cli.command("fetch-photos", help=_FETCH)
def fetch_photos(
    *,
    again: Annotated[bool, typer.Option("--again", help="再试未收的 also those that were refused.")] = False,
    config: Config = None,
    url: Url = None,
    folder: Folder = None,
    json: Json = False,
) -> None:
    run_on_catalog((config, url, folder), json, lambda work, service: work.fetch_photos(service, again=again))


@catalog_cli.command("chapters", help=_CHAPTERS)
def chapters(
    room: Annotated[str, typer.Argument(metavar="ROOM", show_default=False)],
    *,
    start: Annotated[
        datetime,
        typer.Option("--start", parser=moment, metavar="TIME", help="录像开始 of the recording, with its zone."),
    ],
    end: Annotated[
        datetime | None,
        typer.Option("--end", parser=moment, metavar="TIME", help="录像结束 its end; default: now."),
    ] = None,
    form: Annotated[ChapterForm, typer.Option("--format", help="格式 the form.")] = "csv",
    config: Config = None,
    url: Url = None,
    folder: Folder = None,
    json: Json = False,
) -> None:
    run_on_catalog((config, url, folder), json, lambda work, service: work.chapters(service, room, start, end, form))


@token_cli.command("create", help=_TOKEN_CREATE)
def create_token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="谁用 who or what holds it.", show_default=False)],
    *,
    role: Annotated[Role, typer.Option("--role", help="权限 what it may do.")] = "read",
    days: Annotated[
        float | None, typer.Option("--days", min=0.01, help="有效天数 valid for so long; default: until revoked.")
    ] = None,
    config: Config = None,
    url: Url = None,
    folder: Folder = None,
    json: Json = False,
) -> None:
    run_on_catalog((config, url, folder), json, lambda work, service: work.create_token(service, name, role, days))


@token_cli.command("list", help="列出 all tokens: id, role, whether valid, name.")
def list_tokens(config: Config = None, url: Url = None, folder: Folder = None, json: Json = False) -> None:
    run_on_catalog((config, url, folder), json, lambda work, service: work.list_tokens(service))


@token_cli.command("revoke", help="作废 make a token void; its id is in `token list`.")
def revoke_token(
    token_id: Annotated[int, typer.Argument(metavar="ID", show_default=False)],
    config: Config = None,
    url: Url = None,
    folder: Folder = None,
    json: Json = False,
) -> None:
    run_on_catalog((config, url, folder), json, lambda work, service: work.revoke_token(service, token_id))


@hosts_cli.command("list", help="列出 the list.")
def list_hosts(config: Config = None, url: Url = None, folder: Folder = None, json: Json = False) -> None:
    run_on_catalog((config, url, folder), json, lambda work, service: work.list_hosts(service))


def _host_command(name: str, about: str, is_allowed: bool) -> None:
    @hosts_cli.command(name, help=about)
    def change(
        host: Annotated[str, typer.Argument(metavar="HOST", show_default=False)],
        config: Config = None,
        url: Url = None,
        folder: Folder = None,
        json: Json = False,
    ) -> None:
        run_on_catalog(
            (config, url, folder), json, lambda work, service: work.change_host(service, host, is_allowed=is_allowed)
        )


_host_command("allow", "允许 put a host on the list.", True)
_host_command("forbid", "取消 take a host off: cards that lead there are shown no more.", False)


def run_on_catalog(
    place: tuple[Path | None, str | None, Path | None],
    as_json: bool,
    do: Callable[[Any, CatalogService], CommandResult],
) -> None:
    """Do something with the catalog of --config, --url and --folder; print the answer and exit."""
    set_up_logging(logging.WARNING)
    try:
        answer = _answer(_settings(*place), do)
    except LivecartError as error:
        print(f"livecart: {error}{_advice(str(error))}", file=sys.stderr)
        raise typer.Exit(1) from error
    if as_json:
        print(json.dumps(answer.data, ensure_ascii=False, default=str))
    else:
        print(answer.secret or "\n".join(answer.lines))
    raise typer.Exit(0 if answer.is_good else 1)


def _advice(refusal: str) -> str:
    if "is not an allowed link host" in refusal:
        return "; put it on the list by `livecart catalog hosts allow HOST`, or import with --allow HOST"
    return ""


def _answer(settings: CatalogSettings, do: Callable[[Any, CatalogService], CommandResult]) -> CommandResult:
    from livecart.cli import catalog_work
    from livecart.shop.service import open_catalog

    try:
        with open_catalog(settings) as service:
            service.store.upgrade()
            return do(catalog_work, service)
    except OSError as error:
        raise SettingsError(f"{error.filename or settings.folder}: {error.strerror or error}") from error


def _settings(config: Path | None, url: str | None, folder: Path | None) -> CatalogSettings:
    import msgspec

    try:
        from livecart.shop.settings import CatalogSettings
    except ImportError as error:
        raise SettingsError(f"the catalog needs the extra: pip install 'livecart[catalog]' ({error})") from error
    settings = None if config is None else read_rooms_file(config).catalog
    if settings is None:
        if url is None:
            raise SettingsError(
                "name the catalog: --config rooms.toml with a section [catalog], or --url (and --folder)"
            )
        settings = CatalogSettings(url=url)
    given = {"url": url if config is None else None, "folder": None if folder is None else str(folder)}
    changed = {name: value for name, value in given.items() if value is not None}
    # Whoever serves publishes; a command only changes the catalog.
    return msgspec.structs.replace(settings, publish=False, **changed)
