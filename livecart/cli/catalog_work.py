"""The commands of `livecart catalog` as functions over the open catalog. Answers: JSON, and sentences."""

import asyncio
import getpass
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from contract.catalog import CATALOG_FILE
from livecart.core.errors import SettingsError
from livecart.shop.chapters import FORMATS, ChapterFormat, of_room
from livecart.shop.connectors.platform_source import Checked, PlatformSource
from livecart.shop.errors import FeedError, InvalidValue
from livecart.shop.import_export.folder import export_folder, import_folder
from livecart.shop.import_export.links_file import export_links, import_links
from livecart.shop.import_export.spreadsheet import TABLE_ENDINGS, write_csv
from livecart.shop.import_export.table_folder import ZIP, import_table_file
from livecart.shop.import_export.training import export_training
from livecart.shop.repositories import hosts, image_fetches, products, tokens
from livecart.shop.schemas.product import check_patch
from livecart.shop.service import CatalogService
from livecart.shop.sync.images import ImageFetcher, fetch_all
from livecart.shop.sync.source import NO_VALIDATORS, Feed
from livecart.shop.sync.syncer import Synced, Syncer

_DAY_S = 86_400.0
#: Of what is left out, what changes: as many lines as a person reads.
MOST_LINES = 20
_VALID = {True: "有效 valid", False: "失效 void"}


@dataclass(frozen=True)
class CommandResult:
    """`data` is what --json prints, `lines` what a person reads; `is_good` False: exit status 1."""

    data: dict[str, Any]
    lines: Sequence[str]
    is_good: bool = True
    #: Written to standard output as it is, in place of the lines.
    secret: str | None = field(default=None, repr=False)


def who() -> str:
    """For the audit log: who typed the command."""
    return f"cli:{getpass.getuser()}"


def upgrade(service: CatalogService) -> CommandResult:
    service.store.upgrade()
    with service.store.read() as session:
        count = products.count(session)
    return CommandResult({"products": count}, [f"已就绪 ready: {count} 个商品 products"])


def bring_in(service: CatalogService, source: Path, *, allow: Sequence[str], dry_run: bool) -> CommandResult:
    is_table = source.suffix.casefold() in {*TABLE_ENDINGS, ZIP}
    if dry_run and not is_table:
        raise SettingsError("--dry-run is for tables (.csv, .tsv, .txt, .xlsx, .zip)")
    with service.store.write(who()) as session:
        for pattern in allow:
            hosts.allow(session, pattern)
    if source.is_dir() or source.name == CATALOG_FILE:
        return _from_folder(service, source if source.is_dir() else source.parent)
    if is_table:
        return _from_table(service, source, dry_run)
    data = bytes_of(source)
    if source.suffix.casefold() != ".json":
        raise SettingsError(f"{source}: name a catalog folder, a product_links.json, a .csv, a .xlsx or a .zip of one")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FeedError("not_utf8", where=str(source), cause=error.reason, byte=error.start) from error
    done = service.store.edit(who(), lambda session: import_links(session, text, str(source)))
    return CommandResult(asdict(done), [_counts(done.created, done.changed, done.unchanged)])


def take_out(service: CatalogService, target: Path) -> CommandResult:
    try:
        with service.store.read(consistent=True) as session:
            if target.suffix.casefold() == ".csv":
                with target.open("w", encoding="utf-8", newline="") as file:
                    file.writelines(write_csv(products.every(session)))
            elif target.suffix.casefold() == ".json":
                target.write_text(export_links(session), encoding="utf-8")
            else:
                done = export_folder(session, service.photos, target)
                lines = [f"{target}: {done.products} 个商品 products, {done.photos} 张照片 photos"]
                lines += [f"链接未获准，已略去 left out, link not allowed: {sku}" for sku in done.left_out[:MOST_LINES]]
                lines += [
                    f"照片文件丢失，已略去 photo file lost, left out: {name}" for name in done.lost_photos[:MOST_LINES]
                ]
                return CommandResult({"target": str(target), **asdict(done)}, lines)
            count = products.count(session)
    except OSError as error:
        raise SettingsError(f"{target}: cannot be written: {error.strerror or error}") from error
    return CommandResult({"target": str(target), "products": count}, [f"{target}: {count} 个商品 products"])


