"""The host's console: a room as viewers see it, what the recogniser sees in it, and the host's wishes.

Served by the process that runs the room: what the recogniser sees goes over no bus.

messages.py  what the feed tells;  feed.py: `/rooms/{id}/detections`;  pages.py: `/rooms/{id}/console` and its files
"""

from livecart.web.console.feed import ConsoleFeed, ConsoleSource, Watching
from livecart.web.console.pages import console_router

__all__ = ["ConsoleFeed", "ConsoleSource", "Watching", "console_router"]
