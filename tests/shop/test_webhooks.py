"""Webhooks: nothing written is lost, live messages keep their order, and whoever receives them is believed nothing."""

import asyncio
import socket
import time
from collections import defaultdict
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from sqlalchemy import select

from livecart.core.public_address import is_public
from livecart.shop.database.store import open_store
from livecart.shop.errors import InvalidValue, StoreUnavailable
from livecart.shop.models.webhooks import WebhookDeliveryRow, WebhookEndpointRow, WebhookMessageRow
from livecart.shop.repositories import cards, viewer_events, webhooks
from livecart.shop.webhooks import outbox
from livecart.shop.webhooks.outbox import Answer
from livecart.shop.webhooks.post import Poster, signed_headers
from livecart.shop.webhooks.sender import WebhookSender
from tests.card_events import card_event
from tests.crash_points import killed_before_a_write

TAKEN = Answer(204, "")
DOWN = Answer(500, "status 500")


class Receivers:
    """Stands in for `Poster.post`: notes what comes, and answers what `says` has for a URL, else 204."""

    def __init__(self):
        self.got = defaultdict(list)
        self.says = {}
        self.most_at_once = self._at_once = 0

    async def __call__(self, url, *, message_id, body, secrets, timeout_s):
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        await asyncio.sleep(0)
        self._at_once -= 1
        message = msgspec.json.decode(body)
        data = message["data"]
        answer = self.says.get(url, TAKEN)
        self.got[url].append((message["type"].removeprefix("card."), data["room"], data.get("event_id")))
        return answer if isinstance(answer, Answer) else await answer()


def add(store, *urls, types=()):
    with store.write("setup") as session:
        return [webhooks.add(session, url, types, ())[0] for url in urls]


def emit(store, *events):
    with store.write("livecart") as session:
        return sum(webhooks.enqueue(session, event) for event in events)


async def pump(sender):
    """Rounds until nothing is due."""
    while await sender.round() or sender._results:
        await sender.settled()


def waiting(store):
    with store.read() as session:
        query = select(WebhookMessageRow.type, WebhookDeliveryRow.next_at_s).join(WebhookDeliveryRow)
        return sorted((kind.removeprefix("card."), at_s is None) for kind, at_s in session.execute(query))


@pytest.fixture
def event(clock):
    """Events of a card as the rooms make them, now."""

    def made(kind, number, *, room="room-1", card="c1", **values):
        return card_event(event=kind, event_id=number, room=room, card_id=card, at_s=clock.at_s, **values)

    return made


A, B = "https://a.example.com/hook", "https://b.example.com/hook"


async def test_an_endpoint_that_fails_gets_its_room_in_order_and_holds_up_nobody(store, clock, event):
    add(store, A, B, types=["card.shown", "card.withdrawn"])
    receivers = Receivers()
    receivers.says[A] = DOWN
    sender = WebhookSender(store, receivers)
    began_s, tried_at_s = clock.at_s, []
    emit(store, event("card", 1), event("card", 1, room="room-2", card="c2"))
    # The same events again, as after a commit whose answer was lost, add nothing.
    assert emit(store, event("card", 1)) == 0
    for at_s in (0, 0.9, 1.1, 3.0, 3.2, 10.1, 10.3, 30.2, 30.4, 119):
        clock.at_s = began_s + at_s
        before = len(receivers.got[A])
        await pump(sender)
        tried_at_s += [at_s] * (len(receivers.got[A]) - before)
    assert receivers.got[B] == [("shown", "room-1", 1), ("shown", "room-2", 1)]
    # Both rooms, 0, 1, 3, 10 and 30 s after the first try.
    assert tried_at_s == [0, 0, 1.1, 1.1, 3.2, 3.2, 10.3, 10.3, 30.4, 30.4]
    assert waiting(store) == []
    assert (sender.stats.delivered, sender.stats.failed, sender.stats.given_up) == (2, 10, 2)


