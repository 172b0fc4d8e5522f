"""rooms.toml: what it may say, and what a mistake is told."""

import pytest

from livecart.core.errors import SettingsError
from livecart.server.rooms_file import SECTIONS, read_rooms_file

WHOLE = """
[recognizer]
base_url = "http://10.0.0.2:8080"
management_url = "http://10.0.0.2:8081"
timeout_s = 2
longest_side_px = 800

[dispatcher]
in_flight = 8

[queue]
max_age_s = 1.5

[ingest]
rate_hz = 2
stall_after_s = 5

[gate]
forced_every_s = 20

[decision]
agreeing_results = 3
again_every_s = 600

[bus]
url = "redis://127.0.0.1:6379/0"

[http]
host = "0.0.0.0"
port = 8123
token = "a-long-secret"

[viewers]
origins = ["https://shop.example.com"]
most_per_ip = 7

[[rooms]]
id = "room-1"
source = "rtmp://127.0.0.1/live/1"

[[rooms]]
id = "明星直播间"
source = "whip"
rate_hz = 1
products = ["1001", "1002"]
product_list = "stars"
"""

MISTAKES = {
    "a renamed key": ("[ingest]\neconomy = 'never'", r"\[ingest\]: the key 'economy' is now called 'load_shedding'"),
    "no TOML": ("rooms = [", "is no TOML"),
    "an unknown section": (
        "[recogniser]\nbase_url = 'http://x'",
        "'recogniser' is not known; did you mean 'recognizer'",
    ),
    "an unknown key": ("[gate]\nforced_every = 3", r"\[gate\]: the key 'forced_every' .*'forced_every_s'"),
    "an unknown key of a room": ("[[rooms]]\nid='a'\nsource='b'\nurl='c'", r"\[\[rooms\]\] number 1: the key 'url'"),
    "a wrong type": ("[ingest]\nrate_hz = 'often'", r"\[ingest\]: Expected `float`, got `str` - at `\$.rate_hz`"),
    "no number": ("[ingest]\nstall_after_s = nan", "ingest.stall_after_s is nan"),
    "a wait that shrinks": ("[ingest]\nbackoff_first_s = 2.0\nbackoff_max_s = 1.0", "backoff_first_s"),
    "a scheme": ("[ingest]\nschemes = ['gopher']", "'gopher'"),
    "a section that is none": ("gate = 3", r"\[gate\]: must be a table"),
    "rooms that are none": ("[rooms]\nid = 'a'", r"rooms must be written as \[\[rooms\]\]"),
    "a room without a source": ("[[rooms]]\nid = 'a'", "missing required field `source`"),
    "an id with a slash": ("[[rooms]]\nid = 'a/b'\nsource = 'x'", "the room id 'a/b' must be"),
    "an id twice": (
        "[[rooms]]\nid='a'\nsource='x'\n[[rooms]]\nid='a'\nsource='y'",
        "number 2: the id 'a' stands there twice",
    ),
    "a region of no overlay": (
        "[[rooms]]\nid='a'\nsource='x'\nignore_regions=['upper']",
        r"Invalid enum value 'upper' - at `\$.ignore_regions\[0\]`",
    ),
    "a region that leaves the picture": (
        "[[rooms]]\nid='a'\nsource='x'\nignore_regions=['upper-right', [0.5, 0, 0.6, 0.1]]",
        r"ignore_regions has \[0.5, 0.0, 0.6, 0.1\]; give x, y, width and height",
    ),
    "an open door": ("[http]\nhost = '0.0.0.0'", "http.host is 0.0.0.0.*LIVECART_HTTP_TOKEN"),
    "a short token": ("[http]\ntoken = 'abc'", "http.token must be 8 or more"),
    "a port": ("[http]\nport = 70000", "http.port is 70000"),
    "a recogniser's address": ("[recognizer]\nbase_url = 'ftp://x'", "recognizer base_url is 'ftp://x'"),
    "an address of no scheme": ("[recognizer]\nbase_url = '127.0.0.1:8080'", "base_url"),
    "an address of no host": ("[recognizer]\nmanagement_url = 'http://'", "management_url"),
    "a model's name": ("[recognizer]\nmodel = 'a/b'", "model"),
    "what text is for": ("[recognizer]\ntext = 'sometimes'", "text"),
    "no time for an answer": ("[recognizer]\ntimeout_s = 0", "timeout_s"),
    "a picture of 10 pixels": ("[recognizer]\nlongest_side_px = 10", "longest_side_px"),
    "no thread": ("[recognizer]\nencode_threads = 0", "encode_threads"),
    "nobody in flight": ("[dispatcher]\nin_flight = 0", "in_flight"),
    "no wait": ("[dispatcher]\nbackoff_first_s = 0", "backoff_first_s"),
    "a wait above the longest": ("[dispatcher]\nbackoff_first_s = 2\nbackoff_max_s = 1", "backoff_first_s"),
    "an end before the end": ("[dispatcher]\ndrain_s = -1", "drain_s"),
    "an age": ("[queue]\nmax_age_s = 0", "max_age_s is 0"),
    "a short secret": ("[viewers]\nsecret = 'short'", "viewers.secret"),
    "an origin of no scheme": ("[viewers]\norigins = ['shop.example.com']", "viewers.origins"),
    "an origin with a path": ("[viewers]\norigins = ['https://shop.example.com/page']", "viewers.origins"),
}
BOUNDED = [(name, key) for name, kind in SECTIONS.items() for key in getattr(kind, "BOUNDS", ())]


