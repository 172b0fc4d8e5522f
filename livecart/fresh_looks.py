"""After a new snapshot the rooms look again: what stood there unknown may be a product by now.

A room does not ask again about what it has seen and nobody knew (pipeline/familiar.py), for up to ten seconds. So once
the recogniser answers with the catalog that was just published, every room takes its next good frame for a new one.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from livecart.errors import LivecartError

_log = logging.getLogger(__name__)

#: Between two looks at what is published, a small file, and at what the recogniser answers with, a tiny picture.
_EVERY_S = 0.25
#: An archive that does not follow this folder never answers with it.
_GIVE_UP_S = 30.0
#: The recogniser's workers change one after another: looks of the first moment may still be the old catalog's.
_AGAIN_AFTER_S = 1.0


class FreshLooks:
    """Watches two ids: of what is published, and of what the recogniser answers with.

    Args:
        published: the version published last; None: none. Quick, blocks.
        served: the catalog that the recogniser answers with; raises LivecartError where it does not answer.
        look_again: makes every room take its next good frame for a new one.
    """

    def __init__(
        self,
        published: Callable[[], int | None],
        served: Callable[[], Awaitable[str | None]],
        look_again: Callable[[], None],
    ) -> None:
        self._published = published
        self._served = served
        self._look_again = look_again
        self._version: int | None = None
        self._catalog: str | None = None

    async def run(self) -> None:
        """Until cancelled."""
        self._version = await self._read()
        self._catalog = await self._ask()
        while True:
            await asyncio.sleep(_EVERY_S)
            version = await self._read()
            if version == self._version:
                continue
            self._version = version
            if await self._is_served():
                self._look_again()
                await asyncio.sleep(_AGAIN_AFTER_S)
                self._look_again()

    async def _is_served(self) -> bool:
        """Wait for another catalog than the one known; whether it came."""
        give_up_s = time.monotonic() + _GIVE_UP_S
        while time.monotonic() < give_up_s:
            catalog = await self._ask()
            if catalog is not None and catalog != self._catalog:
                self._catalog = catalog
                return True
            await asyncio.sleep(_EVERY_S)
        _log.warning("a snapshot was published, and %.0f s later the recogniser has no other catalog", _GIVE_UP_S)
        return False

    async def _read(self) -> int | None:
        try:
            return await asyncio.to_thread(self._published)
        except LivecartError as error:
            _log.debug("what is published cannot be read: %s", error)
            return self._version

    async def _ask(self) -> str | None:
        try:
            return await self._served()
        except LivecartError as error:
            _log.debug("which catalog is served is not known: %s", error)
            return None
