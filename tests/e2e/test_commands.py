"""The README's commands, run as a person would: `make …` in the repository, and plain TorchServe."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

import torchserve_control as control
import torchserve_plan
from sample_photos import sample_photos
from torchserve_plan import free_port

ROOT = Path(__file__).resolve().parents[2]
READY_S = 120


@pytest.fixture(scope="module")
def make_variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Variables that keep these commands off the developer's own server and archive."""
    folder = tmp_path_factory.mktemp("make")
    variables = {
        "PORT": str(free_port()),
        "STATE": str(folder / "state"),
        "ARCHIVE": str(folder / "store" / "product_recognizer.mar"),
        "WORKERS": "1",
    }
    yield variables
    control.stop(folder / "state")


def make(variables: dict[str, str], *words: str) -> str:
    # Variables of a make that runs these tests must not reach the make under test.
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(
        ["make", "--no-print-directory", *words, *(f"{name}={value}" for name, value in variables.items())],
        cwd=ROOT,
        env={**outside, "COLUMNS": "120", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_serve_predict_rollout_catalog_stop(make_variables: dict[str, str], tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    (shop / "photos").mkdir(parents=True)
    shutil.copy(sample_photos()[0], shop / "photos" / "cup.png")
    product = {"sku": "7", "name": "样品咖啡", "url": "https://shop.example.com/item/7", "photos": ["photos/cup.png"]}
    (shop / "catalog.json").write_text(json.dumps({"schema": 1, "products": [product]}), encoding="utf-8")

    told = make(make_variables, "serve", f"CATALOG={shop}")
    [line] = re.findall(r"^  (curl .*\\\n.*)$", told, re.MULTILINE)
    answer = subprocess.run(["bash", "-c", f"{line} --silent"], capture_output=True, text=True, check=True).stdout
    assert "样品咖啡" in answer
    assert '"version":"1.0"' in answer

    with pytest.raises(AssertionError, match="running already; `make stop` ends it") as refused:
        make(make_variables, "serve", "VERSION=9")
    assert "building" not in str(refused.value)
    assert "READY" in make(make_variables, "status")
    assert "样品咖啡" in make(make_variables, "predict", f"IMAGES={sample_photos()[0]}")
    # What was built last is remembered: the catalog in the next version, and this version in a later `make serve`.
    assert "1.1 is served, 1.0 is gone" in make(make_variables, "rollout", "VERSION=1.1")
    answer = subprocess.run(["bash", "-c", f"{line} --silent"], capture_output=True, text=True, check=True).stdout
    assert '"version":"1.1"' in answer
    assert "样品咖啡" in answer
    assert make(make_variables, "-n", "archive").strip().endswith("Nothing to be done for 'archive'.")
    assert "stopped" in make(make_variables, "stop")
    assert "no server" in make(make_variables, "stop")

    snapshot = {**make_variables, "SNAPSHOT": str(tmp_path / "shop.snapshot")}
    assert "1 products, 1 photos (1 embedded" in make(snapshot, "catalog", f"CATALOG={shop}")
    assert "(0 embedded, 1 reused" in make(snapshot, "catalog", f"CATALOG={shop}")


def test_help_lists_every_command(make_variables: dict[str, str]) -> None:
    told = make(make_variables, "help")
    targets = (
        "setup archive catalog serve stop status predict rollout demo demo-check demo-photos test check bench clean"
    )
    for target in targets.split():
        assert re.search(rf"^{target} ", told, re.MULTILINE), target


def test_the_demo_s_catalog_is_not_the_archive_s(make_variables: dict[str, str]) -> None:
    told = make(make_variables, "-n", "demo", "SOURCE=live.mp4", "CATALOG=my-shop")
    assert "--source 'live.mp4' --catalog 'my-shop'" in told
    assert "my-shop" not in told.replace("--catalog 'my-shop'", "")


def test_a_snapshot_s_catalog_is_not_the_archive_s(make_variables: dict[str, str]) -> None:
    """Who changes products while a server runs does not build the archive anew, with these products in it."""
    told = make(make_variables, "-n", "catalog", "CATALOG=my-shop")
    assert "build_catalog.py my-shop --archive" in told
    assert "--catalog my-shop" not in told


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["serve", "CATALOG=no-shop"], "there is no no-shop/catalog.json"),
        (["predict", "IMAGES="], "which photos? make predict IMAGES="),
        (["rollout", "VERSION=9"], "no server of this checkout is running; `make serve` starts one"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_built(
    make_variables: dict[str, str], words: list[str], why: str
) -> None:
    with pytest.raises(AssertionError, match=re.escape(why)) as refused:
        make(make_variables, *words)
    assert "building" not in str(refused.value)


def test_plain_torchserve_uses_the_configuration_as_it_is(archive: Path, tmp_path: Path) -> None:
    """`torchserve --start --ts-config config.properties`: relative paths hold, and nothing else is needed."""
    moved = free_port() - torchserve_plan.PORTS["inference_address"]
    config = (ROOT / "config.properties").read_text(encoding="utf-8")
    for port in torchserve_plan.PORTS.values():
        config = re.sub(rf"\b{port}\b", str(port + moved), config)
    (tmp_path / "config.properties").write_text(config, encoding="utf-8")
    for name in ("handler", "deploy"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "model_store").symlink_to(archive.parent)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"TMPDIR": str(temporary), "TEMP": str(temporary)}
    if home := torchserve_plan.java_home():
        environment["JAVA_HOME"] = home

    def torchserve(*words: str) -> None:
        with (tmp_path / "console.log").open("ab") as console:
            command = [str(Path(sys.executable).with_name("torchserve")), *words]
            subprocess.run(command, cwd=tmp_path, env=environment, stdout=console, stderr=console, check=True)

    torchserve("--start", "--ts-config", "config.properties")
    try:
        url = f"http://127.0.0.1:{8080 + moved}/predictions/product_recognizer"
        deadline = time.monotonic() + READY_S
        status = None
        while status != 200 and time.monotonic() < deadline:
            time.sleep(0.5)
            try:
                status = requests.post(
                    url, data=sample_photos()[0].read_bytes(), headers={"Content-Type": "image/png"}, timeout=30
                ).status_code
            except requests.ConnectionError:
                continue
        assert status == 200, (tmp_path / "console.log").read_text(errors="replace")
        metrics = requests.get(f"http://127.0.0.1:{8082 + moved}/metrics", timeout=30).text
        assert "livecart_batch_size_count" in metrics
        # Our logging took effect: a quiet file, and none of TorchServe's own.
        assert (tmp_path / "logs" / "server.log").is_file()
        assert not (tmp_path / "logs" / "ts_log.log").exists()
    finally:
        torchserve("--stop")
