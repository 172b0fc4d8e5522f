"""The command, from a folder of drawn photos to its figures, with a stand-in for what recognises."""

import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import evaluate
from evaluation import run
from evaluation.backend import BackendReply, Thresholds
from evaluation.dataset import sku_of
from recognition.settings import THREADS_VARIABLE
from tests.scripts.evaluation.drawn import COLOURS, write_dataset, write_scenery

KEYS = [
    "r_at_1",
    "r_at_5",
    "coverage",
    "precision",
    "false_pops_per_1000",
    "ece",
    "box_center_hit",
    "box_iou50",
    "core_ms",
    "ms",
    "queries",
]
PHOTOS = {"红茶 500ml": 4, "绿茶 500ml": 3, "Blue soda": 3, "黄油": 2}


class Eye:
    """Finds a product of its catalog by the colour of many pixels; only such products as are in the catalog."""

    thresholds = Thresholds(default=0.7, lowest=0.05)

    def __init__(self, catalog: dict[str, Any]) -> None:
        self._colours = {product["sku"]: COLOURS[product["name"]] for product in catalog["products"]}

    def recognize(self, image: bytes, text: str) -> BackendReply:
        pixels = np.asarray(Image.open(io.BytesIO(image)).convert("RGB"))[::4, ::4].astype(int)
        found = []
        for sku, colour in self._colours.items():
            alike = np.abs(pixels - colour).max(axis=-1) < 40
            if alike.mean() > 0.01:
                rows, columns = np.flatnonzero(alike.any(axis=1)), np.flatnonzero(alike.any(axis=0))
                box = [4.0 * edge for edge in (columns[0], rows[0], columns[-1], rows[-1])]
                confidence = min(1.0, 0.5 + float(alike.mean()) * 4)
                evidence = {"photo": confidence, "text": None, "label": None}
                found.append({"sku": sku, "confidence": confidence, "box": box, "evidence": evidence})
        found.sort(key=lambda product: -product["confidence"])
        read_ms = 5.0 if text == "always" else 0.0
        return BackendReply(
            {"products": found, "timing_ms": {"network": 2.0, "text": read_ms}}, wall_ms=9.0, core_ms=4.0
        )


