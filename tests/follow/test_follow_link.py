"""A link that is followed, against a real HTTP server."""

import io
import threading
import time

import pytest
import requests

from follow import sources
from recognition.errors import ConfigurationError
from tests.follow.follower_worker import POLL_S, Worker, eventually, snapshot_bytes


def test_a_link_is_downloaded_once_and_then_only_asked(folder, shop, follow):
    worker = follow(shop.url)
    assert worker.serving == "1"
    eventually(lambda: len(shop.answers) >= 6)
    assert shop.answers[0] == 200
    assert set(shop.answers[1:6]) == {304}
    shop.body = snapshot_bytes(folder, "1", "2")
    eventually(lambda: worker.serving == "12")
    eventually(lambda: shop.answers[-1] == 304)
    assert shop.answers.count(200) == 2
    assert worker.events == [("loaded", shop.url), ("loaded", shop.url)]


def test_the_next_start_asks_with_what_the_last_one_knew(shop, follow):
    follow(shop.url).follower.close()
    asked = len(shop.answers)
    again = follow(shop.url)
    assert again.serving == "1"
    assert shop.answers[asked] == 304
    assert shop.requests[asked]["if-none-match"].startswith('"')


def test_a_source_that_is_down_stops_no_start(folder, shop, follow):
    shop.close()
    first = follow(shop.url)
    assert first.serving == "0"
    assert "Connection refused" in first.told("unreachable")[0]
    first.follower.close()
    shop.open()
    follow(shop.url).follower.close()
    shop.close()
    second = follow(shop.url)
    assert second.serving == "1"
    assert second.events[-1] == ("loaded", f"the last good copy of {shop.url}")
    other = follow(shop.url.replace("live", "other"))
    assert other.serving == "0"


def test_a_start_with_a_bad_source_takes_the_last_good_copy(folder, shop, follow):
    follow(shop.url).follower.close()
    shop.body = snapshot_bytes(folder, "2", fingerprint="other@7")
    worker = follow(shop.url)
    assert worker.serving == "1"
    assert len(worker.told("refused")) == 1
    worker.follower.close()
    assert follow(shop.url).serving == "1"


def test_a_start_does_not_wait_for_a_source_that_drips(folder, shop, follow):
    shop.body = snapshot_bytes(folder, *map(str, range(10)))
    shop.drip_s = 0.3
    worker = follow(shop.url, start_s=0.1)
    assert worker.serving == "0"
    eventually(lambda: worker.serving == "0123456789")


def test_a_source_that_goes_away_and_comes_back(folder, shop, follow, quick):
    worker = follow(shop.url)
    shop.close()
    eventually(lambda: worker.told("unreachable") != [])
    time.sleep(10 * POLL_S)
    assert len(worker.told("unreachable")) == 1
    assert worker.serving == "1"
    shop.body = snapshot_bytes(folder, "2")
    shop.open()
    eventually(lambda: worker.serving == "2")
    assert [outcome for outcome, _ in worker.events] == ["loaded", "unreachable", "reachable", "loaded"]


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        ({"status": 404}, "HTTP status 404"),
        ({"status": 503}, "HTTP status 503"),
        ({"status": 206}, "HTTP status 206"),
        ({"sent": 500}, "broke off"),
        ({"sent": 500, "chunked": True}, "broke off"),
        ({"encoding": "gzip"}, "sent as gzip"),
        ({"status": 302, "location": "http://127.0.0.1:9/other"}, "redirects to http://127.0.0.1:9/other, only https"),
        ({"status": 301, "location": "/other"}, "only https is followed"),
        ({"status": 307, "location": "ftp://shop.example.com/a"}, "only https is followed"),
    ],
)
def test_an_answer_that_cannot_be_used_is_told_once_and_overcome(folder, shop, follow, quick, trouble, told):
    worker = follow(shop.url)
    shop.body = snapshot_bytes(folder, "2")
    sound = {key: getattr(shop, key) for key in trouble}
    shop.body, shop.__dict__ = shop.body, {**shop.__dict__, **trouble}
    eventually(lambda: worker.told("unreachable") != [])
    asked = len(shop.answers)
    eventually(lambda: len(shop.answers) > asked + 2)
    assert len(worker.told("unreachable")) == 1
    assert told in worker.told("unreachable")[0]
    assert worker.told("refused") == []
    for key, value in sound.items():
        setattr(shop, key, value)
    eventually(lambda: worker.serving == "2")


