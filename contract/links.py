"""Links that may be put before a viewer: https, to a host that the shop has allowed."""

import re
from collections.abc import Iterable
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

#: Browsers drop tabs and newlines inside a link and take "\" for "/": what holds these is not what it looks like.
_UNSAFE = frozenset(" \\\"'<>`")
#: Unicode Technical Standard 46, table 4 (sharp s, final sigma, joiners): browsers and Python's IDNA 2003 take them for
#: different hosts.
_DEVIATING = frozenset("\u00df\u03c2\u200d\u200c")
#: Python's IDNA passes everything that is ASCII: "evil.com%2f.example.com" is not a public host name.
_HOST = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_HTTPS_PORT = 443

LinkCode = Literal[
    "link_characters",
    "link_malformed",
    "link_not_https",
    "link_without_host",
    "link_with_user",
    "link_host_not_allowed",
]
_TEXTS: dict[LinkCode, str] = {
    "link_characters": "the link holds spaces, quotes, angle brackets, backslashes or control characters",
    "link_malformed": "not a link: {}",
    "link_not_https": "only https links are shown, this one is {!r}",
    "link_without_host": "the link names no host",
    "link_with_user": "a link must not hold a user name or a password",
    "link_host_not_allowed": "host {!r} is not an allowed link host",
}


class LinkFault(NamedTuple):
    """A reason not to show a link. ``value`` is the scheme, the host or the parser's complaint where there is one."""

    code: LinkCode
    value: str = ""

    def __str__(self) -> str:
        return _TEXTS[self.code].format(self.value)


def check_link(url: str, allowed_hosts: Iterable[str]) -> LinkFault | None:
    """The reason why ``url`` may not be shown, or None where it may.

    Args:
        url: as it would stand on a card.
        allowed_hosts: host names; ``host:port`` where the port is not 443; ``*.example.com`` for all below example.com.
    """
    address = https_address(url)
    if isinstance(address, LinkFault):
        return address
    host, port = address
    name = ascii_host(host)
    if name is None or not any(_matches(name, port, pattern) for pattern in allowed_hosts):
        return LinkFault("link_host_not_allowed", host if port == _HTTPS_PORT else f"{host}:{port}")
    return None


def is_https_link(url: str) -> bool:
    """True where only its host could keep ``url`` from being shown."""
    return not isinstance(https_address(url), LinkFault)


def host_pattern(text: str) -> str:
    """A pattern for ``allowed_hosts`` in the form that is stored: lower-case ASCII, without port 443.

    Raises:
        ValueError: it is no host name, ``host:port``, or ``*.`` before one.
    """
    name, colon, port = text.strip().partition(":")
    wildcard = name.startswith("*.")
    host = ascii_host(name.removeprefix("*."))
    if host is None or (wildcard and "." not in host):
        raise ValueError(f"{text!r} is no host; give shop.example.com, host:port or *.example.com")
    if colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"{text!r}: the port must be 1 to 65535")
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


def https_address(url: str) -> tuple[str, int] | LinkFault:
    """Host and port of an https link, whatever the host is; or why it is none that may be shown."""
    if not url.isprintable() or not _UNSAFE.isdisjoint(url):
        return LinkFault("link_characters")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        return LinkFault("link_malformed", str(error))
    if parts.scheme != "https":
        return LinkFault("link_not_https", parts.scheme or "relative")
    if not host:
        return LinkFault("link_without_host")
    if parts.username is not None or parts.password is not None:
        return LinkFault("link_with_user")
    return host, _HTTPS_PORT if port is None else port


def _matches(host: str, port: int, pattern: str) -> bool:
    name, _, wanted_port = pattern.partition(":")
    if port != int(wanted_port or _HTTPS_PORT):
        return False
    if name.startswith("*."):
        parent = ascii_host(name[2:])
        return parent is not None and host.endswith(f".{parent}")
    return host == ascii_host(name)
