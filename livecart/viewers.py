"""The viewer hub over this process's rooms and bus: which rooms there are, and who may watch."""

from __future__ import annotations

import logging

from livecart.bus import Bus
from livecart.errors import BusError
from livecart.pipeline.metrics import LiveMetrics
from livecart.pipeline.rooms import Rooms
from livecart.rooms_file import RoomsFile
from livecart.settings import LOOPBACK_HOSTS
from livecart.web.hub import FeedbackSink, HubMetrics, RecentFeedback, ViewerHub
from livecart.web.hub.admission import Admission
from livecart.web.hub.feedback import FeedbackDesk

_log = logging.getLogger(__name__)


def make_viewer_hub(
    rooms: Rooms, bus: Bus, metrics: LiveMetrics, file: RoomsFile, sink: FeedbackSink | None = None
) -> ViewerHub:
    """A hub; its `run` and `beat` are to be run, its `close` to be called.

    Args:
        rooms: of this process.
        bus: where events come from.
        metrics: of this process; the hub's are registered beside them.
        file: the sections [viewers] and [http].
        sink: where feedback goes; None: the newest stays in memory.
    """
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

    admission = Admission(settings, knows_room, is_public=file.http.host not in LOOPBACK_HOSTS)
    if admission.is_closed:
        _log.warning(
            "http.host is %s, which other machines reach; to let viewers in, set viewers.secret or viewers.open",
            file.http.host,
        )
    hub_metrics = HubMetrics(metrics.registry, metrics.background_failure)
    return ViewerHub(
        bus,
        admission,
        FeedbackDesk(sink or RecentFeedback(), hub_metrics),
        hub_metrics,
        queue_messages=settings.queue_messages,
        replay_events=settings.replay_events,
    )
