"""What may be a source, and what FFmpeg may do with it."""

import pytest

from livecart.core.errors import SettingsError
from livecart.live.video import IngestSettings, parse_source

SETTINGS = IngestSettings()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("udp://239.0.0.1:1234", "'udp'"),
        ("concat:a.ts|b.ts", "'concat'"),
        ("http:///live.flv", "names no host"),
        ("http://host:99999/live.flv", "no host and port"),
        ("rtmp:live", "names no host"),
        ("rtsp://127.0.0.1:6379/x\r\nSET owned by-livecart\r\n", "line ends, spaces"),
        ("rtmp://host/live/room\tx", "line ends, spaces"),
        ("http://host/a b.m3u8", "line ends, spaces"),
        ("rtsp://host/\x85x", "line ends, spaces"),
        ("nowhere.mp4", "does not exist"),
        ("file:///nowhere.mp4", "does not exist"),
    ],
)
def test_what_cannot_be_a_source_is_refused_with_the_reason(text, says):
    with pytest.raises(SettingsError, match=says):
        parse_source(text, SETTINGS)


def test_a_folder_is_no_source(tmp_path):
    with pytest.raises(SettingsError, match="is a folder"):
        parse_source(str(tmp_path), SETTINGS)


def test_files_may_be_forbidden(tmp_path):
    path = tmp_path / "a.mp4"
    path.touch()
    with pytest.raises(SettingsError, match="allowed are rtmp"):
        parse_source(str(path), IngestSettings(schemes=("rtmp",)))


def test_files_by_path_and_by_url_whatever_their_name(tmp_path):
    path = tmp_path / "清仓 100%.mp4"
    path.touch()
    assert parse_source(str(path), SETTINGS).url == f"file:{path}"
    assert parse_source(path.as_uri(), SETTINGS).url == f"file:{path}"


def test_secrets_are_not_shown():
    source = parse_source("rtmp://me:secret@host/live/room?key=secret#secret", SETTINGS)
    assert source.shown == "rtmp://host/live/…"
    assert "secret" in source.url
    assert parse_source("rtsp://me:se@cret@host/camera?secret", SETTINGS).shown == "rtsp://host/camera"
    with pytest.raises(SettingsError) as raised:
        parse_source("udp://me:secret@host?secret", SETTINGS)
    assert "secret" not in str(raised.value)
    # The slash ends what urlsplit takes for host and port.
    for password in ("secret/x", "secret#x", "secret?x"):
        with pytest.raises(SettingsError, match="rtsp source") as raised:
            parse_source(f"rtsp://me:{password}@host/camera", SETTINGS)
        assert "secret" not in str(raised.value)


def test_a_url_is_opened_in_the_characters_of_urls():
    assert parse_source("https://host/直播|1.m3u8?a=%E7%9B%B4&b=[x]", SETTINGS).url == (
        "https://host/%E7%9B%B4%E6%92%AD%7C1.m3u8?a=%E7%9B%B4&b=[x]"
    )


@pytest.mark.parametrize("url", ["http://h/a.m3u8", "https://h/a", "rtmp://h/a", "rtmps://h/a", "rtsp://h/a"])
def test_nothing_from_the_network_may_open_files(url):
    protocols = parse_source(url, SETTINGS).options(SETTINGS)["protocol_whitelist"].split(",")
    assert not {"file", "concat", "subfile", "pipe", "fd", "data", "unix"} & set(protocols)


def test_rtsp_goes_over_tcp():
    assert parse_source("RTSP://h/a", SETTINGS).options(SETTINGS)["rtsp_transport"] == "tcp"
