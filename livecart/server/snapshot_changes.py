"""Has rooms ask again after a new snapshot: what stood there unknown may be a product by now.

A room does not ask again about what it has seen and nobody knew (gate/background_model.py), for up to ten seconds. So
once the recogniser answers with the catalog that was just published, every room takes its next good frame for new.

Others who want the recogniser meanwhile can wait until the rooms had their results (`caught_up`): a photo whose text is
read for a preview takes longer than one of them, and a worker answers one batch after the other.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from livecart.core.errors import LivecartError

_log = logging.getLogger(__name__)

#: Between two polls of what is published, a small file, and of what the recogniser says that it serves.
_EVERY_S = 0.25
#: An archive that does not follow this folder never answers with it.
_GIVE_UP_S = 30.0
#: The recogniser's workers change one after another: results of the first moment may still be the old catalog's.
_AGAIN_AFTER_S = 1.0
#: Two snapshots in quick succession may be taken over as one: then no catalog of its own comes for the second.
_OVERTAKEN_S = 3.0


class SnapshotId(NamedTuple):
    """A published snapshot: its version, the catalog's revision that it was made from, and a mark of the offers."""

    version: int
    revision: int
    offers: int = 0


class SnapshotWatcher:
    """Watches two ids: of what is published, and of what the recogniser answers with.

    Args:
        published: what was published last; None: nothing. Quick, blocks.
        served: the catalog that the recogniser answers with; raises LivecartError where it does not answer.
        on_snapshot_change: has every room take its next good frame for a new one.
    """

    def __init__(
        self,
        published: Callable[[], SnapshotId | None],
        served: Callable[[], Awaitable[str | None]],
        on_snapshot_change: Callable[[], None],
    ) -> None:
        self._published = published
        self._served = served
        self._on_snapshot_change = on_snapshot_change
        #: The newest that rooms need not wait for any more.
        self._snapshot_id: SnapshotId | None = None
        self._catalog: str | None = None
        self._follows = True
        self._served_at_s = float("-inf")

    async def run(self) -> None:
        self._snapshot_id = await self._read()
        self._catalog = await self._ask()
        while True:
            await asyncio.sleep(_EVERY_S)
            snapshot_id = await self._read()
            if snapshot_id == self._snapshot_id:
                continue
            if await self._is_served():
                self._on_snapshot_change()
                await asyncio.sleep(_AGAIN_AFTER_S)
                self._on_snapshot_change()
            self._snapshot_id = snapshot_id

    async def caught_up(self, revision: int, *, at_most_s: float) -> None:
        """Wait until rooms had results with a catalog of this revision or a later one, at most so many seconds.

        Nobody waits for a recogniser that does not follow what is published here.
        """
        give_up_s = time.monotonic() + at_most_s
        while self._follows and time.monotonic() < give_up_s:
            if self._snapshot_id is not None and self._snapshot_id.revision >= revision:
                return
            await asyncio.sleep(_EVERY_S)

    async def _is_served(self) -> bool:
        """Wait for another catalog than the one known; True where it came."""
        overtaken = time.monotonic() - self._served_at_s < _OVERTAKEN_S
        give_up_s = time.monotonic() + (_OVERTAKEN_S if overtaken else _GIVE_UP_S)
        while time.monotonic() < give_up_s:
            catalog = await self._ask()
            if catalog is not None and catalog != self._catalog:
                self._catalog = catalog
                self._follows, self._served_at_s = True, time.monotonic()
                return True
            await asyncio.sleep(_EVERY_S)
        if overtaken:
            return False
        self._follows = False
        _log.warning(
            "what was published is not served: %.0f s later the recogniser still answers with catalog %s. Unless the "
            "same products were in it, it does not follow what is published here: see handler.catalog.source in its "
            "model-config.yaml (docs/catalog-service.md)",
            _GIVE_UP_S,
            self._catalog,
        )
        return False

    async def _read(self) -> SnapshotId | None:
        try:
            return await asyncio.to_thread(self._published)
        except LivecartError as error:
            _log.debug("what is published cannot be read: %s", error)
            return self._snapshot_id

    async def _ask(self) -> str | None:
        try:
            return await self._served()
        except LivecartError as error:
            _log.debug("which catalog is served is not known: %s", error)
            return None
