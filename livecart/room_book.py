"""Who named which room, and what the host asks of it: between the file, HTTP clients and the running rooms.

A room belongs to who named it last. The file is compared with what it said before, room by room: only rooms whose
lines changed are touched, so that what HTTP clients did to other rooms stays until the process ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, TypeAlias

import msgspec

from livecart.errors import LivecartError, StreamError
from livecart.pipeline.decision import DecisionSettings, RoomDecision
from livecart.pipeline.gate import GateSettings
from livecart.pipeline.ingest import IngestSettings
from livecart.pipeline.plan import RoomPlan, plan_room
from livecart.pipeline.rooms import Rooms
from livecart.pipeline.runner import RoomRunner
from livecart.rooms_file import RoomsFile
from livecart.settings import RoomSettings
from livecart.types import Candidate, CardEvent, RoomView

_log = logging.getLogger(__name__)

Owner: TypeAlias = Literal["file", "http"]
_Sections: TypeAlias = tuple[IngestSettings, GateSettings, DecisionSettings]


class RoomBook:
    """Adds, changes and removes rooms; implements `livecart.web.control.RoomControl`.

    Args:
        rooms: the running rooms.
        file: what the file says at the start; its rooms run after `apply_file(file)`.
    """

    def __init__(self, rooms: Rooms, file: RoomsFile) -> None:
        self._rooms = rooms
        self._sections = _sections(file)
        self._http_may_name_files = file.http.file_sources
        self._in_file: dict[str, RoomSettings] = {}
        self._named: dict[str, tuple[RoomSettings, Owner]] = {}

    # The file

    async def apply_file(self, file: RoomsFile) -> None:
        """Make the rooms what the file says, as far as it changed.

        Raises:
            SettingsError: a room of it cannot be run; nothing was changed.
        """
        sections = _sections(file)
        for room in file.rooms.values():
            _plan(room, sections)
        before, self._in_file = self._in_file, file.rooms
        restart = sections != self._sections
        self._sections = sections
        gone = [name for name in before if name not in file.rooms and self._owner(name) == "file"]
        due: dict[str, tuple[RoomSettings, Owner]] = dict(self._named) if restart else {}
        due |= {room.id: (room, "file") for room in file.rooms.values() if room != before.get(room.id)}
        for name in gone:
            due.pop(name, None)
            self._named.pop(name, None)
        await asyncio.gather(
            *(self._guarded(self._rooms.remove(name), name) for name in gone),
            *(self._guarded(self._run(settings, owner), settings.id) for settings, owner in due.values()),
        )

    # HTTP

    def views(self) -> list[RoomView]:
        """See `RoomControl`."""
        return [self._owned(view) for view in self._rooms.views()]

    def view(self, room: str) -> RoomView | None:
        """See `RoomControl`."""
        runner = self._rooms.get(room)
        return None if runner is None else self._owned(runner.view())

    def playback_url(self, room: str) -> str | None:
        """Where viewers play the room's stream; None where nobody said."""
        named = self._named.get(room)
        return None if named is None else named[0].playback_url

    async def put(self, settings: RoomSettings) -> RoomView:
        """See `RoomControl`."""
        # Strangers must not have files of this machine opened, unless the operator wants that.
        _plan(settings, self._sections, files=self._http_may_name_files)
        runner = await self._run(settings, "http")
        return self._owned(runner.view())

    async def delete(self, room: str) -> bool:
        """See `RoomControl`."""
        self._named.pop(room, None)
        return await self._rooms.remove(room)

    # The host

    def pin(self, room: str, sku: str, candidate: Candidate | None) -> RoomView | None:
        """See `RoomControl`."""
        return self._wish(room, lambda decision: decision.pin(sku, candidate))

    def unpin(self, room: str) -> RoomView | None:
        """See `RoomControl`."""
        return self._wish(room, lambda decision: decision.unpin())

    def mute(self, room: str, sku: str, for_s: float | None) -> RoomView | None:
        """See `RoomControl`."""
        return self._wish(room, lambda decision: decision.mute(sku, for_s))

    def unmute(self, room: str, sku: str) -> RoomView | None:
        """See `RoomControl`."""
        return self._wish(room, lambda decision: decision.unmute(sku))

    def withdraw(self, room: str, sku: str) -> RoomView | None:
        """See `RoomControl`."""
        return self._wish(room, lambda decision: decision.withdraw(sku))

    # WHIP

    async def whip_accept(self, room: str, offer_sdp: str) -> tuple[str, str] | None:
        """See `RoomControl`."""
        runner = self._rooms.get(room)
        if runner is None:
            return None
        if runner.whip is None:
            raise StreamError(f"room {room} reads {runner.plan.shown}; give it the source 'whip' to send to it")
        return await runner.whip.endpoint.accept(offer_sdp)

    async def whip_end(self, room: str, sender: str) -> bool:
        """See `RoomControl`."""
        runner = self._rooms.get(room)
        return runner is not None and runner.whip is not None and await runner.whip.endpoint.end(sender)

    async def _run(self, settings: RoomSettings, owner: Owner) -> RoomRunner:
        runner = await self._rooms.put(_plan(settings, self._sections))
        self._named[settings.id] = (settings, owner)
        return runner

    async def _guarded(self, change: Awaitable[object], room: str) -> None:
        """One room of many; what fails in it is counted, and the others are changed all the same."""
        try:
            await change
        except LivecartError as error:
            self._rooms.metrics.background_failure("rooms_file")
            _log.error("room %s stays as it was: %s", room, error)
        except Exception:  # noqa: BLE001  see above
            self._rooms.metrics.background_failure("rooms_file")
            _log.exception("room %s could not be changed", room)

    def _wish(self, room: str, wish: Callable[[RoomDecision], list[CardEvent]]) -> RoomView | None:
        runner = self._rooms.get(room)
        if runner is None:
            return None
        runner.apply(wish)
        return self._owned(runner.view())

    def _owner(self, room: str) -> Owner:
        named = self._named.get(room)
        return "file" if named is None else named[1]

    def _owned(self, view: RoomView) -> RoomView:
        return msgspec.structs.replace(view, owner=self._owner(view.id))


def _sections(file: RoomsFile) -> _Sections:
    return file.ingest, file.gate, file.decision


def _plan(room: RoomSettings, sections: _Sections, *, files: bool = True) -> RoomPlan:
    ingest, gate, decision = sections
    if not files:
        allowed = tuple(scheme for scheme in ingest.schemes if scheme != "file")
        ingest = msgspec.structs.replace(ingest, schemes=allowed)
    return plan_room(room, ingest=ingest, gate=gate, decision=decision)


def restart_needed(old: RoomsFile, new: RoomsFile) -> list[str]:
    """The sections that changed and are read only at the start."""
    names = ("recognizer", "dispatcher", "queue", "bus", "http", "viewers", "feedback", "faces", "catalog")
    changed: Mapping[str, bool] = {name: getattr(old, name) != getattr(new, name) for name in names}
    return [name for name, differs in changed.items() if differs]
