"""A recogniser with a catalog: replies name its products and texts, and a frame that fails costs no other its own."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from recognition.classify.labels import LabelMatcher, LabelSet
from recognition.errors import InternalError
from recognition.find import match
from recognition.find.detector import Detector
from recognition.find.views import intersection_over_union
from recognition.recognizer import Recognizer
from recognition.request.forms import Options, Request
from recognition.settings import parse_settings
from tests.recognition.drawn_catalog import BLUE, RED, RED_SHOWN
from tests.recognition.drawn_packages import INFO, WEIGHTS, PackageRuntime, ScriptedReader, frame, shown_in
from tests.stand_ins import COLOURS, encoded, model_config


def recognizer(catalog, runtime: PackageRuntime, reader: ScriptedReader | None = None) -> Recognizer:
    settings, labels = parse_settings(model_config()), LabelSet(tuple(COLOURS))
    made = Recognizer(
        name="p",
        version="1.0",
        info=INFO,
        settings=settings,
        labels=labels,
        matcher=LabelMatcher(labels, [], settings.thresholds),
        runtime=runtime,
        detector=Detector(runtime, reader, WEIGHTS),
    )
    made.use_catalog(catalog)
    return made


def request(picture: Image.Image, **options) -> Request:
    return Request(
        encoded(picture), Options(**{"room": None, "top_k": 1, "threshold": None, "text": "never", **options})
    )


def test_a_reply_names_the_product_with_its_box_in_pixels_of_the_image(catalog):
    picture, box = shown_in(frame(), RED, **RED_SHOWN)
    large = picture.resize((1500, 2000))
    [answer] = recognizer(catalog, PackageRuntime()).recognize([request(large)]).replies
    assert answer.model.catalog == catalog.snapshot.id
    assert [found.sku for found in answer.products] == ["red"]
    expected = np.array([[side * 2.5 for side in box]])
    assert intersection_over_union(np.array(answer.products[0].box), expected)[0] > 0.4
    assert answer.timing_ms.keypoints > 0


def test_only_who_asks_for_labels_has_the_image_classified_where_no_product_has_one(catalog):
    picture, _ = shown_in(frame(), RED, **RED_SHOWN)
    runtime = PackageRuntime()
    without, with_labels = recognizer(catalog, runtime).recognize([request(picture, top_k=0), request(picture)]).replies
    assert runtime.batch_sizes == [1]
    assert (without.labels, len(with_labels.labels)) == ([], 1)
    assert without.products == with_labels.products


def test_a_mirrored_images_reply_says_so_with_boxes_in_the_image_as_it_came(with_named):
    picture, (left, top, right, bottom) = shown_in(frame(), RED, **RED_SHOWN)
    asked = [request(ImageOps.mirror(picture).resize((1500, 2000)), text="always"), request(frame(), mirror=True)]
    answer, nothing = recognizer(with_named, PackageRuntime(), ScriptedReader("珍珍")).recognize(asked).replies
    [red] = [found for found in answer.products if found.sku == "red"]
    expected = np.array([[side * 2.5 for side in (600 - right, top, 600 - left, bottom)]])
    assert intersection_over_union(np.array(red.box), expected)[0] > 0.4
    assert (answer.mirrored, nothing.mirrored) == (True, None)


def test_a_frame_that_fails_costs_its_neighbours_nothing(catalog, caplog):
    red, blue = (shown_in(frame(), held, **RED_SHOWN)[0] for held in (RED, BLUE))
    bad = Image.new("RGB", (600, 800), PackageRuntime.fails_on)
    replies = recognizer(catalog, PackageRuntime()).recognize([request(red), request(bad), request(blue)]).replies
    assert isinstance(replies[1], InternalError)
    assert "nobody foresaw" not in replies[1].message
    assert "nobody foresaw" in caplog.text
    assert [[found.sku for found in replies[row].products] for row in (0, 2)] == [["red"], ["blue"]]


def test_local_features_that_fail_in_one_frame_cost_its_neighbours_nothing(catalog, caplog, monkeypatch):
    extract = match.extract

    def fails_in_the_dark(rgb, *, count):
        if rgb.mean() < 5:
            raise RuntimeError("a print that nobody foresaw")
        return extract(rgb, count=count)

    monkeypatch.setattr(match, "extract", fails_in_the_dark)
    red, blue = (shown_in(frame(), held, **RED_SHOWN)[0] for held in (RED, BLUE))
    dark = Image.new("RGB", (600, 800), "black")
    replies = recognizer(catalog, PackageRuntime()).recognize([request(red), request(dark), request(blue)]).replies
    assert isinstance(replies[1], InternalError)
    assert "nobody foresaw" in caplog.text
    assert [[found.sku for found in replies[row].products] for row in (0, 2)] == [["red"], ["blue"]]


def test_texts_of_a_reply_are_counted_and_in_pixels_of_the_image(with_named):
    made = recognizer(with_named, PackageRuntime(), ScriptedReader("珍珍荔枝味汽水"))
    result = made.recognize([request(frame().resize((1500, 2000)), text="auto"), request(frame(), text="never")])
    assert result.texts_read == 1
    [line] = result.replies[0].texts
    assert line.box == pytest.approx((600.0, 900.0, 900.0, 1100.0), abs=2)
    assert result.replies[1].texts == []
    assert [found.sku for found in result.replies[0].products] == ["named"]