async def test_what_a_withdrawal_or_time_makes_useless_is_not_sent(store, clock, event):
    add(store, A, types=["card.shown", "card.updated", "card.withdrawn"])
    receivers = Receivers()
    receivers.says[A] = DOWN
    sender = WebhookSender(store, receivers)
    emit(store, event("card", 1))
    await pump(sender)
    for number in (2, 3, 4):
        clock.pass_s(0.1)
        emit(store, event("update", number))
        await pump(sender)
    # They wait behind the one that failed.
    assert receivers.got[A] == [("shown", "room-1", 1)]
    receivers.says.clear()
    receivers.got.clear()
    clock.pass_s(1.0)
    await pump(sender)
    # Then only the newest update.
    assert receivers.got[A] == [("shown", "room-1", 1), ("updated", "room-1", 4)]
    assert sender.stats.collapsed == 2
    receivers.says[A] = DOWN
    emit(store, event("card", 5, card="c2"), event("update", 6, card="c2"))
    await pump(sender)
    emit(store, event("withdraw", 7, card="c2", reason="gone"))
    receivers.says.clear()
    receivers.got.clear()
    await pump(sender)
    assert receivers.got[A] == [("withdrawn", "room-1", 7)]
    emit(store, event("card", 8, card="c3"))
    clock.pass_s(outbox.LIVE_FOR_S + 1)
    await pump(sender)
    assert receivers.got[A] == [("withdrawn", "room-1", 7)]
    assert waiting(store) == []


async def test_card_closed_has_what_viewers_did_and_goes_the_long_schedule_to_the_dead_letters(store, clock, event):
    add(store, A, types=["card.closed"])
    bodies = []

    async def post(url, *, body, **_):
        bodies.append(msgspec.json.decode(body))
        return DOWN

    sender = WebhookSender(store, post)
    with store.write("livecart") as session:
        cards.record(session, event("card", 1))
        shown_at_s = clock.at_s
        clock.pass_s(10)
        withdrawn = event("withdraw", 2, reason="gone")
        cards.record(session, withdrawn)
        webhooks.enqueue(session, withdrawn)
        did = [("impression", "viewer-1"), ("impression", "viewer-2"), ("click", "viewer-2")]
        viewer_events.record(
            session,
            [
                viewer_events.ViewerEvent(event_key=f"event-key-{number}", kind=kind, card_id="c1", viewer=f"{who}-x")
                for number, (kind, who) in enumerate(did)
            ],
        )
    await pump(sender)
    assert bodies == []
    tries_s, at_s = [], clock.at_s
    clock.pass_s(webhooks.CLOSED_AFTER_S)
    while waiting(store) == [("closed", False)]:
        await pump(sender)
        tries_s.append(clock.at_s - at_s)
        assert len(bodies) == len(tries_s)
        with store.read() as session:
            clock.at_s = session.scalar(select(WebhookDeliveryRow.next_at_s)) or clock.at_s
    data = bodies[0]["data"]
    assert (data["shown_at_s"], data["withdrawn_at_s"], data["reason"]) == (shown_at_s, shown_at_s + 10, "gone")
    assert (data["impressions"], data["clicks"]) == (2, 1)
    assert all(body == bodies[0] for body in bodies)
    assert len(tries_s) == 10
    assert tries_s[-1] == pytest.approx(60 + sum(outbox.RECORD_WAITS_S), rel=0.12)
    assert waiting(store) == [("closed", True)]
    with store.write("alice") as session:
        (letter,) = webhooks.dead_letters(session)
        assert (letter.message_id, letter.attempts, letter.error) == ("c1-closed", 10, "status 500")
        assert webhooks.replay(session, None) == 1
    receivers = Receivers()
    sender = WebhookSender(store, receivers)
    await pump(sender)
    assert receivers.got[A] == [("closed", "room-1", None)]
    with store.write("alice") as session:
        assert webhooks.replay(session, "c1-closed") == 1
    await pump(sender)
    assert len(receivers.got[A]) == 2
    assert waiting(store) == []


async def test_who_is_gone_or_fails_for_days_is_sent_nothing_more(store, clock, event):
    (gone, failing) = add(store, A, B)
    receivers = Receivers()
    receivers.says = {A: Answer(410, "status 410"), B: DOWN}
    sender = WebhookSender(store, receivers)
    emit(store, event("card", 1), event("withdraw", 2, reason="gone"))
    await pump(sender)
    with store.read() as session:
        assert [one.disabled for one in webhooks.every(session)] == ["gone", None]
    clock.pass_s(outbox.FAILING_FOR_S + 1)
    with store.write("livecart") as session:
        session.get(WebhookEndpointRow, failing).failing_since_s = clock.at_s - outbox.FAILING_FOR_S - 1
    await pump(sender)
    with store.read() as session:
        assert [one.disabled for one in webhooks.every(session)] == ["gone", "failing"]
    assert waiting(store) == [("closed", True), ("closed", True)]
    assert emit(store, event("card", 3, card="c2")) == 0
    with store.write("alice") as session:
        webhooks.enable(session, gone)
        assert webhooks.replay(session, None) == 1
    receivers.says.clear()
    receivers.got.clear()
    await pump(sender)
    assert dict(receivers.got) == {A: [("closed", "room-1", None)]}


