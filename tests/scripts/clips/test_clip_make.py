"""Whole clips, small and short: same options, same clip; truth, catalog and encoding as asked."""

import itertools
import json

import av
import cv2
import numpy as np
import pytest

import make_clip
from clips import overlays
from clips.composer import ClipPlan, compose_clip
from clips.errors import ClipError
from clips.fonts import font_path
from clips.products import DrawnProducts, FolderProducts
from evaluation.compose import decode_rgb
from livecart.cli.clip_score import read_truth
from recognition.snapshot.catalog_folder import load_catalog_folder
from tests.scripts.evaluation import drawn

SMALL = ["--duration", "8", "--size", "144x256", "--fps", "10", "--bitrate", "400k", "--shows", "1"]


@pytest.fixture(autouse=True)
def _with_font():
    try:
        font_path("sans")
    except ClipError as error:
        pytest.skip(str(error))


def plan(**changes):
    usual = {
        "seed": 1,
        "duration_s": 8.0,
        "size_px": (144, 256),
        "fps": 10,
        "bit_rate": 400_000,
        "keyframe_distance_s": 1.0,
        "shows": 1,
    }
    return ClipPlan(**(usual | changes))


def frames(composition):
    return np.stack(list(composition.frames()))


def products(count=8):
    return DrawnProducts(count, shots=2, catalog_seed=0)


def made(folder, *options, name="clip.mp4"):
    out, truth = folder / name, folder / "truth.json"
    assert make_clip.main(["--out", str(out), "--truth", str(truth), *SMALL, *options]) == 0
    return out, read_truth(truth)


def test_the_same_options_make_the_same_frames_and_the_same_truth():
    first, second = (compose_clip(plan(), products()) for _ in range(2))
    assert np.array_equal(frames(first), frames(second))
    assert first.truth("a") == second.truth("a")
    other = compose_clip(plan(seed=2), products())
    assert not np.array_equal(frames(first), frames(other))


def test_the_product_is_where_the_truth_says():
    composition = compose_clip(plan(), products())
    truth = composition.truth("a")
    [show] = truth.shows
    for t_s, left, top, right, bottom in show.boxes[::4]:
        with_it = composition.backdrop.frame(t_s)
        without = with_it.copy()
        composition.actors[-1].draw(with_it, t_s)
        # Hand and arm reach beyond the box: look where the product is meant to be alone.
        inside = np.s_[int(top) + 1 : int(bottom) - 1, int(left) + 1 : int(right) - 1]
        assert (with_it[inside] != without[inside]).any(axis=-1).mean() > 0.5
    quiet = composition.backdrop.frame(0.0)
    before = quiet.copy()
    composition.actors[-1].draw(quiet, 0.0)
    assert np.array_equal(quiet, before)


