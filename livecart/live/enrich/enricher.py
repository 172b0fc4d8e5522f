"""Between the rooms' decisions and the outbox: says where faces are, and has products cut out.

    detections, frame ▶ before_decision ─▶ faces of its picture, in a thread ─▶ avoid, crops
    decision ─────────▶ put(event) ──────▶ waits for them, the room's order kept ──────────▶ outbox

An event waits for the faces of its picture, `wait_s` at most, and the room's later events behind it; other
rooms do not. Without a detector, or where it fails, events go out with what was known last, and no crop is made: nobody
could say that it holds no face. Of faces nothing is kept but the rectangles of each room's newest search.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from contract.boxes import BoxXyxyPx
from contract.card import CardEvent
from livecart.core.types import Detections, Frame, Picture
from livecart.live.enrich.crop_maker import CropMaker
from livecart.live.enrich.crops import CropCache, CropRequest, CropSink
from livecart.live.enrich.faces import Face, FaceFinder, FacesSettings
from livecart.live.metrics import LiveMetrics
from livecart.live.outbox import EventSink

_log = logging.getLogger(__name__)

#: Rectangles older than this say nothing about where the host is now.
_KNOWN_FOR_S = 30.0
#: While the detector is broken every picture fails alike: one line in so many seconds says it.
_LOG_EVERY_S = 10.0

#: `found`: in time. `late`: it took longer than an event may wait. `busy`: too many pictures waited.
FacesOutcome = Literal["found", "late", "busy", "failed"]


@dataclass(slots=True)
class _Search:
    """A search for the faces of one picture. `over`: no event waits for it any longer."""

    picture: Picture
    over: bool = False
    ended: bool = False
    faces: tuple[BoxXyxyPx, ...] | None = None
    #: To be made when it has ended.
    crops: list[CropRequest] = field(default_factory=list)


@dataclass(slots=True)
class _Room:
    detections: Detections | None = None
    #: The newest that was decided on: the result's, or one that is like it.
    picture: Picture | None = None
    #: In that picture; None: none was begun.
    search: _Search | None = None
    searched_at_s: float = float("-inf")
    faces: tuple[BoxXyxyPx, ...] | None = None
    faces_at_s: float = float("-inf")
    waiting: deque[tuple[CardEvent, _Search | None]] = field(default_factory=deque)
    #: Set whenever nothing waits any longer.
    drained: asyncio.Event = field(default_factory=asyncio.Event)
    #: The sku of each card shown now.
    shown: dict[str, str] = field(default_factory=dict)


class Enricher:
    """One for all rooms of a process. All methods belong to the event loop.

    Args:
        sink: where finished events go.
        finder: of faces; None: events pass as they are.
        metrics: count searches and crops.
        cache: keeps crops of cards.
        review: takes crops of uncertain products; None: none are made.
        settings: how often to search, and how long events wait.
        clock: monotonic, in seconds.
    """

    def __init__(
        self,
        sink: EventSink,
        finder: FaceFinder | None,
        metrics: LiveMetrics,
        *,
        cache: CropCache,
        review: CropSink | None = None,
        settings: FacesSettings | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sink = sink
        self._finder = finder
        self._crops = CropMaker(finder, metrics, cache, review)
        self._metrics = metrics
        self._settings = settings if settings is not None else FacesSettings()
        self._clock = clock
        self._rooms: dict[str, _Room] = {}
        self._logged_at_s = float("-inf")

    def before_decision(self, detections: Detections) -> None:
        """Take detections that are about to be decided on: the events put next follow from them."""
        if self._finder is not None:
            room = self._rooms.setdefault(detections.room, _Room())
            room.detections, room.picture, room.search = detections, detections.picture, None

    def saw_frame(self, frame: Frame) -> None:
        """Take a frame that is about to be decided on without detections: the events put next are about its picture."""
        room = self._rooms.get(frame.room)
        if room is not None:
            room.picture, room.search = frame.picture, None

    def put(self, event: CardEvent) -> None:
        """Take an event, and hand it on when it is finished; never waits."""
        if self._finder is None:
            self._sink.put(event)
            return
        room = self._rooms.setdefault(event.room, _Room())
        search = None
        if event.event == "withdraw":
            room.shown.pop(event.card_id, None)
        else:
            search = self._search(room, at_once=event.event == "card")
        if event.event == "card":
            room.shown[event.card_id] = event.sku
            self._make_of_card(room, search, event)
        room.waiting.append((event, search))
        self._hand_on(room)

    def after_decision(self, detections: Detections) -> None:
        """Have crops made of the products left uncertain, once the events that follow from the detections were put."""
        room = self._rooms.get(detections.room)
        if room is None:
            return
        requests = self._crops.of_uncertain(detections, room.shown.values())
        search = self._search(room, at_once=False) if requests else None
        if search is not None:
            for request in requests:
                self._make(search, request)
        if not (detections.products or room.shown):
            # No event can follow from them, and a picture is a megabyte.
            room.detections = room.picture = None

    async def drain(self, name: str) -> None:
        """Wait until the room's events are handed on: `wait_s` for each picture at most."""
        room = self._rooms.get(name)
        while room is not None and room.waiting:
            room.drained.clear()
            await room.drained.wait()

    def forget_room(self, name: str) -> None:
        """The room is gone: events that still wait go out as they are, and what is known of it goes."""
        room = self._rooms.pop(name, None)
        if room is not None:
            for _, search in room.waiting:
                if search is not None:
                    search.over = True
            self._hand_on(room)
        self._crops.forget_room(name)

    def _search(self, room: _Room, *, at_once: bool) -> _Search | None:
        """The search in the newest picture, begun here if it is time; None: there is none."""
        if room.search is not None or self._finder is None or room.picture is None:
            return room.search
        if not at_once and self._clock() - room.searched_at_s < self._settings.every_s:
            return None
        search = _Search(room.picture)
        future = self._finder.search(search.picture)
        if future is None:
            self._metrics.face_search("busy")
            return None
        room.search, room.searched_at_s = search, self._clock()
        timer = asyncio.get_running_loop().call_later(self._settings.wait_s, self._give_up, room, search)

        def done(result: asyncio.Future[tuple[Face, ...]]) -> None:
            timer.cancel()
            self._searched(room, search, result)

        future.add_done_callback(done)
        return search

    def _give_up(self, room: _Room, search: _Search) -> None:
        search.over = True
        self._hand_on(room)

    def _searched(self, room: _Room, search: _Search, result: asyncio.Future[tuple[Face, ...]]) -> None:
        if result.cancelled():
            outcome: FacesOutcome = "failed"
        elif result.exception() is not None:
            outcome = "failed"
            self._failed(result.exception())
        else:
            outcome = "late" if search.over else "found"
            search.faces = tuple(face.box_xyxy_px for face in result.result())
            room.faces, room.faces_at_s = search.faces, self._clock()
        self._metrics.face_search(outcome)
        search.over = search.ended = True
        self._hand_on(room)
        for request in search.crops:
            self._make(search, request)
        search.crops.clear()

    def _hand_on(self, room: _Room) -> None:
        while room.waiting:
            event, search = room.waiting[0]
            if search is not None and not search.over:
                return
            room.waiting.popleft()
            self._sink.put(event if event.event == "withdraw" else self._with_faces(room, event, search))
        room.drained.set()

    def _with_faces(self, room: _Room, event: CardEvent, search: _Search | None) -> CardEvent:
        faces = None if search is None else search.faces
        if faces is None and self._clock() - room.faces_at_s <= _KNOWN_FOR_S:
            faces = room.faces
        return msgspec.structs.replace(event, avoid=faces)

    def _make_of_card(self, room: _Room, search: _Search | None, event: CardEvent) -> None:
        if room.detections is None:
            return
        request = self._crops.of_card(event, room.detections)
        if request is None:
            return
        if search is not None and search.picture is room.detections.picture:
            self._make(search, request)
        elif room.detections.picture is not None:
            # The box is the detection's: nothing may be cut out of another picture by it.
            self._crops.make(request, room.detections.picture, None)

    def _make(self, search: _Search, request: CropRequest) -> None:
        if not search.ended:
            search.crops.append(request)
        else:
            self._crops.make(request, search.picture, search.faces)

    def _failed(self, error: BaseException | None) -> None:
        self._metrics.background_failure("faces")
        if self._clock() - self._logged_at_s >= _LOG_EVERY_S:
            self._logged_at_s = self._clock()
            _log.error("cards go out without knowing of faces, and no crops are kept: %s", error, exc_info=error)
