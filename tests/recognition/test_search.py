"""Local features are made beside the network, and those of a batch that failed are not waited for."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from recognition import prints
from recognition.finder import Finder
from tests.recognition.drawn_catalog import RED, RED_SHOWN, look, skus, two_packages
from tests.recognition.drawn_packages import WEIGHTS, PackageRuntime, frame, shown_in


@pytest.fixture(scope="module")
def catalog(tmp_path_factory):
    return two_packages(tmp_path_factory.mktemp("catalog"))


def test_local_features_are_made_while_the_network_runs(catalog, monkeypatch):
    begun, extract = threading.Event(), prints.extract
    had_begun = []

    def extracting(rgb, *, count):
        begun.set()
        return extract(rgb, count=count)

    class Waiting(PackageRuntime):
        def features(self, images):
            had_begun.append(begun.wait(10))
            return super().features(images)

    monkeypatch.setattr(prints, "extract", extracting)
    picture, _ = shown_in(frame(), RED, **RED_SHOWN)
    [found] = Finder(Waiting(), None, WEIGHTS).find(catalog, [look(catalog, picture)]).found
    assert skus(catalog, found) == ["red"]
    assert had_begun[0]


def test_after_a_batch_that_failed_the_next_one_does_not_wait_for_its_local_features(catalog, monkeypatch):
    begun, goes_on, extracted = threading.Event(), threading.Event(), []

    def extracting(rgb, *, count):
        extracted.append(rgb)
        begun.set()
        assert goes_on.wait(10)
        return prints.LocalFeatures(np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32))

    class Failing(PackageRuntime):
        def features(self, images):
            assert begun.wait(10)
            raise RuntimeError("no network")

    monkeypatch.setattr(prints, "extract", extracting)
    finder = Finder(Failing(), None, WEIGHTS)
    with pytest.raises(RuntimeError, match="no network"):
        finder.find(catalog, [look(catalog, frame(seed=seed)) for seed in range(4)])
    goes_on.set()
    finder._search._beside.submit(int).result(10)
    assert len(extracted) == 1
