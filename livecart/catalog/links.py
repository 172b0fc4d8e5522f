"""Which links may be put before a viewer: https, to a host that the shop has allowed.

The archive decides the same by `recognition.links.check_url`, from the hosts of its model-config.yaml; a contract test
holds the two against each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from livecart.errors import InvalidValue

#: Browsers drop tabs and newlines inside a link and take "\" for "/": what holds these is not what it looks like.
_UNSAFE = frozenset(" \\\"'<>`")
#: Unicode Technical Standard 46, table 4 (sharp s, final sigma, joiners): browsers and Python's IDNA 2003 take them for
#: different hosts.
_DEVIATING = frozenset("\u00df\u03c2\u200d\u200c")
#: Python's IDNA passes everything that is ASCII: "%2f" or "@" must not reach the comparison.
_HOST = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_HTTPS_PORT = 443


def check_link(url: str, allowed_hosts: Iterable[str]) -> str | None:
    """Why `url` may not be shown, or None where it may.

    Args:
        url: as it would stand on a card.
        allowed_hosts: host names; `host:port` where the port is not 443; `*.example.com` for all below example.com.
    """
    if not url.isprintable() or not _UNSAFE.isdisjoint(url):
        return "the link holds spaces, quotes, angle brackets, backslashes or control characters"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        return f"not a link: {error}"
    if parts.scheme != "https":
        return f"only https links are shown, this one is {parts.scheme or 'relative'!r}"
    if not host:
        return "the link names no host"
    if parts.username is not None or parts.password is not None:
        return "a link must not hold a user name or a password"
    name = ascii_host(host)
    shown_port = _HTTPS_PORT if port is None else port
    if name is None or not any(_matches(name, shown_port, pattern) for pattern in allowed_hosts):
        return f"host {host if port in (None, _HTTPS_PORT) else f'{host}:{port}'!r} is not an allowed link host"
    return None


def check_host_pattern(pattern: str) -> str:
    """A pattern for `allowed_hosts` in the form that is stored: lower case, ASCII.

    Raises:
        InvalidValue: it is no host name, `host:port`, or `*.` before one.
    """
    name, colon, port = pattern.strip().partition(":")
    wildcard = name.startswith("*.")
    host = ascii_host(name.removeprefix("*."))
    if host is None or (wildcard and "." not in host):
        raise InvalidValue("host", f"{pattern!r} is no host; give shop.example.com, host:port or *.example.com")
    if colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise InvalidValue("host", f"{pattern!r}: the port must be 1 to 65535")
    suffix = f":{int(port)}" if colon and int(port) != _HTTPS_PORT else ""
    return f"{'*.' if wildcard else ''}{host}{suffix}"


def ascii_host(host: str) -> str | None:
    """Lower-case ASCII form of a host, so that 例子.中国 equals its xn-- spelling; None where there is none."""
    if not _DEVIATING.isdisjoint(host):
        return None
    try:
        name = host.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError:
        return None
    return name if _HOST.fullmatch(name) else None


def _matches(host: str, port: int, pattern: str) -> bool:
    name, _, wanted_port = pattern.partition(":")
    if port != int(wanted_port or _HTTPS_PORT):
        return False
    if name.startswith("*."):
        parent = ascii_host(name[2:])
        return parent is not None and host.endswith(f".{parent}")
    return host == ascii_host(name)
