"""A box's correction: it is what was fitted, it stays in the frame, and no file of another form is taken."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fit_boxes
from recognition.errors import ConfigurationError
from recognition.find import boxes as module
from recognition.find.boxes import FEATURES, OUTPUTS, TERMS, BoxEvidence, BoxFit, features
from recognition.find.scene import PhotoPlace

SIZE = (720, 1280)


def evidence_at(left, top, wide, high, *, likeness=0.6, outline=None):
    found = (left, top, left + wide, top + high)
    placed = PhotoPlace(outline=outline or found, extent=found, in_photo=(0.1, 0.2, 0.8, 0.9))
    return BoxEvidence(found, found, likeness, placed, SIZE)


def fit_of(weights):
    zeros, ones = [0.0] * FEATURES, [1.0] * FEATURES
    return BoxFit(backbone="test", fitted_on="nothing", means=zeros, spreads=ones, weights=np.asarray(weights).tolist())


def test_a_fit_finds_the_margin_that_photos_have():
    """Made-up products whose photos reach further than they do, by the same share each time."""
    rng = np.random.default_rng(0)
    samples = []
    for number in range(60):
        left, top, wide, high = rng.uniform((50, 50, 80, 80), (300, 600, 300, 500))
        outline = (left - 0.2 * wide, top - 0.3 * high, left + 1.2 * wide, top + 1.3 * high)
        evidence = evidence_at(left, top, wide * 0.7, high * 0.8, likeness=rng.uniform(0.4, 0.9), outline=outline)
        samples.append(fit_boxes.Sample(str(number), evidence, evidence.found, (left, top, left + wide, top + high)))
    fitted = fit_boxes.fit(samples[:40], backbone="test", fitted_on="nothing")
    for sample in samples[40:]:
        wide, high = sample.truth[2] - sample.truth[0], sample.truth[3] - sample.truth[1]
        off = np.abs(np.array(fitted.box(sample.evidence)) - np.array(sample.truth)) / (wide, high, wide, high)
        assert off.max() < 0.1


boxes = st.tuples(st.floats(-200, 900), st.floats(-200, 1500), st.floats(0, 2000), st.floats(0, 2000))


@given(boxes, boxes, st.floats(-3, 3))
def test_whatever_is_found_the_box_is_in_the_frame(found, outline, weight):
    left, top, wide, high = outline
    evidence = evidence_at(*found, outline=(left, top, left + wide, top + high))
    assert np.isfinite(features(evidence)).all()
    box = fit_of(np.full((TERMS, OUTPUTS), weight)).box(evidence)
    assert 0 <= box[0] <= box[2] <= SIZE[0]
    assert 0 <= box[1] <= box[3] <= SIZE[1]


GOOD = {"means": [0.0] * FEATURES, "spreads": [1.0] * FEATURES, "weights": [[0.0] * OUTPUTS] * TERMS}
BAD = [
    {"weights": []},
    {"weights": [[0.0]] * TERMS},
    {"weights": [[0.0] * OUTPUTS] * (TERMS - 1)},
    {"weights": "none"},
    {"means": [0.0]},
    {"spreads": [0.0] * FEATURES},
]


@pytest.mark.parametrize("change", [{}, *BAD])
def test_a_file_of_another_form_is_refused(tmp_path, monkeypatch, change):
    path = tmp_path / "broken.json"
    path.write_bytes(msgspec.json.encode({"backbone": "broken", "fitted_on": ""} | GOOD | change))
    monkeypatch.setattr(module, "path_of", lambda _backbone: path)
    if not change:
        assert module.load_box_fit("broken") is not None
        return
    with pytest.raises(ConfigurationError, match=r"broken\.json.*fit_boxes"):
        module.load_box_fit("broken")
