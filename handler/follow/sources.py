"""Sources of snapshots: a file or a link. Each says cheaply whether there is news, and hands it over as bytes.

The bytes are always copied, also from a file. Somebody who copies a new snapshot over the old one, instead of renaming
it into place, shortens the old one first, and a worker that has it mapped dies when it next reads the lost part.
"""

import hashlib
import ipaddress
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

import requests
import urllib3

from recognition.errors import ConfigurationError

Validators = Mapping[str, str]

#: Environment variable with the token that links are asked with: what stands in model-config.yaml is in every archive.
TOKEN_VARIABLE = "LIVECART_SNAPSHOT_TOKEN"

#: Bytes moved at once, and how long a server may stay silent while it connects and while it sends.
_BLOCK = 1 << 18
_TIMEOUT_S = (5.0, 10.0)
#: A transfer that takes longer is given up: the next poll starts another.
_TRANSFER_S = 900.0
_MOST_REDIRECTS = 5
#: A file that has just changed is read if it is still the same this much later: else somebody is writing it.
_SETTLED_AFTER_S = 0.2
_MOST_BACKOFF_S = 30.0
#: Last-Modified counts seconds: within this many of now, the next change may carry the same time.
_SAME_TIME_S = 2


class Unreachable(Exception):
    """The source gives no answer that can be used. The message says why and holds no credentials."""


class Absent(Unreachable):
    """The source says that there is nothing at all."""


class NotTaken(Exception):
    """The source holds something that is refused before it is read. The message says why."""


class StillChanging(Exception):
    """The file is being written; a later poll will find it whole."""


class SourceUpdate(Protocol):
    """News. ``validators`` identify this state of the source, empty where it offers nothing of the kind."""

    validators: Validators

    def copy_to(self, file: BinaryIO, stop: threading.Event) -> str:
        """Write all bytes to ``file`` and return their SHA-256 in hex.

        Raises:
            Unreachable: they do not all arrive, or ``stop`` is set.
            NotTaken: there are more than may be.
            StillChanging: they changed meanwhile.
        """
        ...


class Source(Protocol):
    """``shown`` is its name for people, without credentials; ``most_backoff_s`` the longest wait after a failure.

    ``polls_per_interval``: how often it is polled in the time that was set for one poll.
    """

    shown: str
    most_backoff_s: float
    polls_per_interval: int

    def ask(self, known: Validators, stop: threading.Event) -> AbstractContextManager[SourceUpdate | None]:
        """News since the state of ``known``; None where nothing has changed.

        Raises:
            Unreachable, StillChanging: as above.
        """
        ...


def open_source(source: str, *, max_bytes: int) -> Source:
    """The source that a setting names: an https link, an http link to this machine, or a path.

    Raises:
        ConfigurationError: a link of another kind.
    """
    if "://" not in source:
        return FileSource(Path(source), max_bytes=max_bytes)
    parts = urlsplit(source)
    if not parts.hostname or parts.scheme not in ("https", "http"):
        raise ConfigurationError(f"snapshot source {_shown(parts)!r}: only https links and paths are followed")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ConfigurationError(f"snapshot source {_shown(parts)!r}: http is only for this machine, use https")
    return LinkSource(source, max_bytes=max_bytes)


class FileSource:
    """A snapshot at a path, which may come and go."""

    most_backoff_s = 0.0
    #: Next to nothing is asked of anybody, and a new product waits for it.
    polls_per_interval = 4

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self.shown = str(path)
        self._path = path
        self._max_bytes = max_bytes

    @contextmanager
    def ask(self, known: Validators, stop: threading.Event) -> Iterator[SourceUpdate | None]:
        """Compare time, size and inode."""
        stamp = self._stamp()
        if known.get("stamp") == stamp:
            yield None
            return
        stop.wait(_SETTLED_AFTER_S)
        if self._stamp() != stamp:
            raise StillChanging
        yield _FileAnswer(self._path, stamp, self._max_bytes)

    def _stamp(self) -> str:
        try:
            return _stamp_of(self._path.stat())
        except FileNotFoundError as error:
            raise Absent(f"{self.shown}: {error.strerror}") from error
        except OSError as error:
            raise Unreachable(f"{self.shown}: {error.strerror or error}") from error


class _FileAnswer:
    def __init__(self, path: Path, stamp: str, max_bytes: int) -> None:
        self.validators: Validators = {"stamp": stamp}
        self._path = path
        self._max_bytes = max_bytes

    def copy_to(self, file: BinaryIO, stop: threading.Event) -> str:
        try:
            with self._path.open("rb") as source:
                digest = _copy(iter(lambda: source.read(_BLOCK), b""), file, stop, self._max_bytes)
                # The name may lead to another file by now, and this one may have changed.
                stamps = {_stamp_of(os.fstat(source.fileno())), _stamp_of(self._path.stat())}
        except OSError as error:
            raise Unreachable(f"{self._path}: {error.strerror or error}") from error
        if stamps != {self.validators["stamp"]}:
            raise StillChanging
        return digest


