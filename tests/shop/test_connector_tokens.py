"""Tokens of platforms: one process renews, and the pair is there again whenever it is killed."""

import contextlib
import json
import os
import threading

import pytest

from livecart.shop.connectors.platform_client import PlatformClient
from livecart.shop.connectors.token_pairs import TokenPair, Tokens
from livecart.shop.errors import FeedError
from livecart.shop.sync.http_fetch import Fetcher
from tests.crash_points import killed_before_a_write
from tests.shop.fake_platforms import FAKES, NOW_S, SECRET, SIGN_SECRET

RENEWING = [fake for fake in FAKES if fake.renews]


@pytest.fixture(params=RENEWING, ids=lambda fake: fake.kind)
def fake(request, monkeypatch):
    monkeypatch.setenv("FAKE_APP_SECRET", SECRET)
    monkeypatch.setenv("FAKE_TOKEN", "access-1")
    monkeypatch.setenv("FAKE_SIGN_SECRET", SIGN_SECRET)
    opened = request.param()
    yield opened
    opened.close()


def put(folder, access="access-1", refresh="refresh-1", ends_s=NOW_S - 1):
    pair = {"access_token": access, "refresh_token": refresh, "expires_at_s": ends_s}
    (folder / "tokens.json").write_text(json.dumps(pair))


def kept(folder):
    found = json.loads((folder / "tokens.json").read_text())
    return found["access_token"], found["refresh_token"]


def read_once(folder, kind, url):
    """In a process of its own: one page of the list, by the tokens of the folder."""
    fake = next(fake for fake in FAKES if fake.kind == kind)
    settings = fake.feed(AtUrl(url), folder)
    settings.source(PlatformClient(fetcher=fetcher(), clock=lambda: NOW_S)).list_page(None)


class AtUrl:
    """What `FakePlatform.feed` needs of a fake that another process runs."""

    def __init__(self, url):
        self.server = self
        self.url = url


def fetcher():
    return Fetcher(headers={}, headers_from_env={}, most_bytes=1_000_000, retries=0)


def test_the_pair_survives_a_kill_before_every_write(fake, tmp_path):
    folder = tmp_path / "feed"
    folder.mkdir()
    renewals = []
    with killed_before_a_write(
        folder, "tests.shop.test_connector_tokens:read_once", folder, fake.kind, fake.server.url
    ) as run:
        for number in range(1, 30):
            put(folder)
            fake.access, fake.refresh, fake.last_refresh, fake.renewals = "access-1", "refresh-1", "", 0
            ended = run(number)
            renewals.append(fake.renewals)
            # The next process finds what it can go on with.
            assert len(fake.source(folder).list_page(None).entries) == 3
            assert kept(folder) == (fake.access, fake.refresh)
            assert (folder / "tokens.json").stat().st_mode & 0o777 == 0o600
            if ended:
                break
    assert ended
    # Some were killed before the platform was asked, one at least after that and before the new pair was written.
    assert (renewals[0], renewals[-1]) == (0, 1)
    assert renewals.count(1) >= 2


def test_a_void_token_is_renewed_once_and_on_the_disk_before_it_is_used(fake, tmp_path):
    put(tmp_path, access="void", ends_s=NOW_S + 9e9)
    used = []
    answer = fake.server.answer

    def watched(request):
        if fake.access in f"{request.query} {request.headers} {request.body}" and fake.renewals:
            used.append(kept(tmp_path) == (fake.access, fake.refresh))
        return answer(request)

    fake.server.answer = watched
    assert len(fake.source(tmp_path).list_page(None).entries) == 3
    assert (fake.renewals, used) == (1, [True])


@pytest.mark.parametrize("fake", [fake for fake in RENEWING if not fake.grants_itself], indirect=True)
def test_a_pair_that_cannot_be_renewed_is_told_and_kept(fake, tmp_path):
    put(tmp_path, access="void", refresh="refresh-0")
    with pytest.raises(FeedError) as caught:
        fake.source(tmp_path).list_page(None)
    assert caught.value.reason == "tokens_void"
    assert "refresh-0" not in str(caught.value)
    assert kept(tmp_path) == ("void", "refresh-0")