@pytest.mark.parametrize("damage", [lambda data: data[:700], lambda data: data[:-1] + b"\xff", lambda data: b""])
def test_a_link_to_a_damaged_snapshot_is_refused_and_not_downloaded_again(folder, shop, follow, damage):
    worker = follow(shop.url)
    shop.body = damage(snapshot_bytes(folder, "2"))
    eventually(lambda: worker.told("refused") != [])
    asked = len(shop.answers)
    eventually(lambda: len(shop.answers) > asked + 5)
    assert len(worker.told("refused")) == 1
    assert shop.answers.count(200) == 2
    shop.body = snapshot_bytes(folder, "3")
    eventually(lambda: worker.serving == "3")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_is_bounded_whether_its_length_is_told_or_not(folder, shop, follow, chunked):
    worker = follow(shop.url, max_bytes=len(shop.body) + 100)
    shop.chunked = chunked
    shop.body = b"x" * (len(shop.body) + 101)
    eventually(lambda: worker.told("refused") != [])
    asked = len(shop.answers)
    eventually(lambda: len(shop.answers) > asked + 3)
    assert len(worker.told("refused")) == 1
    assert "are accepted" in worker.told("refused")[0]
    assert shop.answers.count(200) == 2
    shop.body = snapshot_bytes(folder, "3")
    eventually(lambda: worker.serving == "3")


def test_last_modified_serves_where_there_is_no_etag(folder, shop, follow):
    shop.etags, shop.modified = False, time.time() - 100
    worker = follow(shop.url)
    eventually(lambda: shop.answers.count(304) >= 3)
    assert shop.answers.count(200) == 1
    shop.body, shop.modified = snapshot_bytes(folder, "2"), time.time() - 50
    eventually(lambda: worker.serving == "2")


def test_two_changes_within_one_second_are_both_seen(folder, shop, follow):
    shop.etags, shop.modified = False, time.time()
    worker = follow(shop.url)
    shop.body = snapshot_bytes(folder, "2")
    eventually(lambda: worker.serving == "2")


def test_closing_breaks_off_a_download(folder, shop, follow):
    worker = follow(shop.url)
    shop.body, shop.drip_s = snapshot_bytes(folder, *map(str, range(400))), 0.05
    asked = len(shop.answers)
    eventually(lambda: 200 in shop.answers[asked:])
    started = time.monotonic()
    worker.follower.close()
    assert time.monotonic() - started < 1.0
    assert not worker.follower._thread.is_alive()
    assert worker.told("unreachable") == []


@pytest.mark.parametrize(
    "source",
    [
        "http://shop.example.com/live.snapshot",
        "http://127.0.0.1.example.com/live.snapshot",
        "http://10.0.0.1/live.snapshot",
        "ftp://shop.example.com/live.snapshot",
        "file:///etc/live.snapshot",
        "s3://bucket/live.snapshot",
        "https:///live.snapshot",
    ],
)
def test_only_https_paths_and_this_machine_are_followed(folder, source):
    with pytest.raises(ConfigurationError, match="snapshot source"):
        Worker(folder, source)


def test_the_token_of_the_environment_is_shown_and_told_to_nobody_else(shop, follow, monkeypatch):
    monkeypatch.setenv(sources.TOKEN_VARIABLE, "lc_token")
    worker = follow(shop.url)
    assert worker.serving == "1"
    assert shop.requests[0]["authorization"] == "Bearer lc_token"
    assert "lc_token" not in str(worker.events)


def test_a_redirect_to_another_server_goes_without_the_token(monkeypatch):
    monkeypatch.setenv(sources.TOKEN_VARIABLE, "lc_token")
    source = sources.open_source("https://shop.example.com/live.snapshot", max_bytes=1)
    places = iter(["https://shop.example.com/v2.snapshot", "https://cdn.example.net/v2.snapshot", None])
    shown = []

    def get(url, *, headers, **_):
        shown.append((url, headers.get("Authorization")))
        response = requests.Response()
        response.raw = io.BytesIO()
        response.status_code, location = 302, next(places)
        if location is None:
            response.status_code = 404
        else:
            response.headers["Location"] = location
        return response

    monkeypatch.setattr(source._session, "get", get)
    with pytest.raises(sources.Absent), source.ask({}, threading.Event()):
        pass
    assert shown == [
        ("https://shop.example.com/live.snapshot", "Bearer lc_token"),
        ("https://shop.example.com/v2.snapshot", "Bearer lc_token"),
        ("https://cdn.example.net/v2.snapshot", None),
    ]
