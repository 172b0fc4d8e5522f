"""Parts that all tables share: column types that mean the same in SQLite and MySQL, and the naming of constraints."""

import json
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Double, Integer, MetaData, String, Text
from sqlalchemy.dialects.mysql import MEDIUMTEXT
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator, TypeEngine

#: Bytes compare as bytes: "A1" and "a1" are two skus. Both MySQL and MariaDB know this collation.
_MYSQL = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
_MARIADB = {name.replace("mysql", "mariadb"): value for name, value in _MYSQL.items()}

#: SQLite numbers rows by itself only in a column that is plainly INTEGER.
RowId = BigInteger().with_variant(Integer(), "sqlite")
#: UNIX time in seconds.
Seconds: Double[float] = Double()
Sku = String(128)
Room = String(128)
Digest = String(64)
Who = String(128)


class Json(TypeDecorator[Any]):
    """A JSON value as text: the same bytes in every database, Chinese unescaped."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


class LongJson(Json):
    """All fields of a product: MySQL's TEXT ends at 64 KiB."""

    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        chosen: TypeEngine[Any] = Text() if dialect.name == "sqlite" else MEDIUMTEXT()
        return dialect.type_descriptor(chosen)


class JsonTuple(TypeDecorator[tuple[Any, ...]]):
    """Values of one type as JSON; NULL: none, as of rows that are older than the column."""

    impl = Text
    cache_ok = True

    def __init__(self, of: type) -> None:
        super().__init__()
        self.of = of

    def process_bind_param(self, value: tuple[Any, ...] | None, dialect: Dialect) -> str | None:
        return msgspec.json.encode(value).decode() if value else None

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[Any, ...]:
        return () if value is None else msgspec.json.decode(value, type=tuple[self.of, ...])  # type: ignore[name-defined]


class Base(DeclarativeBase):
    """All tables' metadata."""

    # Alembic can drop only what has a name.
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def options() -> dict[str, str]:
    """Last entry of `__table_args__` of every table."""
    return {**_MYSQL, **_MARIADB}
