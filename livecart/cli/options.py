"""From a command's options to settings, and waiting for the recogniser that they name."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass

from livecart.errors import SettingsError
from livecart.pipeline.decision import DecisionSettings
from livecart.pipeline.gate import GateSettings
from livecart.pipeline.ingest import IngestSettings
from livecart.pipeline.plan import RoomPlan, plan_room
from livecart.pipeline.recognizer import RecognizerClient, RecognizerSettings
from livecart.rooms_file import RECOGNIZER_TOKEN_VARIABLE
from livecart.settings import RoomSettings

DEFAULT_RECOGNIZER = "http://127.0.0.1:8080"
RECOGNIZER_VARIABLE = "LIVECART_RECOGNIZER"

#: A server that was just started needs about so long; one that is not there is told of soon enough.
_RECOGNIZER_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomOptions:
    """What `watch` and `evaluate-clip` have in common."""

    source: str
    room: str
    recognizer_url: str
    rate_hz: float
    realtime: bool
    gate: bool = True

    def plan(self, products: tuple[str, ...] | None = None) -> RoomPlan:
        """How the room is run.

        Raises:
            SettingsError: source, room or rate cannot be used.
        """
        room = RoomSettings(
            id=self.room, source=self.source, rate_hz=self.rate_hz, realtime=self.realtime, products=products
        )
        gate = GateSettings() if self.gate else None
        return plan_room(room, ingest=IngestSettings(), gate=gate, decision=DecisionSettings())

    def recognizer(self) -> RecognizerSettings:
        """Where the recogniser is; its token comes from the environment.

        Raises:
            SettingsError: the address cannot be one.
        """
        return RecognizerSettings(base_url=self.recognizer_url, token=os.environ.get(RECOGNIZER_TOKEN_VARIABLE) or None)


async def wait_for_recognizer(client: RecognizerClient, stop: asyncio.Event) -> None:
    """Wait until a frame would be answered, or `stop` is set.

    Raises:
        SettingsError: nothing answers in time; says how to start it.
    """
    end_s = time.monotonic() + _RECOGNIZER_WITHIN_S
    while not stop.is_set() and not await client.ready():
        if time.monotonic() >= end_s:
            raise SettingsError(
                f"no recogniser answers at {client.settings.base_url}; start one with `make serve`, name another with "
                f"--recognizer or {RECOGNIZER_VARIABLE}, and put its token, if it wants one, "
                f"into {RECOGNIZER_TOKEN_VARIABLE}"
            )
        await asyncio.sleep(0.3)
