"""Where card events go: memory:// inside one process, redis:// between processes.

base.py          what every bus promises
open.py          a bus by its URL
memory.py        inside one process
redis_bus.py     between processes: keys and connection;  redis_sender.py, redis_reader.py: its two directions
backoff.py       how long both wait before they try again
subscription.py  a subscriber's bounded queue;  continuity.py: what was missed or came twice
"""

from livecart.bus.base import Bus, BusItem, BusStats, Gap
from livecart.bus.open import open_bus

__all__ = ["Bus", "BusItem", "BusStats", "Gap", "open_bus"]
