"""When local features are made: beside the network, not where nothing stands out, not for a batch that failed."""

import threading
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from PIL import ImageFilter

from recognition.find import match
from recognition.find.detector import Detector
from recognition.find.profiles import PROFILES
from recognition.index.vectors import Background, VectorSpace
from tests.recognition.drawn_catalog import RED, RED_SHOWN, query, skus
from tests.recognition.drawn_packages import WEIGHTS, PackageRuntime, frame, shown_in


@pytest.fixture
def always_closer(monkeypatch):
    """No region was seen well enough in the whole frame."""
    monkeypatch.setattr(match, "_SURE_POINTS", 10_000)


@pytest.mark.usefixtures("always_closer")
def test_local_features_of_regions_are_made_while_the_network_runs(catalog, monkeypatch):
    begun, extract = threading.Event(), match.extract
    extracted, had_begun = [], []

    def extracting(rgb, *, count):
        extracted.append(rgb)
        if len(extracted) == 2:
            begun.set()
        return extract(rgb, count=count)

    class Waiting(PackageRuntime):
        def features(self, images):
            had_begun.append(not had_begun or begun.wait(10))
            return super().features(images)

    monkeypatch.setattr(match, "extract", extracting)
    picture, _ = shown_in(frame(), RED, **RED_SHOWN)
    [found] = Detector(Waiting(), None, WEIGHTS).find(catalog, [query(catalog, picture)]).frames
    assert skus(catalog, found) == ["red"]
    assert all(had_begun)


@pytest.mark.usefixtures("always_closer")
def test_after_a_batch_that_failed_the_next_one_does_not_wait_for_its_local_features(catalog, monkeypatch):
    frames = [frame(seed=seed) for seed in range(4)]
    begun, goes_on, extracted = threading.Event(), threading.Event(), []

    def extracting(rgb, *, count):
        extracted.append(rgb)
        if len(extracted) > len(frames):
            begun.set()
            assert goes_on.wait(10)
        return match.LocalFeatures(np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32))

    class Failing(PackageRuntime):
        def features(self, images):
            if len(extracted) < len(frames):
                return super().features(images)
            assert begun.wait(10)
            raise RuntimeError("no network")

    monkeypatch.setattr(match, "extract", extracting)
    detector = Detector(Failing(), None, WEIGHTS)
    with pytest.raises(RuntimeError, match="no network"):
        detector.find(catalog, [query(catalog, each) for each in frames])
    goes_on.set()
    detector._search._beside.submit(int).result(10)
    # The whole frames, and the first region of one.
    assert len(extracted) == len(frames) + 1


def test_a_frame_in_which_nothing_stands_out_costs_the_dense_pass_alone(catalog, monkeypatch):
    def none(*_, **__):
        raise AssertionError("local features were made")

    monkeypatch.setattr(match, "extract", none)
    dimensions = catalog.snapshot.view_vectors.shape[1]
    alike = Background(np.ones(dimensions, np.float32), np.zeros((dimensions, 1), np.float32), rest=1.0)
    runtime, space = PackageRuntime(), VectorSpace("fitted", windows=alike, crops=alike)
    [found] = Detector(runtime, None, WEIGHTS, space).find(catalog, [query(catalog, frame())]).frames
    assert (found.detections, len(runtime.feature_batches)) == ([], 1)


def test_what_the_roi_showed_counts_where_nothing_else_stands_out(catalog):
    dimensions = catalog.snapshot.view_vectors.shape[1]
    alike = Background(np.ones(dimensions, np.float32), np.zeros((dimensions, 1), np.float32), rest=1.0)
    weights = msgspec.structs.replace(WEIGHTS, none=8.0)
    picture, box = shown_in(frame(), RED.filter(ImageFilter.GaussianBlur(2.5)), **RED_SHOWN)
    asked = query(catalog, picture)
    detector = Detector(PackageRuntime(), None, weights, VectorSpace("fitted", windows=alike))
    in_roi, everywhere = (detector.find(catalog, [each]).frames[0] for each in (replace(asked, roi=box), asked))
    assert [seen.product for seen in in_roi.detections[:1]] == [0]
    assert 0.5 <= in_roi.detections[0].confidence < 0.95
    assert everywhere.detections == []


@pytest.mark.parametrize(("profile", "dense_alone"), [("fast", True), ("balanced", True), ("sure", False)])
def test_a_profile_says_how_far_a_window_must_stand_out(catalog, profile, dense_alone):
    dimensions = catalog.snapshot.view_vectors.shape[1]
    # Every similarity of 1, the highest, stands out by 2 deviations.
    alike = Background(np.zeros(dimensions, np.float32), np.zeros((dimensions, 1), np.float32), rest=0.25)
    runtime, space = PackageRuntime(), VectorSpace("fitted", windows=alike, crops=alike)
    picture, _ = shown_in(frame(), RED, **RED_SHOWN)
    Detector(runtime, None, WEIGHTS, space, profile=PROFILES[profile]).find(catalog, [query(catalog, picture)])
    assert (len(runtime.feature_batches) == 1) == dense_alone
