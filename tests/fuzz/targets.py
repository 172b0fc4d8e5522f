"""Each parser of foreign bytes as a function of bytes that raises no more than the errors it states."""

import asyncio
import itertools
import json
import resource
import struct
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from aiortc import RTCDtlsTransport, RTCIceGatherer, RTCIceTransport, RTCSctpTransport

from contract.errors import decode_error, encode_error
from contract.offers import decode_offers
from livecart.core.errors import RecognizerError, SettingsError, StreamError
from livecart.events import redis_keys
from livecart.live.recognise import reply
from livecart.live.video.settings import IngestSettings
from livecart.live.video.whip import WhipEndpoint
from livecart.server.rooms_file import read_rooms_file
from livecart.shop.errors import FeedError, InvalidValue
from livecart.shop.import_export import excel, folder, links_file, spreadsheet
from livecart.shop.repositories import photo_check
from livecart.shop.schemas.product import ProductPatch, check_patch, to_json
from livecart.shop.sync.http_fetch import Fetched
from livecart.shop.sync.http_json import HttpJsonSettings, HttpJsonSource, Paging
from livecart.shop.sync.merchant_xml import MerchantXmlSettings, MerchantXmlSource
from livecart.shop.sync.source import NO_VALIDATORS
from livecart.web.hub import messages
from recognition.catalog.loaded import open_catalog
from recognition.classify.labels import LabelMatcher, LabelSet
from recognition.errors import (
    BadImage,
    BadOption,
    BadRequest,
    ConfigurationError,
    ImageTooLarge,
    SnapshotError,
    UnsupportedImage,
)
from recognition.index import photo_index
from recognition.request import forms, images
from recognition.settings import ImageLimits
from recognition.snapshot.catalog_folder import load_catalog_folder
from recognition.snapshot.format import METADATA_KEY, TensorEntry, snapshot_id
from tests.snapshot_files import DIMENSIONS, FINGERPRINT
from tests.stand_ins import COLOURS, PREPROCESSING, THRESHOLDS, TOP_K

CORPUS = Path(__file__).parent / "corpus"
HOSTS = ["shop.example.com"]
#: As handler/model-config.yaml.
IMAGE_LIMITS = ImageLimits(max_bytes=16 * 1024 * 1024, max_pixels=64 * 1024 * 1024)
_FOLDER = tempfile.TemporaryDirectory(prefix="livecart-fuzz-", ignore_cleanup_errors=True)


class OverBound(Exception):
    """An input took more time or memory than it may."""


@dataclass
class Target:
    """A parser; `limit_s` of CPU time and `memory_mib` on top of what the process had before bound each input."""

    parse: Callable[[bytes], object]
    errors: tuple[type[Exception], ...]
    limit_s: float
    memory_mib: int
    corpus: str

    def __post_init__(self) -> None:
        self._base_mib = 0.0

    def check(self, data: bytes) -> float:
        """Parse `data`; seconds of CPU time that it took.

        Raises:
            OverBound: it is over a bound.
            Exception: what the parser does not state.
        """
        self._base_mib = self._base_mib or peak_mib()
        began_s = time.process_time()
        try:
            self.parse(data)
        except self.errors as error:
            # It goes into replies, databases and logs.
            str(error).encode()
        took_s = time.process_time() - began_s
        grown_mib = peak_mib() - self._base_mib
        if took_s > self.limit_s or grown_mib > self.memory_mib:
            raise OverBound(f"{took_s:.2f} s of {self.limit_s:g}, {grown_mib:.0f} MiB of {self.memory_mib}")
        return took_s


TARGETS: dict[str, Target] = {}


def peak_mib() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def target(
    *errors: type[Exception], limit_s: float = 1.0, memory_mib: int = 128, corpus: str = ""
) -> Callable[..., Any]:
    def register(parse: Callable[[bytes], object]) -> Callable[[bytes], object]:
        TARGETS[parse.__name__] = Target(parse, errors, limit_s, memory_mib, corpus or parse.__name__)
        return parse

    return register


def written(name: str, data: bytes) -> Path:
    """A file of its own: what was mapped before stays as it is."""
    path = Path(_FOLDER.name) / name
    # The end of a target's process may have removed it.
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    return path


