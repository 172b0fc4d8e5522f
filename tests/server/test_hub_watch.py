"""The page that shows a room as viewers see it."""

import io

import httpx
import pytest
import segno
from fastapi import FastAPI

from livecart.core.card_links import short_id
from livecart.core.errors import SettingsError
from livecart.core.settings import RoomSettings
from livecart.server.room_registry import RoomRegistry
from livecart.server.rooms_file import read_rooms_file
from livecart.web.hub import TicketSigner, overlay_router, watch_router
from livecart.web.hub.settings import ViewersSettings
from tests.waiting import until
from tests.web.hub_clients import Viewer, event, running_hub

SECRET = "a-secret-of-enough-characters"


def client_of(hub, urls):
    api = FastAPI()
    api.include_router(watch_router(hub.hub.admission, urls.get))
    return httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://127.0.0.1")


async def test_the_page_has_stream_and_element_and_a_policy_that_lets_in_nothing_else():
    urls = {"room-1": 'https://cdn.example.com:8443/live/1.m3u8?a="><script>', "room-2": "/clip.mp4"}
    async with running_hub() as hub, client_of(hub, urls) as client:
        page = await client.get("/rooms/room-1/watch")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert 'room="room-1"' in page.text
        assert 'clock="program-date-time"' in page.text
        assert "直播间" in page.text
        assert 'data-source="https://cdn.example.com:8443/live/1.m3u8?a=&quot;&gt;&lt;script&gt;"' in page.text
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self';" in policy
        assert "connect-src 'self' https://cdn.example.com:8443;" in policy
        assert "unsafe" not in policy
        other = await client.get("/rooms/room-2/watch")
        assert 'clock="none"' in other.text
        assert "connect-src 'self';" in other.headers["content-security-policy"]
        assert (await client.get("/rooms/none/watch")).status_code == 404
        # Nothing is inline, and what the page asks for is there.
        assert "<style" not in page.text
        assert "onclick" not in page.text
        assert (await client.get("/viewer/watch.js")).headers["content-type"].startswith("text/javascript")
        assert (await client.get("/viewer/watch.css")).headers["content-type"].startswith("text/css")


async def test_with_tickets_the_page_wants_one_and_hands_it_on():
    async with running_hub(secret=SECRET) as hub, client_of(hub, {"room-1": "/live.m3u8"}) as client:
        assert (await client.get("/rooms/room-1/watch")).status_code == 401
        ticket = TicketSigner(SECRET).mint("room-1", 60).text
        page = await client.get("/rooms/room-1/watch", params={"ticket": ticket})
        assert f'ticket="{ticket}"' in page.text


async def test_a_room_without_playback_says_so():
    async with running_hub() as hub, client_of(hub, {}) as client:
        page = await client.get("/rooms/room-1/watch")
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "playback_url" in page.text
        assert "播放地址" in page.text
        assert "live-cart" not in page.text


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "//evil.example/x",
        "https://a; script-src *",
        "https://u:p@a/x",
        "live.m3u8",
        "/a b",
        "",
        "https://[bad/x.m3u8",
        "https://a:99999/",
    ],
)
def test_what_is_no_playback_url_is_refused(url):
    with pytest.raises(SettingsError, match="playback_url"):
        RoomSettings(id="r", source="clip.mp4", playback_url=url)


async def test_the_url_comes_from_the_rooms_settings(engine, tmp_path, clip):
    path = tmp_path / "rooms.toml"
    path.write_text(f'[[rooms]]\nid = "a"\nsource = "{clip[0]}"\nplayback_url = "/a.m3u8"\nutm_source = "douyin"\n')
    file = read_rooms_file(path, {})
    book = RoomRegistry(engine.rooms, file)
    await book.apply_file(file)
    assert book.playback_url("a") == "/a.m3u8"
    assert book.playback_url("b") is None
    assert [book.utm_source(room) for room in ("a", "b")] == ["douyin", "livecart"]


@pytest.mark.parametrize(
    "url", ["http://a.example", "https://", "https://a.example?x=1", "https://u@a.example", "a.example"]
)
def test_what_viewers_cannot_reach_by_https_is_no_public_url(url):
    with pytest.raises(SettingsError, match="public_url"):
        ViewersSettings(public_url=url)


