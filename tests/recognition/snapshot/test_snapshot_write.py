"""A snapshot is written whole or not at all, and only if its arrays fit together."""

import os
import stat
from dataclasses import replace

import numpy as np
import pytest

from recognition.errors import SnapshotError
from recognition.snapshot.read import open_snapshot
from recognition.snapshot.write import write_snapshot
from tests.snapshot_files import FINGERPRINT, contents, product, written


def test_a_file_is_replaced_whole_and_readable_by_the_server(tmp_path):
    path = written(tmp_path)
    before = os.umask(0o022)
    try:
        old = open_snapshot(path, fingerprint=FINGERPRINT)
        write_snapshot(path, contents([product("9")], ()))
    finally:
        os.umask(before)
    assert old.product(0).sku == "1"
    assert open_snapshot(path, fingerprint=FINGERPRINT).product(0).sku == "9"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = written(tmp_path)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_snapshot(path, contents([product("9")], ()))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("photo_product", np.array([0, 0, 2]), "holds places outside of stock_state"),
        ("photo_product", np.array([-1, 0, 1]), "holds places outside of stock_state"),
        ("photo_product", np.array([1, 0, 1]), "photo_product: is not in order"),
        ("photo_product", np.array([0, 1]), "does not fit"),
        ("photo_digest", np.zeros((3, 31)), "does not fit"),
        ("local_offsets", np.array([0, 0, 0, 99]), "does not divide local_xy"),
        ("local_offsets", np.zeros(0), "does not fit"),
        ("local_descriptors", np.zeros((1000, 32)), "does not fit"),
        ("view_vectors", np.ones(3), "expected F16"),
        ("lines", [()], "does not fit"),
    ],
)
def test_arrays_that_do_not_fit_are_not_written(tmp_path, field, value, told):
    with pytest.raises((SnapshotError, ValueError)) as caught:
        write_snapshot(tmp_path / "a.snapshot", replace(contents(), **{field: value}))
    assert told in str(caught.value) or field == "view_vectors"
    assert not (tmp_path / "a.snapshot").exists()


@pytest.mark.parametrize("scale", [0.5, 0.0, np.nan, np.inf])
def test_vectors_that_are_not_normalised_are_not_written(tmp_path, scale):
    given_contents = contents()
    vectors = given_contents.view_vectors.copy()
    vectors[-1] *= np.float16(scale) if np.isfinite(scale) else np.float16("nan")
    with pytest.raises(ValueError, match="norm 1"):
        write_snapshot(tmp_path / "a.snapshot", replace(given_contents, view_vectors=vectors))


@pytest.mark.parametrize(
    "extra",
    [{"lines_json": np.zeros(1)}, {"Text": np.zeros(1)}, {"__metadata__": np.zeros(1)}, {"ann_x": np.array("a")}],
)
def test_extra_arrays_must_have_a_free_name_and_a_plain_type(tmp_path, extra):
    with pytest.raises(ValueError, match="array"):
        write_snapshot(tmp_path / "a.snapshot", contents(**extra))
