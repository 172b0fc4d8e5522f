"""Settings from TOML, and those that several parts need. What cannot be used raises SettingsError, which names the key.

Sections that belong to one part (ingest, gate, decision, recogniser) are defined there; `rooms_file` joins them.
"""

import dataclasses
import difflib
import math
import re
import tomllib
from collections.abc import Collection, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, TypeVar
from urllib.parse import urlsplit

import msgspec

from livecart.core.errors import SettingsError
from livecart.core.overlay_position import Region, unusable_region

T = TypeVar("T")
Bounds: TypeAlias = Mapping[str, tuple[float, float]]

#: A room whose host sends the stream in by WebRTC, `POST /rooms/{id}/whip`, names this in place of a URL.
WHIP_SOURCE = "whip"
#: A room's id stands in URLs, Redis keys, metrics and the header X-Room: letters of any script, digits, "-", "_", ".".
_ROOM_ID = re.compile(r"[\w-][\w.-]{0,63}")
#: Its host goes into the page's content security policy, so that nothing in it may end a directive.
UTM_SOURCE = "livecart"
_UTM_SOURCE = re.compile(r"[a-z0-9_-]{1,32}")
_PLAYBACK_URL = re.compile(r"(?:https?://[A-Za-z0-9.\[\]:-]+)?/(?!/)[^\s\\]*")
#: Nine digits in a ticket.
_MOST_GENERATIONS = 1_000_000_000
_MOST_REGIONS = 16
#: Where no token is needed: only programs of this machine reach these.
LOOPBACK_HOSTS = ("127.0.0.1", "localhost")
#: Keys of rooms.toml that were renamed, by their old names (docs/upgrading.md).
_RENAMED = {
    "in_flight_most": "in_flight",
    "hurried_hz": "fast_hz",
    "economy": "load_shedding",
    "follow": "track",
    "follow_score": "track_score",
    "familiar_every_s": "background_every_s",
    "novel_levels": "foreground_levels",
    "unsure_per_product_hour": "uncertain_per_product_hour",
    "agreeing_looks": "agreeing_results",
}


class RoomSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One room as a file or an HTTP client names it."""

    #: 1 to 64 letters, digits, "-", "_" or "."; the first is no dot.
    id: str
    #: A stream's URL, a path, or "whip".
    source: str
    #: Sampled frames per second; None: as the section [ingest] has it.
    rate_hz: float | None = None
    #: Of files: play at the file's own pace. None: as [ingest] has it.
    realtime: bool | None = None
    #: The only products (sku) announced here; None: all that the recogniser knows for the room.
    products: tuple[str, ...] | None = None
    #: The room's name in the catalog's `rooms`, sent as X-Room; None: the id.
    product_list: str | None = None
    #: The picture is left for right, as a selfie camera sends it; "auto": found out by the print of products.
    mirror: Literal["auto"] | bool = "auto"
    #: Where viewers' browsers play the stream, for `GET /rooms/{id}/watch`: http(s), or a path of the same host.
    playback_url: str | None = None
    #: Parts of the picture that are not looked at, 16 at most: an overlay's position such as "upper-right", or
    #: [x, y, width, height] as shares of the picture.
    ignore_regions: tuple[Region, ...] = ()
    #: Where its viewers come from, such as "douyin": `utm_source` of links through `/go` (docs/attribution.md).
    utm_source: str = UTM_SOURCE
    #: A higher number revokes the tickets of the room's hosts and publishers (`DELETE /rooms/{id}/tickets` counts on).
    ticket_generation: int = 0

    def __post_init__(self) -> None:
        check_room_id(self.id)
        if not 0 <= self.ticket_generation < _MOST_GENERATIONS:
            raise SettingsError(f"room {self.id}: ticket_generation must be 0 to {_MOST_GENERATIONS - 1}")
        if not self.source.strip():
            raise SettingsError(f"room {self.id}: source is empty; name a stream's URL, a file, or {WHIP_SOURCE!r}")
        if self.rate_hz is not None and not (math.isfinite(self.rate_hz) and 0.1 <= self.rate_hz <= 10):
            raise SettingsError(f"room {self.id}: rate_hz is {self.rate_hz}; it must be 0.1 to 10 frames a second")
        name = self.product_list
        if name is not None and not (1 <= len(name) <= 128 and name.isprintable()):
            raise SettingsError(f"room {self.id}: product_list must be 1 to 128 printable characters")
        if self.playback_url is not None and not _is_playback_url(self.playback_url):
            raise SettingsError(
                f"room {self.id}: playback_url must be an https:// or http:// URL, or a path such as /live.m3u8"
            )
        if not _UTM_SOURCE.fullmatch(self.utm_source):
            raise SettingsError(f"room {self.id}: utm_source must be 1 to 32 lower-case letters, digits, '-' or '_'")
        if len(self.ignore_regions) > _MOST_REGIONS:
            raise SettingsError(f"room {self.id}: ignore_regions holds more than {_MOST_REGIONS}")
        if (region := unusable_region(self.ignore_regions)) is not None:
            raise SettingsError(
                f"room {self.id}: ignore_regions has {list(region)}; give x, y, width and height as shares of the "
                "picture, all of it inside: 0 to 1"
            )


def _is_playback_url(text: str) -> bool:
    try:
        # An address in brackets that is none, or a port: only taking it apart tells.
        urlsplit(text).port  # noqa: B018
    except ValueError:
        return False
    return _PLAYBACK_URL.fullmatch(text) is not None


class HttpSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The section [http]: where `livecart run` answers."""

    #: Any other than this machine's own needs a token.
    host: str = "127.0.0.1"
    #: 0: any free one; the log says which.
    port: int = 8090
    #: What clients show as `Authorization: Bearer`, 8 or more characters. Required unless `host` is 127.0.0.1 or
    #: localhost. LIVECART_HTTP_TOKEN stands in.
    token: str | None = None
    #: Whether HTTP clients may name files of this machine as sources.
    file_sources: bool = False
    #: Proxies, by address or network, whose X-Forwarded-For and X-Forwarded-Proto are believed.
    trusted_proxies: tuple[str, ...] = ("127.0.0.1", "::1")

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise SettingsError(f"http.port is {self.port}; it must be 0 to 65535")
        if self.token is not None and (len(self.token) < 8 or not (self.token.isascii() and self.token.isprintable())):
            raise SettingsError("http.token must be 8 or more printable ASCII characters")
        if self.token is None and self.host not in LOOPBACK_HOSTS:
            raise SettingsError(
                f"http.host is {self.host}, which other machines reach; set http.token or the variable "
                "LIVECART_HTTP_TOKEN, or bind 127.0.0.1"
            )
        for proxy in self.trusted_proxies:
            try:
                ip_network(proxy)
            except ValueError as error:
                raise SettingsError(
                    f"http.trusted_proxies: {proxy!r} is no address or network such as 10.0.0.0/8: {error}"
                ) from error


