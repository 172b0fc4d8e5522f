"""The host's console, and the controller's page, which tells the person at the platform's console what to explain.

Served by the process that runs the room: what the recogniser sees goes over no bus.

messages.py  what the feed tells;  feed.py: `/rooms/{id}/detections`
pages.py     `/rooms/{id}/console`, `/rooms/{id}/controller`, their tickets and files
"""

from livecart.web.console.feed import ConsoleFeed, ConsoleSource, Watching
from livecart.web.console.pages import console_router

__all__ = ["ConsoleFeed", "ConsoleSource", "Watching", "console_router"]
