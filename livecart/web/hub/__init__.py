"""Brings a process's card events to the viewers' pages. docs/viewer.md has the protocol, docs/live.md the settings.

routes.py      /viewer, /rooms/{id}/events, ...;  websocket.py, event_stream.py  the two transports
admission.py   origins, tickets (tickets.py), limits of connections
viewer_connection.py  one viewer: its bounded queue, its writer and reader
hub.py         one subscription for all rooms, heartbeats, joining and leaving;  garbage.py  Python's collector
room_feed.py   one room: cards shown, events kept, viewers connected
messages.py    the protocol's messages;  feedback.py  reports of viewers, checked and counted once
pages.py       the built element's files, a room's pages with it: watch, overlay, QR codes
whep.py        the stream of a WHIP room;  settings.py  the section [viewers];  metrics.py
"""

from livecart.web.hub.feedback import FeedbackSink, RecentFeedback, ViewerFeedback
from livecart.web.hub.hub import ViewerHub
from livecart.web.hub.metrics import HubMetrics
from livecart.web.hub.pages import element_router, overlay_router, watch_router
from livecart.web.hub.room_feed import RoomEvents
from livecart.web.hub.routes import hub_router
from livecart.web.hub.settings import ViewersSettings
from livecart.web.hub.tickets import TicketSigner
from livecart.web.hub.whep import whep_router

__all__ = [
    "FeedbackSink",
    "HubMetrics",
    "RecentFeedback",
    "RoomEvents",
    "TicketSigner",
    "ViewerFeedback",
    "ViewerHub",
    "ViewersSettings",
    "element_router",
    "hub_router",
    "overlay_router",
    "watch_router",
    "whep_router",
]
