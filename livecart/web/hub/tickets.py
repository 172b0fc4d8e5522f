"""Room tickets: `{expiry}.{role}.{signature}`, the signature a HMAC-SHA256 (RFC 2104) of role, room and expiry.

Whoever has the secret mints and checks, in any process. A room's hosts and publishers are locked out together by a
higher generation of its tickets: from the second on it stands behind the role, `host.1`, and is signed with it.
"""

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

#: A `viewer` watches the room; a `host` watches it too, sees what the recogniser sees, pins, mutes and withdraws; a
#: `publisher` sends the room's stream by WHIP, and nothing else.
Role: TypeAlias = Literal["viewer", "host", "publisher"]

_TICKET = re.compile(r"([0-9]{1,12})\.((viewer|host|publisher)(?:\.([0-9]{1,9}))?)\.([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class Ticket:
    """`text` lets its role into one room until `expires_at_s`, UNIX time."""

    text: str
    expires_at_s: int


class TicketSigner:
    """Mints and checks.

    Args:
        secret: of all processes that let people into the same rooms.
        generation: of a room's tickets, which never falls; None where the room runs elsewhere: not known here.
    """

    def __init__(self, secret: str, generation: Callable[[str], int | None] = lambda _room: None) -> None:
        self._secret = secret.encode()
        self._generation = generation

    def mint(self, room: str, for_s: float, role: Role = "viewer") -> Ticket:
        """A ticket for `room` that is good for so many seconds from now."""
        expires_at_s = int(time.time() + for_s)
        generation = 0 if role == "viewer" else self._generation(room) or 0
        claim = f"{role}.{generation}" if generation else role
        return Ticket(f"{expires_at_s}.{claim}.{self._signature(claim, room, expires_at_s)}", expires_at_s)

    def admits(self, room: str, text: str, role: Role = "viewer") -> bool:
        """True for a ticket of this secret, room and role, not expired nor revoked. A host may do what a viewer may."""
        parts = _TICKET.fullmatch(text)
        if parts is None or (parts[3] != role and (parts[3], role) != ("host", "viewer")):
            return False
        expires_at_s = int(parts[1])
        if not hmac.compare_digest(self._signature(parts[2], room, expires_at_s), parts[5]):
            return False
        is_revoked = parts[3] != "viewer" and int(parts[4] or 0) < (self._generation(room) or 0)
        return time.time() < expires_at_s and not is_revoked

    def _signature(self, claim: str, room: str, expires_at_s: int) -> str:
        # Its use stands in what is signed: the same secret signs nothing else that could be taken for a ticket.
        signed = f"livecart room ticket 2\n{claim}\n{expires_at_s}\n{room}".encode()
        digest = hmac.new(self._secret, signed, hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
