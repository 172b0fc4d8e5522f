"""Addresses of the internet, and connections to no others: for URLs that people enter (SSRF)."""

import asyncio
import errno
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import IPv6Network, ip_address
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

_NAMES_AT_ONCE = 16
_GLOBAL_UNICAST = IPv6Network("2000::/3")


class AddressNotPublic(OSError):
    """The address is this machine's, a private network's, link-local, or of no one host."""


def is_public(address: str) -> bool:
    """True for an address of one host on the internet; one that carries an IPv4 address is as public as that is.

    Raises:
        ValueError: it is no address.
    """
    found = ip_address(address.partition("%")[0])
    if found.version == 6:
        inner = found.ipv4_mapped or found.sixtofour
        if inner is None:
            return found in _GLOBAL_UNICAST and found.is_global
        found = inner
    return found.is_global and not (found.is_multicast or found.is_reserved)


def public_socket(address_info: tuple[Any, ...]) -> socket.socket:
    """The `socket_factory` of an `aiohttp.TCPConnector` that connects to public addresses alone.

    It is asked with the very address that is connected to, so that no second look-up of the name comes between.
    """
    family, kind, protocol, _, address = address_info
    if not is_public(str(address[0])):
        raise AddressNotPublic(errno.EACCES, f"the address {address[0]} is not public")
    return socket.socket(family, kind, protocol)


class ThreadedNames(AbstractResolver):
    """Looks names up in threads of its own: one that hangs takes none from the rest of the process."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_NAMES_AT_ONCE, thread_name_prefix="names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        look_up = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        found = await asyncio.get_running_loop().run_in_executor(self._pool, look_up)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
