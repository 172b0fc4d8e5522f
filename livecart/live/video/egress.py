"""Networks that a stream may lead to: FFmpeg's HTTP goes through a proxy in this process, which looks at each address.

FFmpeg follows redirects and whatever a playlist names (segments, keys, other playlists), and has no hook for it but its
option `http_proxy`. The proxy resolves a name once, checks the address, and connects to that very address.
So does srt.py; for RTMP and RTSP the name is checked, and FFmpeg looks it up again.
"""

import ipaddress
import os
import re
import selectors
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from livecart.core.errors import StreamError
from livecart.live.video.settings import IngestSettings
from livecart.live.video.source import StreamSource
from livecart.live.video.srt import Address

_NOT_REACHED = "it leads to an address that does not answer or may not be reached (ingest.networks)"
_LONGEST_HEAD_BYTES = 65_536
_PIECE_BYTES = 65_536


class AddressRule:
    """Says which addresses a source may lead to.

    With `ingest.networks` those networks alone, for the source's own host too. Without: a source on the internet leads
    nowhere inside, one of a private network to the internet and private networks, and the addresses of this machine and
    link-local ones (cloud metadata) are reached only where the source itself is written with that address.
    """

    def __init__(self, source: StreamSource, settings: IngestSettings) -> None:
        self._networks = [ipaddress.ip_network(text) for text in settings.networks]
        self.host = urlsplit(source.url).hostname or ""
        self._is_inside = True
        #: The source's own.
        self.addresses = self.addresses_of(self.host)
        self._is_inside = any(not own.is_global for own in self.addresses)

    def addresses_of(self, host: str) -> list[Address]:
        """Addresses of a host that may be reached.

        Raises:
            OSError: the host is not known.
            StreamError: none of them may be reached.
        """
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        addresses = [ipaddress.ip_address(str(info[4][0]).partition("%")[0]) for info in found]
        allowed = [address for address in addresses if self._allows(address, host)]
        if not allowed:
            raise StreamError(_NOT_REACHED)
        return allowed

    def _allows(self, address: Address, host: str) -> bool:
        address = getattr(address, "ipv4_mapped", None) or address
        if self._networks:
            return any(address in network for network in self._networks)
        if address.is_loopback or address.is_link_local or address.is_unspecified:
            return self.host in {str(address), "localhost"} and host in {self.host, str(address)}
        return address.is_global or self._is_inside


@dataclass(slots=True)
class Egress:
    """FFmpeg's way out: options for opening, and why the last connection was not made.

    Of a host that only the stream names, `failure` is the same whatever listens there.
    """

    options: dict[str, str] = field(default_factory=dict)
    failure: str | None = None
    #: Of the source's host, checked; None: an operator's proxy knows it.
    address: Address | None = None
    _is_cut: bool = False
    _open: set[socket.socket] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def cut(self) -> None:
        """End all connections, and those to come: who waits for one sees its end."""
        with self._lock:
            self._is_cut = True
            for each in self._open:
                _shut(each)

    @contextmanager
    def holding(self, connection: socket.socket) -> Iterator[None]:
        """While inside, `cut` ends this connection."""
        with self._lock:
            self._open.add(connection)
            if self._is_cut:
                _shut(connection)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(connection)


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def checked_egress(source: StreamSource, settings: IngestSettings) -> Iterator[Egress]:
    """The way by which FFmpeg reaches only what `AddressRule` allows.

    Raises:
        StreamError: the source's own host is unknown, or may not be reached.
    """
    if source.is_file or os.environ.get("http_proxy"):  # the operator's own proxy has rules of its own
        yield Egress()
        return
    try:
        rule = AddressRule(source, settings)
    except OSError as error:
        raise StreamError(f"cannot be opened: {error.strerror}") from error
    if not source.is_http:
        yield Egress(address=rule.addresses[0])
        return
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = f"http://127.0.0.1:{listener.getsockname()[1]}"
        # Without a connection that goes on from one segment to the next: each request is looked at.
        egress = Egress({"http_proxy": proxy, "http_persistent": "0"})
        served = (listener, rule, egress, settings.open_timeout_s)
        accept = threading.Thread(target=_accept, args=served, name="egress", daemon=True)
        accept.start()
        try:
            yield egress
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # wakes `accept`
            accept.join()


def _accept(listener: socket.socket, rule: AddressRule, egress: Egress, timeout_s: float) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(client, rule, egress, timeout_s), daemon=True).start()


def _serve(client: socket.socket, rule: AddressRule, egress: Egress, timeout_s: float) -> None:
    """Serve one request: what follows it on the connection goes to the same address."""
    with client, egress.holding(client), suppress(OSError, ValueError):
        client.settimeout(timeout_s)
        head = b""
        while b"\r\n\r\n" not in head:
            piece = client.recv(_PIECE_BYTES)
            if not piece or len(head) > _LONGEST_HEAD_BYTES:
                return
            head += piece
        method, target, rest = head.split(b" ", 2)
        is_tunnel = method == b"CONNECT"
        url = urlsplit(f"//{target.decode()}" if is_tunnel else target.decode())
        try:
            server = _connect(rule.addresses_of(url.hostname or ""), url.port or 80, timeout_s)
        except (StreamError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) and url.hostname == rule.host else None
            egress.failure = reason or _NOT_REACHED
            client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return
        egress.failure = None
        with server, egress.holding(server):
            if is_tunnel:
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            else:
                path = re.sub(rb"^\w+://[^/?]*/?", b"/", target)
                server.sendall(b"%s %s %s" % (method, path, rest))
            _relay(client, server)


def _connect(addresses: Sequence[Address], port: int, timeout_s: float) -> socket.socket:
    for address in addresses[:-1]:
        with suppress(OSError):
            return socket.create_connection((str(address), port), timeout_s / len(addresses))
    return socket.create_connection((str(addresses[-1]), port), timeout_s / len(addresses))


def _relay(client: socket.socket, server: socket.socket) -> None:
    """Hand on both ways until one of them closes; FFmpeg closes where nothing comes."""
    client.settimeout(None)
    server.settimeout(None)
    with selectors.DefaultSelector() as both:
        send: dict[int, Callable[[bytes], None]] = {client.fileno(): server.sendall, server.fileno(): client.sendall}
        both.register(client, selectors.EVENT_READ)
        both.register(server, selectors.EVENT_READ)
        while True:
            for key, _ in both.select():
                piece = key.fileobj.recv(_PIECE_BYTES)  # type: ignore[union-attr]
                if not piece:
                    return
                send[key.fd](piece)
