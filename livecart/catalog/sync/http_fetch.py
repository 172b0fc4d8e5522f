"""One GET of a feed: bounded in size and time, tried again where that may help, its secrets never in a message."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from livecart.catalog.sync.source import NO_VALIDATORS, Validators
from livecart.errors import FeedError, SettingsError

_CONNECT_S = 10.0
#: Between two pieces of an answer, not for the whole of it.
_READ_S = 60.0
_CHUNK_BYTES = 64 * 1024
_NOT_MODIFIED = 304


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer's head; its body is in the file that was given. `unchanged`: there is none."""

    url: str
    validators: Validators
    #: URL of the next page, of a `Link: <…>; rel="next"` header.
    next_url: str | None
    unchanged: bool = False


class Fetcher:
    """GETs from one server. One thread at a time."""

    def __init__(
        self,
        *,
        headers: Mapping[str, str],
        headers_from_env: Mapping[str, str],
        most_bytes: int,
        retries: int = 3,
        backoff_s: float = 0.5,
    ) -> None:
        """Opens no connection.

        Args:
            headers: sent with each request.
            headers_from_env: header to environment variable, for tokens: they are not to stand in a file.
            most_bytes: of one answer.
            retries: of an answer 429, 500, 502, 503 or 504 (`Retry-After` is kept to) and of a lost connection.
            backoff_s: before the second retry; doubles.

        Raises:
            SettingsError: an environment variable is not set.
        """
        secrets = {}
        for header, variable in headers_from_env.items():
            value = os.environ.get(variable)
            if not value:
                raise SettingsError(f"environment variable {variable} is not set; it holds the feed's {header} header")
            secrets[header] = value
        self._most_bytes = most_bytes
        self._session = requests.Session()
        # Only what the settings say: no proxies and no .netrc of whoever runs this.
        self._session.trust_env = False
        self._session.headers.update({"User-Agent": "livecart-sync", **headers, **secrets})
        retry = Retry(
            total=retries,
            backoff_factor=backoff_s,
            backoff_max=30,
            status_forcelist=(429, 500, 502, 503, 504),
            allowed_methods=("GET",),
            raise_on_status=False,
        )
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=retry))
        self._lock = threading.Lock()

    def get(self, url: str, into: BinaryIO, *, validators: Validators = NO_VALIDATORS) -> Fetched:
        """Fetch `url`; the body is appended to `into`.

        A redirect is not followed: the headers may hold a token that only the configured server may see.

        Raises:
            FeedError: no answer, another status than 200 and 304, or too large a body.
        """
        headers = {}
        if validators.etag:
            headers["If-None-Match"] = validators.etag
        if validators.last_modified:
            headers["If-Modified-Since"] = validators.last_modified
        shown = without_query(url)
        try:
            with (
                self._lock,
                self._session.get(
                    url, headers=headers, stream=True, timeout=(_CONNECT_S, _READ_S), allow_redirects=False
                ) as answer,
            ):
                return self._take(answer, shown, into)
        except requests.RequestException as error:
            raise FeedError(f"{shown}: does not answer: {type(error).__name__}") from error

    def close(self) -> None:
        """Close its connections."""
        self._session.close()

    def _take(self, answer: requests.Response, shown: str, into: BinaryIO) -> Fetched:
        if answer.status_code == _NOT_MODIFIED:
            return Fetched(answer.url, Validators(), None, unchanged=True)
        if answer.is_redirect:
            target = without_query(answer.headers.get("Location", ""))
            raise FeedError(f"{shown}: has moved to {target}; put the new address into the settings")
        if answer.status_code != requests.codes.ok:
            raise FeedError(f"{shown}: answers {answer.status_code}")
        received = 0
        for chunk in answer.iter_content(_CHUNK_BYTES):
            received += len(chunk)
            if received > self._most_bytes:
                raise FeedError(f"{shown}: answers with more than {self._most_bytes} bytes")
            into.write(chunk)
        validators = Validators(answer.headers.get("ETag"), answer.headers.get("Last-Modified"))
        return Fetched(answer.url, validators, answer.links.get("next", {}).get("url"))


def without_query(url: str) -> str:
    """The URL without its query, which may hold a token."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"


def same_server(one: str, other: str) -> bool:
    """Whether both lead to the same scheme, host and port."""
    first, second = urlsplit(one), urlsplit(other)
    return (first.scheme, first.hostname, first.port) == (second.scheme, second.hostname, second.port)
