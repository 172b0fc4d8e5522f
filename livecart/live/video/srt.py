"""SRT: the bytes of a transport stream, received by libsrt, for FFmpeg to demux. That of PyAV is built without SRT.

libsrt 1.4 or newer comes with the system (Debian: libsrt1.5-openssl). `srt://host:port` calls a server or an encoder
that listens; with `?mode=listener` encoders call livecart. Parameters are those of libsrt's own tools: `streamid`,
`passphrase`, `pbkeylen`, and `latency` in milliseconds.
"""

import ctypes
import ctypes.util
import functools
import ipaddress
import re
import socket
import struct
import time
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from livecart.core.errors import SettingsError, StreamError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAMES = ("libsrt.so.1.5", "libsrt.so.1.4", "libsrt-gnutls.so.1.5", "libsrt-gnutls.so.1.4")
#: SRT_SOCKOPT of srt.h.
_RCVSYN, _RCVTIMEO, _LATENCY, _PASSPHRASE, _PBKEYLEN, _CONNTIMEO, _STREAMID = 2, 14, 23, 26, 27, 36, 46
#: Each parameter's option, and what it may be.
_TEXTS = {"streamid": (_STREAMID, re.compile(r".{0,512}")), "passphrase": (_PASSPHRASE, re.compile(r".{10,79}"))}
_NUMBERS = {"latency": (_LATENCY, range(20, 10_001)), "pbkeylen": (_PBKEYLEN, (16, 24, 32))}
_MODES = ("caller", "listener")
#: Of a live message, 1,456 bytes at most.
_LONGEST_MESSAGE_BYTES = 2048
#: How soon a read notices that it should end.
_LOOK_UP_MS = 100
#: Of srt.h: MJ_AGAIN, a time-out; and the state of a connection that stands. Those of one to be made are less.
_ETIMEOUT, _CONNECTED = 6003, 5


class SrtReceiver:
    """A file of what comes, for `av.open`. Reads block until something came, or `should_end` says so.

    Args:
        url: of the source, checked by `check_srt`.
        timeout_s: for the connection to stand.
        should_end: asked while nothing comes.
        address: of the URL's host, where it is known already; None: its first.

    Raises:
        StreamError: nobody answers in time, or with another passphrase.
    """

    def __init__(
        self, url: str, timeout_s: float, should_end: Callable[[], bool], address: Address | None = None
    ) -> None:
        self._should_end = should_end
        parts = urlsplit(url)
        asked = {name: value for name, value in _parameters(parts.query).items() if value}
        is_listener = asked.get("mode") == "listener"
        self._socket = _library().srt_create_socket()
        try:
            self._set(_CONNTIMEO, round(timeout_s * 1000))
            for name in asked.keys() & _TEXTS.keys():
                self._set(_TEXTS[name][0], asked[name])
            for name in asked.keys() & _NUMBERS.keys():
                self._set(_NUMBERS[name][0], int(asked[name]))
            to = _sockaddr(address or _resolved(parts.hostname or ""), parts.port or 0)
            if is_listener:
                self._wait_for_caller(to)
            else:
                self._call(to)
            self._set(_RCVTIMEO, _LOOK_UP_MS)
        except BaseException:
            self.close()
            raise
        self._buffer = ctypes.create_string_buffer(_LONGEST_MESSAGE_BYTES)

    def read(self, size: int) -> bytes:
        """One message; nothing at the end."""
        while not self._should_end():
            count = _library().srt_recvmsg(self._socket, self._buffer, min(size, _LONGEST_MESSAGE_BYTES))
            if count > 0:
                return self._buffer.raw[:count]
            if count == 0 or _library().srt_getlasterror(None) != _ETIMEOUT:
                break
        return b""

    def close(self) -> None:
        """End the connection. May be called again."""
        _library().srt_close(self._socket)

    def _call(self, address: bytes) -> None:
        self._set(_RCVSYN, 0)
        self._check(_library().srt_connect(self._socket, address, len(address)))
        while _library().srt_getsockstate(self._socket) < _CONNECTED and not self._should_end():
            time.sleep(_LOOK_UP_MS / 1000)
        if _library().srt_getsockstate(self._socket) != _CONNECTED:
            why = _library().srt_rejectreason_str(_library().srt_getrejectreason(self._socket))
            raise StreamError(f"SRT: not connected: {why.decode(errors='replace')}")
        self._set(_RCVSYN, 1)

    def _wait_for_caller(self, address: bytes) -> None:
        listener = self._socket
        self._check(_library().srt_bind(listener, address, len(address)))
        self._check(_library().srt_listen(listener, 1))
        self._set(_RCVTIMEO, _LOOK_UP_MS)
        self._set(_RCVSYN, 0)
        watched = (ctypes.c_int * 1)(listener)
        while not self._should_end():
            caller = _library().srt_accept_bond(watched, 1, _LOOK_UP_MS)
            if caller >= 0:
                self._socket = caller
                self._set(_RCVSYN, 1)
                _library().srt_close(listener)
                return
        raise StreamError("nobody has called")

    def _set(self, option: int, value: str | int) -> None:
        data = value.encode() if isinstance(value, str) else struct.pack("i", value)
        self._check(_library().srt_setsockflag(self._socket, option, data, len(data)))

    def _check(self, status: int) -> None:
        if status < 0:
            raise StreamError(f"SRT: {_library().srt_getlasterror_str().decode(errors='replace')}")


