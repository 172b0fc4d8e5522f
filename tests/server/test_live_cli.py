"""The commands as programs: what they print where, how they end."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import httpx
import msgspec
import pytest

from contract.card import CardEvent
from livecart.cli.commands import main
from tests.live.video.streams import ByteServer
from tests.server.stand_in import archive_in_thread
from tests.server.test_room_runner import ALL_SHOWN
from tests.waiting import wait_until

#: A program that does not say what a test waits for must not hold up the run.
pytestmark = pytest.mark.timeout(90)

#: Of a card event, as they are documented.
CARD_FIELDS = (
    *("event", "room", "sku", "name", "url", "price", "confidence", "box"),
    *("pts_s", "captured_at_s", "decided_at_s", "emitted_at_s"),
)


@pytest.fixture(scope="module")
def recognizer():
    with archive_in_thread() as archive:
        yield archive


def environment():
    return {name: text for name, text in os.environ.items() if not name.startswith("LIVECART_")} | {"COLUMNS": "100"}


def livecart(*arguments, timeout_s=60):
    return subprocess.run(
        [sys.executable, "-m", "livecart", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env=environment(),
        check=False,
    )


@contextmanager
def running(*arguments, **more):
    process = subprocess.Popen(
        [sys.executable, "-m", "livecart", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        **more,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_watch_json_prints_events_and_nothing_else(recognizer, clip):
    done = livecart("watch", clip[0], "--room", "room-7", "--recognizer", recognizer.url, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    events = [msgspec.json.decode(line, type=CardEvent) for line in done.stdout.splitlines()]
    assert [(event.event, event.sku) for event in events if event.event != "update"] == ALL_SHOWN
    assert {event.room for event in events} == {"room-7"}
    assert [event.event_id for event in events] == list(range(1, len(events) + 1))
    first = json.loads(done.stdout.splitlines()[0])
    assert set(CARD_FIELDS) <= set(first)


def test_watch_prints_cards_for_people(recognizer, clip):
    done = livecart("watch", clip[0], "--recognizer", recognizer.url)
    assert done.returncode == 0
    for said in ("商品 red", "12.90 CNY", "https://shop.example.com/item/green", "画面中识别", "置信度", "93%"):
        assert said in done.stdout
    assert done.stderr == ""


def test_watch_of_a_catalog_restricts_and_checks(recognizer, clip, tmp_path):
    products = [{"sku": sku, "name": sku, "url": f"https://shop.example.com/{sku}"} for sku in ("green", "blue")]
    (tmp_path / "catalog.json").write_text(json.dumps({"schema": 1, "products": products}))
    arguments = ("watch", clip[0], "--catalog", tmp_path, "--recognizer", recognizer.url, "--json")
    done = livecart(*arguments)
    assert {json.loads(line)["sku"] for line in done.stdout.splitlines()} == {"green", "blue"}
    # The stand-in answers no product to a photo of this name's grey: it serves another catalog.
    from PIL import Image

    Image.new("RGB", (64, 64), (120, 120, 120)).save(tmp_path / "green.jpg")
    products[0]["photos"] = ["green.jpg"]
    (tmp_path / "catalog.json").write_text(json.dumps({"schema": 1, "products": products}))
    done = livecart(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"make serve CATALOG={tmp_path}" in done.stderr
    Image.new("RGB", (64, 64), (40, 180, 60)).save(tmp_path / "green.jpg")
    assert livecart(*arguments).returncode == 0


SENTENCES = {
    "no such file": (("watch", "nothing.mp4"), "the source file 'nothing.mp4' does not exist"),
    "a room's id": (("watch", "http://127.0.0.1/x", "--room", "a/b"), "the room id 'a/b' must be"),
    "a recogniser's address": (("watch", "http://127.0.0.1/x", "--recognizer", "x"), "recognizer base_url is 'x'"),
    "a bus": (("watch", "http://127.0.0.1/x", "--bus", "kafka://x"), "give memory:// or redis://"),
    "no catalog": (("watch", "http://127.0.0.1/x", "--catalog", "nowhere"), "name a catalog folder"),
    "no config": (("run", "--config", "nowhere.toml"), "nowhere.toml: cannot be read"),
    "no truth": (("evaluate-clip", "a.mp4", "nowhere.json"), "nowhere.json: cannot be read"),
}


@pytest.fixture
def called(monkeypatch, capfd):
    """The command within this process: one that needs no stream takes most of its time to start."""
    for name in [*os.environ]:
        if name.startswith("LIVECART_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "100")

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["livecart", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, ended.value.code or 0, out, err)

    return call


@pytest.mark.parametrize("case", SENTENCES)
def test_what_cannot_be_used_is_one_sentence_and_exit_1(called, case):
    arguments, said = SENTENCES[case]
    done = called(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_usage_is_exit_2_and_help_tells_of_everything(called):
    assert called("watch").returncode == 2
    assert called("watch", "x", "--rate", "0").returncode == 2
    helped = called("--help")
    assert helped.returncode == 0
    assert all(command in helped.stdout for command in ("watch", "run", "evaluate-clip"))
    for command, options in {"watch": ("--json", "--catalog", "--bus"), "run": ("--config",)}.items():
        assert all(option in called(command, "--help").stdout for option in options)


def test_an_interrupt_ends_watch_with_its_cards_withdrawn(recognizer, flv):
    with (
        ByteServer(flv, bytes_per_s=len(flv) / 6.0, then="hang") as server,
        running("watch", server.url, "--rate", "2", "--recognizer", recognizer.url, "--json") as process,
    ):
        first = json.loads(process.stdout.readline())
        began_s = time.monotonic()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=10)
        assert time.monotonic() - began_s < 5
    assert (process.returncode, errors) == (0, "")
    last = json.loads(output.splitlines()[-1])
    assert (last["event"], last["reason"], last["card_id"]) == ("withdraw", "room_closed", first["card_id"])


def test_watch_ends_when_nobody_reads_it(recognizer, clip, monkeypatch):
    # Slow enough that events are still to come when the reader goes.
    monkeypatch.setattr(recognizer, "delay_s", 0.1)
    with running("watch", clip[0], "--recognizer", recognizer.url, "--json") as process:
        process.stdout.readline()
        process.stdout.close()
        process.stdout = None
        assert process.wait(20) == 0
        errors = process.stderr.read()
    assert "Traceback" not in errors
    assert "BrokenPipe" not in errors


def test_evaluate_clip_prints_every_figure(recognizer, clip, tmp_path):
    path, truth = clip
    (tmp_path / "truth.json").write_bytes(msgspec.json.encode(truth))
    plot = tmp_path / "timeline.svg"
    arguments = ("evaluate-clip", path, tmp_path / "truth.json", "--recognizer", recognizer.url)
    done = livecart(*arguments, "--json", "--plot", plot)
    assert (done.returncode, done.stderr) == (0, "")
    figures = json.loads(done.stdout)
    assert (figures["precision"], figures["recall"], figures["wrong"], figures["duplicates"]) == (1.0, 1.0, 0, 0)
    # Two agreeing looks at a frame a second: a second or two after the product came.
    assert 0.5 <= figures["appear_to_card_s"]["median"] <= 3
    assert figures["appear_to_card_s"]["p95"] >= figures["appear_to_card_s"]["median"]
    stages = figures["details"]["stages"]
    assert figures["calls"] == stages["request"]["count"]
    assert figures["calls_per_min"] == pytest.approx(figures["calls"] * 60 / 28)
    assert figures["skipped_share"] == pytest.approx(figures["skipped_frames"] / figures["sampled_frames"])
    assert "商品" in plot.read_text(encoding="utf-8")
    without = json.loads(livecart(*arguments, "--json", "--no-gate").stdout)
    # Every sampled frame is asked about: one a second, and more while a product is undecided.
    assert (without["skipped_frames"], without["calls"]) == (0, without["sampled_frames"])
    assert without["calls"] >= 28
    table = livecart(*arguments).stdout
    assert all(row in table for row in ("查全率 recall", "错误 wrong", "旁边商品 bystanders' cards"))
    assert livecart(*arguments, "--plot", tmp_path / "x.png").returncode == 1


def ready_url(process):
    """The API's address, from the log; the rest of the log is left unread in a thread of its own."""
    for line in process.stderr:
        if "ready: " in line:
            return line.rsplit("ready: ", 1)[1].strip().removesuffix("/rooms")
    raise AssertionError("it ended before it was ready")


