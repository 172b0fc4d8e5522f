"""Rooms by owner (the file or an HTTP client), and the host's controls over the running ones.

A room belongs to who named it last. The file is compared with what it said before, room by room: only rooms whose
lines changed are touched, so that what HTTP clients did to other rooms stays until the process ends.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal, TypeAlias

import msgspec

from contract.card import CardEvent
from livecart.core.errors import LivecartError, StreamError
from livecart.core.settings import UTM_SOURCE, WHIP_SOURCE, RoomSettings
from livecart.core.types import Detection, RoomView
from livecart.live.decide import DecisionSettings, RoomDecision
from livecart.live.gate.settings import GateSettings
from livecart.live.plan import RoomPlan, plan_room
from livecart.live.room_runner import RoomRunner
from livecart.live.rooms import Rooms
from livecart.live.video import IngestSettings
from livecart.server.rooms_file import RoomsFile

_log = logging.getLogger(__name__)

Owner: TypeAlias = Literal["file", "http"]
_Sections: TypeAlias = tuple[IngestSettings, GateSettings, DecisionSettings]


class RoomRegistry:
    """Adds, changes and removes rooms; implements `livecart.web.control.RoomControl`."""

    def __init__(self, rooms: Rooms, file: RoomsFile) -> None:
        self._rooms = rooms
        self._sections = _sections(file)
        self._http_may_name_files = file.http.file_sources
        self._in_file: dict[str, RoomSettings] = {}
        self._named: dict[str, tuple[RoomSettings, Owner]] = {}
        #: Of rooms whose tickets were revoked. It outlives the room: one that is opened again revives none.
        self._generations: dict[str, int] = {}

    # The file

    async def apply_file(self, file: RoomsFile) -> None:
        """Make the rooms what the file says, as far as it changed."""
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
        return [self._owned(view) for view in self._rooms.views()]

    def view(self, room: str) -> RoomView | None:
        runner = self._rooms.get(room)
        return None if runner is None else self._owned(runner.view())

    def playback_url(self, room: str) -> str | None:
        """The room's stream for viewers, of a WHIP room its own WHEP; None where none is set."""
        named = self._named.get(room)
        if named is None:
            return None
        settings, _ = named
        ingest, *_ = self._sections
        shows = settings.source == WHIP_SOURCE and ingest.whep_viewers > 0
        return settings.playback_url or (f"/rooms/{room}/whep" if shows else None)

    def utm_source(self, room: str) -> str:
        """The `utm_source` of the room's links; of a room that does not run here the default."""
        named = self._named.get(room)
        return UTM_SOURCE if named is None else named[0].utm_source

    async def put(self, settings: RoomSettings) -> RoomView:
        # Strangers must not have files of this machine opened, unless the operator wants that.
        _plan(settings, self._sections, files=self._http_may_name_files)
        runner = await self._run(settings, "http")
        return self._owned(runner.view())

    async def delete(self, room: str) -> bool:
        self._named.pop(room, None)
        return await self._rooms.remove(room)

    # Tickets

    def ticket_generation(self, room: str) -> int | None:
        """The generation of hosts' and publishers' tickets; None where the room does not run here."""
        return self._generations.get(room, 0) if room in self._named else None

    async def end_tickets(self, room: str) -> RoomView | None:
        generation = self.ticket_generation(room)
        if generation is None:
            return None
        await self._raise_generation(room, generation + 1)
        _log.warning(
            "room %s: tickets of hosts and publishers are revoked until this process ends; "
            "write ticket_generation = %d into the room's lines for longer",
            room,
            generation + 1,
        )
        return self.view(room)

    async def _raise_generation(self, room: str, generation: int) -> None:
        if generation > self._generations.get(room, 0):
            self._generations[room] = generation
            runner = self._rooms.get(room)
            if runner is not None and runner.whip is not None:
                await runner.whip.end_sender("its ticket was revoked")

    # The host

    def pin(self, room: str, sku: str, detection: Detection | None = None) -> RoomView | None:
        return self._control(room, lambda decision: decision.pin(sku, detection))

    def unpin(self, room: str) -> RoomView | None:
        return self._control(room, lambda decision: decision.unpin())

    def mute(self, room: str, sku: str, for_s: float | None) -> RoomView | None:
        return self._control(room, lambda decision: decision.mute(sku, for_s))

    def unmute(self, room: str, sku: str) -> RoomView | None:
        return self._control(room, lambda decision: decision.unmute(sku))

    def withdraw(self, room: str, sku: str) -> RoomView | None:
        return self._control(room, lambda decision: decision.withdraw(sku))

    # WHIP

    async def whip_accept(self, room: str, offer_sdp: str) -> tuple[str, str] | None:
        runner = self._rooms.get(room)
        if runner is None:
            return None
        if runner.whip is None:
            raise StreamError(f"room {room} reads {runner.plan.shown}; give it the source 'whip' to send to it")
        return await runner.whip.accept(offer_sdp)

    async def whip_end(self, room: str, sender: str) -> bool:
        runner = self._rooms.get(room)
        return runner is not None and runner.whip is not None and await runner.whip.end(sender)

    async def whep_accept(self, room: str, offer_sdp: str, on_end: Callable[[], None]) -> tuple[str, str] | None:
        runner = self._rooms.get(room)
        if runner is None:
            return None
        if runner.whip is None:
            raise StreamError(f"room {room} is not sent by WHIP; viewers play its playback_url")
        return await runner.whip.show(offer_sdp, on_end)

    async def whep_end(self, room: str, viewer: str) -> bool:
        runner = self._rooms.get(room)
        return runner is not None and runner.whip is not None and await runner.whip.end_viewer(viewer)

    def ice_links(self) -> list[str]:
        ingest, *_ = self._sections
        return [server.link for server in ingest.ice_servers]

    async def _run(self, settings: RoomSettings, owner: Owner) -> RoomRunner:
        runner = await self._rooms.put(_plan(settings, self._sections))
        self._named[settings.id] = (settings, owner)
        await self._raise_generation(settings.id, settings.ticket_generation)
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

    def _control(self, room: str, action: Callable[[RoomDecision], list[CardEvent]]) -> RoomView | None:
        runner = self._rooms.get(room)
        if runner is None:
            return None
        runner.apply(action)
        return self._owned(runner.view())

    def _owner(self, room: str) -> Owner:
        named = self._named.get(room)
        return "file" if named is None else named[1]

    def _owned(self, view: RoomView) -> RoomView:
        generation = self._generations.get(view.id, 0)
        return msgspec.structs.replace(view, owner=self._owner(view.id), ticket_generation=generation)


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
