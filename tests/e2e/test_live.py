"""A clip, streamed in real time by a real server, watched by `livecart watch`, recognised by a real TorchServe."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import pytest

import build_archive
import make_clip
import torchserve_control as control
import torchserve_plan
from livecart.pipeline.clip_score import read_truth
from torchserve_plan import free_port

ROOT = Path(__file__).resolve().parents[2]
RTMP_MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
NGINX = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
DURATION_S = 20


@dataclass(frozen=True)
class Shop:
    """A clip of drawn products with its truth, and a server that knows their catalog."""

    clip: Path
    truth: Path
    catalog: Path
    url: str


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    pytest.importorskip("pylopdf_fonts_zh_cn", reason="drawn packages need its font")
    folder = tmp_path_factory.mktemp("live")
    clip, truth, catalog = folder / "clip.mp4", folder / "truth.json", folder / "shop"
    asked = ["--out", str(clip), "--truth", str(truth), "--seed", "5", "--duration", str(DURATION_S)]
    drawn = ["--catalog-out", str(catalog), "--catalog-products", "8", "--shots", "2", "--shows", "2"]
    assert make_clip.main([*asked, *drawn, "--keyframe-distance", "1"]) == 0
    archive = folder / "product_recognizer.mar"
    assert build_archive.main(["--output", str(archive), "--catalog", str(catalog), "--runtimes", "openvino"]) == 0
    server = control.start(torchserve_plan.Plan(folder=folder / "server", archive=archive, port=free_port()))
    yield Shop(clip, truth, catalog, server.inference_url)
    assert control.stop(folder / "server"), control.log_tail(folder / "server")


@dataclass(frozen=True)
class Media:
    """Where a stream is sent to, and read from."""

    publish: str
    rtmp: str
    hls: str


@pytest.fixture
def media(tmp_path: Path) -> Iterator[Media]:
    if NGINX is None or not RTMP_MODULE.exists():
        pytest.skip("needs nginx with its RTMP module (Debian: libnginx-mod-rtmp)")
    rtmp, http = _two_ports()
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(
        f"load_module {RTMP_MODULE};\nuser root;\ndaemon off;\nmaster_process off;\npid {tmp_path}/nginx.pid;\n"
        f"error_log {tmp_path}/error.log;\nevents {{}}\n"
        f"rtmp {{ server {{ listen 127.0.0.1:{rtmp}; application live {{ live on; hls on; hls_path {tmp_path}/hls;"
        f" hls_fragment 1s; hls_playlist_length 8s; }} }} }}\n"
        f"http {{ access_log off; server {{ listen 127.0.0.1:{http}; location /hls {{ root {tmp_path};"
        f" types {{ application/vnd.apple.mpegurl m3u8; video/mp2t ts; }} }} }} }}\n"
    )
    server = subprocess.Popen([NGINX, "-p", str(tmp_path), "-c", str(configuration), "-e", f"{tmp_path}/error.log"])
    try:
        _wait_for_port(rtmp)
        _wait_for_port(http)
        stream = f"rtmp://127.0.0.1:{rtmp}/live/room"
        yield Media(stream, stream, f"http://127.0.0.1:{http}/hls/room.m3u8")
    finally:
        server.terminate()
        server.wait(10)


def _two_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


def _wait_for_port(port: int) -> None:
    give_up_s = time.monotonic() + 20
    while time.monotonic() < give_up_s:
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"nothing answers on port {port}")


class Broadcast(threading.Thread):
    """Sends a clip's packets as they are, each when it is due."""

    def __init__(self, clip: Path, url: str) -> None:
        super().__init__()
        self._clip, self._url = clip, url

    def run(self) -> None:
        with av.open(str(self._clip)) as source, av.open(self._url, "w", format="flv", timeout=10.0) as sent:
            stream = sent.add_stream_from_template(source.streams.video[0])
            began_s = time.monotonic()
            for packet in source.demux(video=0):
                if packet.dts is None:
                    continue
                due_s = began_s + float(packet.dts * packet.time_base)
                time.sleep(max(0.0, due_s - time.monotonic()))
                packet.stream = stream
                sent.mux(packet)


@pytest.mark.parametrize("protocol", ["rtmp", "hls"])
def test_a_streamed_clip_brings_the_right_cards(shop: Shop, media: Media, protocol: str, tmp_path: Path) -> None:
    broadcast = Broadcast(shop.clip, media.publish)
    broadcast.start()
    if protocol == "hls":
        _wait_for_file(tmp_path / "hls" / "room.m3u8")
    command = [sys.executable, "-m", "livecart", "watch", getattr(media, protocol), "--room", "room-1", "--json"]
    watcher = subprocess.Popen(
        [*command, "--catalog", str(shop.catalog), "--recognizer", shop.url, "--rate", "2"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    broadcast.join(DURATION_S + 30)
    assert not broadcast.is_alive()
    # What HLS holds back, and the last card's withdrawal.
    time.sleep(5)
    watcher.terminate()
    out, err = watcher.communicate(timeout=20)

    assert watcher.returncode == 0, err
    events = [json.loads(line) for line in out.splitlines()]
    cards = [event for event in events if event["event"] == "card"]
    shown = {show.sku for show in read_truth(shop.truth).shows}
    assert {card["sku"] for card in cards} <= shown, (cards, err)
    assert cards, err
    assert len(cards) == len({card["sku"] for card in cards}), "a card twice in one show"
    assert all(card["emitted_at_s"] >= card["captured_at_s"] for card in cards)
    withdrawn = {event["card_id"] for event in events if event["event"] == "withdraw"}
    assert {card["card_id"] for card in cards} <= withdrawn


def test_a_file_brings_all_its_shows(shop: Shop) -> None:
    command = [sys.executable, "-m", "livecart", "evaluate-clip", str(shop.clip), str(shop.truth), "--json"]
    command += ["--recognizer", shop.url, "--rate", "2"]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {"precision", "recall", "wrong", "duplicates", "appear_to_card_s", "skipped_share", "calls_per_min"} <= set(
        found
    )
    assert (found["precision"], found["recall"], found["wrong"], found["duplicates"]) == (1.0, 1.0, 0, 0), found


def _wait_for_file(path: Path) -> None:
    give_up_s = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < give_up_s, f"{path} did not appear"
        time.sleep(0.1)