async def test_a_thousand_endpoints_keep_their_order_and_one_that_hangs_holds_up_none(sqlite_store, event):
    urls = [f"https://e{number}.example.com/" for number in range(1000)]
    with sqlite_store.write("setup") as session:
        for url in urls:
            row = WebhookEndpointRow(url=url, types=list(webhooks.TYPES), secret="whsec_c2VjcmV0", created_at_s=0.0)
            session.add(row)
    receivers, hangs = Receivers(), asyncio.Event()

    async def hang():
        await hangs.wait()
        return DOWN

    receivers.says[urls[0]] = hang
    sender = WebhookSender(sqlite_store, receivers)
    emit(sqlite_store, event("card", 1, room="r1", card="r1"), event("update", 2, room="r1", card="r1"))
    emit(sqlite_store, event("card", 1, room="r2", card="r2"))
    began_s = time.monotonic()
    while await sender.round() or len(sender._tasks) > 2 or sender._results:
        await asyncio.wait(sender._tasks, timeout=0.05, return_when=asyncio.FIRST_COMPLETED)
    took_s = time.monotonic() - began_s
    for url in urls[1:]:
        assert [got for got in receivers.got[url] if got[1] == "r1"] == [("shown", "r1", 1), ("updated", "r1", 2)]
        assert receivers.got[url].count(("shown", "r2", 1)) == 1
    assert receivers.got[urls[0]] == [("shown", "r1", 1), ("shown", "r2", 1)]
    assert receivers.most_at_once <= 256
    # Another process sends nothing that this one is sending.
    assert await WebhookSender(sqlite_store, receivers).round() == 0
    assert took_s < 30
    hangs.set()
    await sender.settled()


async def test_results_wait_while_the_database_is_away(sqlite_store, clock, event):
    add(sqlite_store, A, types=["card.shown"])
    receivers = Receivers()
    sender = WebhookSender(sqlite_store, receivers)
    emit(sqlite_store, event("card", 1))
    await sender.round()
    await sender.settled()
    sender._store = Away()
    with pytest.raises(StoreUnavailable):
        await sender.round()
    sender._store = sqlite_store
    clock.pass_s(outbox.CLAIM_S - 1)
    await pump(sender)
    assert receivers.got[A] == [("shown", "room-1", 1)]
    assert waiting(sqlite_store) == []


class Away:
    def edit(self, who, work):
        raise StoreUnavailable("store_silent", where="x", cause="gone")


def test_records_that_wait_for_an_endpoint_are_bounded(sqlite_store, event, monkeypatch):
    monkeypatch.setattr(webhooks, "MOST_WAITING", 2)
    add(sqlite_store, A, types=["card.closed"])
    emit(sqlite_store, *(event("withdraw", number, card=f"c{number}", reason="gone") for number in range(3)))
    assert waiting(sqlite_store) == [("closed", False), ("closed", False), ("closed", True)]


# Killed between commit and send


def send_all(url, hook, folder):
    """Write two events and send them; below `folder` a file is written before and after each POST."""

    async def work():
        async with Poster(["127.0.0.1"]) as poster:

            async def post(url, **message):
                Path(folder, f"{message['message_id']}-before").write_bytes(b"")
                answer = await poster.post(url, **message)
                Path(folder, f"{message['message_id']}-after").write_bytes(b"")
                return answer

            await pump(WebhookSender(store, post))

    store = open_store(url)
    at_s = time.time()
    emit(store, card_event(at_s=at_s), card_event(event="update", event_id=2, at_s=at_s + 0.001))
    asyncio.run(work())


