"""How many viewers are let in at once: in all, in a room, from an address."""

from __future__ import annotations

import ipaddress
from collections import Counter
from typing import Literal, TypeAlias

Full: TypeAlias = Literal["full", "room_full", "ip_full"]


class Seats:
    """Counts connections. Who takes a seat gives it back."""

    def __init__(self, *, most: int, most_per_room: int, most_per_ip: int) -> None:
        self._most = most
        self._most_per_room = most_per_room
        self._most_per_ip = most_per_ip
        self._by_room: Counter[str] = Counter()
        self._by_network: Counter[str] = Counter()
        #: All that are taken.
        self.taken = 0

    def take(self, room: str, ip: str) -> Full | None:
        """Take a seat; else which limit is reached."""
        network = network_of(ip)
        if self._by_network[network] >= self._most_per_ip:
            return "ip_full"
        if self._by_room[room] >= self._most_per_room:
            return "room_full"
        if self.taken >= self._most:
            return "full"
        self.taken += 1
        self._by_room[room] += 1
        self._by_network[network] += 1
        return None

    def give_back(self, room: str, ip: str) -> None:
        """The connection is no more."""
        self.taken -= 1
        for counts, key in ((self._by_room, room), (self._by_network, network_of(ip))):
            counts[key] -= 1
            # A Counter keeps its zeros; addresses come and go for ever.
            if counts[key] <= 0:
                del counts[key]


def network_of(ip: str) -> str:
    """What counts as one address: one of IPv6 has a /64 of its own."""
    try:
        address = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return ip
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return ip