def check_room_id(room: str) -> None:
    if not _ROOM_ID.fullmatch(room):
        raise SettingsError(f"the room id {room!r} must be 1 to 64 letters, digits, '-', '_' or '.', no dot first")


class Bounded(Protocol):
    """Settings whose numbers have bounds."""

    #: The lowest and highest allowed value of a setting; docs/ show them (scripts/write_docs.py).
    BOUNDS: ClassVar[Bounds]


def check_bounds(settings: Bounded, message: str, *, optional: Collection[str] = ()) -> None:
    """Hold each number of `settings` to its lowest and highest allowed value.

    Args:
        settings: has an attribute for each of its `BOUNDS`.
        message: what is said of one outside, with places for `name`, `value`, `lowest` and `highest`.
        optional: names of those that may be None.
    """
    for name, (lowest, highest) in settings.BOUNDS.items():
        value = getattr(settings, name)
        if value is None and name in optional:
            continue
        if not (math.isfinite(value) and lowest <= value <= highest):
            raise SettingsError(message.format(name=name, value=value, lowest=lowest, highest=highest))


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        SettingsError: it cannot be read or is no TOML; names file and line.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is not UTF-8 text: {error.reason} at byte {error.start}") from error
    except (ValueError, RecursionError) as error:  # also a number of too many digits, and what is nested too deep
        raise SettingsError(f"{path}: is no TOML: {error}") from error


def convert_table(table: object, kind: type[T], where: str) -> T:
    """One table as the struct or dataclass `kind`.

    Args:
        table: what the file has.
        kind: a msgspec Struct or a dataclass; its own checks run too.
        where: file and section, for messages.

    Raises:
        SettingsError: no table, an unknown key, a wrong type, a value out of bounds; names the place and the key.
    """
    if not isinstance(table, dict):
        raise SettingsError(f"{where}: must be a table of keys and values")
    refuse_unknown(table, _field_names(kind), where)
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{where}: {error}") from error
    except SettingsError as error:
        raise SettingsError(f"{where}: {error}") from error


def refuse_unknown(table: dict[str, Any], known: list[str], where: str) -> None:
    """Refuse keys that mean nothing: a slip must not pass for a setting.

    Raises:
        SettingsError: names the first one, and its new name or the known key it resembles.
    """
    for key in table:
        if key not in known:
            if _RENAMED.get(key) in known:
                raise SettingsError(f"{where}: the key {key!r} is now called {_RENAMED[key]!r}")
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
            raise SettingsError(f"{where}: the key {key!r} is not known; {hint}")


def _field_names(kind: type) -> list[str]:
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    return [field.name for field in msgspec.structs.fields(kind)]
