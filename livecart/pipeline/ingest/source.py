"""What the operator names as a source: checked, and turned into what FFmpeg is allowed to do with it.

FFmpeg follows what a playlist names. The protocols of each kind are therefore listed: a playlist from the network
cannot make livecart read a local file, and only demuxers that live streams need are tried on its bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from livecart.errors import SettingsError
from livecart.pipeline.ingest.settings import IngestSettings

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_HTTP = "http,https,httpproxy,tcp,tls,crypto"
_PROTOCOLS = {
    "file": "file,crypto",
    "http": _HTTP,
    "https": _HTTP,
    "rtmp": "rtmp,tcp",
    "rtmps": "rtmps,tls,tcp",
    "rtsp": "rtsp,rtp,tcp",
    "rtsps": "rtsp,rtp,tls,tcp",
}
#: Demuxers for what comes over HTTP, those of an HLS playlist's sound and subtitles among them: it is opened whole.
#: The concat demuxer and the like are no streams.
_HTTP_FORMATS = "hls,flv,live_flv,mpegts,mov,mp4,matroska,webm,h264,hevc,aac,mp3,ac3,eac3,webvtt"
#: Time spent looking at a stream before its first frame is handed on, microseconds: an FLV or MPEG-TS that announces
#: audio and sends none would otherwise hold the picture back for FFmpeg's 5 s.
_ANALYZE_US = 2_000_000


@dataclass(frozen=True, slots=True)
class Source:
    """A checked source."""

    #: What FFmpeg opens: a path or a URL.
    url: str
    scheme: str
    #: The same for messages and logs: no user, password, query (they hold stream keys and tokens).
    shown: str

    @property
    def is_file(self) -> bool:
        """Whether it is on this machine's disk."""
        return self.scheme == "file"

    @property
    def is_http(self) -> bool:
        """Whether it comes over HTTP: HLS, HTTP-FLV, MPEG-TS, or a recording."""
        return self.scheme in {"http", "https"}

    def options(self, settings: IngestSettings) -> dict[str, str]:
        """FFmpeg's options for opening it."""
        options = {
            "protocol_whitelist": _PROTOCOLS[self.scheme],
            "analyzeduration": str(_ANALYZE_US),
            "max_pixels": str(settings.max_side_px**2),
            # A new programme table in a transport stream (another encoder, another codec) keeps its stream numbers.
            "merge_pmt_versions": "1",
        }
        if self.is_http:
            options["format_whitelist"] = _HTTP_FORMATS
            options["user_agent"] = "livecart"
            options["seg_format_options"] = "merge_pmt_versions=1"
        if self.scheme in {"rtsp", "rtsps"}:
            options["rtsp_transport"] = "tcp"  # UDP loses packets on the way, and a lost one breaks a group of pictures
        return options


def parse_source(text: str, settings: IngestSettings) -> Source:
    """The source that `text` names.

    Raises:
        SettingsError: empty, of a scheme that is unknown or not allowed, without a host, or a file that is not there.
    """
    if not text.strip() or "\0" in text:
        raise SettingsError(f"the source {text!r} is empty or not printable; name a file or a stream's URL")
    named = _SCHEME.match(text)
    # A drive letter is no scheme: the pattern wants two characters.
    scheme = named.group()[:-1].lower() if named else "file"
    if scheme not in settings.schemes or scheme not in _PROTOCOLS:
        hint = "; files, over HTTP: http.file_sources = true" if scheme == "file" else ""
        raise SettingsError(
            f"the source {_shown(text)!r} has the scheme {scheme!r}; allowed are {', '.join(settings.schemes)}{hint}"
        )
    if scheme == "file":
        return _file_source(text, named=named is not None)
    return _network_source(text, scheme)


def _file_source(text: str, *, named: bool) -> Source:
    path = Path(url2pathname(urlsplit(text).path)) if named else Path(text)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise SettingsError(f"the source file {str(path)!r} {what}; name a video file")
    # With its protocol: a name such as "a:b.mp4" or "-" would mean something else to FFmpeg.
    return Source(url=f"file:{path.resolve()}", scheme="file", shown=str(path))


def _network_source(text: str, scheme: str) -> Source:
    try:
        parts = urlsplit(text)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError as error:
        raise SettingsError(f"the source {_shown(text)!r} is no URL: {error}") from error
    if not parts.hostname or not port_is_fine:
        raise SettingsError(f"the source {_shown(text)!r} names no host; write {scheme}://host/path")
    return Source(url=text, scheme=scheme, shown=_shown(text))


def _shown(text: str) -> str:
    """`text` without user, password and query."""
    without_query = re.split(r"[?#]", text, maxsplit=1)[0]
    return re.sub(r"//[^/@]*@", "//", without_query)
