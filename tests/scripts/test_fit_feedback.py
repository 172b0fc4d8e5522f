"""From decisions of a shop's staff to samples of a fit."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import fit_calibration
from evaluation.dataset import EvaluationError
from evaluation.feedback import taught, write_untaught_catalog
from livecart.shop.import_export.training import export_training
from livecart.shop.repositories import cards, hosts, negatives, photos, products, reviews, viewer_events
from livecart.shop.repositories.blobs import BlobFolder
from livecart.shop.repositories.viewer_events import ViewerEvent
from recognition.find.fusion import FEATURES, confidences
from tests.card_events import card_event
from tests.scripts.test_fits import PRINT, samples
from tests.shop.catalog_stores import SHOP, open_upgraded, patch
from tests.shop.photo_files import photo

PHOTO_A, PHOTO_B, OLD = photo(1), photo(2), photo(3)
CROPS = {"approved": photo(11), "corrected": photo(12), "rejected": photo(13), "pending": photo(14)}


@pytest.fixture
def exported(tmp_path: Path) -> Iterator[tuple[Path, dict]]:
    """Of a shop with products a and b, whose crops were all taken for a; b is clicked."""
    shop_photos, crops = BlobFolder(tmp_path / "photos"), BlobFolder(tmp_path / "crops")
    with closing(open_upgraded(f"sqlite:///{tmp_path / 'catalog.db'}")) as store:
        with store.write("test") as session:
            hosts.allow(session, SHOP)
            for sku, data in (("a", PHOTO_A), ("b", PHOTO_B)):
                products.create(session, patch(sku, labels=(f"label {sku}",)))
                photos.add(session, shop_photos, sku, data)
                cards.record(session, card_event(card_id=sku, sku=sku))
            negatives.add(session, shop_photos, "a", OLD)
            clicks = [
                ViewerEvent(event_key=f"click{n:04}", kind="click", card_id="b", viewer=f"viewer{n:04}")
                for n in range(30)
            ]
            viewer_events.record(session, clicks)
            for state, crop in CROPS.items():
                entry = reviews.submit(session, crops, crop, reason="wrong_report", room="room-1", sku="a")
                if state != "pending":
                    other = "b" if state == "corrected" else None
                    decided = {"expected_version": 1, "corrected_sku": other}
                    reviews.decide(session, crops, shop_photos, entry.id, state, **decided)
        folder = tmp_path / "training"
        folder.mkdir()
        with store.read() as session:
            done = export_training(session, shop_photos, crops, folder)
        # Again: what is there is brought up to date.
        with store.read() as session:
            assert export_training(session, shop_photos, crops, folder) == done
        yield folder, json.loads((folder / "feedback.json").read_text())


def test_the_export_has_decisions_crops_and_clicks(exported: tuple[Path, dict]) -> None:
    folder, feedback = exported
    said = {(crop["state"], crop["taken_for"], crop["shows"]) for crop in feedback["crops"]}
    assert said == {
        ("approved", "a", "a"),
        ("corrected", "a", "b"),
        ("rejected", "a", None),
        ("pending", "a", None),
    }
    by_state = {crop["state"]: (folder / crop["path"]).read_bytes() for crop in feedback["crops"]}
    assert by_state == CROPS
    counts = {one["sku"]: (one["labels"], one["cards"], one["clicks"]) for one in feedback["products"]}
    assert counts == {"a": (["label a"], 1, 0), "b": (["label b"], 1, 30)}
    assert (folder / "crops").stat().st_mode & 0o077 == 0
    names = {path.name for path in (folder / "crops").iterdir()}
    assert len(names) == 4


def test_crops_are_of_what_was_decided_and_old_negatives_are_not_their_product(exported: tuple[Path, dict]) -> None:
    folder, _ = exported
    found = {picture.data: (picture.sku, picture.is_not) for picture in taught(folder)}
    assert found == {
        CROPS["approved"]: ("a", False),
        CROPS["corrected"]: ("b", False),
        CROPS["rejected"]: ("a", True),
        OLD: ("a", True),
    }
    weights = {picture.sku: picture.weight for picture in taught(folder)}
    # 0 and 30 clicks, 15 of each on average; within 0.5 to 2.
    assert weights == {"a": 0.5, "b": pytest.approx((31 / 16) ** 0.5)}


def test_the_fits_catalog_is_without_what_it_is_asked_about(exported: tuple[Path, dict], tmp_path: Path) -> None:
    folder, _ = exported
    out = write_untaught_catalog(folder, tmp_path / "out")
    entries = json.loads((out / "catalog.json").read_text())["products"]
    held = {entry["sku"]: [(out / name).read_bytes() for name in entry["photos"]] for entry in entries}
    assert held == {"a": [PHOTO_A], "b": [PHOTO_B]}
    assert not any("negatives" in entry for entry in entries)
    whole = json.loads((folder / "catalog" / "catalog.json").read_text())["products"]
    assert {len(entry["photos"]) for entry in whole} == {2}


def test_another_folder_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="is no folder of `livecart catalog export-training`"):
        list(taught(tmp_path))


class _Catalog:
    """Products a and b in rows 0 and 1."""

    has_photos = np.ones(2, dtype=bool)
    snapshot = SimpleNamespace(products=2, product=lambda row: SimpleNamespace(sku="ab"[row]))


def _samples(picture, rows, monkeypatch) -> list[fit_calibration.Sample]:
    region = SimpleNamespace(matches={}, photo={}, box=(0.0, 0.0, 1.0, 1.0))
    monkeypatch.setattr(fit_calibration.ev, "gather", lambda *_: ([0, 1], rows))
    monkeypatch.setattr(fit_calibration, "features", lambda given: given)
    return list(fit_calibration.of_taught(_Catalog(), SimpleNamespace(regions=[region]), picture))


def test_a_crop_is_its_product_among_all_and_a_mistake_is_that_product_against_none(exported, monkeypatch) -> None:
    folder, _ = exported
    pictures = {picture.data: picture for picture in taught(folder)}
    rows = np.arange(2 * len(FEATURES), dtype=np.float32).reshape(2, -1)
    shown = _samples(pictures[CROPS["corrected"]], rows, monkeypatch)[0]
    assert (shown.rows.tolist(), shown.target) == (rows.tolist(), 1)
    assert shown.weights == pytest.approx((1.392, 1.392), abs=0.01)
    [mistake] = _samples(pictures[CROPS["rejected"]], rows, monkeypatch)
    # Whatever else the crop may show is not said to be none.
    assert (mistake.rows.tolist(), mistake.target) == (rows[:1].tolist(), 1)
    assert mistake.weights == (0.5, pytest.approx(0.15))


def test_mistakes_that_were_rejected_lower_the_confidence_of_such_evidence() -> None:
    evidence = np.zeros((1, len(FEATURES)), np.float32)
    evidence[0, PRINT] = 2.0
    mistakes = [fit_calibration.Sample(evidence, 1, (0.5, 0.15))] * 200
    before, after = (
        float(confidences(evidence, fit_calibration.fit(of, left_out=()))[0])
        for of in (samples(), [*samples(), *mistakes])
    )
    assert after < before - 0.1