def export_for_training(service: CatalogService, target: Path) -> CommandResult:
    try:
        target.mkdir(parents=True, exist_ok=True)
        with service.store.read(consistent=True) as session:
            done = export_training(session, service.photos, service.crops, target)
    except OSError as error:
        raise SettingsError(f"{target}: cannot be written: {error.strerror or error}") from error
    line = f"{target}: {done.catalog.products} 个商品 products, {done.crops} 张截图 crops"
    line += f"（已审核 decided {done.decided}）, {done.clicks} 次点击 clicks"
    return CommandResult({"target": str(target), **asdict(done)}, [line])


def fetch_photos(service: CatalogService, *, again: bool) -> CommandResult:
    """Fetch the pictures that are due."""
    if again:
        service.store.edit(who(), image_fetches.ask_again)
    fetcher = ImageFetcher(service.store, service.photos)
    asyncio.run(fetch_all(fetcher, lambda tried: print(f"  {tried} 张 pictures …", file=sys.stderr)))
    with service.store.read() as session:
        counts = image_fetches.counts(session)
    stats = fetcher.stats
    line = f"新收 in {stats.kept}, 未变 unchanged {stats.unchanged}, "
    line += f"待确认 held {stats.held}, 未收 refused {stats.refused}, 稍后 later {stats.retried}"
    return CommandResult({**asdict(stats), "now": counts}, [line], is_good=not stats.refused)


def chapters(
    service: CatalogService, room: str, start: datetime, end: datetime | None, form: ChapterFormat
) -> CommandResult:
    """Chapters of a recording of the room."""
    with service.store.read() as session:
        end_s = service.store.now_s() if end is None else end.timestamp()
        found = of_room(session, room, start_s=start.timestamp(), end_s=end_s)
    text = FORMATS[form][1](found)
    return CommandResult({"explanations": msgspec.to_builtins(found)}, text.splitlines())


