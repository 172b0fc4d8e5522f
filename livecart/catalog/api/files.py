"""Routes of files: tables in and out, product_links.json in and out."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Annotated, Any, BinaryIO, cast

from fastapi import APIRouter, File, Query, Response, UploadFile
from fastapi.responses import StreamingResponse
from sqlalchemy.orm import Session

from livecart.catalog.api.answers.feeds import TableAnswer
from livecart.catalog.api.answers.products import UpsertedAnswer
from livecart.catalog.api.faults import Refused
from livecart.catalog.api.operations import KIB, MIB, RawBody, Writer, Writing, json_reply, reads, writes
from livecart.catalog.records import products
from livecart.catalog.service import CatalogService
from livecart.catalog.transfer.links_file import export_links, import_links
from livecart.catalog.transfer.spreadsheet import MOST_BYTES, read_table, write_csv
from livecart.catalog.transfer.table_import import TableResult, import_table

_FORM_BYTES = 64 * KIB
_LINKS_BYTES = 8 * MIB
#: Of an export: what is larger goes to the disk until it is sent.
_IN_MEMORY_BYTES = 4 * MIB
_PIECE_BYTES = 256 * KIB
_LINKS_EXAMPLE = {"螺蛳粉": "https://shop.example.com/item/1001"}
_LINKS_REQUEST = {
    "requestBody": {
        "required": True,
        "description": "A product_links.json, at most 8 MiB.",
        "content": {"application/json": {"schema": {"type": "object"}, "example": _LINKS_EXAMPLE}},
    }
}


def add_files(router: APIRouter, service: CatalogService, writer: Writer) -> None:
    """`/tables`, `/catalog.csv`, `/product_links.json`."""
    store = service.store

    @router.post("/tables", response_model=TableAnswer, **writes(most_bytes=MOST_BYTES + _FORM_BYTES))
    def upload_table(
        table: Annotated[UploadFile, File(description=".csv or .xlsx; the first row names the columns.")],
        caller: Writing,
        dry_run: Annotated[bool, Query(description="Change nothing; say what would change.")] = False,
    ) -> Response:
        """Create and change what a table holds; what it does not name stays. Rows that are no products are left out.

        It may be sent again after a failure: what came in already is found unchanged.
        """
        name = table.filename or "table"
        rows = read_table(table.file.read(), name if name.isprintable() and len(name) <= 255 else "table")
        if dry_run:
            return _table_reply(import_table(store, rows, who=caller.who, dry_run=True), dry_run=True)
        answered = writer.answered(caller)
        if answered is not None:
            return answered
        done = import_table(store, rows, who=caller.who)
        return writer.run(caller, lambda _: _table_reply(done, dry_run=False))

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

    @router.get("/product_links.json", response_model=dict[str, Any], **reads())
    def export_product_links() -> Response:
        """The catalog as product_links.json: keys, form and order of an imported one, and what was changed since."""
        with store.read(consistent=True) as session:
            return Response(export_links(session), media_type="application/json")

    @router.put(
        "/product_links.json",
        response_model=UpsertedAnswer,
        **writes(most_bytes=_LINKS_BYTES, openapi_extra=_LINKS_REQUEST),
    )
    def import_product_links(raw: RawBody, caller: Writing) -> Response:
        """Create and change what a product_links.json names, all of it or nothing; what it does not name stays."""
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Refused(400, "bad_request", f"the body is not UTF-8: {error.reason} at byte {error.start}") from error

        def work(session: Session) -> Response:
            return json_reply(import_links(session, text))

        return writer.run(caller, work)


def _table_reply(result: TableResult, *, dry_run: bool) -> Response:
    return json_reply(
        {
            "dry_run": dry_run,
            "created": result.created,
            "changed": result.changed,
            "unchanged": result.unchanged,
            "bad": result.bad,
            "changes": [{"sku": sku, "before": before, "after": after} for sku, before, after in result.changes],
            "bad_rows": result.bad_rows,
        }
    )


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(_PIECE_BYTES):
            yield piece
