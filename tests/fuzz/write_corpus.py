"""Write the snapshots of the corpus, after a change of their format: `python -m tests.fuzz.write_corpus`."""

import dataclasses

import numpy as np

from recognition.catalog.build import index_arrays
from recognition.index.codes import Rows, build_photo_codes
from recognition.keypoints import votes
from recognition.snapshot.write import write_snapshot
from tests.fuzz.targets import CORPUS
from tests.snapshot_files import contents, product


def main() -> None:
    """One with every index, of few dimensions, and one without products."""
    folder = CORPUS / "snapshot"
    photos = [(index // 3, bytes([index])) for index in range(9)]
    products = [
        product("1", words=("荔枝",), labels=("红色",), price="12.90", currency="CNY", stock=0, threshold=0.5),
        product("2", rooms=("9",), brand="好欢螺"),
        product("3", negative_of="2"),
    ]
    given = contents(products, photos)
    rows = Rows(given.photo_digest, np.searchsorted(given.view_photo, np.arange(10)).astype(np.int64))
    codes = build_photo_codes(lambda chosen: given.view_vectors[chosen].astype(np.float32), rows, 8, before=None)
    features = Rows(given.photo_digest, given.local_offsets)
    votes._DIMENSIONS = 8
    keypoints = votes.build_keypoint_codes(given.local_descriptors, features, before=None)
    extra = {**index_arrays(given, None), **codes.arrays(), **keypoints.arrays()}
    write_snapshot(folder / "full.snapshot", dataclasses.replace(given, extra=extra), created_at_s=0.0)
    empty = contents((), ())
    write_snapshot(
        folder / "empty.snapshot", dataclasses.replace(empty, extra=index_arrays(empty, None)), created_at_s=0.0
    )


if __name__ == "__main__":
    main()
