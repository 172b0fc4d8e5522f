"""Routes of tables and product_links.json, in and out; and of feeds: past readings, a dry run of the next."""

import tempfile
from collections.abc import Iterator
from typing import Annotated, BinaryIO, cast

import msgspec
from fastapi import APIRouter, File, Path, Query, Response, UploadFile
from fastapi.responses import StreamingResponse
from msgspec import Meta
from sqlalchemy.orm import Session

from livecart.shop.api.error_handlers import Refused
from livecart.shop.api.openapi import Json
from livecart.shop.api.operations import KIB, MIB, RawBody, Writer, Writing, reads, writes
from livecart.shop.errors import NotFound
from livecart.shop.import_export.links_file import export_links, import_links
from livecart.shop.import_export.spreadsheet import MOST_BYTES, read_table, write_csv
from livecart.shop.import_export.table_import import TableResult, import_table
from livecart.shop.repositories import products
from livecart.shop.repositories.bulk import Upserted
from livecart.shop.service import CatalogService
from livecart.shop.sync import runs
from livecart.shop.sync.runs import FeedRun
from livecart.shop.sync.syncer import Difference, Syncer

_RUNS_SHOWN = 10
_FORM_BYTES = 64 * KIB
_LINKS_BYTES = 8 * MIB
#: Of an export: what is larger goes to the disk until it is sent.
_IN_MEMORY_BYTES = 4 * MIB
_PIECE_BYTES = 256 * KIB
_LINKS_EXAMPLE = {"螺蛳粉": "https://shop.example.com/item/1001"}
_LINKS_CONTENT = {"application/json": {"schema": {"type": "object"}, "example": _LINKS_EXAMPLE}}
_LINKS_REQUEST = {
    "requestBody": {
        "required": True,
        "description": "A product_links.json, at most 8 MiB.",
        "content": _LINKS_CONTENT,
    }
}


class FeedRuns(msgspec.Struct):
    """A feed of the settings, and its newest runs."""

    name: Annotated[str, Meta(examples=["shop"])]
    every_s: Annotated[float, Meta(examples=[300.0])]
    runs: list[FeedRun]


class FeedList(msgspec.Struct):
    """All feeds of the settings."""

    feeds: list[FeedRuns]


class DryRun(Difference):
    """The changes that a reading would make. Lists end at 1,000 entries, the counts do not."""

    outcome: Annotated[str, Meta(description="dry, failed, busy", examples=["dry"])] = "dry"


def add_files(router: APIRouter, service: CatalogService, writer: Writer) -> None:
    """`/tables`, `/catalog.csv`, `/product_links.json`."""
    store = service.store

    @router.post("/tables", **writes(most_bytes=MOST_BYTES + _FORM_BYTES))
    def upload_table(
        table: Annotated[UploadFile, File(description=".csv, .tsv, .txt or .xlsx; a row of titles names the columns.")],
        caller: Writing,
        dry_run: Annotated[bool, Query(description="Change nothing; say what would change.")] = False,
    ) -> Json[TableResult]:
        """Create and change what a table holds; what it does not name stays. Rows that are no products are left out.

        It may be sent again after a failure: what came in already is found unchanged.
        """
        name = table.filename or "table"
        rows = read_table(table.file.read(), name if name.isprintable() and len(name) <= 255 else "table")
        if dry_run:
            return Json(import_table(store, rows, who=caller.who, dry_run=True))
        answered = writer.answered(caller)
        if answered is not None:
            return cast(Json[TableResult], answered)
        done = import_table(store, rows, who=caller.who)
        return writer.run(caller, lambda _: Json(done))

    @router.get(
        "/catalog.csv",
        response_class=StreamingResponse,
        **reads(
            responses={200: {"content": {"text/csv": {}}, "description": "UTF-8; formulas start with an apostrophe"}}
        ),
    )
    def export_csv() -> Response:
        """The whole catalog as a table that `POST /tables` takes. Nothing in it runs in a spreadsheet."""
        file = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115  closed when it is sent
        try:
            # Whole before the first byte goes out: a slow reader must not hold a transaction open.
            with store.read(consistent=True) as session:
                for line in write_csv(products.every(session)):
                    file.write(line.encode())
            file.seek(0)
        except BaseException:
            file.close()
            raise
        headers = {"Content-Disposition": 'attachment; filename="catalog.csv"'}
        return StreamingResponse(_pieces(cast(BinaryIO, file)), media_type="text/csv; charset=utf-8", headers=headers)

    @router.get("/product_links.json", **reads(responses={200: {"content": _LINKS_CONTENT}}))
    def export_product_links() -> Response:
        """The catalog as product_links.json: keys, form and order of an imported one, and what was changed since."""
        with store.read(consistent=True) as session:
            return Response(export_links(session), media_type="application/json")

    @router.put(
        "/product_links.json",
        **writes(most_bytes=_LINKS_BYTES, openapi_extra=_LINKS_REQUEST),
    )
    def import_product_links(raw: RawBody, caller: Writing) -> Json[Upserted]:
        """Create and change what a product_links.json names, all of it or nothing; what it does not name stays."""
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Refused(400, "bad_request", f"the body is not UTF-8: {error.reason} at byte {error.start}") from error

        def work(session: Session) -> Json[Upserted]:
            return Json(import_links(session, text))

        return writer.run(caller, work)


def add_feeds(router: APIRouter, service: CatalogService, _: Writer) -> None:
    """`/feeds`."""
    feeds = {feed.name: feed for feed in service.settings.feeds}

    @router.get("/feeds", **reads())
    def list_feeds() -> Json[FeedList]:
        """The feeds of the settings, each with its newest readings."""
        with service.store.read() as session:
            found = [
                FeedRuns(feed.name, feed.every_s, list(map(_shown, runs.latest(session, name, limit=_RUNS_SHOWN))))
                for name, feed in feeds.items()
            ]
        return Json(FeedList(found))

    @router.post("/feeds/{name}/dry-run", **writes())
    def dry_run(name: Annotated[str, Path(max_length=64, examples=["shop"])], _: Writing) -> Json[DryRun]:
        """Read a feed now, and say what it would change. Changes nothing; takes as long as the feed takes."""
        feed = feeds.get(name)
        if feed is None:
            raise NotFound("no_feed", name=name, known=", ".join(feeds) or "none")
        source = feed.source()
        try:
            synced = Syncer(service.store, source, guard=feed.guard).sync_once(dry_run=True)
        finally:
            source.close()
        difference = synced.difference or Difference()
        detail = None if synced.run is None else synced.run.detail
        refused = difference.refused or (detail if synced.outcome == "failed" else None)
        return Json(DryRun(**{**msgspec.structs.asdict(difference), "outcome": synced.outcome, "refused": refused}))


def _shown(run: runs.Run) -> FeedRun:
    """Without the place to go on from, which may hold a feed's own address."""
    return msgspec.convert(run, FeedRun, from_attributes=True)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE_BYTES):
            yield piece