@target(BadRequest, BadOption)
def request_form(data: bytes) -> None:
    """Lines `Header: value` and `field=value`, an empty line, the body; "x-parsed": the server has parsed its JSON."""
    head, _, body = data.partition(b"\n\n")
    headers: dict[str, str] = {}
    fields: dict[str, Any] = {"body": body} if body else {}
    for line in head.split(b"\n")[:50]:
        name, colon, value = line.partition(b": ")
        if colon:
            headers[name.decode("latin-1")] = value.decode("latin-1")
        else:
            name, _, value = line.partition(b"=")
            fields[name.decode("utf-8", "replace")] = value
    if "x-parsed" in headers:
        try:
            fields["body"] = json.loads(body)
        except (ValueError, RecursionError):
            return
    try:
        request = forms.parse_request(fields, headers, top_k=TOP_K, thresholds=THRESHOLDS)
        request.options.check_size(640, 480)
    except BadRequest as error:
        decode_error(encode_error(error.code, error.message))
        raise


@target(BadImage, ImageTooLarge, UnsupportedImage, limit_s=5.0, memory_mib=1024, corpus="picture")
def image(data: bytes) -> None:
    photo = images.decode(_with_png_checksums(data), IMAGE_LIMITS, short_side_px=256)
    images.centre_crop(photo, PREPROCESSING)
    images.bounded(photo.rgb, 640)


@target(InvalidValue, limit_s=5.0, memory_mib=photo_check._MEMORY_MIB, corpus="picture")
def photo(data: bytes) -> None:
    data = _with_png_checksums(data)
    kind = photo_check._kind_of(data)
    photo_check._decode(kind, photo_check.read_photo(data).data if kind in photo_check._KEPT_KINDS else data)


def _with_png_checksums(data: bytes) -> bytes:
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    parts, at = [data[:8]], 8
    while at + 8 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        parts += [data[at:end], struct.pack(">I", zlib.crc32(data[at + 4 : end]))]
        at = end + 4
    return b"".join(parts)


#: So that a small snapshot's codes are used.
photo_index.EXACT_VIEWS = 8


@target(SnapshotError)
def snapshot(data: bytes) -> None:
    catalog = open_catalog(
        written("catalog.snapshot", _with_checksum(data)),
        fingerprint=FINGERPRINT,
        labels=LabelSet(tuple(COLOURS)),
        allowed_hosts=HOSTS,
    )
    # What is taken over is used frame by frame, where nothing may fail any more.
    opened = catalog.snapshot
    LabelMatcher(LabelSet(tuple(COLOURS)), catalog.known_by_label(), THRESHOLDS)
    if opened.dimensions != DIMENSIONS:
        return
    queries = np.resize(np.eye(DIMENSIONS, dtype=np.float32), (9, DIMENSIONS))
    for room in (None, *opened.rooms[:9]):
        for effort in ("coarse", "fine"):
            catalog.photo_index.search(queries, count=3, allowed=opened.room_mask(room), effort=effort)
    query = {("pair", "商品"): 1.0, ("character", "行"): 1.0}
    catalog.names.score(query)
    catalog.packaging.score(query)
    if catalog.keypoint_index is not None:
        catalog.keypoint_index.votes(np.eye(6, 128, dtype=np.float32))
    for row in range(opened.products):
        opened.product(row)
        catalog.views_of(row)
    for row in range(opened.photos):
        opened.lines(row)


def _with_checksum(data: bytes) -> bytes:
    """The file with a header that fits its arrays, as whoever writes snapshots can make it."""
    end = 8 + int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8:end])
        meta = header.pop(METADATA_KEY)
        table = {name: msgspec.convert(entry, TensorEntry) for name, entry in header.items()}
        meta["sha256"] = sha256(data[end:]).hexdigest()
        meta["id"] = snapshot_id(meta["fingerprint"], json.loads(meta["rooms"]), table, meta["sha256"])
        text = json.dumps({METADATA_KEY: meta, **header}).encode()
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, msgspec.MsgspecError):
        return data
    text += b" " * (-(len(text) + 8) % 64)
    return len(text).to_bytes(8, "little") + text + data[end:]


@target(ConfigurationError, FeedError, InvalidValue)
def catalog_json(data: bytes) -> None:
    path = written("catalog.json", data)
    try:
        load_catalog_folder(path.parent, allowed_hosts=HOSTS)
    finally:
        _take_in(entry.patch for entry in folder._read(path))


@target(ValueError)
def offers_json(data: bytes) -> None:
    msgspec.json.encode(decode_offers(data))


@target(FeedError, InvalidValue, UnicodeDecodeError)
def links_json(data: bytes) -> None:
    _take_in(entry.patch for entry in links_file.read_links(data.decode("utf-8-sig")))


@target(FeedError)
def table_csv(data: bytes) -> None:
    _take_in(row for _, row in spreadsheet.read_table(data, "table.csv"))


