"""Room tickets: `{expiry}.{signature}`, the signature a HMAC-SHA256 (RFC 2104) of room and expiry.

Nothing is kept about them: whoever has the secret mints and checks, in any process.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from dataclasses import dataclass

_TICKET = re.compile(r"([0-9]{1,12})\.([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class Ticket:
    """`text` lets viewers into one room until `expires_at_s`, UNIX time."""

    text: str
    expires_at_s: int


class TicketOffice:
    """Mints and checks.

    Args:
        secret: of all processes that let viewers into the same rooms.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def mint(self, room: str, for_s: float) -> Ticket:
        """A ticket for `room` that is good for so many seconds from now."""
        expires_at_s = int(time.time() + for_s)
        return Ticket(f"{expires_at_s}.{self._signature(room, expires_at_s)}", expires_at_s)

    def admits(self, room: str, text: str) -> bool:
        """Whether it was minted here for this room, and has not expired."""
        parts = _TICKET.fullmatch(text)
        if parts is None:
            return False
        expires_at_s = int(parts[1])
        return hmac.compare_digest(self._signature(room, expires_at_s), parts[2]) and time.time() < expires_at_s

    def _signature(self, room: str, expires_at_s: int) -> str:
        # Its use stands in what is signed: the same secret signs nothing else that could be taken for a ticket.
        signed = f"livecart room ticket 1\n{expires_at_s}\n{room}".encode()
        digest = hmac.new(self._secret, signed, hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