def written(tmp_path, text):
    path = tmp_path / "rooms.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_whole_file(tmp_path):
    file = read_rooms_file(written(tmp_path, WHOLE), {})
    assert file.recognizer.base_url == "http://10.0.0.2:8080"
    assert (file.recognizer.timeout_s, file.recognizer.longest_side_px) == (2.0, 800)
    assert (file.dispatcher.in_flight, file.queue.max_age_s) == (8, 1.5)
    assert (file.ingest.rate_hz, file.gate.forced_every_s, file.decision.agreeing_results) == (2.0, 20.0, 3)
    assert (file.bus.url, file.http.port) == ("redis://127.0.0.1:6379/0", 8123)
    assert (file.viewers.origins, file.viewers.most_per_ip) == (("https://shop.example.com",), 7)
    assert list(file.rooms) == ["room-1", "明星直播间"]
    assert file.rooms["明星直播间"].products == ("1001", "1002")


def test_an_empty_file_is_all_defaults(tmp_path):
    file = read_rooms_file(written(tmp_path, ""), {})
    assert file.rooms == {}
    assert (file.http.host, file.bus.url, file.recognizer.base_url) == (
        "127.0.0.1",
        "memory://",
        "http://127.0.0.1:8080",
    )


def test_tokens_may_come_from_the_environment_and_the_file_wins(tmp_path):
    secret = "a-secret-of-enough-characters"
    environment = {
        "LIVECART_TOKEN": "for-the-archive",
        "LIVECART_HTTP_TOKEN": "for-the-api",
        "LIVECART_TICKET_SECRET": secret,
        "LIVECART_BUS_URL": "redis://:of-the-bus@host:1/0",
        "LIVECART_CACHE_URL": "redis://:of-the-cache@host:1/0",
    }
    file = read_rooms_file(written(tmp_path, "[http]\nhost = '0.0.0.0'"), environment)
    tokens = (file.recognizer.token, file.http.token, file.viewers.secret)
    assert tokens == ("for-the-archive", "for-the-api", secret)
    file = read_rooms_file(written(tmp_path, "[http]\ntoken = 'from-the-file'"), environment)
    assert file.http.token == "from-the-file"
    # Without a catalog there is no cache of one.
    assert (file.bus.url, file.catalog) == ("redis://:of-the-bus@host:1/0", None)
    file = read_rooms_file(written(tmp_path, "[catalog]\nurl = 'sqlite:///a.db'"), environment)
    assert file.catalog.cache == "redis://:of-the-cache@host:1/0"


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_names_file_place_and_key(tmp_path, mistake):
    text, told = MISTAKES[mistake]
    path = written(tmp_path, text)
    with pytest.raises(SettingsError, match=told) as caught:
        read_rooms_file(path, {})
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(("section", "key"), BOUNDED)
def test_every_number_has_its_bounds(tmp_path, section, key):
    lowest, highest = SECTIONS[section].BOUNDS[key]
    for value in (lowest - 1, highest + 1):
        with pytest.raises(SettingsError, match=rf"\[{section}\].*{key} is {value}"):
            read_rooms_file(written(tmp_path, f"[{section}]\n{key} = {value}"), {})
