"""Room tickets: `{expiry}.{role}.{signature}`, the signature a HMAC-SHA256 (RFC 2104) of role, room and expiry.

Nothing is kept about them: whoever has the secret mints and checks, in any process.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from dataclasses import dataclass
from typing import Literal, TypeAlias

#: A `viewer` watches the room; a `host` watches it too, sees what the recogniser sees, pins, mutes and withdraws.
Role: TypeAlias = Literal["viewer", "host"]

_TICKET = re.compile(r"([0-9]{1,12})\.(viewer|host)\.([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class Ticket:
    """`text` lets its role into one room until `expires_at_s`, UNIX time."""

    text: str
    expires_at_s: int


class TicketOffice:
    """Mints and checks.

    Args:
        secret: of all processes that let viewers into the same rooms.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def mint(self, room: str, for_s: float, role: Role = "viewer") -> Ticket:
        """A ticket for `room` that is good for so many seconds from now."""
        expires_at_s = int(time.time() + for_s)
        return Ticket(f"{expires_at_s}.{role}.{self._signature(role, room, expires_at_s)}", expires_at_s)

    def admits(self, room: str, text: str, role: Role = "viewer") -> bool:
        """Whether it was minted here for this room and role, and has not expired. A host may do what a viewer may."""
        parts = _TICKET.fullmatch(text)
        if parts is None or parts[2] not in (role, "host"):
            return False
        expires_at_s = int(parts[1])
        signed = self._signature(parts[2], room, expires_at_s)
        return hmac.compare_digest(signed, parts[3]) and time.time() < expires_at_s

    def _signature(self, role: str, room: str, expires_at_s: int) -> str:
        # Its use stands in what is signed: the same secret signs nothing else that could be taken for a ticket.
        signed = f"livecart room ticket 2\n{role}\n{expires_at_s}\n{room}".encode()
        digest = hmac.new(self._secret, signed, hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
