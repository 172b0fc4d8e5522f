"""Where a stream from the network may lead: redirects, playlists, segments, keys."""

import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random

import pytest

from livecart.core.errors import SettingsError, StreamError
from livecart.live.video import IngestSettings, StreamReader, parse_source
from livecart.live.video.egress import AddressRule
from tests.live.video.streams import Seen, encoded
from tests.waiting import wait_until


@contextmanager
def web(host, replies):
    """Serves `replies`, a body or a link by path; gives its address and the paths that were asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            reply = replies.get(self.path)
            self.send_response(404 if reply is None else 200 if isinstance(reply, bytes) else 302)
            if isinstance(reply, str):
                self.send_header("Location", reply)
            self.end_headers()
            self.wfile.write(reply if isinstance(reply, bytes) else b"")

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer((host, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://{host}:{server.server_address[1]}", asked
        server.shutdown()


def seen_of(source, settings):
    """What a reader tells until its end or its first failure."""
    seen = Seen()
    reader = StreamReader(source, "room", settings, seen.deliver, seen.on_state, rng=Random(1))
    reader.start()
    wait_until(lambda: seen.states[-1:] in (["ended"], ["reconnecting"]))
    reader.stop()
    return seen


def playlist(segment, key=None):
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:2"]
    lines += [f'#EXT-X-KEY:METHOD=AES-128,URI="{key}"'] if key else []
    return "\n".join([*lines, "#EXTINF:2.0,", segment, "#EXT-X-ENDLIST", ""]).encode()


@pytest.fixture(scope="module")
def segment():
    return encoded("mpegts", seconds=2.0)


OPEN = IngestSettings(open_timeout_s=3.0, networks=("127.0.0.0/8",))


@pytest.mark.parametrize("way", ["redirect", "segment", "key", "playlist"])
@pytest.mark.parametrize("settings", [IngestSettings(open_timeout_s=3.0), OPEN], ids=["closed", "allowed"])
def test_a_stream_leads_to_no_other_address_of_this_machine_unless_allowed(segment, way, settings):
    with web("127.0.0.2", {"/a.ts": segment, "/a.m3u8": playlist("a.ts"), "/key": b"k" * 16}) as (inner, asked):
        replies = {
            "redirect": f"{inner}/a.ts",
            "segment": playlist(f"{inner}/a.ts"),
            "key": playlist(f"{inner}/a.ts", key=f"{inner}/key"),
            "playlist": f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{inner}/a.m3u8\n".encode(),
        }
        with web("127.0.0.1", {"/live.m3u8": replies[way]}) as (outer, _):
            seen = seen_of(f"{outer}/live.m3u8", settings)
    assert bool(asked) is (settings is OPEN)
    if settings is OPEN:
        assert len(seen.frames) == (0 if way == "key" else 2)
    else:
        # The port of the source is told, and may hold these digits.
        told = [detail.replace(outer, "") for detail in seen.details]
        assert not any("404" in detail or "refused" in detail for detail in told)


def test_a_reply_says_nothing_of_what_listens_inside():
    with socket.create_server(("127.0.0.2", 0)) as listening:
        ports = [listening.getsockname()[1], 9]
        details = []
        for port in ports:
            with web("127.0.0.1", {"/a.flv": f"http://127.0.0.2:{port}/x"}) as (outer, _):
                details.append(seen_of(f"{outer}/a.flv", IngestSettings(open_timeout_s=3.0)).details[1])
    assert all("it leads to an address that does not answer or may not be reached" in detail for detail in details)


def test_of_the_source_itself_the_reason_is_told():
    assert "Connection refused" in seen_of("http://127.0.0.1:9/a.flv", IngestSettings(open_timeout_s=3.0)).details[1]


@pytest.mark.parametrize("scheme", ["http", "rtmp", "rtsp"])
def test_the_source_itself_is_held_to_the_networks(scheme):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        source = f"{scheme}://127.0.0.1:{listening.getsockname()[1]}/live/a"
        seen = seen_of(source, IngestSettings(open_timeout_s=3.0, networks=("10.0.0.0/8",)))
        assert "ingest.networks" in seen.details[1]
        with pytest.raises(TimeoutError):
            listening.accept()


@pytest.mark.parametrize(
    ("source", "to", "allowed"),
    [
        ("93.184.215.14", "93.184.216.34", True),
        ("93.184.215.14", "10.0.0.1", False),
        ("93.184.215.14", "::ffff:127.0.0.1", False),
        ("93.184.215.14", "fd00::1", False),
        ("93.184.215.14", "0.0.0.0", False),
        ("10.0.0.1", "10.0.0.2", True),
        ("10.0.0.1", "169.254.169.254", False),
        ("10.0.0.1", "127.0.0.1", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("localhost", "127.0.0.1", True),
    ],
)
def test_addresses_that_a_source_may_lead_to(source, to, allowed):
    rule = AddressRule(parse_source(f"http://{source}/a", IngestSettings()), IngestSettings())
    if allowed:
        assert rule.addresses_of(to)
    else:
        with pytest.raises(StreamError):
            rule.addresses_of(to)


def test_a_name_of_the_internet_for_this_machine_is_no_source(monkeypatch):
    info = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: info)
    with pytest.raises(StreamError):
        AddressRule(parse_source("http://rebinding.example/a", IngestSettings()), IngestSettings())


def test_a_network_that_is_none_is_named():
    with pytest.raises(SettingsError, match=r"10\.0\.0\.1/8"):
        IngestSettings(networks=("10.0.0.1/8",))