async def test_kill_9_between_commit_and_send_loses_none(store_url, store, tmp_path):
    async def take(request):
        got.append(request.headers["webhook-id"])
        return web.Response(status=204)

    later = open_store(store_url, now_s=lambda: time.time() + outbox.CLAIM_S + 1)
    async with serving(take) as hook, Poster(["127.0.0.1"]) as poster:
        with later.write("setup") as session:
            webhooks.add(session, hook, webhooks.TYPES, ["127.0.0.1"])
        written = tmp_path / "written"
        written.mkdir()
        kills = 0
        with killed_before_a_write(written, "tests.shop.test_webhooks:send_all", store_url, hook, written) as run:
            while True:
                got = []
                ended = await asyncio.to_thread(run, kills + 1)
                with later.read() as session:
                    ids = set(session.scalars(select(WebhookMessageRow.id)))
                assert len(ids) == 2
                await pump(WebhookSender(later, poster.post))
                assert set(got) == ids
                assert got.index("c1-1") < got.index("c1-2")
                assert waiting(later) == []
                with later.write("setup") as session:
                    session.execute(WebhookMessageRow.__table__.delete())
                if ended:
                    break
                kills += 1
    assert kills == 4
    later.close()


# Whoever is at the other end


@asynccontextmanager
async def serving(take):
    """The URL at which `take` answers."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", take)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    finally:
        await runner.cleanup()


def test_the_published_signature():
    headers = signed_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        '{"test": 2432232314}',
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        1614265330.9,
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_a_redirect_is_not_followed_and_answers_are_bounded():
    asked, sent = [], 0

    async def take(request):
        nonlocal sent
        asked.append(request.path)
        if request.path == "/moved":
            return web.Response(status=307, headers={"Location": "/elsewhere"})
        if request.path == "/slow":
            await asyncio.sleep(5)
        if request.path == "/busy":
            return web.Response(status=429, headers={"Retry-After": "17"}, text="\x1b[31mlater")
        answer = web.StreamResponse()
        await answer.prepare(request)
        try:
            while True:
                await answer.write(bytes(65_536))
                sent += 65_536
                await asyncio.sleep(0)
        except ConnectionError:
            return answer

    async with serving(take) as hook, Poster(["127.0.0.1"]) as poster:

        async def post(path, timeout_s=3.0):
            url = hook.replace("/hook", path)
            return await poster.post(url, message_id="m", body="{}", secrets=["whsec_c2VjcmV0"], timeout_s=timeout_s)

        assert await post("/moved") == Answer(307, "status 307")
        assert await post("/busy") == Answer(429, "status 429: �[31mlater", 17.0)
        assert await post("/endless") == Answer(200, "")
        assert await post("/slow", timeout_s=0.1) == Answer(0, "no answer within 0.1 s")
    assert asked == ["/moved", "/busy", "/endless", "/slow"]
    assert sent < 8_000_000


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "0.0.0.0", "10.0.0.1", "100.64.0.1", "169.254.169.254", "172.16.0.1", "192.168.1.1", "198.18.0.1",
        "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "fe80::1%eth0", "fc00::1",
        "fec0::1", "ff02::1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:7f00:1::", "2001:db8::1",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "2002:808:808::1"])
def test_an_address_that_is_public(address):
    assert is_public(address)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://a.example.com/", "link_not_https"),
        ("https://u:p@a.example.com/", "link_with_user"),
        ("https://127.0.0.1/", "address_not_public"),
        ("https://[::1]/", "address_not_public"),
        ("https://[::ffff:10.0.0.1]:8443/", "address_not_public"),
        ("file:///etc/passwd", "link_not_https"),
        ("https://a.example.com\\@127.0.0.1/", "link_characters"),
    ],
)
def test_a_target_that_is_refused_when_it_is_added(url, reason):
    with pytest.raises(InvalidValue) as caught:
        webhooks.check_target(url, ["erp.internal"])
    assert caught.value.reason == reason


async def test_a_name_is_looked_up_once_and_leads_to_no_inner_address(monkeypatch):
    connections, names = [], []

    async def take(reader, writer):
        connections.append(1)
        writer.close()

    def look_up(host, port, *_, **__):
        names.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    async with server, Poster([f"erp.internal:{port}"]) as poster:

        async def post(url):
            return await poster.post(url, message_id="m", body="{}", secrets=["whsec_c2VjcmV0"], timeout_s=3.0)

        for host in ("rebound.example.com", "localhost", "2130706433", "127.1", "127.0.0.1", "[::ffff:127.0.0.1]"):
            told = await post(f"https://{host}:{port}/")
            assert "is not public" in told.error or "is not a canonical" in told.error, told
        assert names.count("rebound.example.com") == 1
        assert connections == []
        # A host that the settings name is reached; this server is none of HTTP.
        assert "is not public" not in (await post(f"http://erp.internal:{port}/")).error
        assert connections == [1]
