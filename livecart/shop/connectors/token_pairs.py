"""Access tokens of a shop: renewed by one process at a time, and on the disk before they are used."""

import fcntl
import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Self

import msgspec

from livecart.core.errors import SettingsError
from livecart.core.files import write_file
from livecart.shop.errors import FeedError

_log = logging.getLogger(__name__)
#: Before its end that a person is told: 快手's is never put off.
_WARN_S = 14 * 86_400.0
#: Between two renewals that nobody has asked for.
_LEAST_S = 60.0


class TokenPair(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a platform gives; UNIX times, 0: it did not say when."""

    access_token: str
    refresh_token: str = ""
    expires_at_s: float = 0.0
    refresh_expires_at_s: float = 0.0

    @classmethod
    def of(cls, access: str, refresh: str, ends: object, refresh_ends: object = None, *, from_s: float = 0.0) -> Self:
        """Of times that count from `from_s`; what is none is unknown: a renewed pair must not be lost for it."""
        times = (from_s + each if (each := _seconds(value)) else 0.0 for value in (ends, refresh_ends))
        return cls(access, refresh, *times)

    def __repr__(self) -> str:
        return f"TokenPair(expires_at_s={self.expires_at_s}, refresh_expires_at_s={self.refresh_expires_at_s})"


class Tokens:
    """The token of one feed. One thread at a time; of several processes one renews, the others take what it wrote."""

    def __init__(
        self,
        renew: Callable[[TokenPair | None], TokenPair],
        *,
        path: Path | None,
        margin_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Opens nothing.

        Args:
            renew: asks the platform for a new pair, by the old one where there is one.
            path: the file of the pair; None: it can be asked for at any time, and is kept in memory.
            margin_s: before its end that a token is renewed.
            clock: UNIX time.
        """
        self._renew = renew
        self._path = path
        self._margin_s = margin_s
        self._clock = clock
        self._renewed_at_s = -math.inf
        self.pair: TokenPair | None = None

    def get(self) -> str:
        """The token to send.

        Raises:
            FeedError: there is none, and the platform gives none.
        """
        self.pair = self.pair or self._load()
        if self.pair is not None and not self._is_due(self.pair):
            return self.pair.access_token
        return self.renew(self.pair.access_token if self.pair else None)

    def renew(self, refused: str | None) -> str:
        """Another token than the one that is refused or ends soon."""
        with self._alone():
            there = self._load()
            if there is not None and there.access_token != refused and not self._is_due(there):
                # Another process was first, or a person has put a new one there.
                self.pair = there
                return there.access_token
            if there is not None:
                # A disk that is full is found before the platform makes this pair void.
                self._write(there)
            pair = self._renew(there)
            # Before it is used.
            self._write(pair)
            self.pair, self._renewed_at_s = pair, self._clock()
            if 0 < pair.refresh_expires_at_s < self._clock() + _WARN_S:
                ends = datetime.fromtimestamp(pair.refresh_expires_at_s).astimezone()
                _log.warning("%s can be renewed until %s; authorise the app anew before", self._path, ends)
        return pair.access_token

    def _is_due(self, pair: TokenPair) -> bool:
        # One that comes with little time left is not asked for with each call.
        is_new = self._clock() < self._renewed_at_s + _LEAST_S
        return 0 < pair.expires_at_s <= self._clock() + self._margin_s and not is_new

    def _load(self) -> TokenPair | None:
        if self._path is None:
            return self.pair
        try:
            if self._path.stat().st_mode & 0o077:
                self._path.chmod(0o600)
            return msgspec.json.decode(self._path.read_bytes(), type=TokenPair)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise FeedError("tokens_unreadable", where=str(self._path), cause=type(error).__name__) from error

    def _write(self, pair: TokenPair) -> None:
        if self._path is not None:
            try:
                write_file(self._path, msgspec.json.encode(pair), mode=0o600)
            except OSError as error:
                raise FeedError("tokens_unwritable", where=str(self._path), cause=str(error.strerror)) from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if self._path is None:
            yield
            return
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise FeedError("tokens_unwritable", where=str(self._path), cause=str(error.strerror)) from error
        try:
            # Let go of by the system when the process ends, however it does.
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _seconds(value: object) -> float:
    is_time = isinstance(value, int | float | Decimal) and not isinstance(value, bool) and 0 < value < 1e11
    return float(value) if is_time else 0.0  # type: ignore[arg-type]


def read_secret(name: str, feed: str) -> str:
    """The secret that `env:NAME` or `file:PATH` names.

    Raises:
        SettingsError: it is named in another way, or is not there. Its message never holds `name` but for those two.
    """
    kind, _, place = name.partition(":")
    if kind == "env" and place:
        value = os.environ.get(place, "").strip()
    elif kind == "file" and place:
        try:
            value = Path(place).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"feed {feed}: the secret's file {place} cannot be read") from error
    else:
        raise SettingsError(f"feed {feed}: name a secret by env:VARIABLE or file:/path; it is not to stand here")
    if not value:
        raise SettingsError(f"feed {feed}: {name} holds no secret")
    return value
