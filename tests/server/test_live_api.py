"""The HTTP API over running rooms."""

import asyncio
import re

import av
import httpx
import pytest

from livecart.server.health import HealthMonitor
from livecart.server.room_registry import RoomRegistry
from livecart.server.rooms_file import read_rooms_file
from livecart.web import create_api
from tests.live.video.streams import ByteServer
from tests.server.conftest import told
from tests.server.stand_in import scene, write_clip
from tests.waiting import until

TOKEN = "let-me-in-please"


def api_of(engine, tmp_path, text="", token=None):
    path = tmp_path / "rooms.toml"
    path.write_text(text, encoding="utf-8")
    book = RoomRegistry(engine.rooms, read_rooms_file(path, {}))
    health = HealthMonitor(engine.client.ready, engine.bus.last_event_id, lambda: engine.rooms.is_serving)
    return create_api(book, health, engine.metrics.registry, token), health


def client_of(api, **more):
    return httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://127.0.0.1", **more)


@pytest.fixture
async def client(engine, tmp_path):
    api, _ = api_of(engine, tmp_path, "[decision]\nagreeing_results = 1\n[http]\nfile_sources = true\n")
    async with client_of(api) as opened:
        yield opened


async def test_a_room_is_added_read_changed_and_removed(client, events, flv):
    with ByteServer(flv, bytes_per_s=len(flv) / 6.0, then="hang") as server:
        secret = server.url.replace("http://", "http://user:password@") + "?key=secret"
        answer = await client.put("/rooms/room-1", json={"source": secret, "rate_hz": 2})
        assert answer.status_code == 201
        await until(lambda: told(events) == [("card", "red")])
        room = (await client.get("/rooms/room-1")).json()
        assert (room["owner"], room["state"], room["cards"], room["rate_hz"]) == ("http", "live", ["red"], 2.0)
        (listed,) = (await client.get("/rooms")).json()["rooms"]
        # Counters go on between the two requests.
        assert {key: listed[key] for key in ("id", "owner", "source")} == {
            key: room[key] for key in ("id", "owner", "source")
        }
        assert "secret" not in (await client.get("/rooms")).text
        assert "password" not in (await client.get("/rooms")).text
        answer = await client.put("/rooms/room-1", json={"source": secret, "rate_hz": 2, "products": ["blue"]})
        assert (answer.status_code, answer.json()["products"]) == (200, ["blue"])
        assert (await client.delete("/rooms/room-1")).status_code == 204
        assert (await client.get("/rooms/room-1")).json()["error"]["code"] == "unknown_room"
        assert (await client.delete("/rooms/room-1")).status_code == 404
    assert told(events) == [("card", "red"), ("withdraw", "red")]


async def test_the_host_pins_mutes_and_withdraws(client, events, flv):
    with ByteServer(flv, bytes_per_s=len(flv) / 6.0, then="hang") as server:
        await client.put("/rooms/r", json={"source": server.url, "rate_hz": 2})
        await until(lambda: told(events) == [("card", "red")])
        answer = await client.post("/rooms/r/mute", json={"sku": "red", "for_s": 600})
        assert (answer.json()["muted"], answer.json()["cards"]) == (["red"], [])
        assert (await client.delete("/rooms/r/mute/red")).json()["muted"] == []
        for odd in ("..", "a/b?c#d%2f&sku=e", "\u202e"):
            assert (await client.post("/rooms/r/mute", json={"sku": odd})).json()["muted"] == [odd]
            assert (await client.delete("/rooms/r/mute", params={"sku": odd})).json()["muted"] == []
        assert (await client.delete("/rooms/r/mute")).status_code == 422
        pinned = {"sku": "9", "name": "赠品", "url": "https://shop.example.com/9", "price": "1.00", "currency": "CNY"}
        answer = await client.post("/rooms/r/pin", json=pinned)
        assert (answer.json()["pinned"], answer.json()["cards"]) == ("9", ["9"])
        await until(lambda: ("card", "9") in told(events))
        shown = next(event for event in events if event.sku == "9")
        assert (shown.name, shown.url, shown.price, shown.box) == ("赠品", "https://shop.example.com/9", "1.00", None)
        assert (await client.delete("/rooms/r/pin")).json()["pinned"] is None
        assert (await client.post("/rooms/r/withdraw", json={"sku": "9"})).json()["cards"] == []


