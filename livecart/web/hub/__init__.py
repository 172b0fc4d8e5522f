"""Brings a process's card events to the viewers' pages. docs/viewer.md has the protocol, docs/live.md the settings.

settings.py   the section [viewers]
source.py     what the hub needs of the bus, as a protocol
messages.py   the protocol's messages;  addresses.py: who asks, from a connection's headers
hub.py        one subscription for all rooms, heartbeats, joining and leaving;  garbage.py: Python's collector
room_feed.py  one room: what is shown, what happened lately, who watches;  viewer_queue.py: one viewer's bounded queue
admission.py  who is let in: origins, tickets (tickets.py), limits (seats.py)
feedback.py   what viewers did: checked, counted once, handed to a sink;  rate.py: how much of it
routes.py     the routes, joined by websocket.py, event_stream.py;  session.py: what both transports share
element.py    the built element's files;  watch.py, watch_page/: a page that shows a room with it
metrics.py    what Prometheus is told
"""

from livecart.web.hub.element import element_router
from livecart.web.hub.feedback import FeedbackSink, RecentFeedback, ViewerFeedback
from livecart.web.hub.hub import ViewerHub
from livecart.web.hub.metrics import HubMetrics
from livecart.web.hub.routes import hub_router
from livecart.web.hub.settings import ViewersSettings
from livecart.web.hub.source import RoomEvents
from livecart.web.hub.tickets import TicketOffice
from livecart.web.hub.watch import watch_router

__all__ = [
    "FeedbackSink",
    "HubMetrics",
    "RecentFeedback",
    "RoomEvents",
    "TicketOffice",
    "ViewerFeedback",
    "ViewerHub",
    "ViewersSettings",
    "element_router",
    "hub_router",
    "watch_router",
]