def test_run_serves_follows_its_file_and_ends(recognizer, flv, tmp_path):
    config = tmp_path / "rooms.toml"
    with ByteServer(flv, bytes_per_s=len(flv) / 6.0, then="hang") as server:
        head = f'[recognizer]\nbase_url = "{recognizer.url}"\n[http]\nport = 0\n'
        room = f'[[rooms]]\nid = "{{}}"\nrate_hz = 2\nsource = "{server.url}?key=secret"\n'
        config.write_text(head + room.format("one"))
        with running("run", "--config", config) as process, httpx.Client() as client:
            url = ready_url(process)

            def rooms():
                return {each["id"]: each for each in client.get(f"{url}/rooms").json()["rooms"]}

            wait_until(lambda: rooms()["one"]["cards"] == ["red"])
            wait_until(lambda: client.get(f"{url}/readyz").status_code == 200)
            # An editor's way: another file in the place of the first.
            other = tmp_path / "rooms.toml.new"
            other.write_text(head + room.format("one") + room.format("two"))
            other.replace(config)
            wait_until(lambda: rooms().get("two", {}).get("cards") == ["red"])
            config.write_text(head + "[[rooms]]\nid = 'broken'\n")

            def reloads(outcome):
                sample = f'livecart_live_settings_reloads_total{{outcome="{outcome}"}} 1.0'
                return sample in client.get(f"{url}/metrics").text

            wait_until(lambda: reloads("refused"))
            assert reloads("taken")
            assert set(rooms()) == {"one", "two"}
            config.write_text(head + room.format("two"))
            wait_until(lambda: set(rooms()) == {"two"})
            began_s = time.monotonic()
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=10)
            assert time.monotonic() - began_s < 5
        assert process.returncode == 0
        assert "the edit is not taken" in log
        assert "Traceback" not in log
        assert "secret" not in log


def test_run_refuses_an_address_that_is_taken(recognizer, tmp_path):
    config = tmp_path / "rooms.toml"
    config.write_text(f"[http]\nport = {recognizer.port}\n")
    done = livecart("run", "--config", config)
    assert done.returncode == 1
    assert f"127.0.0.1:{recognizer.port} cannot be bound" in done.stderr.splitlines()[-1]
