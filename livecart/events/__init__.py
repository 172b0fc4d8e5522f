"""Card events on their way to viewers: memory:// inside one process, redis:// between processes.

base.py          the promises of every bus;  open.py  a bus by its URL
memory.py        inside one process
redis_bus.py     between processes;  redis_sender.py, redis_reader.py  its two directions;  redis_keys.py
subscription.py  a subscriber's bounded queue, and gaps and duplicates by event numbers
"""

from livecart.events.base import Bus, BusItem, BusStats, Gap
from livecart.events.open import open_bus

__all__ = ["Bus", "BusItem", "BusStats", "Gap", "open_bus"]