def check_srt(url: str) -> None:
    """Check that a URL's parameters can be used, and that libsrt is there.

    Raises:
        SettingsError: one cannot, or it is not.
    """
    if "#" in url:
        raise SettingsError("the SRT source holds a #, which would end it; write %23, as in streamid=%23!::r=live/a")
    parts = urlsplit(url)
    asked = _parameters(parts.query)
    unknown = sorted(asked.keys() - _TEXTS.keys() - _NUMBERS.keys() - {"mode"})
    if unknown:
        known = ", ".join(("mode", *_TEXTS, *_NUMBERS))
        raise SettingsError(f"the SRT source has the parameter {unknown[0]!r}; known are {known}")
    if parts.port is None:
        raise SettingsError("the SRT source names no port; write srt://host:port")
    if asked.get("mode", "caller") not in _MODES:
        raise SettingsError(f"the SRT source's mode is {asked['mode']!r}; it may be {' or '.join(_MODES)}")
    if asked.get("mode") == "listener" and "streamid" in asked:
        raise SettingsError("the SRT source has a streamid, which a caller sends; with mode=listener leave it out")
    for name in asked.keys() & _TEXTS.keys():
        if not _TEXTS[name][1].fullmatch(asked[name]):
            raise SettingsError(f"the SRT source's {name} has {len(asked[name])} characters; 10 to 79, streamid to 512")
    for name in asked.keys() & _NUMBERS.keys():
        if not asked[name].isdecimal() or int(asked[name]) not in _NUMBERS[name][1]:
            raise SettingsError(
                f"the SRT source's {name} is {asked[name]!r}; latency is 20 to 10000 ms, pbkeylen 16, 24 or 32"
            )
    if _loaded() is None:
        raise SettingsError("SRT needs libsrt 1.4 or newer, which is not installed; on Debian: libsrt1.5-openssl")


def _parameters(query: str) -> dict[str, str]:
    """A + is itself: passphrases and stream names have it."""
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return {unquote(name): unquote(value) for name, _, value in pairs}


def _resolved(host: str) -> Address:
    try:
        *_, found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)[0]
    except OSError as error:
        raise StreamError(f"cannot be opened: {error.strerror}") from error
    return ipaddress.ip_address(str(found[0]).partition("%")[0])


def _sockaddr(address: Address, port: int) -> bytes:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    head = struct.pack("=H", family) + struct.pack(">H", port)
    return head + (address.packed + bytes(8) if address.version == 4 else bytes(4) + address.packed + bytes(4))


def _library() -> ctypes.CDLL:
    library = _loaded()
    if library is None:
        raise StreamError("libsrt is not installed")
    return library


@functools.cache
def _loaded() -> ctypes.CDLL | None:
    for name in (ctypes.util.find_library("srt"), *_NAMES):
        try:
            library = ctypes.CDLL(name) if name else None
        except OSError:
            continue
        if library is not None:
            library.srt_getlasterror_str.restype = library.srt_rejectreason_str.restype = ctypes.c_char_p
            library.srt_accept_bond.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int64]
            library.srt_startup()
            return library
    return None
