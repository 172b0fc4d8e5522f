"""Health of what livecart depends on, asked in the background, so that a probe costs nothing and never hangs."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from livecart.core.errors import BusError

_log = logging.getLogger(__name__)

_EVERY_S = 2.0
#: Asked about as a room that nobody has: only whether the bus answers matters.
_NO_ROOM = "livecart-health"


class HealthMonitor:
    """Implements `livecart.web.control.Health`. `run` asks, once at its beginning and then every two seconds.

    Args:
        recognizer_ready: whether a frame sent now would be answered.
        last_event_id: of the bus; raises BusError where it is away.
        is_serving: whether what serves all rooms runs.
    """

    def __init__(
        self,
        recognizer_ready: Callable[[], Awaitable[bool]],
        last_event_id: Callable[[str], Awaitable[int]],
        is_serving: Callable[[], bool],
    ) -> None:
        self._last_event_id = last_event_id
        self._is_serving = is_serving
        self._asked: dict[str, Callable[[], Awaitable[bool]]] = {"recognizer": recognizer_ready, "bus": self._bus_up}
        self._checks = dict.fromkeys(self._asked, False)

    def also(self, name: str, answers: Callable[[], Awaitable[bool]]) -> None:
        """Ask one more thing, before `run`; `answers` never raises, and never takes long."""
        self._asked[name] = answers
        self._checks[name] = False

    def is_alive(self) -> bool:
        return self._is_serving()

    def checks(self) -> dict[str, bool]:
        """The newest answers by name: "recognizer", "bus" and what `also` added."""
        return dict(self._checks)

    async def run(self) -> None:
        while True:
            answers = await asyncio.gather(*(ask() for ask in self._asked.values()))
            for name, good in zip(self._asked, answers, strict=True):
                if self._checks[name] != good:
                    _log.log(logging.INFO if good else logging.WARNING, "%s is %s", name, "up" if good else "down")
                self._checks[name] = good
            await asyncio.sleep(_EVERY_S)

    async def _bus_up(self) -> bool:
        try:
            await self._last_event_id(_NO_ROOM)
        except BusError:
            return False
        return True