@pytest.mark.parametrize("kind", ["table", "slides", "host"])
def test_in_a_still_clip_nothing_moves_but_the_show(kind):
    composition = compose_clip(plan(still=kind, duration_s=11.0), products())
    truth = composition.truth("a")
    [show] = truth.shows
    pictures = frames(composition).astype(int)
    noise = 4 * 1.6 * 2 if kind == "table" else 0
    resting = [n for n in range(len(pictures)) if show.from_s + 1 < n / 10 < show.to_s - 1]
    for first, second in itertools.pairwise(resting):
        assert np.abs(pictures[first] - pictures[second]).max() <= noise
    # It is small, and near an edge.
    _, left, top, right, bottom = show.boxes[len(show.boxes) // 2]
    assert (bottom - top) / 256 < 0.25
    assert left < 0.2 * 144 or right > 0.8 * 144
    assert len(truth.bystanders) == (5 if kind == "table" else 0)


def test_the_command_writes_clip_truth_and_catalog(tmp_path, capsys):
    clip, truth = made(tmp_path, "--keyframe-distance", "0.5", "--catalog-out", str(tmp_path / "catalog"), "--json")
    printed = json.loads(capsys.readouterr().out)
    assert (printed["frames"], printed["shows"], printed["duration_s"]) == (80, 1, 8.0)
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        assert (stream.width, stream.height, stream.average_rate) == (144, 256, 10)
        assert len(packets) == 80
        keys = [float(packet.pts * packet.time_base) for packet in packets if packet.is_keyframe]
    assert keys == pytest.approx(np.arange(0, 8, 0.5))
    catalog = load_catalog_folder(tmp_path / "catalog", allowed_hosts=["shop.example.com"])
    assert len(catalog.products) == 24
    assert {show.sku for show in truth.shows} <= {product.sku for product in catalog.products}
    assert all(len(product.photos) == 3 for product in catalog.products)
    assert not list(tmp_path.glob(".*"))


def test_a_hosts_clip_is_the_background(tmp_path):
    host = tmp_path / "host.mp4"
    pictures = [np.full((90, 160, 3), (20, 20 + 10 * n, 160), np.uint8) for n in range(10)]
    with av.open(str(host), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height = 160, 90
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    backdrop = compose_clip(plan(host=host), products()).backdrop
    greens = [float(backdrop.frame(n / 10)[..., 1].mean()) for n in range(19)]
    assert np.all(np.diff(greens[:10]) > 4)
    assert greens[10:] == pytest.approx(greens[8::-1], abs=0.5)
    assert backdrop.frame(0.0).shape == (256, 144, 3)


def test_photos_of_the_catalog_are_never_shown(tmp_path):
    folder = drawn.write_dataset(tmp_path / "data", {"红茶 500ml": 4, "绿茶 500ml": 4, "黄油": 2})
    source = FolderProducts(folder, shots=2, catalog_seed=0)
    catalog = source.write_catalog(tmp_path / "catalog")
    kept = {path.read_bytes() for path in (catalog / "photos").iterdir()}
    spare = [decode_rgb(p.read_bytes()) for p in sorted(folder.glob("*/*.png")) if p.read_bytes() not in kept]
    chosen = source.choose(5, seed=3)
    # The third has no photo to spare.
    assert {product.name for product in chosen} == {"红茶 500ml", "绿茶 500ml"}
    for product in chosen:
        assert any(_contains(photo, product.cutout.rgb) for photo in spare)
    assert len(load_catalog_folder(catalog, allowed_hosts=["shop.example.com"]).products) == 3


def _contains(photo, part):
    if part.shape[0] > photo.shape[0] or part.shape[1] > photo.shape[1]:
        return False
    _, _, (left, top), _ = cv2.minMaxLoc(cv2.matchTemplate(photo, part, cv2.TM_SQDIFF))
    return np.array_equal(photo[top : top + part.shape[0], left : left + part.shape[1]], part)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--shows", "9"], "9 shows do not fit"),
        (["--products", "no-such-folder"], "no-such-folder"),
        (["--host", "no-such-clip.mp4"], "no-such-clip.mp4"),
        (["--out", "clip.avi"], "clip.avi"),
        (["--truth", "no-such-folder/truth.json"], "no-such-folder"),
    ],
)
def test_what_cannot_be_made_is_said(tmp_path, capsys, monkeypatch, options, told):
    monkeypatch.chdir(tmp_path)
    assert make_clip.main(["--out", "clip.mp4", "--truth", "truth.json", *SMALL, *options]) == 1
    error = capsys.readouterr().err
    assert error.startswith("make_clip: ")
    assert told in error
    assert not list(tmp_path.iterdir())


def test_overlays_name_products_that_are_not_presented_where_they_are_to(monkeypatch):
    written = []
    text = overlays._text
    monkeypatch.setattr(
        overlays, "_text", lambda words, *rest, **more: written.append(words) or text(words, *rest, **more)
    )
    shown = products()
    quiet = compose_clip(plan(), shown)
    names = {product.name for product in shown.choose(8, 1)}
    assert not any(name in words for words in written for name in names)
    written.clear()
    naming = compose_clip(plan(overlays_name=True), shown)
    [presented] = naming.truth("clip.mp4").shows
    others = names - {presented.name}
    banner, sticker, *more = written
    assert banner in others
    assert "￥" in sticker
    assert more
    assert all(any(name in words for name in others) for words in more)
    assert naming.truth("clip.mp4") == quiet.truth("clip.mp4")