@target(FeedError, limit_s=excel._LIMIT_S, memory_mib=excel._MEMORY_MIB)
def table_xlsx(data: bytes) -> None:
    """A workbook, or `name of a part`, a line end, and what stands in its place in the workbook of the corpus."""
    name, _, part = data.partition(b"\n")
    if not data.startswith(b"PK"):
        whole, data = BytesIO((CORPUS / "table_xlsx" / "book.xlsx").read_bytes()), b""
        packed = BytesIO()
        with zipfile.ZipFile(whole) as old, zipfile.ZipFile(packed, "w") as new:
            for info in old.infolist():
                new.writestr(info, part if info.filename.encode() == name else old.read(info))
        data = packed.getvalue()
    _take_in(row for _, row in spreadsheet.read_table(data, "table.xlsx"))


def _here(work: Callable[[bytes], Any], data: bytes, *, limit_s: float, memory_mib: int) -> Any:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(work(data)))


excel.run_untrusted = _here


class _Feed:
    """A fetcher whose every answer is the same bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def get(self, url: str, into: Any, *, validators: object) -> Fetched:
        into.write(self._data)
        return Fetched(url, NO_VALIDATORS, None)


_FEED_URL = "https://feed.example/"
_FIELDS = {name: name for name in ("sku", "name", "url", "stock", "words", "rooms", "on_sale", "threshold")}
_FIELDS |= {"price": "price.amount", "brand": "brands.0"}


@target()
def feed_json(data: bytes) -> None:
    for kind in ("cursor", "link"):
        paging = Paging(kind=kind, next_path="next")
        settings = HttpJsonSettings(
            name="f",
            url="https://feed.example/",
            fields=_FIELDS,
            items="items",
            constants={"currency": "CNY"},
            paging=paging,
        )
        try:
            _take_pages(HttpJsonSource(settings, fetcher=_Feed(data)))
        except FeedError as error:
            str(error).encode()


@target(FeedError)
def feed_xml(data: bytes) -> None:
    _take_pages(MerchantXmlSource(MerchantXmlSettings(name="f", url=_FEED_URL), fetcher=_Feed(data)))


def _take_pages(source: HttpJsonSource | MerchantXmlSource) -> None:
    for page in itertools.islice(source.pages(None, NO_VALIDATORS), 3):
        "\n".join(page.bad).encode()
        _take_in(page.patches)


def _take_in(rows: Iterable[ProductPatch | InvalidValue]) -> None:
    """As the catalog does with what files and feeds hold."""
    for row in rows:
        try:
            if isinstance(row, InvalidValue):
                raise row
            msgspec.json.encode(to_json(check_patch(row, allowed_hosts=HOSTS, where=f"sku {row.sku!r}")))
        except InvalidValue as error:
            str(error).encode()


async def _nothing(*_: object) -> None:
    """No packet is sent."""


for kind, name in (
    (RTCIceGatherer, "gather"),
    (RTCIceTransport, "start"),
    (RTCDtlsTransport, "start"),
    (RTCSctpTransport, "start"),
):
    setattr(kind, name, _nothing)


@target(StreamError, UnicodeDecodeError)
def whip_sdp(data: bytes) -> None:
    async def offer() -> None:
        endpoint = WhipEndpoint("room", IngestSettings(), lambda _: None, lambda *_: None)
        try:
            await endpoint.accept(data.decode())
        finally:
            await endpoint.close(1.0)

    asyncio.run(offer())


@target(msgspec.MsgspecError, ValueError)
def card_event(data: bytes) -> None:
    """The id of an entry, a line end, the event."""
    entry_id, _, event = data.partition(b"\n")
    decoded = redis_keys.decode(event)
    assert messages.event_message(decoded).server_sent
    redis_keys.parse_id(entry_id)


@target(SettingsError)
def rooms_toml(data: bytes) -> None:
    """The operator's own: a key of 20,000 dots, which tomllib takes 1.3 GiB for, is no attack."""
    read_rooms_file(written("rooms.toml", data[:8192]), {})


@target(messages.ProtocolError)
def viewer_message(data: bytes) -> None:
    messages.read_viewer_message(data)


@target(RecognizerError)
def archive_reply(data: bytes) -> None:
    """A status, a line end, the body."""
    status, _, body = data.partition(b"\n")
    reply.count_ready_workers(body)
    try:
        reply.described_catalog(200, body, "http://archive")
    except RecognizerError as error:
        str(error).encode()
    answer = reply.decode(200 if status == b"200" else 500, body, "http://archive")
    reply.detections_of(answer, width_px=640, height_px=360)