PIN = {"sku": "1", "name": "n", "url": "https://shop.example.com/1"}
REFUSED = {
    "no source": ("put", "/rooms/r", {}, 422, "source"),
    "an unknown key": ("put", "/rooms/r", {"source": "whip", "url": "x"}, 422, "url"),
    "a scheme": ("put", "/rooms/r", {"source": "gopher://x/y"}, 422, "scheme 'gopher'"),
    "no such file": ("put", "/rooms/r", {"source": "/nowhere/clip.mp4"}, 422, "does not exist"),
    "a rate": ("put", "/rooms/r", {"source": "http://127.0.0.1/x", "rate_hz": 1000}, 422, "rate_hz is 1000"),
    "an id": ("put", "/rooms/a%20b", {"source": "http://127.0.0.1/x"}, 422, "the room id 'a b'"),
    "pinning nowhere": ("post", "/rooms/none/pin", {"sku": "1"}, 404, "no room 'none'"),
    "a link that is no https": ("post", "/rooms/r/pin", {"sku": "1", "name": "n", "url": "http://x"}, 422, "body.url"),
    "a link with a user": ("post", "/rooms/r/pin", PIN | {"url": "https://shop.example@evil.example/"}, 422, "link"),
    "a link that turns round": ("post", "/rooms/r/pin", PIN | {"url": "https://shop.example.com/\u202e"}, 422, "link"),
    "a name that turns round": ("post", "/rooms/r/pin", PIN | {"name": "a\u202eb"}, 422, "body.name"),
    "a mute of no time": ("post", "/rooms/r/mute", {"sku": "1", "for_s": 0}, 422, "body.for_s"),
    "a path": ("get", "/nothing", None, 404, "Not Found"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_is_refused_says_why(client, case):
    method, path, body, status, said = REFUSED[case]
    answer = await client.request(method, path, json=body)
    assert answer.status_code == status
    assert answer.json()["schema"] == 1
    assert said in answer.json()["error"]["message"]


async def test_files_of_the_machine_are_not_to_be_had_over_http(engine, tmp_path, clip):
    api, _ = api_of(engine, tmp_path)
    async with client_of(api) as client:
        answer = await client.put("/rooms/r", json={"source": str(clip[0])})
        assert answer.status_code == 422
        assert "scheme 'file'" in answer.json()["error"]["message"]


async def test_a_token_guards_everything_but_probes(engine, tmp_path):
    api, _ = api_of(engine, tmp_path, token=TOKEN)
    async with client_of(api) as client:
        for path in ("/rooms", "/metrics", "/rooms/x"):
            assert (await client.get(path)).status_code == 401
            assert (await client.get(path, headers={"Authorization": "Bearer wrong"})).status_code == 401
        assert (await client.post("/rooms/x/whip", content=b"v=0")).status_code == 401
        assert (await client.get("/openapi.json")).status_code == 404
        for path, status in (("/healthz", 200), ("/rooms", 401), ("/nowhere", 404)):
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["X-Content-Type-Options"]) == (status, "nosniff")
        authorised = {"Authorization": f"Bearer {TOKEN}"}
        assert (await client.get("/rooms", headers=authorised)).json() == {"rooms": []}


async def test_without_a_token_a_browser_cannot_be_led_here(client):
    assert (await client.get("/rooms", headers={"Host": "evil.example.com"})).status_code == 400


@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
async def test_without_a_token_a_page_cannot_do_what_the_host_does(client, content_type):
    # These a browser sends to other sites without visit them first (Fetch standard, CORS-safelisted requests).
    headers = {"Origin": "https://evil.example"} | ({} if content_type is None else {"Content-Type": content_type})
    await client.put("/rooms/r", json={"source": "whip"})
    for path in ("pin", "mute", "withdraw", "whip"):
        answer = await client.post(f"/rooms/r/{path}", content=b'{"sku": "1"}', headers=headers)
        assert answer.status_code in {415, 422}, path
    room = (await client.get("/rooms/r")).json()
    assert (room["pinned"], room["muted"]) == (None, [])


async def test_ready_when_the_recogniser_and_the_bus_are(engine, tmp_path, archive):
    api, health = api_of(engine, tmp_path)
    async with client_of(api) as client:
        assert (await client.get("/readyz")).status_code == 503
        task = asyncio.create_task(health.run())
        try:
            await until(lambda: all(health.checks().values()))
            assert (await client.get("/readyz")).json() == {
                "status": "ready",
                "checks": {"recognizer": True, "bus": True},
            }
            await archive.stop()
            await until(lambda: not health.checks()["recognizer"])
            answer = await client.get("/readyz")
            assert (answer.status_code, answer.json()["checks"]) == (503, {"recognizer": False, "bus": True})
            assert (await client.get("/healthz")).json() == {"status": "ok"}
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_the_process_is_alive_as_long_as_rooms_are_served(engine, tmp_path):
    api, _ = api_of(engine, tmp_path)
    async with client_of(api) as client:
        await engine.rooms.close()
        answer = await client.get("/healthz")
        assert (answer.status_code, answer.json()) == (503, {"status": "failed"})


def value(text, name, **labels):
    """One sample of Prometheus text."""
    for line in text.splitlines():
        found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if found and found[1] == name and dict(re.findall(r'(\w+)="([^"]*)"', found[2] or "")) == labels:
            return float(found[3])
    return None


async def test_metrics_tell_of_every_stage_and_forget_rooms_that_go(client, engine, events, archive, tmp_path):
    # Where red was, green is next: a look is confined to where something still stands.
    path = tmp_path / "clip.mp4"
    write_clip(path, [("red", 2.0, 8.0), ("green", 8.0, 16.0), ("blue", 18.0, 24.0)], 28.0)
    await client.put("/rooms/r", json={"source": str(path)})
    await until(engine.rooms.get("r").finished.is_set, 30)
    await engine.outbox.flush(1)
    text = (await client.get("/metrics")).text
    answered = value(text, "livecart_live_frames_total", room="r", outcome="answered")
    passed = sum(
        value(text, "livecart_live_gate_frames_total", room="r", reason=reason) or 0
        for reason in ("first", "changed", "wanted", "forced")
    )
    assert answered == passed > 0
    roi_frame = sum(place is not None for place in archive.places)
    assert value(text, "livecart_live_roi_frames_total", room="r") == roi_frame > 0
    # One a second, and more where a product comes in.
    sampled = engine.rooms.get("r").view().frames_sampled
    assert 28 <= sampled <= 40
    assert value(text, "livecart_live_sampled_frames_total", room="r") == sampled
    assert value(text, "livecart_live_rooms", state="ended") == 1
    assert value(text, "livecart_live_in_flight") == 0
    assert value(text, "livecart_live_concurrency_limit") >= 1
    assert value(text, "livecart_live_load_shedding") == 0
    for stage in ("queue", "encode", "request", "decide"):
        assert value(text, "livecart_live_stage_seconds_count", stage=stage) == answered
    assert value(text, "livecart_live_stage_seconds_count", stage="gate") == sampled
    assert value(text, "livecart_live_recognizer_seconds_count", stage="network") == answered
    assert value(text, "livecart_live_captured_to_card_seconds_count") == 3
    assert value(text, "livecart_live_captured_to_result_seconds_count") == answered
    assert value(text, "livecart_live_card_events_total", event="card", reason="") == 3
    assert value(text, "livecart_live_bus_published_total") == len(events)
    assert value(text, "livecart_live_reconnects_total", room="r") == 0
    await client.delete("/rooms/r")
    text = (await client.get("/metrics")).text
    assert 'room="r"' not in text
    assert value(text, "livecart_live_rooms", state="ended") == 0


async def test_a_browser_sends_a_stream_by_whip(client, events):
    peers = pytest.importorskip("tests.live.video.peers", reason="aiortc is not installed")

    class Camera(peers.aiortc.VideoStreamTrack):
        async def recv(self):
            pts, time_base = await self.next_timestamp()
            frame = av.VideoFrame.from_ndarray(scene(pts / 90000, "red"), format="rgb24")
            frame.pts, frame.time_base = pts, time_base
            return frame

    assert (await client.put("/rooms/w", json={"source": "whip", "rate_hz": 2})).status_code == 201
    headers = {"Content-Type": "application/sdp"}
    async with peers.peer(Camera()) as sender:
        answer = await client.post("/rooms/w/whip", content=peers.offer_of(sender), headers=headers)
        assert answer.status_code == 201
        await peers.take_answer(sender, answer.text)
        await until(lambda: told(events) == [("card", "red")])
        assert (await client.get("/rooms/w")).json()["state"] == "live"
        assert (await client.delete(answer.headers["Location"])).status_code == 200
        assert (await client.delete(answer.headers["Location"])).status_code == 404
    assert (await client.post("/rooms/w/whip", content="no sdp", headers=headers)).status_code == 400
    assert (await client.post("/rooms/none/whip", content="x", headers=headers)).status_code == 404
    assert (await client.post("/rooms/w/whip", content="x")).status_code == 415


async def test_wrong_tokens_are_logged_counted_and_slowed_by_address(engine, tmp_path, caplog):
    api, _ = api_of(engine, tmp_path, token=TOKEN)

    def from_address(address):
        transport = httpx.ASGITransport(api, client=(address, 50_000))
        return httpx.AsyncClient(transport=transport, base_url="http://livecart")

    right, wrong = {"Authorization": f"Bearer {TOKEN}"}, {"Authorization": "Bearer guess"}
    async with from_address("2001:db8::1") as stranger, from_address("2001:db8::2") as near, from_address("::1") as own:
        statuses = [(await stranger.get("/rooms", headers=wrong)).status_code for _ in range(25)]
        assert statuses[:20] == [401] * 20
        assert statuses[-1] == 429
        # Not looked at: an answer to the right one would tell it apart.
        refused = await near.get("/rooms", headers=right)
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
        assert (await own.get("/rooms", headers=right)).status_code == 200
        metrics = (await own.get("/metrics", headers=right)).text
    assert "livecart_http_denied_total 26.0" in metrics
    told_of = [record.getMessage() for record in caplog.records if "no valid token" in record.getMessage()]
    assert 20 <= len(told_of) <= 22
    assert "2001:db8::/64" in told_of[0]
    assert "guess" not in caplog.text
