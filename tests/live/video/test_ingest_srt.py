"""SRT: a sender by the same libsrt, that is called, and that calls."""

import ctypes
import socket
import struct
import threading
import time

import numpy as np
import pytest

from livecart.core.errors import SettingsError
from livecart.live.video import IngestSettings, StreamReader, parse_source, srt
from tests.live.video.streams import Seen, encoded
from tests.waiting import wait_until

SETTINGS = IngestSettings(rate_hz=2.0, open_timeout_s=2.0, stall_after_s=1.0, backoff_first_s=0.1, backoff_max_s=0.3)
_SENDER, _SNDTIMEO, _REUSE = 21, 13, 15

library = srt._loaded()
needs_libsrt = pytest.mark.skipif(library is None, reason="needs libsrt (Debian: libsrt1.5-openssl)")


def address_of(port):
    return struct.pack("=H", 2) + struct.pack(">H", port) + bytes([127, 0, 0, 1]) + bytes(8)


class Sender:
    """Sends a transport stream at its own pace; one that listens serves each caller from the beginning."""

    def __init__(self, stream, seconds, *, port=0, passphrase=None):
        self._packets = [stream[begin : begin + 1316] for begin in range(0, len(stream), 1316)]
        self._pause_s = seconds / len(self._packets)
        self._stopped = threading.Event()
        self.calls = bool(port)
        self._socket = library.srt_create_socket()
        if passphrase:
            self._set(self._socket, 26, passphrase.encode())
        if not self.calls:
            assert library.srt_bind(self._socket, address_of(0), 16) == 0
            name, length = ctypes.create_string_buffer(16), ctypes.c_int(16)
            library.srt_getsockname(self._socket, name, ctypes.byref(length))
            port = struct.unpack(">H", name.raw[2:4])[0]
            library.srt_listen(self._socket, 4)
        self.port = port
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @staticmethod
    def _set(sock, option, data):
        library.srt_setsockflag(sock, option, data, len(data))

    def _run(self):
        while not self._stopped.is_set():
            if self.calls:
                sock = library.srt_create_socket()
                if library.srt_connect(sock, address_of(self.port), 16) < 0:
                    library.srt_close(sock)
                    self._stopped.wait(0.05)
                    continue
            else:
                sock = library.srt_accept(self._socket, None, None)
                if sock < 0:
                    return
            for packet in self._packets:
                if self._stopped.wait(self._pause_s) or library.srt_sendmsg(sock, packet, len(packet), -1, 0) < 0:
                    break
            library.srt_close(sock)

    def close(self):
        self._stopped.set()
        library.srt_close(self._socket)
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture(scope="module")
def stream():
    return encoded("mpegts", seconds=6.0, key_every_s=1.0)


def seen_of(url, enough, settings=SETTINGS):
    seen = Seen()
    reader = StreamReader(url, "room", settings, seen.deliver, seen.on_state)
    reader.start()
    try:
        wait_until(lambda: enough(seen))
    finally:
        assert reader.stop(5.0)
    return seen


@needs_libsrt
@pytest.mark.parametrize("passphrase", [None, "a secret of ten"])
def test_a_server_is_called_again_and_again(stream, passphrase):
    sender = Sender(stream, 2.0, passphrase=passphrase)
    secret = f"&passphrase={passphrase.replace(' ', '%20')}" if passphrase else ""
    try:
        seen = seen_of(
            f"srt://127.0.0.1:{sender.port}?streamid=room-1&latency=50{secret}",
            lambda seen: seen.states.count("live") == 2,
        )
    finally:
        sender.close()
    assert seen.states[:4] == ["connecting", "live", "reconnecting", "live"]
    assert np.diff(seen.pts_s[:8]) == pytest.approx(0.5, abs=0.06)
    assert not any("secret" in detail for detail in seen.details)


@needs_libsrt
def test_an_encoder_calls(stream):
    taken = Sender(stream, 1.0)
    taken.close()
    sender = Sender(stream, 2.0, port=taken.port)
    try:
        seen = seen_of(f"srt://127.0.0.1:{taken.port}?mode=listener", lambda seen: len(seen.frames) >= 6)
    finally:
        sender.close()
    assert set(seen.sizes_px) == {(320, 240)}


@needs_libsrt
@pytest.mark.parametrize("mode", ["caller", "listener"])
def test_nobody_there_is_told_and_stop_is_quick(mode):
    seen = seen_of(f"srt://127.0.0.1:9?mode={mode}", lambda seen: "reconnecting" in seen.states)
    assert "SRT: " in seen.details[1] or "nobody has called" in seen.details[1]
    began_s = time.monotonic()
    patient = IngestSettings(open_timeout_s=60.0)
    seen_of(f"srt://127.0.0.1:9?mode={mode}", lambda seen: seen.states, patient)
    assert time.monotonic() - began_s < 5.0


@needs_libsrt
def test_another_passphrase_is_refused(stream):
    sender = Sender(stream, 2.0, passphrase="a secret of ten")
    try:
        seen = seen_of(
            f"srt://127.0.0.1:{sender.port}?passphrase=another-secret", lambda seen: "reconnecting" in seen.states
        )
    finally:
        sender.close()
    assert not seen.frames
    assert "not connected" in seen.details[1]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("srt://host", "names no port"),
        ("srt://host:9?mode=rendezvous", "caller or listener"),
        ("srt://host:9?passphrase=short", "10 to 79"),
        ("srt://host:9?latency=0.2", "20 to 10000 ms"),
        ("srt://host:9?pbkeylen=17", "16, 24 or 32"),
        ("srt://host:9?streamid=#!::r=live/x", "write %23"),
        ("srt://host:9?mode=listener&streamid=a", "with mode=listener leave it out"),
        ("srt://host:9?transtype=file", "known are mode, streamid"),
    ],
)
def test_parameters_that_cannot_be_used_are_named(url, says):
    with pytest.raises(SettingsError, match=says) as raised:
        parse_source(url, IngestSettings())
    assert "short" not in str(raised.value)


def test_a_plus_in_a_parameter_is_a_plus():
    assert srt._parameters("streamid=%23!::r=a+b&passphrase=p%2Bq%20r&mode=caller") == {
        "streamid": "#!::r=a+b",
        "passphrase": "p+q r",
        "mode": "caller",
    }


@needs_libsrt
def test_the_address_that_was_checked_is_the_one_that_is_called(stream, monkeypatch):
    sender = Sender(stream, 2.0)
    asked, found = [], [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *_, **__: asked.append(host) or found)
    settings = IngestSettings(networks=("127.0.0.0/8",), backoff_first_s=60.0, backoff_max_s=60.0)
    try:
        seen_of(f"srt://source.example:{sender.port}", lambda seen: seen.frames, settings)
    finally:
        sender.close()
    assert asked == ["source.example"]


def test_without_libsrt_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(srt, "_loaded", lambda: None)
    with pytest.raises(SettingsError, match="is not installed"):
        parse_source("srt://host:9", IngestSettings())
