"""A small client of the predictions API for the scripts: one photo in, one answer out."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from torchserve_plan import MODEL

CONTENT_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
}
_TRIES = 6
_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class PhotoReply:
    """The server's answer to one photo. ``status`` 0 means that it could not be asked."""

    path: Path
    status: int
    body: dict[str, Any]

    @property
    def ok(self) -> bool:
        """True where the photo was answered (not only where a product was found)."""
        return self.status == 200

    @property
    def error(self) -> str:
        """The error for people; empty without one."""
        if self.ok:
            return ""
        error = self.body.get("error")
        if isinstance(error, dict):
            return f"{self.status} {error.get('code')}: {error.get('message')}"
        return f"{self.status or 'no answer'}: {self.body.get('message', 'no message')}"


def find_photos(paths: Sequence[Path]) -> Iterator[Path]:
    """The files among ``paths``, and the photos anywhere below the folders, sorted.

    Raises:
        FileNotFoundError: a path does not exist.
    """
    for path in paths:
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.suffix.lower() in CONTENT_TYPES and p.is_file())
        elif path.is_file():
            yield path
        else:
            raise FileNotFoundError(path)


def recognize(
    session: requests.Session, base_url: str, path: Path, headers: Mapping[str, str], *, version: str | None = None
) -> PhotoReply:
    """Send one photo. A full queue (503) is retried with growing pauses; every failure becomes a ``PhotoReply``."""
    url = f"{base_url}/predictions/{MODEL}" + (f"/{version}" if version else "")
    content_type = CONTENT_TYPES.get(path.suffix.lower(), "application/octet-stream")
    for attempt in range(_TRIES):
        try:
            answer = session.post(
                url, data=path.read_bytes(), headers={**headers, "Content-Type": content_type}, timeout=_TIMEOUT_S
            )
        except (requests.RequestException, OSError) as error:
            return PhotoReply(path, 0, {"message": str(error)})
        if answer.status_code != 503 or attempt == _TRIES - 1:
            break
        time.sleep(0.1 * 2**attempt)
    return PhotoReply(path, answer.status_code, _json(answer))


def _json(answer: requests.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {"message": answer.text[:200]}
    return body if isinstance(body, dict) else {"message": str(body)[:200]}
