"""What is shown of what was seen: from which confidence, and never what is sold out."""

import pytest

from contract.offers import ProductOffer
from contract.reply import Detection, Evidence
from recognition.find.replies import products_shown, scaled_box
from recognition.find.scene import FrameDetection
from tests.snapshot_files import catalog, contents, product

BOX = (10.0, 20.0, 30.0, 60.0)
EVIDENCE = Evidence(photo=0.9, text=None, label=0.0)


@pytest.fixture
def loaded(tmp_path):
    """0: no threshold of its own, 1: 0.9, 2: 0.3, 3: sold out, 4: some are left, with a price."""
    products = [
        product("plain"),
        product("strict", threshold=0.9),
        product("bold", threshold=0.3),
        product("gone", stock=0),
        product("priced", stock=3, price="12.90", currency="CNY"),
    ]
    return catalog(tmp_path / "catalog.snapshot", contents(products, ()))


def seen(row: int, confidence: float) -> FrameDetection:
    return FrameDetection(row, confidence, BOX, EVIDENCE)


def shown(loaded, detections, *, by_label=(), threshold=None, scale=(1.0, 1.0), offers=None) -> list[Detection]:
    return products_shown(
        loaded, offers or {}, detections, by_label, threshold=threshold, default_threshold=0.7, scale=scale
    )


def skus(loaded, detections, **options) -> list[str]:
    return [found.sku for found in shown(loaded, detections, **options)]


def labelled(sku: str, confidence: float) -> Detection:
    url = f"https://shop.example.com/item/{sku}"
    evidence = Evidence(label=confidence)
    return Detection(sku=sku, name=sku, url=url, confidence=confidence, box=None, evidence=evidence, threshold=0.7)


@pytest.mark.parametrize(
    ("row", "confidence", "threshold", "is_shown"),
    [
        (0, 0.70, None, True),  # the default
        (0, 0.69, None, False),
        (1, 0.89, None, False),  # its own, above the default
        (1, 0.90, None, True),
        (2, 0.31, None, True),  # its own, below the default
        (2, 0.29, None, False),
        (1, 0.50, 0.4, True),  # the request's goes before its own ...
        (2, 0.50, 0.6, False),
        (0, 0.50, 0.4, True),  # ... and before the default
        (0, 0.80, 0.9, False),
    ],
)
def test_the_requests_threshold_counts_before_the_products_and_that_before_the_default(
    loaded, row, confidence, threshold, is_shown
):
    # float32 rounds the 0.9 of the snapshot: the smallest step above it decides nothing that people see.
    assert bool(shown(loaded, [seen(row, confidence + 1e-6)], threshold=threshold)) == is_shown


@pytest.mark.parametrize("threshold", [None, 0.0])
def test_what_is_sold_out_is_never_shown(loaded, threshold):
    assert skus(loaded, [seen(3, 1.0), seen(4, 0.9)], threshold=threshold) == ["priced"]
    assert skus(loaded, [], by_label=[labelled("gone", 1.0)], threshold=threshold) == []


def test_the_best_comes_first_whatever_spoke_for_it(loaded):
    found = skus(loaded, [seen(0, 0.8), seen(4, 0.95)], by_label=[labelled("bold", 0.9)])
    assert found == ["priced", "bold", "plain"]


def test_a_product_that_was_seen_and_labelled_is_shown_once_where_it_was_seen(loaded):
    [found] = shown(loaded, [seen(0, 0.8)], by_label=[labelled("plain", 0.99)])
    assert (found.confidence, found.box) == (0.8, BOX)


def test_a_product_carries_what_the_snapshot_knows_of_it(loaded):
    [found] = shown(loaded, [seen(4, 0.87654321)])
    assert (found.name, found.url) == ("商品priced", "https://shop.example.com/item/priced")
    assert (found.price, found.currency, found.evidence) == ("12.90", "CNY", EVIDENCE)
    assert found.confidence == 0.8765


def test_boxes_are_in_pixels_of_the_image_as_it_was_sent(loaded):
    [found] = shown(loaded, [seen(0, 0.9)], scale=(2.0, 3.0))
    assert found.box == (20.0, 60.0, 60.0, 180.0)
    assert scaled_box((1 / 3, 1.0, 2.0, 2 / 3), (1.0, 1.0)) == (0.3, 1.0, 2.0, 0.7)


def test_price_and_stock_of_the_offers_count_before_those_of_the_snapshot(loaded):
    offers = {
        "plain": ProductOffer("5.00", "EUR", is_sold_out=False),
        "bold": ProductOffer(None, None, is_sold_out=True),
        "gone": ProductOffer("1.00", "CNY", is_sold_out=False),
        "by label": ProductOffer("2.00", "CNY", is_sold_out=False),
        "gone by label": ProductOffer(None, None, is_sold_out=True),
    }
    detections = [seen(row, 0.95) for row in range(5)]
    by_label = [labelled("by label", 0.8), labelled("gone by label", 0.8)]
    found = {
        product.sku: (product.price, product.currency)
        for product in shown(loaded, detections, by_label=by_label, offers=offers)
    }
    assert found == {
        "plain": ("5.00", "EUR"),
        "strict": (None, None),
        "gone": ("1.00", "CNY"),
        "priced": ("12.90", "CNY"),
        "by label": ("2.00", "CNY"),
    }
