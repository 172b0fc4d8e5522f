"""Files that are no sound snapshot are refused: cut short, damaged, forged, or with links that are not allowed."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognition.errors import SnapshotError
from recognition.snapshot.format import DTYPES, LAYOUT, TensorEntry, check_arrays, open_container, snapshot_id
from recognition.snapshot.read import open_snapshot
from tests.snapshot_files import FINGERPRINT, written

HOSTS = ["shop.example.com"]


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
    ("name", "change", "told"),
    [
        ("products_json", lambda text: np.put(text, 0, ord("x")), "a product of 0 to 1 cannot be read"),
        ("products_json", lambda text: np.put(text, -1, ord("x")), "a product of 0 to 1 cannot be read"),
        ("product_offsets", lambda offsets: np.put(offsets, 1, 10_000), "does not divide products_json"),
        ("line_offsets", lambda offsets: np.put(offsets, 0, 1), "does not divide lines_json"),
        ("view_photo", lambda places: np.put(places, -1, 3), "holds places outside of photo_product"),
        ("photo_product", lambda places: np.put(places, 0, 1), "is not in order"),
        ("view_vectors", lambda vectors: np.put(vectors, -1, np.nan), "array view_vectors: holds what is no number"),
        ("local_xy", lambda places: np.put(places, 0, np.inf), "array local_xy: holds what is no number"),
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


def test_links_are_held_against_the_hosts_that_are_allowed(tmp_path):
    path = written(tmp_path)
    assert open_snapshot(path, fingerprint=None, allowed_hosts=HOSTS).products == 2
    told = refusal(path, allowed_hosts=["other.example.com"])
    assert "sku '1': host 'shop.example.com' is not in allowed_hosts" in told
    assert "sku '1'" in refusal(path, allowed_hosts=[])
