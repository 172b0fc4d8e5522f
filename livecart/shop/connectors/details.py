"""Details of products that were read, from one reading to the next: those that have not changed are not asked for."""

import math
import sqlite3
import time
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import msgspec

from livecart.shop.errors import FeedError

T = TypeVar("T")


class Details:
    """A file that may be deleted at any time: all details are read anew then."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = sqlite3.connect(path, timeout=30.0, isolation_level=None)
            self._file.execute(
                "CREATE TABLE IF NOT EXISTS details (id TEXT PRIMARY KEY, stamp TEXT, kept_at_s REAL, item BLOB)"
            )
        except (OSError, sqlite3.Error) as error:
            raise FeedError("details_unusable", where=str(path), cause=str(error)) from error

    def close(self) -> None:
        self._file.close()

    def ids(self) -> set[str]:
        """Of the products that the last complete reading named, and that were read since."""
        return {row[0] for row in self._file.execute("SELECT id FROM details")}

    def get(
        self, item_id: str, stamp: str | None, kind: type[T], *, between_s: tuple[float, float] = (0.0, math.inf)
    ) -> T | None:
        """What was kept, if it was of that stamp (None: of any) and kept in between, UNIX time."""
        query = "SELECT stamp, kept_at_s, item FROM details WHERE id = ?"
        with closing(self._file.execute(query, (item_id,))) as found:
            row = found.fetchone()
        if row is None or (stamp is not None and (row[0] != stamp or not between_s[0] <= row[1] <= between_s[1])):
            return None
        try:
            return msgspec.json.decode(row[2], type=kind)
        except msgspec.DecodeError:
            # Of another version.
            return None

    def put(self, item_id: str, stamp: str, item: msgspec.Struct, at_s: float | None = None) -> None:
        row = (item_id, stamp, time.time() if at_s is None else at_s, msgspec.json.encode(item))
        self._file.execute("INSERT OR REPLACE INTO details VALUES (?, ?, ?, ?)", row)

    def keep_only(self, ids: Collection[str]) -> None:
        gone = [(item_id,) for item_id in self.ids().difference(ids)]
        self._file.execute("BEGIN IMMEDIATE")
        self._file.executemany("DELETE FROM details WHERE id = ?", gone)
        self._file.execute("COMMIT")
