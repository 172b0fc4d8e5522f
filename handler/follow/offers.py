"""Follows the offers beside a snapshot: price and stock, which an edit changes without a new snapshot.

In a thread of its own, so that a new price does not wait for the download of a large snapshot.
"""

import io
import logging
import os
import posixpath
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from contract.offers import NO_OFFERS, OFFERS_FILE, Offers, decode_offers
from follow.cache import SnapshotCache, create
from follow.follower import REACHABLE, REFUSED, UNREACHABLE
from follow.sources import Absent, NotTaken, StillChanging, Unreachable, open_source

logger = logging.getLogger(__name__)

#: 100,000 products take 5 MiB.
_MOST_BYTES = 64 << 20
#: Of a link that never says "unchanged", every poll is a download: this share of the time is spent on them.
_DOWNLOADING_SHARE = 0.1
_START_S, _JOIN_S = 10.0, 2.0


def offers_beside(source: str) -> str:
    """``offers.json`` in the folder of a snapshot's path or link, with the link's credentials."""
    if "://" not in source:
        return str(Path(source).with_name(OFFERS_FILE))
    parts = urlsplit(source)
    return urlunsplit(parts._replace(path=posixpath.join(posixpath.dirname(parts.path), OFFERS_FILE)))


class OffersFollower:
    """Hands each new state of the file beside ``snapshot_source`` to ``on_offers``, and NO_OFFERS when it goes.

    While it cannot be asked for, what was read last counts; it is kept in ``cache_folder`` for the next start.
    ``on_event`` is called as by ``SnapshotFollower``, and not for each new price.
    """

    def __init__(
        self,
        snapshot_source: str,
        *,
        cache_folder: Path,
        on_offers: Callable[[Offers], None],
        on_event: Callable[[str, str], None],
        poll_s: float = 1.0,
    ) -> None:
        self._source = open_source(offers_beside(snapshot_source), max_bytes=_MOST_BYTES)
        self._kept = SnapshotCache(cache_folder, snapshot_source).folder / OFFERS_FILE
        self._on_offers = on_offers
        self._on_event = on_event
        self._poll_s = poll_s / self._source.polls_per_interval
        self._known: dict[str, str] = {}
        self._is_served = False
        self._trouble: str | None = None
        self._failures = 0
        self._stop = threading.Event()
        self._first_poll_done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="offers-follower", daemon=True)

    def start(self) -> None:
        """Begin to follow; returns when the offers are there, or there are none, or after ten seconds."""
        self._thread.start()
        self._first_poll_done.wait(_START_S)

    def close(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_S)

    def _run(self) -> None:
        with suppress(OSError, ValueError):
            self._serve(decode_offers(self._kept.read_bytes()))
        while not self._stop.is_set():
            pause_s = self._poll_and_report()
            self._first_poll_done.set()
            self._stop.wait(pause_s)

    def _poll_and_report(self) -> float:
        """One poll, which never raises; seconds to the next."""
        try:
            pause_s = self._poll()
        except StillChanging:
            return self._poll_s
        except Absent:
            self._forget()
            # Most archives follow a snapshot without offers: a server need not hear of it every second.
            return self._later()
        except (Unreachable, OSError) as error:
            self._tell(UNREACHABLE, str(error))
            return self._later()
        except (NotTaken, ValueError) as error:
            self._tell(REFUSED, f"{self._source.shown}: {error}")
        except Exception as error:
            logger.exception("the offers could not be polled")
            self._tell(UNREACHABLE, f"{self._source.shown}: {type(error).__name__}")
            return self._later()
        else:
            if self._trouble is not None:
                self._tell(REACHABLE, self._source.shown)
            self._trouble, self._failures = None, 0
            return pause_s
        return self._poll_s

    def _poll(self) -> float:
        began_s, data = time.monotonic(), io.BytesIO()
        with self._source.ask(self._known, self._stop) as answer:
            if answer is None:
                return self._poll_s
            answer.copy_to(data, self._stop)
            # Also where it is refused: it is not read again until it changes.
            self._known = dict(answer.validators)
        self._serve(decode_offers(data.getvalue()))
        self._keep(data.getvalue())
        took_s = time.monotonic() - began_s
        return self._poll_s if self._known else max(self._poll_s, took_s / _DOWNLOADING_SHARE)

    def _serve(self, offers: Offers) -> None:
        self._on_offers(offers)
        self._is_served = True

    def _forget(self) -> None:
        self._known = {}
        if self._is_served:
            self._is_served = False
            self._on_offers(NO_OFFERS)
            self._kept.unlink(missing_ok=True)

    def _keep(self, data: bytes) -> None:
        # Each worker for itself; all write the same. Without it a start while the source is down is less fresh.
        part = self._kept.with_suffix(f".{os.getpid()}.part")
        with suppress(OSError):
            self._kept.parent.mkdir(parents=True, exist_ok=True)
            with create(part) as file:
                file.write(data)
            part.replace(self._kept)

    def _later(self) -> float:
        self._failures = min(self._failures + 1, 16)
        return min(max(self._poll_s, self._source.most_backoff_s), self._poll_s * 2.0**self._failures)

    def _tell(self, outcome: str, message: str) -> None:
        if outcome != self._trouble and not self._stop.is_set():
            self._trouble = outcome
            with suppress(Exception):
                self._on_event(outcome, message)
