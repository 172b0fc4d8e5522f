"""The source that the operator names: checked, and turned into what FFmpeg is allowed to do with it.

FFmpeg follows what a playlist names. The protocols of each kind are therefore listed: a playlist from the network
cannot make livecart read a local file, and only demuxers and decoders that live streams need are tried on its bytes.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from livecart.core.errors import SettingsError
from livecart.live.video.settings import IngestSettings
from livecart.live.video.srt import check_srt

#: RFC 3986, 2.2 and 2.1; `quote` leaves letters, digits and "_.-~" by itself.
_URL_CHARACTERS = ":/?#[]@!$&'()*+,;=%"
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
    "srt": "",  # FFmpeg gets bytes alone
}
#: Demuxers for what comes over HTTP, those of an HLS playlist's sound and subtitles among them: it is opened whole.
#: The concat demuxer and the like are no streams.
_HTTP_FORMATS = "hls,flv,live_flv,mpegts,mov,mp4,matroska,webm,h264,hevc,aac,mp3,ac3,eac3,webvtt"
#: Video decoders that a stream's bytes may reach, by FFmpeg's names: what live streams are sent in.
STREAM_DECODERS = ("h264", "hevc", "av1", "libdav1d", "vp9", "vp8")
#: Decoders of sound, which FFmpeg tries while it looks at a stream, to know its parameters.
_SOUND_DECODERS = "aac,aac_latm,mp3,mp3float,ac3,eac3,opus,libopus,webvtt"
#: Time spent looking at a stream before its first frame is handed on, microseconds: an FLV or MPEG-TS that announces
#: audio and sends none would otherwise hold the picture back for FFmpeg's 5 s.
ANALYZE_S = 2.0
#: Read for that at most where it is looked at for longer, bytes; FFmpeg's default is 5 MB.
_PROBE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class StreamSource:
    #: What FFmpeg opens: a path or a URL.
    url: str
    scheme: str
    #: The same for messages and logs: no user, password, query (they hold stream keys and tokens).
    shown: str

    @property
    def is_file(self) -> bool:
        return self.scheme == "file"

    @property
    def is_http(self) -> bool:
        """HLS, HTTP-FLV, MPEG-TS, or a recording."""
        return self.scheme in {"http", "https"}

    @property
    def is_srt(self) -> bool:
        return self.scheme == "srt"

    def options(self, settings: IngestSettings, analyze_s: float = ANALYZE_S) -> dict[str, str]:
        """FFmpeg's options for opening it, and looking at so many seconds of it for its tracks."""
        options = {
            "protocol_whitelist": _PROTOCOLS[self.scheme],
            "analyzeduration": str(round(analyze_s * 1e6)),
            "max_pixels": str(settings.max_side_px**2),
            # A new programme table in a transport stream (another encoder, another codec) keeps its stream numbers.
            "merge_pmt_versions": "1",
        }
        if analyze_s > ANALYZE_S:
            options["probesize"] = str(_PROBE_BYTES)
        if not self.is_file:
            options["codec_whitelist"] = f"{','.join(STREAM_DECODERS)},{_SOUND_DECODERS}"
        if self.is_http:
            options["format_whitelist"] = _HTTP_FORMATS
            options["user_agent"] = "livecart"
            options["seg_format_options"] = "merge_pmt_versions=1"
            # A segment may have any name, or a picture's; what it may hold is settled by the whitelists above.
            options["extension_picky"] = "0"
        if self.scheme in {"rtmp", "rtmps"}:
            # Enhanced RTMP: without it servers leave out, or refuse, what is not H.264.
            options["rtmp_enhanced_codecs"] = "hvc1,av01,vp09"
        if self.is_srt:
            options["format_whitelist"] = "mpegts"
        if self.scheme in {"rtsp", "rtsps"}:
            options["rtsp_transport"] = "tcp"  # UDP loses packets on the way, and a lost one breaks a group of pictures
        return options


def parse_source(text: str, settings: IngestSettings) -> StreamSource:
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


def _file_source(text: str, *, named: bool) -> StreamSource:
    path = Path(url2pathname(urlsplit(text).path)) if named else Path(text)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise SettingsError(f"the source file {str(path)!r} {what}; name a video file")
    # With its protocol: a name such as "a:b.mp4" or "-" would mean something else to FFmpeg.
    return StreamSource(url=f"file:{path.resolve()}", scheme="file", shown=str(path))


def _network_source(text: str, scheme: str) -> StreamSource:
    # FFmpeg writes the address of rtsp and rtmp into its requests as it is: a line end in it would begin another one.
    if any(character.isspace() or not character.isprintable() for character in text):
        raise SettingsError(
            f"the source {_shown(text)!r} holds line ends, spaces or control characters; write them as %20 and the like"
        )
    try:
        parts = urlsplit(text)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        # Nothing of it is shown, nor the error: what stands where a host should may be half of a password.
        raise SettingsError(
            f"the {scheme} source names no host and port; in a user or password write %2F, %23, %3F and %40 for / # ? @"
        ) from None
    if not parts.hostname or not port_is_fine:
        raise SettingsError(f"the source {_shown(text)!r} names no host; write {scheme}://host/path")
    if scheme == "srt":
        check_srt(text)
    return StreamSource(url=quote(text, safe=_URL_CHARACTERS), scheme=scheme, shown=_shown(text))


def _shown(text: str) -> str:
    """`text` without user, password and query; of RTMP without what follows the application: the stream's key."""
    scheme, slashes, rest = re.split(r"[?#]", text, maxsplit=1)[0].partition("//")
    if not slashes:
        return scheme
    authority, slash, path = rest.partition("/")
    if scheme.lower() in {"rtmp:", "rtmps:"} and "/" in path:
        path = f"{path.partition('/')[0]}/…"
    return f"{scheme}//{authority.rpartition('@')[2]}{slash}{path}"