def bytes_of(path: Path) -> bytes:
    """A file that the command line names."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror or error}") from error


def list_hosts(service: CatalogService) -> CommandResult:
    with service.store.read() as session:
        allowed = list(hosts.allowed(session))
    return CommandResult({"hosts": allowed}, allowed or ["（空 none）"])


def change_host(service: CatalogService, pattern: str, *, is_allowed: bool) -> CommandResult:
    with service.store.write(who()) as session:
        if is_allowed:
            hosts.allow(session, pattern)
        elif not hosts.forbid(session, pattern):
            raise SettingsError(f"{pattern} is not on the list; `livecart catalog hosts list` shows it")
    return list_hosts(service)


def create_token(service: CatalogService, name: str, role: tokens.Role, days: float | None) -> CommandResult:
    with service.store.write(who()) as session:
        token, info = tokens.issue(session, name, role, lifetime_s=None if days is None else days * _DAY_S)
    return CommandResult({"token": token, **asdict(info)}, [], secret=token)


def list_tokens(service: CatalogService) -> CommandResult:
    with service.store.read() as session:
        every = tokens.every(session)
    data = [asdict(token) | {"valid": _is_valid(token, service.store.now_s())} for token in every]
    lines = [
        f"{one['id']:>4}  {one['role']:<5}  {'有效 valid' if one['valid'] else '失效 void'}  {one['name']}"
        for one in data
    ]
    return CommandResult({"tokens": data}, lines or ["（空 none）"])


def revoke_token(service: CatalogService, token_id: int) -> CommandResult:
    with service.store.write(who()) as session:
        tokens.revoke(session, token_id)
    return CommandResult({"revoked": token_id}, [f"已作废 revoked: {token_id}"])


def sync(service: CatalogService, feed: str | None, *, dry_run: bool) -> CommandResult:
    feeds = service.settings.feeds if feed is None else [_feed(service, feed)]
    if not feeds:
        raise SettingsError("no feed is configured; name one in [[catalog.feeds]] of --config")
    results = {
        one.name: Syncer(service.store, one.source(), guard=one.guard).sync_once(dry_run=dry_run) for one in feeds
    }
    lines = [line for name, result in results.items() for line in _synced_lines(name, result)]
    data = {name: _synced(result) for name, result in results.items()}
    is_good = all(_is_good(result) for result in results.values())
    return CommandResult({"feeds": data}, lines, is_good)


def check_source(service: CatalogService, name: str) -> CommandResult:
    """One look at a feed: its clock, the fields that it grants, its first product as it would be kept."""
    source = _feed(service, name).source()
    try:
        if isinstance(source, PlatformSource):
            checked = source.check()
        else:
            page = next(iter(source.pages(None, NO_VALIDATORS)))
            checked = Checked(None, None, {}, None, next(iter(page.patches), None), next(iter(page.bad), None))
    finally:
        source.close()
    if checked.first is not None:
        with service.store.read() as session:
            try:
                checked.first = check_patch(checked.first, allowed_hosts=hosts.allowed(session))
            except InvalidValue as error:
                checked.problem = str(error)
    data = msgspec.to_builtins(checked)
    lines = [f"{name}: 可以读取 can be read"]
    if checked.total is not None:
        lines.append(f"在售商品 products on sale: {checked.total}")
    if checked.skew_s is not None:
        lines.append(f"本机时钟快 this clock is ahead by {checked.skew_s:.0f} s")
    if checked.token_ends_at_s is not None:
        ends = datetime.fromtimestamp(checked.token_ends_at_s).astimezone()
        lines.append(f"授权到期 authorised until {ends.isoformat(timespec='minutes')}")
    lines += [f"字段 fields ({where}): {', '.join(found)}" for where, found in checked.fields.items()]
    lines += ["首个商品 first product:"] if data["first"] else ["没有商品 no product"]
    lines += [f"  {field}: {value}" for field, value in (data["first"] or {}).items()]
    lines += [f"不会收下 would not be kept: {checked.problem}"] if checked.problem else []
    return CommandResult(data, lines, is_good=checked.problem is None)


def _feed(service: CatalogService, name: str) -> Feed:
    for feed in service.settings.feeds:
        if feed.name == name:
            return feed
    known = ", ".join(feed.name for feed in service.settings.feeds) or "none"
    raise SettingsError(f"no feed {name}; [[catalog.feeds]] of --config has: {known}")


def _from_folder(service: CatalogService, folder: Path) -> CommandResult:
    done = import_folder(service.store, service.photos, folder, who=who())
    counts = done.upserted
    lines = [f"{_counts(counts.created, counts.changed, counts.unchanged)}, {done.photos} 张照片 photos"]
    bad = _bad_photos(done.bad_photos, lines)
    return CommandResult({**asdict(counts), "photos": done.photos, "bad_photos": bad}, lines)


def _from_table(service: CatalogService, source: Path, dry_run: bool) -> CommandResult:
    done, photos = import_table_file(service.store, service.photos, source, who=who(), dry_run=dry_run)
    lines = [_counts(done.created, done.changed, done.unchanged) + ("（试算 dry run）" if dry_run else "")]
    lines += [f"有误 wrong: {row}" for row in done.bad_rows[:MOST_LINES]]
    if photos.count or photos.bad:
        lines.append(f"{photos.count} 张照片 photos")
    bad = _bad_photos(photos.bad, lines)
    data = {**msgspec.to_builtins(done), "photos": photos.count, "bad_photos": bad}
    return CommandResult(data, lines, is_good=not done.bad)


def _bad_photos(bad: Sequence[tuple[str, str, str]], lines: list[str]) -> list[dict[str, str]]:
    lines += [f"照片不可用 no photo: {sku}: {path}: {reason}" for sku, path, reason in bad[:MOST_LINES]]
    return [{"sku": sku, "path": path, "reason": reason} for sku, path, reason in bad]


def _counts(created: int, changed: int, unchanged: int) -> str:
    return f"新增 created {created}, 修改 changed {changed}, 未变 unchanged {unchanged}"


def _is_valid(token: tokens.TokenInfo, now_s: float) -> bool:
    return token.revoked_at_s is None and (token.expires_at_s is None or token.expires_at_s > now_s)


def _is_good(result: Synced) -> bool:
    refused = result.difference is not None and result.difference.refused is not None
    return result.outcome in {"done", "unchanged", "dry", "busy"} and not refused


def _synced(result: Synced) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(result)
    return fields


def _synced_lines(name: str, result: Synced) -> list[str]:
    found = result.difference
    if found is not None:
        counts = f"新增 create {found.created}, 修改 change {found.changed}, 下架 remove {found.removed}"
        lines = [f"{name}: {counts}, 有误 bad {found.bad}"]
        if found.refused:
            lines.append(f"{name}: 将被拒绝 would be refused: {found.refused}")
        lines += [f"  + {sku}" for sku in found.created_skus[:MOST_LINES]]
        lines += [f"  ~ {change.sku}: {change.before} → {change.after}" for change in found.changes[:MOST_LINES]]
        return [*lines, *(f"  - {sku}" for sku in found.removed_skus[:MOST_LINES])]
    run = result.run
    detail = f": {run.detail}" if run is not None and run.detail else ""
    counts = "" if run is None else f", {_counts(run.created, run.changed, 0)}, 下架 removed {run.removed}"
    return [f"{name}: {result.outcome}{counts}{detail}"]
