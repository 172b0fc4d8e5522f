"""Probabilities, the top-k labels, and which products may be shown."""

import numpy as np
import pytest

from contract.reply import Evidence, LabelScore
from recognition.classify.labels import LabelMatcher, LabelSet, softmax, top_labels
from recognition.errors import ConfigurationError
from recognition.product import CatalogProduct
from recognition.settings import Thresholds

LABELS = LabelSet(("杯", "碗", "鹤", "勺", "鹤"))
PROBABILITIES = np.array([0.5, 0.1, 0.05, 0.05, 0.3], dtype=np.float32)


def thresholds(default: float = 0.4, **labels: float) -> Thresholds:
    return Thresholds(default=default, lowest=0.0, highest=1.0, labels=labels)


def product(sku: str, *labels: str, **fields) -> CatalogProduct:
    return CatalogProduct(sku=sku, name=f"商品{sku}", url="https://shop.example.com/" + sku, labels=labels, **fields)


def shown(products, limits=None, *, threshold=None, room=None, probabilities=PROBABILITIES) -> list[str]:
    matcher = LabelMatcher(LABELS, products, limits or thresholds())
    return [found.sku for found in matcher.match(probabilities, threshold=threshold, room=room)]


def test_softmax_is_the_textbooks():
    assert np.allclose(softmax(np.log(np.array([[1, 2, 5]], dtype=np.float32))), [[0.125, 0.25, 0.625]])


def test_top_labels_are_the_most_probable_best_first_and_rounded():
    probabilities = np.array([0.00001, 0.123456, 0.2, 0.6, 0.0], dtype=np.float32)
    assert top_labels(probabilities, LABELS, 3) == [
        LabelScore(3, "勺", 0.6),
        LabelScore(2, "鹤", 0.2),
        LabelScore(1, "碗", 0.1235),
    ]


def test_a_product_is_shown_with_its_labels_confidence_as_the_evidence():
    [found] = LabelMatcher(LABELS, [product("1", "杯", price="9.90", currency="CNY")], thresholds()).match(
        PROBABILITIES, threshold=None, room=None
    )
    assert (found.sku, found.name, found.url) == ("1", "商品1", "https://shop.example.com/1")
    assert found.confidence == 0.5
    assert found.evidence == Evidence(label=0.5)
    assert (found.price, found.currency, found.box) == ("9.90", "CNY", None)


def test_the_best_product_comes_first_and_those_below_the_threshold_not_at_all():
    assert shown([product("1", "碗"), product("2", "鹤"), product("3", "杯")], thresholds(0.2)) == ["3", "2"]


def test_a_label_of_several_classes_counts_by_its_most_probable_one():
    matcher = LabelMatcher(LABELS, [product("1", "鹤")], thresholds(0.01))
    assert matcher.match(PROBABILITIES, threshold=None, room=None)[0].confidence == 0.3


@pytest.mark.parametrize(
    ("own", "labels", "requested", "expected"),
    [
        (None, {}, None, ["1"]),
        (None, {"杯": 0.6}, None, []),
        (0.45, {"杯": 0.6}, None, ["1"]),
        (0.6, {"杯": 0.1}, None, []),
        (0.6, {"杯": 0.6}, 0.3, ["1"]),
        (0.1, {"杯": 0.1}, 0.6, []),
    ],
    ids=["default", "label over default", "own over label", "own over lower label", "request over all", "both ways"],
)
def test_the_requests_threshold_goes_before_the_products_the_labels_and_the_default(own, labels, requested, expected):
    assert shown([product("1", "杯", threshold=own)], thresholds(0.4, **labels), threshold=requested) == expected


def test_each_label_of_a_product_is_held_against_its_own_threshold():
    # The cup alone would not do; the crane alone does, and its confidence is the one that counts.
    matcher = LabelMatcher(LABELS, [product("1", "杯", "鹤")], thresholds(0.4, 杯=0.9, 鹤=0.2))
    [found] = matcher.match(PROBABILITIES, threshold=None, room=None)
    assert found.confidence == 0.3


def test_a_confidence_equal_to_the_threshold_is_enough():
    probabilities = np.array([0.7, 0.3, 0, 0, 0], dtype=np.float32)
    assert shown([product("1", "杯")], thresholds(0.7), probabilities=probabilities) == ["1"]
    assert shown([product("1", "杯")], thresholds(0.9), threshold=0.7, probabilities=probabilities) == ["1"]


def test_a_product_of_another_room_is_not_shown():
    products = [product("1", "杯", rooms=("a",)), product("2", "鹤", rooms=("b",))]
    assert shown(products, thresholds(0.1), room="a") == ["1"]
    assert shown(products, thresholds(0.1), room="c") == []
    assert shown(products, thresholds(0.1), room=None) == ["1", "2"]


def test_products_that_no_label_leads_to_are_told():
    known, unknown, none = product("1", "碗"), product("2", "螺蛳粉"), product("3")
    matcher = LabelMatcher(LABELS, [known, unknown, none], thresholds())
    assert matcher.unreachable == [unknown, none]
    assert [p.sku for p in matcher.match(np.ones(5, np.float32), threshold=None, room=None)] == ["1"]


def test_a_threshold_for_a_label_that_the_model_does_not_have_is_refused_by_name():
    with pytest.raises(ConfigurationError, match=r"thresholds\.labels.*'壶', '盘'"):
        LabelMatcher(LABELS, [], thresholds(0.4, 盘=0.5, 壶=0.5, 杯=0.5))
