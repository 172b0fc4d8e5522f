"""A snapshot comes back as it was written, room by room, and its id is its content."""

from pathlib import Path

import numpy as np
import pytest
import safetensors

from recognition.snapshot.format import LAYOUT
from recognition.snapshot.read import Snapshot, open_snapshot
from recognition.snapshot.write import write_snapshot
from tests.snapshot_files import FINGERPRINT, contents, features_of, product, written

ROOMS = (
    product("1"),
    product("2", rooms=("b",)),
    product("3", rooms=("a", "b", "a")),
    product("4", rooms=()),
)


def opened(folder: Path, *args: object, **kwargs: object) -> Snapshot:
    return open_snapshot(written(folder, *args, **kwargs), fingerprint=FINGERPRINT)


def test_everything_comes_back(tmp_path):
    products = (
        product("1", brand="珍珍", words=("荔枝",), stock=0, threshold=0.25),
        product("2", price="9.90", stock=3),
    )
    photos = ((0, b"a"), (0, b"b"), (1, b"c"))
    snapshot = opened(tmp_path, products, photos, text_keys=np.arange(6, dtype=np.uint64).reshape(2, 3))
    assert [snapshot.product(index) for index in range(snapshot.products)] == list(products)
    assert (snapshot.products, snapshot.photos, snapshot.dimensions) == (2, 3, 8)
    assert snapshot.fingerprint == FINGERPRINT
    assert snapshot.stock_state.tolist() == [0, 1]
    assert snapshot.thresholds[0] == 0.25
    assert np.isnan(snapshot.thresholds[1])
    assert snapshot.photo_product.tolist() == [0, 0, 1]
    for place, (_, image) in enumerate(photos):
        expected = features_of(image)
        local = slice(*snapshot.local_offsets[place : place + 2])
        assert np.array_equal(snapshot.view_vectors[snapshot.view_photo == place], expected.vectors)
        assert np.array_equal(snapshot.local_xy[local], expected.local_xy)
        assert np.array_equal(snapshot.local_descriptors[local], expected.local_descriptors)
        assert snapshot.lines(place) == expected.lines
    assert np.array_equal(snapshot.extra["text_keys"], [[0, 1, 2], [3, 4, 5]])
    assert snapshot.extra.keys() == {"text_keys"}


@pytest.mark.parametrize(
    ("room", "skus"), [(None, "1234"), ("a", "13"), ("b", "123"), ("unknown", "1"), ("", "1"), ("房间", "1")]
)
def test_a_room_shows_its_own_products_and_those_of_all_rooms(tmp_path, room, skus):
    snapshot = opened(tmp_path, ROOMS, ())
    assert snapshot.rooms == ("a", "b")
    assert "".join(snapshot.product(int(index)).sku for index in np.flatnonzero(snapshot.room_mask(room))) == skus
    assert snapshot.room_mask(room).tolist() == [entry.in_room(room) for entry in ROOMS]


def test_arrays_are_the_file_itself_and_cannot_be_changed(tmp_path):
    snapshot = opened(tmp_path, ann_codes=np.arange(4, dtype=np.uint8))
    for array in (snapshot.view_vectors, snapshot.photo_digest, snapshot.extra["ann_codes"]):
        assert not array.flags.owndata
        assert not array.flags.writeable
    addresses = [int(line.split("-")[0], 16) for line in mapped_lines(snapshot.path)]
    assert len(addresses) == 1
    assert 0 < snapshot.view_vectors.ctypes.data - addresses[0] < snapshot.path.stat().st_size


def test_a_file_is_unmapped_when_nobody_uses_it_and_stays_while_somebody_does(tmp_path):
    snapshot = opened(tmp_path)
    path, vectors, before = snapshot.path, snapshot.view_vectors, snapshot.view_vectors.copy()
    path.unlink()
    del snapshot
    assert np.array_equal(vectors, before)
    del vectors
    assert mapped_lines(path) == []


def mapped_lines(path: Path) -> list[str]:
    return [line for line in Path("/proc/self/maps").read_text().splitlines() if str(path) in line]


def test_other_tools_can_read_it(tmp_path):
    path = written(tmp_path, ann_lists=np.array([1.5, 2.5], dtype=np.float64), ann_on=np.array([True]))
    with safetensors.safe_open(path, framework="numpy") as file:
        assert file.metadata()["fingerprint"] == FINGERPRINT
        assert set(file.keys()) == {*LAYOUT, "ann_lists", "ann_on"}
        snapshot = open_snapshot(path, fingerprint=None)
        assert np.array_equal(file.get_tensor("view_vectors"), snapshot.view_vectors)
        assert file.get_tensor("ann_lists").tolist() == [1.5, 2.5]


def test_the_id_is_the_content_and_not_the_time(tmp_path):
    ids = [write_snapshot(tmp_path / "a.snapshot", contents(), created_at_s=time) for time in (1.0, 2.0)]
    assert ids[0] == ids[1] == open_snapshot(tmp_path / "a.snapshot", fingerprint=None).id
    assert len(ids[0]) == 12
    assert open_snapshot(tmp_path / "a.snapshot", fingerprint=None).created_at_s == 2.0


@pytest.mark.parametrize(
    "other",
    [
        contents(fingerprint="other"),
        contents((product("1"), product("2", stock=0))),
        contents((product("1"), product("2", rooms=("a",)))),
        contents(photos=((0, b"a"), (0, b"b"), (1, b"d"))),
        contents(text_keys=np.zeros(1, np.int8)),
    ],
)
def test_other_content_has_another_id(tmp_path, other):
    assert write_snapshot(tmp_path / "a", contents()) != write_snapshot(tmp_path / "b", other)


@pytest.mark.parametrize("index", [-1, 2])
def test_there_is_no_product_outside_of_the_catalog(tmp_path, index):
    with pytest.raises(IndexError):
        opened(tmp_path).product(index)
