"""The host's console over this process's rooms: what it is told of a room, put together from runner and recogniser."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from fastapi import APIRouter

from livecart.pipeline.look_watch import News, RoomWatcher
from livecart.pipeline.outbox import EventOutbox
from livecart.pipeline.rooms import Rooms
from livecart.room_book import RoomBook
from livecart.rooms_file import RoomsFile
from livecart.types import Candidate, RoomView
from livecart.web.access import HostCheck
from livecart.web.console import ConsoleFeed, console_router
from livecart.web.console.messages import ConsoleUpdate, SeenLook, SeenProduct, SeenText, ShownCard
from livecart.web.hub import TicketOffice, ViewerHub


@dataclass(frozen=True, slots=True)
class HostConsole:
    """The console's routes, what feeds them (to be closed), and who is let in."""

    router: APIRouter
    feed: ConsoleFeed
    guard: HostCheck
    tickets: TicketOffice


def make_host_console(
    rooms: Rooms, outbox: EventOutbox, book: RoomBook, hub: ViewerHub, file: RoomsFile
) -> HostConsole:
    """The console of this process's rooms."""
    # Without a secret hosts' tickets are good as long as this process runs.
    tickets = TicketOffice(file.viewers.secret or secrets.token_urlsafe(32))
    guard = HostCheck(file.http.token, lambda room, ticket: tickets.admits(room, ticket, "host"))
    outbox.listen(rooms.looks.tell_event)
    sights = RoomSights(rooms, book.view, hub.viewers_by_room)
    feed = ConsoleFeed(sights)
    router = console_router(
        feed,
        tickets,
        guard,
        token_needed=file.http.token is not None,
        knows=sights.knows,
        playback_url=book.playback_url,
    )
    return HostConsole(router, feed, guard, tickets)


class RoomSights:
    """Implements `livecart.web.console.ConsoleSource`.

    Args:
        rooms: of this process.
        view: a room's view, as the API has it.
        viewers: how many watch each room.
    """

    def __init__(
        self, rooms: Rooms, view: Callable[[str], RoomView | None], viewers: Callable[[], dict[str, int]]
    ) -> None:
        self._rooms = rooms
        self._view = view
        self._viewers = viewers

    def knows(self, room: str) -> bool:
        """See `ConsoleSource`."""
        return self._rooms.get(room) is not None

    def hosts(self, room: str) -> int:
        """See `ConsoleSource`."""
        return self._rooms.looks.watchers_of(room)

    @contextmanager
    def watch(self, room: str) -> Iterator[_Sight]:
        """See `ConsoleSource`."""
        with self._rooms.looks.watch(room) as watcher:
            yield _Sight(watcher, lambda: self._update(room, watcher))

    def _update(self, room: str, watcher: RoomWatcher) -> ConsoleUpdate | None:
        runner, view = self._rooms.get(room), self._view(room)
        if runner is None or view is None:
            return None
        news = watcher.take()
        products = runner.decision.state().products
        return ConsoleUpdate(
            server_time_s=time.time(),
            room=view,
            cards=[_card(product.candidate) for product in products if product.card is not None],
            outcomes=self._rooms.metrics.outcomes(room),
            viewers=self._viewers().get(room, 0),
            look=_look(news),
            events=list(news.events),
            events_missed=news.events_missed,
        )


class _Sight:
    """Implements `livecart.web.console.Watching`."""

    def __init__(self, watcher: RoomWatcher, update: Callable[[], ConsoleUpdate | None]) -> None:
        self._watcher = watcher
        self.update = update

    @property
    def changed(self) -> asyncio.Event:
        return self._watcher.changed


def _look(news: News) -> SeenLook | None:
    look = news.look
    if look is None:
        return None
    return SeenLook(
        pts_s=look.pts_s,
        captured_at_s=look.captured_at_s,
        looked_at_s=news.looked_at_s,
        frame_width=look.frame_width_px,
        frame_height=look.frame_height_px,
        products=[_product(candidate) for candidate in look.candidates],
        texts=[SeenText(text=t.text, confidence=t.confidence, box=t.box_xyxy_px) for t in look.texts],
        stage_seconds=look.stage_seconds,
        passed_over=news.looks_passed_over,
    )


def _product(seen: Candidate) -> SeenProduct:
    evidence = {} if seen.evidence is None else asdict(seen.evidence)
    return SeenProduct(
        sku=seen.sku,
        name=seen.name,
        url=seen.url,
        price=seen.price,
        currency=seen.currency,
        confidence=seen.confidence,
        threshold=seen.threshold,
        is_shown=seen.threshold is None or seen.confidence >= seen.threshold,
        box=seen.box_xyxy_px,
        evidence={kind: value for kind, value in evidence.items() if value is not None},
    )


def _card(shown: Candidate) -> ShownCard:
    return ShownCard(sku=shown.sku, name=shown.name, url=shown.url, price=shown.price, currency=shown.currency)
