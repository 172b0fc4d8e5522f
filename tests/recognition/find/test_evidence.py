"""What is read in a region against what a product's photos and name have."""

import numpy as np
import pytest

from recognition.find import evidence as ev
from recognition.find.scene import Likeness, Region, Scene
from recognition.text.ocr import ReadLine
from tests.recognition.drawn_catalog import RED, two_packages
from tests.snapshot_files import product

BOX = (10.0, 10.0, 90.0, 30.0)
#: Is in the catalog by its name alone, and brings the lexicon's words into it.
APPLE = product("apple", words=("苹果汁",))


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    return two_packages(tmp_path_factory.mktemp("catalog"), APPLE)


def foreign(catalog, *lines: tuple[str, float], photo: dict[int, Likeness] | None = None) -> dict[str, float]:
    read = [ReadLine(text, confidence, BOX) for text, confidence in lines]
    region = Region((0.0, 0.0, 100.0, 100.0), photo=photo or {}, lines=read)
    scene = Scene(RED, catalog.snapshot.room_mask(None), regions=[region])
    labels = np.ones(catalog.snapshot.products, np.float32)
    products, evidence = ev.gather(catalog, scene, region, labels)
    return {
        catalog.snapshot.product(row).sku: float(count) for row, count in zip(products, evidence.foreign, strict=True)
    }


def test_words_of_another_flavour_contradict_those_that_have_them_in_no_language(catalog):
    assert foreign(catalog, ("APPLE JUICE", 0.95)) == {"red": 2.0, "blue": 2.0, "apple": 0.0}


def test_what_a_neighbour_bears_does_not_contradict(catalog):
    beside, around = (Likeness(9.0, 0.8, box) for box in ((0.0, 50.0, 100.0, 100.0), (0.0, 0.0, 100.0, 50.0)))
    counts = foreign(catalog, ("APPLE JUICE", 0.95), photo={0: beside, 1: around})
    assert counts == {"red": 0.0, "blue": 2.0, "apple": 0.0}


def test_what_is_read_with_doubt_or_is_in_no_lexicon_contradicts_nothing(catalog):
    nothing = {"red": 0.0, "blue": 0.0, "apple": 0.0}
    assert foreign(catalog, ("apple juice", 0.6)) == nothing
    assert foreign(catalog, ("qwzxk", 0.99)) == nothing
    assert foreign(catalog, ("app1e ju1ce", 0.99)) == nothing
