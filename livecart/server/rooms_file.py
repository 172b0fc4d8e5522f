"""rooms.toml: what `livecart run` serves. docs/live.md describes every key."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from livecart.core.errors import SettingsError
from livecart.core.settings import HttpSettings, RoomSettings, convert_table, read_toml, refuse_unknown
from livecart.live.decide import DecisionSettings
from livecart.live.enrich.faces import FacesSettings
from livecart.live.gate.settings import GateSettings
from livecart.live.recognise.settings import DispatcherSettings, RecognizerSettings
from livecart.live.video import IngestSettings
from livecart.server.review_gate import FeedbackSettings
from livecart.web.hub.settings import ViewersSettings

if TYPE_CHECKING:
    from livecart.shop.settings import CatalogSettings

#: Tokens are better kept out of files: these variables stand in where a file has none.
RECOGNIZER_TOKEN_VARIABLE = "LIVECART_TOKEN"
HTTP_TOKEN_VARIABLE = "LIVECART_HTTP_TOKEN"
TICKET_SECRET_VARIABLE = "LIVECART_TICKET_SECRET"
CATALOG_URL_VARIABLE = "LIVECART_CATALOG_URL"
BUS_URL_VARIABLE = "LIVECART_BUS_URL"
CACHE_URL_VARIABLE = "LIVECART_CACHE_URL"


class BusSettings(msgspec.Struct, frozen=True, kw_only=True):
    #: `memory://`, or `redis://host:port/db?prefix=livecart`. LIVECART_BUS_URL stands in.
    url: str = "memory://"


class QueueSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The section [queue]."""

    #: Frames captured longer ago are not sent to the recogniser, 0.1 to 600 s.
    max_age_s: float = 2.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.max_age_s) and 0.1 <= self.max_age_s <= 600):
            raise SettingsError(f"max_age_s is {self.max_age_s}; it must be 0.1 to 600")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomsFile:
    recognizer: RecognizerSettings
    dispatcher: DispatcherSettings
    queue: QueueSettings
    ingest: IngestSettings
    gate: GateSettings
    decision: DecisionSettings
    bus: BusSettings
    http: HttpSettings
    viewers: ViewersSettings
    feedback: FeedbackSettings
    faces: FacesSettings
    #: None: rooms run without a catalog, and show what the recogniser names.
    catalog: CatalogSettings | None
    rooms: dict[str, RoomSettings]


SECTIONS: dict[str, type] = {
    "recognizer": RecognizerSettings,
    "dispatcher": DispatcherSettings,
    "queue": QueueSettings,
    "ingest": IngestSettings,
    "gate": GateSettings,
    "decision": DecisionSettings,
    "bus": BusSettings,
    "http": HttpSettings,
    "viewers": ViewersSettings,
    "feedback": FeedbackSettings,
    "faces": FacesSettings,
}


def read_rooms_file(path: Path, environment: Mapping[str, str] = os.environ) -> RoomsFile:
    """The file's settings, checked one by one; sources are checked when rooms are planned.

    Raises:
        SettingsError: it cannot be read, or something in it cannot be used; names file, section and key.
    """
    tables = read_toml(path)
    refuse_unknown(tables, [*SECTIONS, "catalog", "rooms"], str(path))
    _fill_in(tables, "recognizer", "token", environment.get(RECOGNIZER_TOKEN_VARIABLE))
    _fill_in(tables, "recognizer", "base_url", "http://127.0.0.1:8080")
    _fill_in(tables, "http", "token", environment.get(HTTP_TOKEN_VARIABLE))
    _fill_in(tables, "viewers", "secret", environment.get(TICKET_SECRET_VARIABLE))
    _fill_in(tables, "bus", "url", environment.get(BUS_URL_VARIABLE))
    sections: dict[str, Any] = {
        name: convert_table(tables.get(name, {}), kind, f"{path}, [{name}]") for name, kind in SECTIONS.items()
    }
    _fill_in(tables, "catalog", "url", environment.get(CATALOG_URL_VARIABLE))
    if tables["catalog"]:
        _fill_in(tables, "catalog", "cache", environment.get(CACHE_URL_VARIABLE))
    catalog = _catalog(tables["catalog"], path)
    return RoomsFile(**sections, catalog=catalog, rooms=_rooms(tables.get("rooms", []), path))


def _catalog(table: object, path: Path) -> CatalogSettings | None:
    if table == {}:
        return None
    # Only now: rooms without a catalog need none of its packages.
    try:
        from livecart.shop.settings import CatalogSettings
    except ImportError as error:
        raise SettingsError(f"{path}, [catalog]: needs the extra: pip install 'livecart[catalog]' ({error})") from error
    settings = convert_table(table, CatalogSettings, f"{path}, [catalog]")
    return None if settings.url is None else settings


def _fill_in(tables: dict[str, Any], section: str, key: str, value: str | None) -> None:
    table = tables.setdefault(section, {})
    if value and isinstance(table, dict):
        table.setdefault(key, value)


def _rooms(tables: object, path: Path) -> dict[str, RoomSettings]:
    if not isinstance(tables, list):
        raise SettingsError(f"{path}: rooms must be written as [[rooms]], one such table a room")
    rooms: dict[str, RoomSettings] = {}
    for number, table in enumerate(tables, start=1):
        room = convert_table(table, RoomSettings, f"{path}, [[rooms]] number {number}")
        if room.id in rooms:
            raise SettingsError(f"{path}, [[rooms]] number {number}: the id {room.id!r} stands there twice")
        rooms[room.id] = room
    return rooms
