"""Fixtures of the recognition tests, and how hypothesis runs in them."""

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from recognition.catalog.loaded import LoadedCatalog
from recognition.classify.labels import LabelMatcher, LabelSet
from recognition.index import photo_index
from recognition.product import CatalogProduct
from recognition.recognizer import Recognizer
from recognition.settings import Settings, parse_settings
from recognition.snapshot.read import Snapshot
from recognition.snapshot.write import SnapshotContents
from tests import stand_ins
from tests.recognition.drawn_catalog import NAMED, two_packages
from tests.recognition.made_galleries import EXACT_VIEWS, large_gallery

# Machines that run tests are often busy: how long one example took says nothing.
hypothesis.settings.register_profile("livecart", deadline=None, max_examples=50)
hypothesis.settings.load_profile("livecart")


@pytest.fixture
def few_exact_views(monkeypatch: pytest.MonkeyPatch) -> None:
    """Codes from 100 views on, so that small catalogs are searched as large ones are."""
    monkeypatch.setattr(photo_index, "EXACT_VIEWS", EXACT_VIEWS)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SnapshotContents, Snapshot]]:
    """The contents of a gallery with codes and print, and the gallery."""
    with large_gallery(tmp_path_factory.mktemp("large")) as made:
        yield made


@pytest.fixture(scope="session")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> LoadedCatalog:
    """Two drawn packages."""
    return two_packages(tmp_path_factory.mktemp("catalog"))


@pytest.fixture(scope="session")
def with_named(tmp_path_factory: pytest.TempPathFactory) -> LoadedCatalog:
    """Two drawn packages, and a product that is known by its name alone."""
    return two_packages(tmp_path_factory.mktemp("catalog"), NAMED)


@pytest.fixture
def settings() -> Settings:
    return parse_settings(stand_ins.model_config())


@pytest.fixture
def labels() -> LabelSet:
    return LabelSet(tuple(stand_ins.COLOURS))


@pytest.fixture
def runtime() -> stand_ins.ColourRuntime:
    return stand_ins.ColourRuntime()


@pytest.fixture
def recognizer(settings: Settings, labels: LabelSet, runtime: stand_ins.ColourRuntime) -> Recognizer:
    return make_recognizer(settings, labels, runtime)


@pytest.fixture
def archive_folder(tmp_path: Path) -> Path:
    return stand_ins.write_archive_folder(tmp_path)


def make_recognizer(settings: Settings, labels: LabelSet, runtime: stand_ins.ColourRuntime) -> Recognizer:
    products = [
        CatalogProduct(sku=label, name=f"{label}杯", url=url, labels=(label,)) for label, url in stand_ins.LINKS.items()
    ]
    return Recognizer(
        name="product_recognizer",
        version="1.0",
        info=stand_ins.INFO,
        settings=settings,
        labels=labels,
        matcher=LabelMatcher(labels, products, settings.thresholds),
        runtime=runtime,
    )
