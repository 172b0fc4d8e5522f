"""Sign-in to the pages: a token of the catalog opens a session; every request checks that the token still holds."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import secrets
import tempfile
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread
from cachetools import FIFOCache
from starlette.requests import Request
from starlette.responses import Response
from starlette_admin.auth import AdminUser, AuthProvider
from starlette_admin.exceptions import LoginFailed

from livecart.shop.admin.texts import t
from livecart.shop.database.store import Store
from livecart.shop.repositories import tokens
from livecart.shop.repositories.tokens import ROLES, Role, TokenInfo

_log = logging.getLogger(__name__)

#: Of a session, in seconds, from the last page on.
SESSION_S = 12 * 3600
_SECRET_FILE = "admin.secret"
_LEAST_SECRET_CHARS = 32
_MOST_FAILURES = 10
_WINDOW_S = 300.0
_MOST_ADDRESSES = 10_000


@dataclass
class Staff(AdminUser):
    """A signed-in user. `username` is the token's name; `who`, its name and number, stands in the audit log."""

    role: Role = "read"
    who: str = ""

    def may(self, role: Role) -> bool:
        return ROLES.index(self.role) >= ROLES.index(role)


def staff(request: Request) -> Staff:
    """The user of the request; pages are reached only by somebody signed in."""
    user = request.state.admin_user
    if not isinstance(user, Staff):
        raise TypeError("the request was let in by somebody else's sign-in")
    return user


def may(request: Request, role: Role) -> bool:
    """True where who asks may do what `role` may; nobody may anything before signing in."""
    user = getattr(request.state, "admin_user", None)
    return isinstance(user, Staff) and user.may(role)


class TokenSignIn(AuthProvider):
    """Signs in with a token; a session holds its id, never the token."""

    def __init__(self, store: Store, limit: FailureLimit) -> None:
        super().__init__()
        self._store = store
        self._limit = limit

    async def login(self, username: str, password: str, remember_me: bool, request: Request) -> Response | None:
        """Open a session for the token in `password`."""
        address = request.client.host if request.client else "unknown"
        if self._limit.reached(address):
            raise LoginFailed(t("login_too_often"))
        info = await to_thread.run_sync(self._check, password.strip())
        if info is None:
            self._limit.failed(address)
            _log.warning("admin: %s showed no valid token", address)
            raise LoginFailed(t("login_failed"))
        request.session.clear()
        request.session.update(token=info.id, name=info.name)
        _log.info("admin: %s signed in from %s", info.who, address)
        return None

    async def logout(self, request: Request) -> Response | None:
        request.session.clear()
        return None

    async def authenticate(self, request: Request) -> AdminUser | None:
        """The session's user; None without one, or where its token is void by now."""
        token_id = request.session.get("token")
        if not isinstance(token_id, int):
            return None
        info = await to_thread.run_sync(self._find, token_id)
        if info is None:
            request.session.clear()
            return None
        return Staff(username=info.name, role=info.role, who=info.who)

    def _check(self, token: str) -> TokenInfo | None:
        with self._store.read() as session:
            return tokens.check(session, token)

    def _find(self, token_id: int) -> TokenInfo | None:
        with self._store.read() as session:
            return tokens.valid(session, token_id)


class FailureLimit:
    """Ten failures of one address in five minutes, then none of its tokens is looked at until they are over.

    Ten thousand addresses are remembered; beyond, the one that failed longest ago is forgotten.
    """

    def __init__(self) -> None:
        self._failures: FIFOCache[str, deque[float]] = FIFOCache(_MOST_ADDRESSES)

    def reached(self, address: str) -> bool:
        times = self._failures.get(address)
        if times is None:
            return False
        while times and times[0] < time.monotonic() - _WINDOW_S:
            times.popleft()
        return len(times) >= _MOST_FAILURES

    def failed(self, address: str) -> None:
        times = self._failures.get(address) or deque(maxlen=_MOST_FAILURES)
        times.append(time.monotonic())
        self._failures[address] = times


def signing_secret(folder: Path) -> str:
    """The secret that signs sessions: made once in the catalog's folder, readable by its owner only.

    All processes of a catalog share it.

    Raises:
        OSError: the folder cannot be written, the file not be read, or it holds no secret.
    """
    path = folder / _SECRET_FILE
    if not path.exists():
        handle, temporary = tempfile.mkstemp(dir=folder)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            # Else a power cut could leave the name without the secret.
            os.fsync(file.fileno())
        # Whole or not at all: of several processes that start together the first one's counts.
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
        Path(temporary).unlink()
    secret = path.read_bytes().decode("ascii", "replace").strip()
    if len(secret) < _LEAST_SECRET_CHARS:
        raise OSError(errno.EINVAL, f"{_SECRET_FILE} is too short to sign sessions with; delete it")
    return secret