def test_a_token_that_stays_void_is_an_error_after_one_renewal(fake, tmp_path):
    put(tmp_path)
    rotate = fake.rotate

    def to_nothing():
        rotate()
        given, fake.access = fake.access, "another"
        return given

    fake.rotate = to_nothing
    with pytest.raises(FeedError) as caught:
        fake.source(tmp_path).list_page(None)
    assert caught.value.reason == "platform_refused"
    assert fake.renewals == 2


@pytest.mark.parametrize("fake", [fake for fake in RENEWING if not fake.grants_itself], indirect=True)
def test_without_a_pair_a_person_is_asked_for(fake, tmp_path):
    with pytest.raises(FeedError) as caught:
        fake.source(tmp_path).list_page(None)
    assert caught.value.reason == "tokens_missing"
    assert str(tmp_path / "tokens.json") in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"access_token": 7}', "\udcff"])
def test_a_file_that_holds_no_pair_is_told_and_kept(tmp_path, text):
    (tmp_path / "tokens.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    tokens = Tokens(lambda _: pytest.fail("asked"), path=tmp_path / "tokens.json", margin_s=0)
    with pytest.raises(FeedError) as caught:
        tokens.get()
    assert caught.value.reason == "tokens_unreadable"
    assert (tmp_path / "tokens.json").read_bytes() == text.encode("utf-8", "surrogateescape")


def test_of_several_that_find_a_token_at_its_end_one_renews(tmp_path):
    put(tmp_path, ends_s=100.0)
    asked, go = [], threading.Barrier(5)

    def renew(pair):
        asked.append(pair.refresh_token)
        return TokenPair(f"access-{len(asked) + 1}", "refresh-2", 1000.0)

    got = []

    def work():
        tokens = Tokens(renew, path=tmp_path / "tokens.json", margin_s=60.0, clock=lambda: 50.0)
        go.wait(10)
        got.append(tokens.get())

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (asked, got) == (["refresh-1"], ["access-2"] * 5)


def test_a_token_that_comes_with_little_time_left_is_not_renewed_with_each_call():
    now, asked = [NOW_S], []

    def renew(_):
        asked.append(now[0])
        return TokenPair(f"access-{len(asked)}", expires_at_s=now[0] + 100)

    tokens = Tokens(renew, path=None, margin_s=240, clock=lambda: now[0])
    assert [tokens.get() for _ in range(3)] == ["access-1"] * 3
    now[0] += 61
    assert [tokens.get() for _ in range(3)] == ["access-2"] * 3
    # One that is refused is renewed at once.
    assert tokens.renew("access-2") == "access-3"


def test_a_person_is_told_before_nothing_can_be_renewed(tmp_path, caplog):
    for days, is_told in ((13, True), (15, False)):
        put(tmp_path)
        renewed = TokenPair("access-2", "refresh-2", NOW_S + 9, NOW_S + days * 86_400)
        tokens = Tokens(lambda _, new=renewed: new, path=tmp_path / "tokens.json", margin_s=0, clock=lambda: NOW_S)
        caplog.clear()
        tokens.get()
        assert ("authorise the app anew" in caplog.text) is is_told


def test_a_token_that_a_person_has_replaced_is_taken(tmp_path):
    put(tmp_path, ends_s=0)
    tokens = Tokens(lambda _: pytest.fail("asked"), path=tmp_path / "tokens.json", margin_s=60.0, clock=lambda: 50.0)
    assert tokens.get() == "access-1"
    put(tmp_path, access="by hand", ends_s=0)
    assert tokens.renew("access-1") == "by hand"


def test_a_disk_that_takes_nothing_is_found_before_the_pair_is_void(tmp_path, monkeypatch):
    put(tmp_path)

    def full(*_, **__):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("livecart.shop.connectors.token_pairs.write_file", full)
    tokens = Tokens(lambda _: pytest.fail("asked"), path=tmp_path / "tokens.json", margin_s=0, clock=lambda: NOW_S)
    with pytest.raises(FeedError) as caught:
        tokens.get()
    assert caught.value.reason == "tokens_unwritable"


def test_a_pair_is_not_shown(tmp_path):
    assert "secret" not in repr(TokenPair("secret", "secret-2", 1.0))


def test_a_token_that_cannot_be_sent_is_an_error_of_the_feed(fake, tmp_path):
    put(tmp_path, access="access\r\nX-More: 1", ends_s=NOW_S + 9e9)
    with contextlib.suppress(FeedError):
        assert fake.source(tmp_path).list_page(None).entries
    assert "X-More" not in str([request.headers for request in fake.server.asked])
