"""The settings of reading a stream, with bounds."""

import json
import re
from ipaddress import ip_network
from typing import ClassVar, Literal

import msgspec

from livecart.core.errors import SettingsError
from livecart.core.settings import Bounds, check_bounds

#: FFmpeg URL schemes that a source may have; a path without one is a file.
SCHEMES = ("file", "http", "https", "rtmp", "rtmps", "rtsp", "rtsps", "srt")

#: Goes into headers as it is.
_ICE_URL = re.compile(r"(?:stuns?|turns?):[A-Za-z0-9.\[\]:-]+(?:\?transport=(?:udp|tcp))?")


class IceServer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A STUN or TURN server (RFC 7064, RFC 7065)."""

    #: Such as "stun:stun.example.com:3478" or "turn:turn.example.com:3478?transport=tcp".
    urls: str
    username: str | None = None
    credential: str | None = None

    def __post_init__(self) -> None:
        if not _ICE_URL.fullmatch(self.urls):
            raise SettingsError(f"ingest.ice_servers: {self.urls!r} is no stun:, turn: or turns: address")
        if self.urls.startswith("turn") and not (self.username and self.credential):
            raise SettingsError(f"ingest.ice_servers: {self.urls!r} needs username and credential")

    @property
    def link(self) -> str:
        """As the header Link tells a client of it (RFC 9725, 4.6)."""
        link = f'<{self.urls}>; rel="ice-server"'
        if self.username is None:
            return link
        # With quotes and backslashes escaped.
        name, credential = json.dumps(self.username), json.dumps(self.credential)
        return f'{link}; username={name}; credential={credential}; credential-type="password"'


class IngestSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One stream: its rate, its timeouts, its limits.

    Raises:
        SettingsError: a value is out of its bounds; the message names the key, the value and the bounds.
    """

    BOUNDS: ClassVar[Bounds] = {
        "rate_hz": (0.1, 10.0),
        "fast_hz": (0.1, 10.0),
        "stall_after_s": (0.2, 600.0),
        "open_timeout_s": (0.2, 120.0),
        "first_frame_within_s": (0.2, 600.0),
        "backoff_first_s": (0.01, 60.0),
        "backoff_max_s": (0.01, 3600.0),
        "backoff_reset_after_s": (0.0, 3600.0),
        "max_side_px": (64, 16384),
        "whep_viewers": (0, 100),
    }

    #: Sampled frames per second of stream time.
    rate_hz: float = 1.0
    #: The same for the moment in which something comes in or is about to be announced; no less than
    #: `rate_hz`. None: twice `rate_hz`, at least 2.5.
    fast_hz: float | None = None
    #: When only key frames are decoded, where they come every 4 s or more often, unless something is about to be
    #: announced: "auto", while the machine is short; "always"; "never".
    load_shedding: Literal["auto", "always", "never"] = "auto"
    #: Of files only: play at the file's own pace, as a stream would come, instead of as fast as frames are taken.
    realtime: bool = False
    #: Decode every frame, also those that no sample needs: to compare with, and for streams that mark frames as key
    #: frames which are none.
    every_frame: bool = False
    #: FFmpeg's hardware decoding. Where the device is not there, or not for a codec, the CPU decodes.
    hwaccel: Literal["none", "cuda", "vaapi", "qsv", "drm"] = "none"
    #: Nothing new for so long from a live source is a stall.
    stall_after_s: float = 10.0
    #: Longest time to connect and find the video.
    open_timeout_s: float = 10.0
    #: A live source whose packets come, but no frame for so long after connecting, is a stall: servers that do not send
    #: the last key frame first let us wait for the next one.
    first_frame_within_s: float = 60.0
    #: The n-th wait before reconnecting is drawn from half of min(backoff_max_s, backoff_first_s * 2**n) to the whole.
    backoff_first_s: float = 0.5
    #: The longest of these waits.
    backoff_max_s: float = 30.0
    #: A connection that was live for so long starts the backoff afresh.
    backoff_reset_after_s: float = 30.0
    #: A stream with a longer side is refused: its decoder's memory grows with the square.
    max_side_px: int = 4096
    #: Which sources may be opened; a subset of SCHEMES. Leave "file" out where strangers name the source.
    schemes: tuple[str, ...] = SCHEMES
    #: Networks that sources, and over HTTP their redirects, playlists, segments and keys, may lead to, such as
    #: "10.1.0.0/16". Empty: a source on the internet leads nowhere inside, and none to this machine or to link-local
    #: addresses but one that is written with that address.
    networks: tuple[str, ...] = ()
    #: Of WHIP and WHEP, where this machine is behind NAT: `{urls, username, credential}`. Senders get them.
    ice_servers: tuple[IceServer, ...] = ()
    #: Viewers of a WHIP room by WHEP; each costs about half a core. With 0 the watch page shows no stream.
    whep_viewers: int = 4

    def __post_init__(self) -> None:
        message = "ingest.{name} is {value}; it must be {lowest:g} to {highest:g}"
        check_bounds(self, message, optional=("fast_hz",))
        if self.backoff_max_s < self.backoff_first_s:
            raise SettingsError(
                f"ingest.backoff_max_s is {self.backoff_max_s}; it must not be less than "
                f"backoff_first_s, {self.backoff_first_s}"
            )
        unknown = sorted(set(self.schemes) - set(SCHEMES))
        if unknown:
            raise SettingsError(f"ingest.schemes has {unknown[0]!r}; known are {', '.join(SCHEMES)}")
        for network in self.networks:
            try:
                ip_network(network)
            except ValueError as error:
                raise SettingsError(f"ingest.networks has {network!r}: {error}") from error
