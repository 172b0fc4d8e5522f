"""What `livecart run` answers over HTTP: rooms, the host's wishes, WHIP, health and metrics. docs/live.md has the list.

control.py   what it needs of the rest of livecart, as protocols
api.py       the application: errors, health, metrics;  rooms.py, whip.py: its routes;  bodies.py: what clients send
hub/         viewers: their WebSocket, tickets, feedback;  console/: the host
access.py    who may ask;  body_limit.py: how much, how long
server.py    uvicorn in the program's own event loop;  patience.py: not for ever
"""

from livecart.web.api import create_api
from livecart.web.control import Health, RoomControl
from livecart.web.server import HttpServer

__all__ = ["Health", "HttpServer", "RoomControl", "create_api"]
