"""The viewer hub over this process's rooms and bus: which rooms there are, and who may watch."""

import logging
import secrets

from livecart.core.errors import BusError
from livecart.core.settings import LOOPBACK_HOSTS
from livecart.events import Bus
from livecart.live.metrics import LiveMetrics
from livecart.live.rooms import Rooms
from livecart.server.room_registry import RoomRegistry
from livecart.server.rooms_file import RoomsFile
from livecart.web.hub import FeedbackSink, HubMetrics, RecentFeedback, TicketSigner, ViewerHub
from livecart.web.hub.admission import Admission
from livecart.web.hub.feedback import FeedbackIntake

_log = logging.getLogger(__name__)


def make_tickets(file: RoomsFile, book: RoomRegistry) -> TicketSigner:
    """The signer of the tickets of all roles. Without a secret they are good as long as this process runs."""
    return TicketSigner(file.viewers.secret or secrets.token_urlsafe(32), book.ticket_generation)


def make_viewer_hub(
    rooms: Rooms,
    bus: Bus,
    metrics: LiveMetrics,
    file: RoomsFile,
    sink: FeedbackSink | None = None,
    *,
    tickets: TicketSigner,
) -> ViewerHub:
    """A hub; its `run` and `beat` are to be run, its `close` to be called."""
    settings = file.viewers

    async def knows_room(room: str) -> bool:
        if rooms.get(room) is not None:
            return True
        if not settings.other_processes:
            return False
        try:
            return await bus.last_event_id(room) > 0
        except BusError:
            # Not known now: the viewer is told to come back, not that there is no such room.
            return True

    admission = Admission(settings, knows_room, tickets, is_public=file.http.host not in LOOPBACK_HOSTS)
    if admission.is_closed:
        _log.warning(
            "http.host is %s, which other machines reach; to let viewers in, set viewers.secret or viewers.open",
            file.http.host,
        )
    hub_metrics = HubMetrics(metrics.registry, metrics.background_failure)
    return ViewerHub(
        bus,
        admission,
        FeedbackIntake(sink or RecentFeedback(), hub_metrics),
        hub_metrics,
        queue_messages=settings.queue_messages,
        replay_events=settings.replay_events,
        # Links are counted where cards are kept.
        public_url=settings.public_url and settings.public_url.rstrip("/") if file.catalog else None,
    )
