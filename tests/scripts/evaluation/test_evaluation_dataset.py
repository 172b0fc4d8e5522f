"""Labelled folders are read strictly, and divided alike on every machine."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.dataset import Dataset, EvaluationError, LabelledProduct, load_dataset, sku_of, split
from tests.scripts.evaluation.drawn import write_dataset


def made(counts: list[int], *, gallery: bool = False) -> Dataset:
    """A dataset that is never read from disk."""
    products = []
    for place, count in enumerate(counts):
        names = [f"{place}/{number}.jpg" for number in range(count)] + ([f"{place}/iconic.jpg"] if gallery else [])
        products.append(LabelledProduct(sku_of(f"product {place}"), f"product {place}", tuple(names)))
    return Dataset(Path("nowhere"), tuple(products))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0/0.png", "line 3: expected 'path<TAB>product name'"),
        ("0/0.png\t红茶\tmore", "line 3: expected"),
        ("0/0.png\t ", "line 3: expected"),
        ("0/9.png\t红茶", "line 3: there is no file"),
        ("../d/0/0.png\t红茶", "line 3: '../d/0/0.png' leads out of the folder"),
        ("/etc/hosts\t红茶", "leads out of the folder"),
        ("0/0.png\t别的", "line 3: '0/0.png' is in line 1 already"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    folder = write_dataset(tmp_path / "d", {"红茶 500ml": 1})
    file = folder / "labels.tsv"
    file.write_text(file.read_text(encoding="utf-8") + "\n" + line + "\n", encoding="utf-8")
    with pytest.raises(EvaluationError) as caught:
        load_dataset(folder)
    assert message in str(caught.value)
    assert str(file) in str(caught.value)


@settings(max_examples=40)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(0, 10), st.integers(0, 1000))
def test_every_photo_is_either_in_the_catalog_or_a_query(counts: list[int], shots: int, seed: int) -> None:
    dataset = made(counts)
    parts = split(dataset, shots=shots, seed=seed)
    shown = [photo for product in parts.catalog for photo in product.photos]
    asked = [query.key for query in parts.queries]
    assert sorted(shown + asked) == sorted(photo for product in dataset.products for photo in product.photos)
    # Products without a query left stay in the catalog, and those with few photos give all they have.
    assert [len(product.photos) for product in parts.catalog] == [min(shots, count) for count in counts]
    fewer = split(dataset, shots=max(0, shots - 1), seed=seed)
    assert {p for product in fewer.catalog for p in product.photos} <= set(shown)


def test_seeds_differ_and_stay_as_they_are() -> None:
    dataset = made([6] * 8)
    splits = [split(dataset, shots=2, seed=seed) for seed in (0, 1, 0)]
    assert splits[0] == splits[2]
    assert splits[0].catalog != splits[1].catalog
    # What other machines and later versions must choose as well: figures are compared across them.
    assert [product.photos for product in splits[0].catalog[:2]] == [("0/0.jpg", "0/2.jpg"), ("1/4.jpg", "1/0.jpg")]


def test_a_gallery_is_the_catalog_and_never_asked() -> None:
    dataset = made([2, 3], gallery=True)
    parts = split(dataset, shots=1, seed=0, gallery="iconic.jpg")
    assert [product.photos for product in parts.catalog] == [("0/iconic.jpg",), ("1/iconic.jpg",)]
    names_alone = split(dataset, shots=0, seed=0, gallery="iconic.jpg")
    assert [product.photos for product in names_alone.catalog] == [(), ()]
    assert names_alone.queries == parts.queries
    assert len(parts.queries) == 5
    with pytest.raises(EvaluationError, match=r"no photo is named 'x\.jpg'"):
        split(dataset, shots=1, seed=0, gallery="x.jpg")
