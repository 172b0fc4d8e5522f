"""One call of a platform's API: signed, sent, understood; tried again where the platform says so, signed anew."""

import io
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from livecart.core.background import Backoff
from livecart.core.printable import printable
from livecart.shop.connectors.token_pairs import Tokens
from livecart.shop.errors import FeedError, InvalidValue
from livecart.shop.schemas.money import parse_price
from livecart.shop.sync.http_fetch import Fetcher, Request

T = TypeVar("T")

_ANSWER_BYTES = 8 * 1024 * 1024
_CALL_WITHIN_S = 120.0
_MOST_TRIES = 8
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
#: Platforms tell what is wrong in the body, whatever the status.
_WITH_BODY = frozenset(range(400, 600))
#: From where on a clock is worth a word: the narrowest limit is 30 s (TikTok Shop, ahead).
_SKEW_S = 25.0
_MESSAGE_CHARS = 200
#: Of ids, money in the smallest unit and times there are no longer ones.
_MOST_DIGITS = 20


class Throttled(Exception):
    """Too many calls: it is tried again after `wait_s`, 0: after a pause that grows."""

    def __init__(self, wait_s: float = 0.0) -> None:
        super().__init__(wait_s)
        self.wait_s = wait_s


class TokenRefused(Exception):
    """The access token is void or has ended."""

    def __init__(self, code: object, message: object) -> None:
        super().__init__(code)
        self.code = code
        self.message = message


class PlatformRefused(FeedError):
    """The platform understood the call and says no."""


class AnswerUnclear(FeedError):
    """An answer that is none of those that are known."""


@dataclass(frozen=True, slots=True)
class PlatformAnswer:
    """`body` has numbers with a point as decimals; `shown` makes a text of it one for a message."""

    body: dict[str, Any]
    status: int
    where: str
    shown: Callable[[str], str]

    def take(self, kind: type[T], value: Any) -> T:
        """A part of it as `kind`.

        Raises:
            AnswerUnclear: it is none; the keys at the top are named.
        """
        try:
            # A number in quotes is one, too.
            return msgspec.convert(value, kind, strict=False)
        except msgspec.ValidationError as error:
            raise self.unknown(str(error)) from error

    def money(self, text: str) -> Decimal:
        """A price that it names."""
        try:
            return parse_price(text)
        except InvalidValue as error:
            raise self.unknown(error.text()) from error

    def unknown(self, cause: str) -> AnswerUnclear:
        keys = self.shown(", ".join(sorted(self.body)[:12]))
        return AnswerUnclear("answer_unknown", where=self.where, cause=self.shown(cause), keys=keys)


class PlatformClient:
    """Calls of one feed. One thread at a time; `close` may come from any."""

    def __init__(
        self,
        *,
        fetcher: Fetcher | None = None,
        clock: Callable[[], float] = time.time,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        """Opens no connection.

        Args:
            fetcher: stands in for the usual one.
            clock: UNIX time.
            wait: between two tries, seconds.
        """
        self._secrets: set[str] = set()
        self._fetcher = fetcher or Fetcher(
            headers={"Accept": "application/json"},
            headers_from_env={},
            most_bytes=_ANSWER_BYTES,
            within_s=_CALL_WITHIN_S,
        )
        self.clock = clock
        self._closed = threading.Event()
        self._wait = wait or self._closed.wait
        #: Seconds that this clock is before the platform's, of the last answer.
        self.skew_s: float | None = None

    def close(self) -> None:
        self._closed.set()
        self._fetcher.close()

    def call(
        self,
        where: str,
        make: Callable[[str], Request],
        check: Callable[[PlatformAnswer], T],
        *,
        tokens: Tokens | None = None,
    ) -> T:
        """Send what `make` makes with the token; what `check` makes of the answer.

        Args:
            where: the method's name, for messages.
            make: a request, by the token; called for each try, as it signs the time.
            check: raises `Throttled`, `TokenRefused` or a FeedError of `refused`.
            tokens: None: there is no token.

        Raises:
            PlatformRefused: the platform says no.
            AnswerUnclear: the answer is not understood.
            FeedError: there is none, or none but "too many calls".
        """
        backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        has_renewed = False
        for _ in range(_MOST_TRIES):
            token = "" if tokens is None else tokens.get()
            if tokens is not None and tokens.pair is not None:
                self.hide(token, tokens.pair.refresh_token)
            answer = self._send(where, make, token)
            try:
                return check(answer)
            except Throttled as error:
                pause_s = backoff.next_wait_s()
                self._wait(min(max(error.wait_s, 0.0), _LONGEST_PAUSE_S) or pause_s)
            except TokenRefused as error:
                if tokens is None or has_renewed:
                    raise self.refused(answer, error.code, error.message) from error
                has_renewed = True
                tokens.renew(token)
        raise FeedError("platform_throttled", where=where, tries=_MOST_TRIES)

    def refused(self, answer: PlatformAnswer, code: object, message: object) -> PlatformRefused:
        """The error that tells what the platform says, and of a clock that is wrong."""
        said = self._shown(f"{code} {message}")
        if self.skew_s is not None and abs(self.skew_s) > _SKEW_S:
            return PlatformRefused("platform_refused_clock", where=answer.where, said=said, skew_s=round(self.skew_s))
        return PlatformRefused("platform_refused", where=answer.where, said=said)

    def hide(self, *secrets: str) -> None:
        """They are never to be seen in a message."""
        self._secrets.update(filter(None, secrets))

    def _shown(self, text: str) -> str:
        # Before it is cut, which may leave half of one; of two that begin alike the longer one first.
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return printable(text[:_MESSAGE_CHARS])

    def _send(self, where: str, make: Callable[[str], Request], token: str) -> PlatformAnswer:
        body = io.BytesIO()
        fetched = self._fetcher.send(lambda: make(token), body, where=where, with_status=_WITH_BODY)
        if fetched.date_s is not None:
            self.skew_s = self.clock() - fetched.date_s
        try:
            value = _encodable(
                json.loads(body.getvalue(), parse_float=Decimal, parse_int=_whole_number, parse_constant=_no_constant)
            )
        except (ValueError, RecursionError, ArithmeticError) as error:
            if fetched.status != 200:
                raise FeedError("feed_status", where=where, status=fetched.status) from error
            raise FeedError("feed_not_json", where=where) from error
        if not isinstance(value, dict):
            raise FeedError("feed_not_json", where=where)
        return PlatformAnswer(value, fetched.status, where, self._shown)


def _whole_number(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError("too many digits")
    return int(text)


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _encodable(value: Any) -> Any:
    """The value with "?" for halves of characters, as a title has that was cut within an emoji."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, list):
        return [_encodable(each) for each in value]
    if isinstance(value, dict):
        return {_encodable(key): _encodable(each) for key, each in value.items()}
    return value
