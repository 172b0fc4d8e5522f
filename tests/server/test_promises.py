"""What SECURITY.md promises of a whole run: nothing of viewers is kept, no secret is told, no picture is stored."""

import logging
import tempfile
import time
from pathlib import Path

import pytest

from livecart.shop.repositories import viewer_events
from tests.live.video.streams import ByteServer
from tests.server.catalog_rooms import ROOM, Shop, on_air, rooms_file
from tests.waiting import until
from tests.web.hub_clients import feedback_batch, feedback_event

TOKEN, SECRET, KEY = "token-of-the-operator", "secret-of-the-tickets", "STREAMKEY-of-the-encoder"
ADDRESS, COOKIE, AGENT = "203.0.113.77", "cookie-of-a-viewer", "browser-of-a-viewer"
#: Of JPEG, PNG, WebP, and of FLV and MP4 as streams have them.
PICTURES = (b"\xff\xd8\xff", b"\x89PNG", b"WEBP", b"FLV\x01", b"ftypisom")


@pytest.fixture
def shop(tmp_path):
    opened = Shop(f"sqlite:///{tmp_path / 'catalog.db'}")
    yield opened
    opened.store.close()


async def test_a_show_leaves_no_viewer_no_secret_and_no_picture(tmp_path, archive, flv, shop, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    shop.sell("red", stock=5)
    with ByteServer(flv, bytes_per_s=len(flv) / 6.0, then="hang") as stream:
        catalog = f'url = "sqlite:///{tmp_path / "catalog.db"}"\npublish = false\n'
        config = rooms_file(tmp_path, recognizer=archive.url, source=stream.url, catalog=catalog)
        text = config.read_text().replace("{port = 0}", f'{{port = 0, token = "{TOKEN}"}}')
        config.write_text(f'viewers = {{secret = "{SECRET}"}}\n{text}')
        async with on_air(config, monkeypatch) as show:
            operator = {"Authorization": f"Bearer {TOKEN}"}
            source = {"source": f"rtmp://127.0.0.1:9/live/{KEY}"}
            assert (await show.client.put("/rooms/other", json=source, headers=operator)).status_code == 201
            minted = await show.client.post(f"/rooms/{ROOM}/tickets", headers=operator)
            ticket = minted.json()["ticket"]
            viewer = {"X-Forwarded-For": ADDRESS, "Cookie": f"session={COOKIE}", "User-Agent": AGENT}
            await until(lambda: show.told() == ["card"])
            seen = {"card_id": show.events[0].card_id, "sku": "red", "at_s": time.time()}
            batch = feedback_batch(*(feedback_event(kind, **seen) for kind in ("impression", "click", "wrong")))
            asked = {"params": {"ticket": ticket}, "headers": viewer, "timeout": 20}
            answer = await show.client.post(f"/rooms/{ROOM}/feedback", json=batch, **asked)
            assert (answer.status_code, answer.json()["type"]) == (200, "ack")
            wrong = await show.client.get("/rooms", headers={**viewer, "Authorization": "Bearer guess-of-a-stranger"})
            assert wrong.status_code == 401
            rooms = await show.client.get("/rooms", headers=operator)
            await until(lambda: "reconnecting" in caplog.text or "127.0.0.1:9" in caplog.text)
        assert KEY not in rooms.text
    with shop.store.read() as session:
        (figures,) = viewer_events.by_room(session, since_s=0)
        assert (figures.impressions, figures.clicks) == (1, 1)
    # The client's own log has the addresses that it asked for.
    told = "\n".join(r.getMessage() for r in caplog.records if not r.name.startswith(("httpx", "httpcore")))
    for secret in (TOKEN, SECRET, KEY, ticket, "guess-of-a-stranger", COOKIE, AGENT):
        assert secret not in told, secret
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path != config}
    assert any(b"impression" in content for content in kept.values())
    for path, content in kept.items():
        for text in (ADDRESS, COOKIE, AGENT, ticket, TOKEN, SECRET, KEY):
            assert text.encode() not in content, (path, text)
        # Crops of products are the only pictures.
        assert Path("catalog", "crops") in path.relative_to(tmp_path).parents or not any(
            picture in content[:16] for picture in PICTURES
        ), path
    assert not list(temporary.iterdir())
