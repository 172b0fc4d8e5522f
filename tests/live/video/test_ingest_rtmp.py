"""RTMP and RTSP: a round trip through nginx with its RTMP module, and a small RTSP server."""

import socket
import ssl
import struct
import threading
import time
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import av
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from livecart.live.video import IngestSettings, StreamReader
from tests.live.video.nginx_rtmp import rtmp_server
from tests.live.video.streams import Seen, encoded, flv_tags, numbered_picture
from tests.waiting import wait_until

SETTINGS = IngestSettings(rate_hz=2.0, stall_after_s=3.0, backoff_first_s=0.1, backoff_max_s=0.3)

ENCODERS = {
    "libx264": {"preset": "ultrafast", "tune": "zerolatency"},
    "libx265": {"preset": "ultrafast", "tune": "zerolatency", "x265-params": "keyint=30:log-level=none"},
    "libsvtav1": {"preset": "12", "svtav1-params": "pred-struct=1"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"},
}


class Publisher:
    """Sends a numbered video in real time until closed."""

    def __init__(self, url):
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(url,))
        self._thread.start()

    def _run(self, url):
        with av.open(url, "w", format="flv", timeout=5.0) as output:
            stream = output.add_stream("libx264", rate=30)
            stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
            stream.codec_context.gop_size = 30
            stream.options = ENCODERS["libx264"]
            began_s = time.monotonic()
            for index in range(30 * 60):
                if self._stop.wait(max(0.0, began_s + index / 30 - time.monotonic())):
                    break
                frame = av.VideoFrame.from_ndarray(numbered_picture(index, 320, 240), format="rgb24")
                frame.pts, frame.time_base = index, Fraction(1, 30)
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))

    def close(self):
        self._stop.set()
        self._thread.join(10)


@pytest.fixture
def rtmp_url(tmp_path):
    with rtmp_server(tmp_path) as url:
        yield url


def test_rtmp_through_nginx_and_a_publisher_that_comes_back(rtmp_url):
    seen = Seen()
    reader = StreamReader(rtmp_url, "room", SETTINGS, seen.deliver, seen.on_state)
    publisher = Publisher(rtmp_url)
    try:
        reader.start()
        wait_until(lambda: len(seen.frames) >= 5, 20.0)
        publisher.close()
        wait_until(lambda: "reconnecting" in seen.states[1:], 20.0)
        before = len(seen.frames)
        publisher = Publisher(rtmp_url)
        wait_until(lambda: len(seen.frames) >= before + 3, 20.0)
    finally:
        publisher.close()
        assert reader.stop(5.0)
    assert seen.states[0] == "connecting"
    assert seen.states[-1] == "closed"
    first_run = np.diff(seen.pts_s[:5])
    assert first_run == pytest.approx(0.5, abs=0.06)
    delays = [frame.captured_at_s for frame in seen.frames]
    assert delays == sorted(delays)


class RtmpServer:
    """Answers one player (Adobe, RTMP 1.0) and sends it the tags of an FLV, each as one message of one chunk."""

    def __init__(self, flv):
        self._tags = flv_tags(flv)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"rtmp://127.0.0.1:{self._listener.getsockname()[1]}/live/room"
        self.asked = b""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self):
        self._stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _run(self):
        try:
            connection, _ = self._listener.accept()
            with connection:
                hello = connection.recv(1537, socket.MSG_WAITALL)
                connection.sendall(b"\3" + bytes(1536) + hello[1:])
                connection.recv(1536, socket.MSG_WAITALL)
                connection.sendall(self._message(1, (1 << 20).to_bytes(4)))
                self._answer(connection, b"connect", b"\5" + _amf("NetConnection.Connect.Success"))
                self._answer(connection, b"createStream", b"\5" + _amf(1.0))
                self._answer(connection, b"play", None)
                status = {"level": "status", "code": "NetStream.Play.Start"}
                connection.sendall(self._message(20, _amf("onStatus") + _amf(0.0) + b"\5" + _amf(status), stream=1))
                for tag in self._tags:
                    at_ms = int.from_bytes(tag[7:8] + tag[4:7])
                    connection.sendall(self._message(tag[0], tag[11:-4], at_ms, stream=1))
                self._stopped.wait()
        except OSError:
            return

    def _answer(self, connection, command, result):
        """Wait for a command, and answer with the transaction's number, which stands behind its name."""
        name = _amf(command.decode())
        while name not in self.asked or len(self.asked) < self.asked.index(name) + len(name) + 9:
            self.asked += connection.recv(4096)
        number = self.asked[self.asked.index(name) + len(name) :][:9]
        if result is not None:
            connection.sendall(self._message(20, _amf("_result") + number + result))

    @staticmethod
    def _message(kind, body, at_ms=0, *, stream=0):
        return b"\4" + at_ms.to_bytes(3) + len(body).to_bytes(3) + bytes([kind]) + stream.to_bytes(4, "little") + body


