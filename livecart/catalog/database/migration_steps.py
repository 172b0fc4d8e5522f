"""Alembic's operations, each left out where it is done already.

MySQL keeps what a migration did before it was interrupted, but not that it was begun: the next one goes through the
same steps again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op


def create_table(name: str, *parts: Any, **options: Any) -> None:
    """Make a table of these columns and constraints, unless there is one of this name."""
    op.create_table(name, *parts, if_not_exists=True, **options)


def drop_table(name: str) -> None:
    """Remove a table, if it is there."""
    op.drop_table(name, if_exists=True)


def create_index(name: str, table: str, columns: Sequence[str]) -> None:
    """Make an index, unless the table has it."""
    if name not in _indexes(table):
        op.create_index(name, table, list(columns))


def drop_index(name: str, table: str) -> None:
    """Remove an index, if the table has it."""
    if name in _indexes(table):
        op.drop_index(name, table)


def _indexes(table: str) -> set[str | None]:
    # Asked anew each time: an inspector remembers what it saw.
    return {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}
