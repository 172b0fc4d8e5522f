"""A snapshot comes back as it was written, and anything else in its place is refused."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
import safetensors
from hypothesis import given, settings
from hypothesis import strategies as st

from recognition.errors import SnapshotError
from recognition.snapshot import Snapshot, open_snapshot
from recognition.snapshot_format import DTYPES, LAYOUT, TensorEntry, check_arrays, open_container, snapshot_id
from recognition.snapshot_write import write_snapshot
from tests.snapshot_files import FINGERPRINT, contents, features_of, product

HOSTS = ["shop.example.com"]
ROOMS = (
    product("1"),
    product("2", rooms=("b",)),
    product("3", rooms=("a", "b", "a")),
    product("4", rooms=()),
)


def written(folder: Path, *args: object, **kwargs: object) -> Path:
    path = folder / "catalog.snapshot"
    write_snapshot(path, contents(*args, **kwargs))
    return path


def opened(folder: Path, *args: object, **kwargs: object) -> Snapshot:
    return open_snapshot(written(folder, *args, **kwargs), fingerprint=FINGERPRINT)


def refusal(path: Path, **options: object) -> str:
    with pytest.raises(SnapshotError) as caught:
        open_snapshot(path, **{"fingerprint": FINGERPRINT, **options})
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A path to write to, and the bytes of a sound snapshot."""
    path = written(tmp_path_factory.mktemp("sound"))
    return path, path.read_bytes()


def forged(path: Path, name: str, change: Callable[[np.ndarray], object]) -> Path:
    """The file with other values in one array and a checksum that fits them."""
    data = bytearray(path.read_bytes())
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    metadata = header.pop("__metadata__")
    table = {key: msgspec.convert(entry, TensorEntry) for key, entry in header.items()}
    first, last = table[name].data_offsets
    change(np.frombuffer(memoryview(data)[end + first : end + last], DTYPES[table[name].dtype]))
    metadata["sha256"] = hashlib.sha256(data[end:]).hexdigest()
    metadata["id"] = snapshot_id(metadata["fingerprint"], json.loads(metadata["rooms"]), table, metadata["sha256"])
    path.write_bytes(data)
    return with_header(path, lambda header: header["__metadata__"].update(metadata))


def with_header(path: Path, change: Callable[[dict], object]) -> Path:
    """The file with another header over the same arrays."""
    data = path.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[end:])
    return path


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


@settings(max_examples=30)
@given(stocks=st.lists(st.none() | st.integers(0, 5), max_size=6), seed=st.integers(0, 10**6))
def test_any_catalog_comes_back(tmp_path_factory, stocks, seed):
    products = [product(str(index), stock=stock) for index, stock in enumerate(stocks)]
    photos = [(index, f"{seed}-{index}-{n}".encode()) for index in range(len(stocks)) for n in range(seed % 3)]
    snapshot = opened(tmp_path_factory.getbasetemp(), products, photos)
    assert [snapshot.product(index) for index in range(snapshot.products)] == products
    assert snapshot.stock_state.tolist() == [int(stock != 0) for stock in stocks]
    assert [snapshot.lines(place) for place in range(snapshot.photos)] == [
        features_of(image).lines for _, image in photos
    ]


def test_an_empty_catalog_is_a_snapshot(tmp_path):
    snapshot = opened(tmp_path, (), ())
    assert (snapshot.products, snapshot.photos, len(snapshot.view_vectors)) == (0, 0, 0)
    assert snapshot.room_mask("a").shape == (0,)


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


def test_arrays_lie_where_their_types_want_them(tmp_path):
    _, arrays = open_container(written(tmp_path, ann_x=np.zeros(3, np.float64)), fingerprint=None)
    assert all(array.flags.aligned for array in arrays.values())


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


def test_photo_paths_are_not_part_of_it(tmp_path):
    snapshot = opened(tmp_path, (product("1", photos=("photos/1.jpg",)), product("2")))
    assert snapshot.product(0).photos == ()


@pytest.mark.parametrize("index", [-1, 2])
def test_there_is_no_product_outside_of_the_catalog(tmp_path, index):
    with pytest.raises(IndexError):
        opened(tmp_path).product(index)


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


@given(data=st.data())
def test_a_file_cut_short_anywhere_is_refused(sound, data):
    path, whole = sound
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    assert any(told in refusal(path) for told in ("cut short", "is empty", "no snapshot"))


@given(data=st.data())
def test_a_flipped_bit_anywhere_is_refused(sound, data):
    path, whole = sound
    # The time is the one thing that nothing is derived from.
    time = whole.index(b'"created_at_s":"') + 16
    position = data.draw(st.integers(0, len(whole) - 1).filter(lambda at: not time <= at < time + 14))
    flipped = bytearray(whole)
    flipped[position] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(flipped)
    refusal(path)