def _amf(value):
    """A string, number or object in AMF 0."""
    if isinstance(value, str):
        return b"\2" + len(value).to_bytes(2) + value.encode()
    if isinstance(value, float):
        return b"\0" + struct.pack(">d", value)
    fields = (len(key).to_bytes(2) + key.encode() + _amf(each) for key, each in value.items())
    return b"\3" + b"".join(fields) + b"\0\0\11"


@pytest.mark.parametrize("codec", ENCODERS)
def test_enhanced_rtmp(codec):
    """HEVC, AV1 and VP9, which the player says that it takes."""
    stream = encoded("flv", seconds=3.0, key_every_s=1.0, codec=codec, b_frames=0, options=ENCODERS[codec])
    server = RtmpServer(stream)
    seen = Seen()
    reader = StreamReader(server.url, "room", SETTINGS, seen.deliver, seen.on_state)
    try:
        reader.start()
        wait_until(lambda: len(seen.frames) >= 5, 20.0)
    finally:
        assert reader.stop(5.0)
        server.close()
    assert np.diff(seen.pts_s) == pytest.approx(0.5, abs=0.06)
    assert set(seen.sizes_px) == {(320, 240)}
    assert b"fourCcList" in server.asked


class RtspServer:
    """Answers one player over TCP (RFC 2326) and sends it a transport stream as RTP (RFC 2250) between the replies."""

    SDP = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=room\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\na=control:track\r\n"

    def __init__(self, stream, tls=None):
        self._stream = stream
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        scheme = "rtsps" if tls else "rtsp"
        self.url = f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}/room"
        self.transport = ""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self):
        self._stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _run(self):
        try:
            connection, _ = self._listener.accept()
            connection = self._tls.wrap_socket(connection, server_side=True) if self._tls else connection
            with connection:
                while self._answer(connection):
                    pass
                self._play(connection)
                self._stopped.wait()
        except OSError:
            return

    def _answer(self, connection):
        """Answer one request; returns whether more are to come before playing."""
        request = connection.recv(4096).decode()
        method = request.split(" ", 1)[0]
        headers = dict(line.split(": ", 1) for line in request.split("\r\n")[1:] if ": " in line)
        extra, body = {
            "OPTIONS": ("Public: DESCRIBE, SETUP, PLAY\r\n", ""),
            "DESCRIBE": (f"Content-Type: application/sdp\r\nContent-Length: {len(self.SDP)}\r\n", self.SDP),
            "SETUP": (f"Transport: {headers.get('Transport')}\r\nSession: 1\r\n", ""),
            "PLAY": ("Session: 1\r\n", ""),
        }[method]
        self.transport = headers.get("Transport", self.transport)
        connection.sendall(f"RTSP/1.0 200 OK\r\nCSeq: {headers['CSeq']}\r\n{extra}\r\n{body}".encode())
        return method != "PLAY"

    def _play(self, connection):
        step = 7 * 188
        for number, begin in enumerate(range(0, len(self._stream), step)):
            payload = self._stream[begin : begin + step]
            rtp = bytes([0x80, 33]) + number.to_bytes(2) + (number * 900).to_bytes(4) + b"room" + payload
            connection.sendall(b"$\0" + len(rtp).to_bytes(2) + rtp)


@pytest.fixture
def certificate(tmp_path):
    """A TLS context with a certificate that it signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    pem = made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    (tmp_path / "tls.pem").write_bytes(pem + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.pem")
    return context


@pytest.mark.parametrize("is_over_tls", [False, True])
def test_rtsp_over_tcp(certificate, is_over_tls):
    server = RtspServer(encoded("mpegts", seconds=6.0, key_every_s=1.0), certificate if is_over_tls else None)
    seen = Seen()
    reader = StreamReader(server.url, "room", SETTINGS, seen.deliver, seen.on_state)
    try:
        reader.start()
        wait_until(lambda: len(seen.frames) >= 8)
    finally:
        assert reader.stop(5.0)
        server.close()
    assert "TCP" in server.transport
    assert set(seen.sizes_px) == {(320, 240)}
    assert np.diff(seen.pts_s) == pytest.approx(0.5, abs=0.06)