@pytest.fixture
def catalogs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Catalogs that were built, one for each seed."""
    # The command sets what is not set, and the environment is every test's.
    monkeypatch.setenv(THREADS_VARIABLE, "1")
    monkeypatch.setenv("COLUMNS", "140")
    built: list[dict[str, Any]] = []

    def build(folder: Path, archive: Path, out: Path) -> Path:
        built.append(json.loads((folder / "catalog.json").read_text(encoding="utf-8")))
        out.touch()
        return out

    @contextmanager
    def opened(self: object, snapshot: Path, parts: object) -> Iterator[Eye]:
        yield Eye(built[-1])

    monkeypatch.setattr(run, "build", build)
    monkeypatch.setattr(run._Run, "_backend", opened)
    return built


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "shop", PHOTOS)


@pytest.fixture
def streets(tmp_path: Path) -> Path:
    return write_scenery(tmp_path / "streets", [1, 2, 3])


def figures(capsys: pytest.CaptureFixture[str], tmp_path: Path, *arguments: object) -> dict[str, Any]:
    status = evaluate.main([*map(str, arguments), "--archive", str(tmp_path), "--json"])
    output = capsys.readouterr()
    assert status == 0, output.err
    found: dict[str, Any] = json.loads(output.out)
    return found


def test_the_figures_of_photos(
    catalogs: list[dict[str, Any]], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = figures(capsys, tmp_path, "--data", data, "--shots", 2, "--seeds", 3)
    assert list(found)[: len(KEYS)] == KEYS
    assert (found["r_at_1"], found["r_at_5"], found["coverage"], found["precision"]) == (1, 1, 1, 1)
    assert found["queries"] == 3 * (2 + 1 + 1)
    assert (found["shots"], found["seeds"], found["data"]) == (2, 3, str(data))
    assert found["box_center_hit"] is found["box_iou50"] is found["false_pops_per_1000"] is None
    assert found["ms"]["wall"] == {"p50": 9.0, "p95": 9.0}
    assert [seed["seed"] for seed in found["per_seed"]] == [0, 1, 2]
    # The product whose photos are all in the catalog stays in it.
    assert [len(catalog["products"]) for catalog in catalogs] == [4, 4, 4]
    assert found["threshold"] == 0.7


def test_frames_and_negatives(
    catalogs: list[dict[str, Any]], data: Path, streets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--data", data, "--shots", 1, "--frames", "--leave-out", 0.25, "--negatives", streets)
    dumped = [tmp_path / "once", tmp_path / "again"]
    found = [figures(capsys, tmp_path, *arguments, "--dump", folder) for folder in dumped]
    assert found[0]["negatives"] == 3 + next(n for name, n in PHOTOS.items() if sku_of(name) not in skus(catalogs[0]))
    assert found[0]["box_center_hit"] is not None
    assert found[0]["queries"] == sum(seed["queries"] for seed in found[0]["per_seed"])
    names = sorted(path.relative_to(dumped[0]).as_posix() for path in dumped[0].rglob("*.jpg"))
    assert len(names) == found[0]["queries"] + found[0]["negatives"]
    for name in names:
        assert (dumped[0] / name).read_bytes() == (dumped[1] / name).read_bytes()
    lines = [json.loads(line) for line in (dumped[0] / "frames.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {line["sku"] for line in lines} <= skus(catalogs[0]) | {None}
    framed = [line for line in lines if line["sku"]]
    assert all(0 <= line["box"][0] < line["box"][2] <= 720 for line in framed)
    del found[0]["ms"], found[1]["ms"]
    assert found[0] == found[1]


def skus(catalog: dict[str, Any]) -> set[str]:
    return {product["sku"] for product in catalog["products"]}


def test_products_left_out_pop_up_if_they_are_taken_for_others(
    catalogs: list[dict[str, Any]],
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arguments = ("--data", data, "--shots", 1, "--leave-out", 0.25)
    assert figures(capsys, tmp_path, *arguments)["false_pops_per_1000"] == 0

    def fooled(self: Eye, image: bytes, text: str) -> BackendReply:
        return BackendReply({"products": [{"sku": "x", "confidence": 0.9, "box": None}], "timing_ms": {}}, 1.0)

    monkeypatch.setattr(Eye, "recognize", fooled)
    found = figures(capsys, tmp_path, *arguments)
    assert (found["false_pops_per_1000"], found["r_at_1"], found["precision"]) == (1000, 0, 0)
    assert found["ece"] == pytest.approx(0.9)


def test_the_table_for_people(
    catalogs: list[dict[str, Any]], data: Path, streets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", str(data), "--shots", "1", "--seeds", "2", "--negatives", str(streets)]
    assert evaluate.main([*arguments, "--archive", str(tmp_path)]) == 0
    output = capsys.readouterr()
    assert re.search(r"R@1\s*│\s*1\.000", output.out)
    assert "false pop-ups per 1,000 negatives" in output.out
    assert "box" not in output.out
    assert re.search(r"network\s*│\s*2\.0", output.out)
    assert output.err == ""


def test_profiles_side_by_side(
    catalogs: list[dict[str, Any]], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    plot = tmp_path / "profiles.svg"
    found = figures(capsys, tmp_path, "--data", data, "--shots", 1, "--profile", "sure", "fast", "--plot", plot)
    measured = [(each["profile"], each["core_ms"], each["r_at_1"]) for each in found["profiles"]]
    assert measured == [("sure", 4.0, 1.0), ("fast", 4.0, 1.0)]
    drawn = plot.read_text("utf-8")
    assert "sure" in drawn
    assert "fast" in drawn


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere", "--shots", "1"], "nowhere: no such folder"),
        (["--data", "{data}", "--shots", "9"], "no photos are left as queries"),
        (["--data", "{data}", "--gallery", "x.jpg"], "no photo is named 'x.jpg'"),
        (["--data", "{data}", "--shots", "1", "--negatives", "nowhere"], "nowhere: no such folder"),
        (["--data", "{data}", "--shots", "1", "--archive", "nowhere.mar"], "nowhere.mar"),
        (["--data", "{data}", "--shots", "1", "--plot", "nowhere/plot.png"], "in a folder that exists"),
        (["--data", "{data}", "--shots", "1", "--plot", "plot.xls"], "a plot is a file"),
    ],
)
def test_mistakes_are_named(
    catalogs: list[dict[str, Any]],
    data: Path,
    tmp_path: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [part.format(data=data) for part in arguments]
    if "--archive" not in given:
        given += ["--archive", str(tmp_path)]
    assert evaluate.main(given) == 1
    output = capsys.readouterr()
    assert output.err.startswith("evaluate: ")
    assert message in output.err
    assert output.out == ""