@pytest.mark.parametrize("source", ["", "Douyin", "a b", "a&b", "x" * 33])
def test_what_is_no_source_of_viewers_is_refused(source):
    with pytest.raises(SettingsError, match="utm_source"):
        RoomSettings(id="r", source="clip.mp4", utm_source=source)


@pytest.mark.parametrize(("most", "source"), [(0, None), (1, "/rooms/a/whep")])
async def test_a_room_that_no_one_may_watch_by_whep_names_no_stream(engine, tmp_path, most, source):
    pytest.importorskip("aiortc", reason="needs aiortc: pip install '.[webrtc]'")
    path = tmp_path / "rooms.toml"
    path.write_text(f'[ingest]\nwhep_viewers = {most}\n[[rooms]]\nid = "a"\nsource = "whip"\n')
    file = read_rooms_file(path, {})
    book = RoomRegistry(engine.rooms, file)
    await book.apply_file(file)
    assert book.playback_url("a") == source


async def test_an_overlay_that_is_refused_says_so_in_its_title_and_draws_nothing():
    async with running_hub(secret=SECRET) as hub:
        hub.api.include_router(overlay_router(hub.hub))
        transport = httpx.ASGITransport(hub.api)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            refused = await client.get("/rooms/room-1/overlay")
            assert refused.status_code == 401
            assert refused.text.startswith("<!doctype html><title>the ticket is missing")
            assert refused.text.endswith("</title>")
            ticket = TicketSigner(SECRET).mint("room-1", 60).text
            page = await client.get("/rooms/room-1/overlay", params={"ticket": ticket})
            assert f'ticket="{ticket}"' in page.text
            assert "script-src 'self'; style-src 'unsafe-inline' data:;" in page.headers["content-security-policy"]
            top = await client.get("/rooms/room-1/overlay", params={"ticket": ticket, "position": "top"})
            assert (top.status_code, "query.position" in top.json()["error"]["message"]) == (422, True)


async def test_links_and_qr_codes_lead_through_the_server_where_viewers_reach_it():
    card_id = "0d3f3c9f5e2a4d0c9a8b7c6d5e4f3a2b"
    counted = f"https://live.example.com/go/{short_id(card_id)}"
    async with running_hub(public_url="https://live.example.com") as hub:
        hub.api.include_router(overlay_router(hub.hub))
        transport = httpx.ASGITransport(hub.api)
        await hub.bus.publish(event("card", 1, card_id=card_id))
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
            Viewer(hub.api) as viewer,
        ):
            await hub.bus.publish(event("update", 2, card_id=card_id))
            await hub.bus.publish(event("card", 3, card_id="c1"))
            await until(lambda: len(viewer.events) == 2)
            shown = viewer.of_type("hello")[0]["current"] + [each["event"] for each in viewer.of_type("event")]
            urls = [each["url"] for each in shown]
            # Ids of another making have no short form.
            assert urls == [f"{counted}?v=1", f"{counted}?v=1", event("card", 3).url]
            code = await client.get(f"/rooms/room-1/qr/{card_id}")
            drawn = io.BytesIO()
            segno.make_qr(counted, error="m").save(drawn, kind="svg", border=4, light="white", omitsize=True)
            assert code.content == drawn.getvalue()
        async with Viewer(hub.api, query="after=0") as late:
            await until(lambda: len(late.events) == 3)
            assert late.of_type("event")[0]["event"]["url"] == f"{counted}?v=1"


async def test_a_qr_code_is_of_a_card_that_is_shown_and_of_a_link_that_a_stream_can_carry():
    async with running_hub() as hub:
        hub.api.include_router(overlay_router(hub.hub))
        transport = httpx.ASGITransport(hub.api)
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
            Viewer(hub.api) as viewer,
        ):
            await hub.bus.publish(event("card", 1, card_id="c1"))
            await hub.bus.publish(event("card", 2, card_id="c2", url="https://shop.example.com/" + "x" * 189))
            await until(lambda: len(viewer.events) == 2)
            code = await client.get("/rooms/room-1/qr/c1")
            assert (code.status_code, code.headers["content-type"]) == (200, "image/svg+xml")
            for path, why in (
                ("room-1/qr/c2", "link_too_long"),
                ("room-1/qr/c9", "unknown_card"),
                ("room-2/qr/c1", "unknown_card"),
            ):
                assert (await client.get(f"/rooms/{path}")).json()["error"]["code"] == why
