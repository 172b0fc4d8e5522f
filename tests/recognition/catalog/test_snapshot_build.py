"""A build embeds what is new, keeps what is known, and goes without a photo that cannot be read."""

import random
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recognition.catalog import embedding
from recognition.catalog.build import BadPhoto, BuildReport, build_snapshot
from recognition.catalog.embedding import PhotoFeatures
from recognition.catalog.journal import Journal
from recognition.snapshot.catalog_folder import Catalog
from recognition.snapshot.read import Snapshot, open_snapshot
from recognition.snapshot.write import write_snapshot
from tests.recognition.drawn_packages import INFO, PackageRuntime, ScriptedReader
from tests.snapshot_files import FINGERPRINT, FakeEmbedder, features_of, product
from tests.stand_ins import encoded, solid

PHOTOS = {"1.jpg": b"red", "2.jpg": b"green", "3.jpg": b"blue"}
CATALOG = Catalog((product("1", photos=("1.jpg", "2.jpg")), product("2"), product("3", photos=("3.jpg",))))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fill(tmp_path / "shop", PHOTOS)


def fill(folder: Path, photos: Mapping[str, bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, image in photos.items():
        (folder / name).write_bytes(image)
    return folder


def built(
    folder: Path, catalog: Catalog = CATALOG, *, previous: Snapshot | None = None, fingerprint: str = FINGERPRINT
) -> tuple[Snapshot, BuildReport, FakeEmbedder]:
    embedder = FakeEmbedder(fingerprint)
    contents, report = build_snapshot(catalog, embedder, folder=folder, previous=previous)
    path = folder / f"{random.randrange(2**48):x}.snapshot"
    write_snapshot(path, contents)
    return open_snapshot(path, fingerprint=fingerprint), report, embedder


def assert_photos(snapshot: Snapshot, *expected: tuple[int, bytes]) -> None:
    """``expected`` are (product, bytes of the photo's file), in order."""
    assert snapshot.photo_product.tolist() == [index for index, _ in expected]
    for place, (_, image) in enumerate(expected):
        features = features_of(image)
        assert np.array_equal(snapshot.view_vectors[snapshot.view_photo == place], features.vectors)
        local = slice(*snapshot.local_offsets[place : place + 2])
        assert np.array_equal(snapshot.local_xy[local], features.local_xy)
        assert np.array_equal(snapshot.local_descriptors[local], features.local_descriptors)
        assert snapshot.lines(place) == features.lines


def test_the_same_catalog_again_embeds_nothing_and_has_the_same_id(folder):
    first, _, _ = built(folder)
    again, report, embedder = built(folder, previous=first)
    assert embedder.seen == []
    assert (report.embedded, report.reused) == (0, 3)
    assert again.id == first.id


def test_only_new_photos_are_embedded_and_the_id_does_not_tell(folder):
    smaller = Catalog((product("3", photos=("3.jpg",)), product("1", photos=("2.jpg",))))
    previous, _, _ = built(folder, smaller)
    snapshot, report, embedder = built(folder, previous=previous)
    assert embedder.seen == [b"red"]
    assert (report.embedded, report.reused) == (1, 2)
    assert_photos(snapshot, (0, b"red"), (0, b"green"), (2, b"blue"))
    assert snapshot.id == built(folder)[0].id


def test_a_photo_that_changed_under_its_name_is_embedded_again(folder):
    previous, _, _ = built(folder)
    fill(folder, {"2.jpg": b"yellow"})
    snapshot, _, embedder = built(folder, previous=previous)
    assert embedder.seen == [b"yellow"]
    assert_photos(snapshot, (0, b"red"), (0, b"yellow"), (2, b"blue"))


def test_features_of_another_model_are_not_kept(folder):
    previous, _, _ = built(folder)
    snapshot, report, _ = built(folder, previous=previous, fingerprint="tiny@2")
    assert (report.embedded, report.reused) == (3, 0)
    assert snapshot.fingerprint == "tiny@2"


def test_the_same_photo_counts_once_in_a_product_and_is_embedded_once_for_all(folder):
    fill(folder, {"copy.jpg": b"red"})
    catalog = Catalog((product("1", photos=("1.jpg", "copy.jpg", "1.jpg")), product("2", photos=("copy.jpg",))))
    snapshot, report, embedder = built(folder, catalog)
    assert embedder.seen == [b"red"]
    assert_photos(snapshot, (0, b"red"), (1, b"red"))
    assert (report.photos, report.embedded, report.reused) == (2, 1, 1)


def test_a_bad_photo_is_left_out_and_reported(folder):
    fill(folder, {"2.jpg": b"broken"})
    (folder / "3.jpg").unlink()
    snapshot, report, _ = built(folder)
    assert_photos(snapshot, (0, b"red"))
    assert report.bad[0] == BadPhoto("1", "2.jpg", "not a whole image")
    assert (report.bad[1].sku, report.bad[1].path) == ("3", "3.jpg")
    assert "No such file" in report.bad[1].reason
    assert (report.products, report.photos) == (3, 1)


class Stopped(FakeEmbedder):
    """Somebody presses Ctrl-C at the last photo."""

    at_once = 1

    def embed(self, image: bytes) -> PhotoFeatures:
        if image == b"blue":
            raise KeyboardInterrupt
        return super().embed(image)


def stopped_build(folder: Path) -> Path:
    """The journal of a build that was stopped before the last of its three photos."""
    path = folder / "shop.partial"
    journal = Journal(path, FINGERPRINT)
    with pytest.raises(KeyboardInterrupt):
        build_snapshot(CATALOG, Stopped(), folder=folder, journal=journal)
    journal.close(done=False)
    return path


def go_on(folder: Path, path: Path, embedder: FakeEmbedder) -> str:
    journal = Journal(path, embedder.fingerprint)
    contents, _ = build_snapshot(CATALOG, embedder, folder=folder, journal=journal)
    journal.close(done=True)
    assert not path.exists()
    return write_snapshot(folder / "gone-on.snapshot", contents)


def test_a_build_that_was_stopped_goes_on_where_it_ended(folder):
    embedder = FakeEmbedder()
    assert go_on(folder, stopped_build(folder), embedder) == built(folder)[0].id
    assert embedder.seen == [b"blue"]


@pytest.mark.parametrize("cut_bytes", [1, 200])
def test_of_a_journal_whose_last_record_was_cut_off_the_others_are_kept(folder, cut_bytes):
    path = stopped_build(folder)
    path.write_bytes(path.read_bytes()[:-cut_bytes])
    again = Journal(path, FINGERPRINT)
    with pytest.raises(KeyboardInterrupt):  # what was cut off is written behind what was left
        build_snapshot(CATALOG, Stopped(), folder=folder, journal=again)
    again.close(done=False)
    embedder = FakeEmbedder()
    assert go_on(folder, path, embedder) == built(folder)[0].id
    assert embedder.seen == [b"blue"]


def test_photos_at_the_same_time_are_embedded_by_a_network_each_and_one_after_the_other_by_the_same(
    tmp_path, monkeypatch
):
    together, both = threading.Event(), threading.Barrier(2)
    opened: list[PackageRuntime] = []

    class Met(PackageRuntime):
        def features(self, images: np.ndarray) -> np.ndarray:
            if together.is_set():
                both.wait(timeout=10)
            return super().features(images)

    def open_runtime(*_: object, **__: object) -> PackageRuntime:
        opened.append(Met())
        return opened[-1]

    monkeypatch.setattr(embedding, "read_info", lambda folder: INFO)
    monkeypatch.setattr(embedding, "open_runtime", open_runtime)
    monkeypatch.setattr(embedding, "TextReader", lambda threads: ScriptedReader())
    embedder = embedding.embedders(tmp_path, threads=2)(1)
    photos = [encoded(solid("red")), encoded(solid("blue"))]
    one_by_one = [embedder.embed(photo) for photo in photos]
    assert len(opened) == 1

    together.set()
    with ThreadPoolExecutor(embedder.at_once) as threads:
        at_once = list(threads.map(embedder.embed, photos))
    assert len(opened) == 2
    for before, after in zip(one_by_one, at_once, strict=True):
        np.testing.assert_array_equal(before.vectors, after.vectors)


@pytest.mark.parametrize(
    ("field", "array"),
    [
        ("vectors", np.zeros((0, 8), np.float16)),
        ("vectors", np.zeros(8, np.float16)),
        ("cells", np.zeros((12, 12, 3), np.float32)),
        ("local_xy", np.zeros((2, 3), np.float16)),
        ("local_descriptors", np.zeros((9, 32), np.uint8)),
    ],
)
def test_features_of_a_wrong_shape_or_type_cannot_be_made(field, array):
    sound = features_of(b"red")
    with pytest.raises(ValueError, match=field):
        replace(sound, **{field: array})
