"""The host's console over this process's rooms: a room's state, put together from runner and recogniser."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec
from fastapi import APIRouter

from livecart.core.types import Detection, RoomView
from livecart.live.outbox import EventOutbox
from livecart.live.rooms import Rooms
from livecart.live.watchers import News, RoomWatcher
from livecart.server.room_registry import RoomRegistry
from livecart.server.rooms_file import RoomsFile
from livecart.web.access import TicketCheck
from livecart.web.console import ConsoleFeed, Watching, console_router
from livecart.web.console.messages import ConsoleUpdate, SeenDetections, SeenProduct, ShownCard
from livecart.web.hub import TicketSigner, ViewerHub


@dataclass(frozen=True, slots=True)
class HostConsole:
    """The console's routes, what feeds them (to be closed), and who is let in."""

    router: APIRouter
    feed: ConsoleFeed
    guard: TicketCheck


def make_host_console(
    rooms: Rooms, outbox: EventOutbox, book: RoomRegistry, hub: ViewerHub, file: RoomsFile, *, tickets: TicketSigner
) -> HostConsole:
    guard = TicketCheck(file.http.token, lambda room, ticket: tickets.admits(room, ticket, "host"))
    outbox.listen(rooms.watchers.tell_event)
    sights = ConsoleRooms(rooms, book.view, hub.viewers_by_room)
    feed = ConsoleFeed(sights)
    router = console_router(
        feed,
        tickets,
        guard,
        token_needed=file.http.token is not None,
        knows=sights.knows,
        playback_url=book.playback_url,
    )
    return HostConsole(router, feed, guard)


class ConsoleRooms:
    """Implements `livecart.web.console.ConsoleSource`."""

    def __init__(
        self, rooms: Rooms, view: Callable[[str], RoomView | None], viewers: Callable[[], dict[str, int]]
    ) -> None:
        self._rooms = rooms
        self._view = view
        self._viewers = viewers

    def knows(self, room: str) -> bool:
        return self._rooms.get(room) is not None

    def hosts(self, room: str) -> int:
        return self._rooms.watchers.watchers_of(room)

    @contextmanager
    def watch(self, room: str) -> Iterator[Watching]:
        view = self._view(room)
        generation = 0 if view is None else view.ticket_generation
        with self._rooms.watchers.watch(room) as watcher:
            yield watcher.changed, lambda: self._update(room, watcher, generation)

    def _update(self, room: str, watcher: RoomWatcher, generation: int) -> ConsoleUpdate | None:
        runner, view = self._rooms.get(room), self._view(room)
        # Where tickets were revoked meanwhile, the page has to come again with its own.
        if runner is None or view is None or view.ticket_generation != generation:
            return None
        news = watcher.take()
        return ConsoleUpdate(
            server_time_s=time.time(),
            room=view,
            cards=[msgspec.convert(shown, ShownCard, from_attributes=True) for shown in runner.decision.shown],
            outcomes=self._rooms.metrics.outcomes(room),
            viewers=self._viewers().get(room, 0),
            detections=_detections(news),
            events=list(news.events),
            events_missed=news.events_missed,
        )


def _detections(news: News) -> SeenDetections | None:
    detections = news.detections
    if detections is None:
        return None
    return SeenDetections(
        pts_s=detections.pts_s,
        captured_at_s=detections.captured_at_s,
        decided_at_s=news.decided_at_s,
        frame_width=detections.frame_width_px,
        frame_height=detections.frame_height_px,
        products=[_product(detection) for detection in detections.products],
        texts=list(detections.texts),
        stage_seconds=detections.stage_seconds,
        skipped=news.skipped,
    )


def _product(seen: Detection) -> SeenProduct:
    evidence = {} if seen.evidence is None else msgspec.structs.asdict(seen.evidence)
    return SeenProduct(
        **{name: getattr(seen, name) for name in (*ShownCard.__struct_fields__, "confidence", "threshold")},
        is_shown=seen.threshold is None or seen.confidence >= seen.threshold,
        box=seen.box_xyxy_px,
        evidence={kind: value for kind, value in evidence.items() if value is not None},
    )