class LinkSource:
    """A snapshot behind a link, asked for with the validators of HTTP (RFC 9110, 8.8 and 13.1)."""

    most_backoff_s = _MOST_BACKOFF_S
    polls_per_interval = 1

    def __init__(self, url: str, *, max_bytes: int) -> None:
        parts = urlsplit(url)
        self.shown = _shown(parts)
        self._url = url
        self._max_bytes = max_bytes
        self._session = requests.Session()
        # A proxy of the environment knows nothing of a server on this machine.
        self._session.trust_env = not _is_loopback(parts.hostname or "")
        self._session.headers.update({"User-Agent": "livecart", "Accept-Encoding": "identity"})
        token = os.environ.get(TOKEN_VARIABLE)
        self._credentials = {"Authorization": f"Bearer {token}"} if token else {}

    @contextmanager
    def ask(self, known: Validators, stop: threading.Event) -> Iterator[SourceUpdate | None]:
        """A conditional GET, whose body is left unread until it is wanted."""
        headers = {
            **({"If-None-Match": known["etag"]} if "etag" in known else {}),
            **({"If-Modified-Since": known["last_modified"]} if "last_modified" in known else {}),
        }
        try:
            with self._get(headers) as response:
                if response.status_code == requests.codes.not_modified and headers:
                    yield None
                    return
                if response.status_code in (requests.codes.not_found, requests.codes.gone):
                    raise Absent(f"{self.shown}: HTTP status {response.status_code}")
                if response.status_code != requests.codes.ok:
                    raise Unreachable(f"{self.shown}: HTTP status {response.status_code}")
                answer = _LinkAnswer(response, self.shown, self._max_bytes)
                same = "etag" in known and answer.validators.get("etag") == known["etag"]
                yield None if same else answer
        except requests.RequestException as error:
            raise Unreachable(f"{self.shown}: {_reason(error)}") from error

    def _get(self, headers: Mapping[str, str]) -> requests.Response:
        url = self._url
        for _ in range(_MOST_REDIRECTS):
            # Another server is not told it.
            credentials = self._credentials if urlsplit(url)[:2] == urlsplit(self._url)[:2] else {}
            response = self._session.get(
                url, headers={**headers, **credentials}, stream=True, timeout=_TIMEOUT_S, allow_redirects=False
            )
            location = response.headers.get("Location")
            if not response.is_redirect or location is None:
                return response
            response.close()
            url = urljoin(url, location)
            if urlsplit(url).scheme != "https":
                raise Unreachable(f"{self.shown}: redirects to {_shown(urlsplit(url))}, only https is followed")
        raise Unreachable(f"{self.shown}: redirects more than {_MOST_REDIRECTS} times")


class _LinkAnswer:
    def __init__(self, response: requests.Response, shown: str, max_bytes: int) -> None:
        self.validators = _validators(response.headers)
        self._response = response
        self._shown = shown
        self._max_bytes = max_bytes

    def copy_to(self, file: BinaryIO, stop: threading.Event) -> str:
        encoding = self._response.headers.get("Content-Encoding", "identity")
        if encoding != "identity":
            raise Unreachable(f"{self._shown}: sent as {encoding}, which was not asked for")
        length = self._response.headers.get("Content-Length", "")
        if length.isdigit() and int(length) > self._max_bytes:
            raise NotTaken(f"{length} bytes, at most {self._max_bytes} are accepted")
        try:
            # read1 returns what is there: read would wait for a whole block of a server that drips.
            digest = _copy(iter(lambda: self._response.raw.read1(_BLOCK), b""), file, stop, self._max_bytes)
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(f"{self._shown}: broke off: {type(error).__name__}") from error
        if length.isdigit() and int(length) != file.tell():
            raise Unreachable(f"{self._shown}: broke off after {file.tell()} of {length} bytes")
        return digest


def _copy(blocks: Iterator[bytes], file: BinaryIO, stop: threading.Event, max_bytes: int) -> str:
    digest = hashlib.sha256()
    size, until = 0, time.monotonic() + _TRANSFER_S
    for block in blocks:
        size += len(block)
        if size > max_bytes:
            raise NotTaken(f"more than the {max_bytes} bytes that are accepted")
        if stop.is_set() or time.monotonic() > until:
            raise Unreachable("the transfer was given up")
        digest.update(block)
        try:
            file.write(block)
        except OSError as error:
            raise Unreachable(f"no copy can be kept: {error.strerror or error}") from error
    return digest.hexdigest()


def _validators(headers: Mapping[str, str]) -> Validators:
    etag, modified = headers.get("ETag"), headers.get("Last-Modified")
    if etag:
        return {"etag": etag, **({"last_modified": modified} if modified else {})}
    return {"last_modified": modified} if modified and _is_past(modified, headers.get("Date")) else {}


def _is_past(modified: str, now: str | None) -> bool:
    """A time of change is old enough to tell this state from the next one."""
    try:
        age = parsedate_to_datetime(now or "") - parsedate_to_datetime(modified)
    except (TypeError, ValueError):
        return False
    return age.total_seconds() > _SAME_TIME_S


def _stamp_of(found: os.stat_result) -> str:
    return f"{found.st_dev}-{found.st_ino}-{found.st_size}-{found.st_mtime_ns}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shown(parts: SplitResult) -> str:
    """The link without user, password and query, which may hold secrets."""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _reason(error: requests.RequestException) -> str:
    """The error without the link, which the messages of requests repeat with everything in it."""
    inner = getattr(error.args[0], "reason", None) if error.args else None
    text = str(inner).partition(": ")[2] if inner is not None else ""
    return f"{type(error).__name__} {text}".strip()
