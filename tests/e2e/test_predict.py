"""scripts/predict.py as people and programs run it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import torchserve_control as control
from sample_photos import sample_photos

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "predict.py"


def predict(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "120", "PYTHONIOENCODING": "utf-8"},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two good photos, one below a folder, a broken one, and a file that is no photo."""
    (tmp_path / "deeper").mkdir()
    (tmp_path / "coffee.png").write_bytes(sample_photos()[0].read_bytes())
    (tmp_path / "deeper" / "cat.png").write_bytes(sample_photos()[1].read_bytes())
    (tmp_path / "broken.jpg").write_bytes(b"not a photo")
    (tmp_path / "notes.txt").write_text("not a photo either")
    return tmp_path


def test_a_photo_gives_labels_and_a_card(server: control.Server, coffee: Path) -> None:
    done = predict("--url", server.inference_url, coffee)
    assert done.returncode == 0, done.stderr
    for text in ("浓缩咖啡", "意式浓缩咖啡豆 500g", "https://shop.example.com/item/2001", "59.00 CNY", "置信度"):
        assert text in done.stdout


def test_json_is_one_object_a_line_in_the_order_given(server: control.Server, folder: Path) -> None:
    done = predict("--json", "--url", server.inference_url, folder)
    assert done.returncode == 1  # one photo was refused
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [Path(answer["path"]).name for answer in answers] == ["broken.jpg", "coffee.png", "cat.png"]
    assert [answer["status"] for answer in answers] == [400, 200, 200]
    assert answers[0]["error"]["code"] == "bad_image"
    assert answers[1]["products"][0]["sku"] == "2001"


def test_options_reach_the_server(server: control.Server, coffee: Path) -> None:
    done = predict("--json", "--url", server.inference_url, "--top-k", 2, "--threshold", 0.99, coffee)
    [answer] = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answer["labels"]) == 2
    assert answer["products"] == []


def test_a_refused_photo_is_told_in_the_table(server: control.Server, folder: Path) -> None:
    done = predict("--url", server.inference_url, folder / "broken.jpg")
    assert done.returncode == 1
    assert "bad_image" in done.stdout


def test_no_server_says_what_to_do(coffee: Path) -> None:
    done = predict("--url", "http://127.0.0.1:9", coffee)
    assert done.returncode == 2
    assert "make serve" in done.stderr


@pytest.mark.parametrize("path", ["nowhere.jpg", "."])
def test_nothing_to_recognise(path: str, tmp_path: Path) -> None:
    done = predict("--url", "http://127.0.0.1:9", tmp_path / path)
    assert done.returncode == 1
    assert "predict:" in done.stderr
