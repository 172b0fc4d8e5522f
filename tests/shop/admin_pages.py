"""The staff's pages over a catalog of their own, and a client that keeps to their forms."""

from __future__ import annotations

import html
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import FastAPI

with warnings.catch_warnings():
    # Starlette would rather have another HTTP client than the one that is pinned.
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

from contract.reply import Evidence, TextLine
from livecart.core.errors import RecognizerBusy
from livecart.core.types import Detection, Detections, RoomView
from livecart.shop.admin import admin_app
from livecart.shop.repositories import hosts, tokens
from livecart.shop.repositories.tokens import ROLES
from livecart.shop.service import CatalogService, open_catalog
from livecart.shop.settings import CatalogSettings

SHOP = "shop.example.com"
BASE = "http://admin.example"


def room_view(room: str = "room-1", **values) -> RoomView:
    return RoomView(
        **{
            "id": room, "source": "rtmp://host/live", "state": "live", "detail": "", "since_s": 0.0, "rate_hz": 1.0,
            "products": None, "pinned": None, "muted": [], "cards": [], "decode_mode": "key_frames",
            "frames_sampled": 7, "frames_decoded": 7, "gate": {}, "connections": 1, "failures": 0, "stalls": 0,
            "last_event_id": 0, **values,
        }
    )  # fmt: skip


@dataclass
class Rooms:
    """Rooms on air that remember what was asked of them."""

    shown: list[RoomView] = field(default_factory=lambda: [room_view(cards=["1001"], muted=["1002"])])
    asked: list[tuple] = field(default_factory=list)

    def views(self) -> list[RoomView]:
        return self.shown

    def _ask(self, *wish) -> RoomView | None:
        self.asked.append(wish)
        return next((view for view in self.shown if view.id == wish[1]), None)

    def pin(self, room: str, sku: str) -> RoomView | None:
        return self._ask("pin", room, sku)

    def unpin(self, room: str) -> RoomView | None:
        return self._ask("unpin", room)

    def mute(self, room: str, sku: str, for_s: float | None) -> RoomView | None:
        return self._ask("mute", room, sku, for_s)

    def unmute(self, room: str, sku: str) -> RoomView | None:
        return self._ask("unmute", room, sku)

    def withdraw(self, room: str, sku: str) -> RoomView | None:
        return self._ask("withdraw", room, sku)


def detection(sku: str, name: str, confidence: float, **values) -> Detection:
    box = (10.0, 10.0, 50.0, 70.0)
    evidence = Evidence(photo=confidence, text=0.5)
    return Detection(sku, name, f"https://{SHOP}/item/{sku}", confidence, box, **{"evidence": evidence, **values})


@dataclass
class Recogniser:
    """Sees in every photo what a test says; None: is not there."""

    products: tuple[Detection, ...] | None = ()
    asked: list[bytes] = field(default_factory=list)

    async def see(self, photo: bytes) -> Detections:
        self.asked.append(photo)
        if self.products is None:
            raise RecognizerBusy("nobody there")
        texts = (TextLine("好欢螺", 0.99, (10.0, 12.0, 40.0, 20.0)),)
        return Detections("", 0.0, 0.0, 60, 80, self.products, {}, texts)


@dataclass
class Pages:
    """The pages, what is behind them, and a token of each role."""

    app: FastAPI
    service: CatalogService
    rooms: Rooms
    recogniser: Recogniser
    tokens: dict[str, str]

    def client(self, role: str | None = None, **options) -> Client:
        client = Client(TestClient(self.app, base_url=BASE, **options))
        if role is not None:
            answer = client.sign_in(self.tokens[role])
            assert answer.status_code == 303, answer.text
        return client


class Client:
    """A browser without scripts: takes the CSRF field along, as a form does."""

    def __init__(self, http: TestClient) -> None:
        self.http = http

    def get(self, path: str, **options):
        return self.http.get(f"/admin{path}", follow_redirects=False, **options)

    def post(self, path: str, data: dict | None = None, *, csrf: str | None = "own", **options):
        sent = dict(data or {})
        if csrf is not None:
            sent["csrftoken"] = self.http.cookies.get("starlette_admin_csrftoken") if csrf == "own" else csrf
        return self.http.post(f"/admin{path}", data=sent, follow_redirects=False, **options)

    def sign_in(self, token: str):
        self.get("/login")
        return self.post("/login", {"password": token})

    def base_of(self, path: str) -> str:
        """What an edit form was made from."""
        found = re.search(r'name="base" value="([^"]*)"', self.get(path).text)
        assert found, path
        return html.unescape(found.group(1))


@contextmanager
def pages(folder: Path, *, url: str | None = None) -> Iterator[Pages]:
    settings = CatalogSettings(
        url=url or f"sqlite:///{folder / 'catalog.db'}", folder=str(folder / "catalog"), publish=False
    )
    with open_catalog(settings) as service:
        service.store.upgrade()
        with service.store.write("setup") as session:
            hosts.allow(session, SHOP)
            issued = {role: tokens.issue(session, f"{role}-person", role)[0] for role in ROLES}
        rooms, recogniser = Rooms(), Recogniser()
        app = FastAPI()
        app.mount("/admin", admin_app(service, live=rooms, recognize=recogniser.see))
        yield Pages(app, service, rooms, recogniser, issued)
