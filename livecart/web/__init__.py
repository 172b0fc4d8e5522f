"""The HTTP side of `livecart run`: rooms, the host's controls, WHIP, health and metrics. docs/live.md has the list.

server.py   uvicorn in the program's own event loop, with limits on connections
api.py      the application: errors, health, metrics;  access.py  tokens and hosts' tickets
room_routes.py  routes of rooms, hosts and WHIP;  control.py  what they need of the rest of livecart
hub/        viewers: WebSocket, tickets, feedback;  console/  the host's page
"""

from livecart.web.api import create_api
from livecart.web.control import Health, RoomControl
from livecart.web.server import HttpServer

__all__ = ["Health", "HttpServer", "RoomControl", "create_api"]