def test_the_reason_is_told(tmp_path):
    path = written(tmp_path)
    whole = path.read_bytes()
    assert "made with another model (tiny@1), this one is other" in refusal(path, fingerprint="other")
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert "damaged: its checksum" in refusal(path)
    path.write_bytes(whole[:-1])
    assert f"cut short: {len(whole) - 1} bytes, {len(whole)} expected" in refusal(path)
    path.write_bytes(whole + b"x")
    assert "too long" in refusal(path)
    path.write_bytes(b"")
    assert "the file is empty" in refusal(path)
    path.write_bytes(b"<!doctype html><title>404</title>")
    assert "no snapshot" in refusal(path)
    path.unlink()
    assert "No such file" in refusal(path)
    path.mkdir()
    assert "Is a directory" in refusal(path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda header: header["__metadata__"].update(schema="2"), "schema 2, this version reads schema 1"),
        (lambda header: header["__metadata__"].update(kind="weights"), "no catalog snapshot"),
        (lambda header: header.pop("__metadata__"), "no catalog snapshot"),
        (lambda header: header["__metadata__"].update(rooms='["b"]'), "its id is not that of its content"),
        (lambda header: header["__metadata__"].update(rooms="{"), "the header is damaged"),
        (lambda header: header["__metadata__"].update(created_at_s="now"), "the header is damaged"),
        (lambda header: header["__metadata__"].update(more="1"), "the header is damaged"),
        (lambda header: header["__metadata__"].pop("id"), "the header is damaged"),
        (lambda header: header["photo_digest"].update(shape=[2, 48]), "its id is not that of its content"),
        (lambda header: header["photo_digest"].update(dtype="I8"), "its id is not that of its content"),
        (lambda header: header["photo_digest"].update(dtype="BF16"), "is not known"),
        (lambda header: header["photo_digest"].update(shape=[-3, -32]), "is not known"),
        (lambda header: header["photo_digest"].update(shape=[2**63, 2**63]), "does not follow from its shape"),
        (lambda header: header["photo_digest"].update(data_offsets=[0, 96]), "does not follow from its shape"),
        (lambda header: header["photo_digest"].update(colour=1), "its header cannot be read"),
        (lambda header: header.pop("lines_json"), "does not follow from its shape"),
    ],
)
def test_a_forged_header_is_refused(tmp_path, change, told):
    assert told in refusal(with_header(written(tmp_path), change))


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


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("products_json", lambda text: np.put(text, 0, ord("x")), "a product of 0 to 1 cannot be read"),
        ("products_json", lambda text: np.put(text, -1, ord("x")), "a product of 0 to 1 cannot be read"),
        ("product_offsets", lambda offsets: np.put(offsets, 1, 10_000), "does not divide products_json"),
        ("line_offsets", lambda offsets: np.put(offsets, 0, 1), "does not divide lines_json"),
        ("view_photo", lambda places: np.put(places, -1, 3), "holds places outside of photo_product"),
        ("photo_product", lambda places: np.put(places, 0, 1), "is not in order"),
    ],
)
def test_a_checksum_that_fits_does_not_make_wrong_arrays_right(tmp_path, name, change, told):
    assert told in refusal(forged(written(tmp_path), name, change))


@pytest.mark.parametrize("name", LAYOUT)
def test_every_array_must_be_there(tmp_path, name):
    metadata, arrays = open_container(written(tmp_path), fingerprint=None)
    del arrays[name]
    with pytest.raises(SnapshotError, match=f"no array {name}"):
        check_arrays(arrays, json.loads(metadata.rooms))


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


def test_extra_arrays_keep_shape_and_order(tmp_path):
    columns_first = np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3))
    snapshot = opened(tmp_path, text_a=columns_first, text_b=np.array(7.5), text_c=columns_first[:, ::2])
    assert snapshot.extra["text_a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert snapshot.extra["text_b"].shape == ()
    assert snapshot.extra["text_c"].tolist() == [[0, 2], [3, 5]]


def test_links_are_held_against_the_hosts_that_are_allowed(tmp_path):
    path = written(tmp_path)
    assert open_snapshot(path, fingerprint=None, allowed_hosts=HOSTS).products == 2
    told = refusal(path, allowed_hosts=["other.example.com"])
    assert "sku '1': host 'shop.example.com' is not in allowed_hosts" in told
    assert "sku '1'" in refusal(path, allowed_hosts=[])
