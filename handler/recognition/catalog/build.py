"""From a catalog to what its snapshot holds; photos that the previous snapshot knows are not embedded again."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from recognition.catalog.embedding import PhotoFeatures
from recognition.catalog.journal import Journal
from recognition.catalog.loaded import NAMES_PREFIX, PACKAGING_PREFIX
from recognition.errors import RecognitionError
from recognition.index import photo_index
from recognition.index.codes import PhotoCodes, Rows, build_photo_codes, use_threads
from recognition.index.photo_index import HalfVectors
from recognition.keypoints import votes
from recognition.keypoints.votes import KeypointCodes
from recognition.product import CatalogProduct
from recognition.snapshot.catalog_folder import Catalog
from recognition.snapshot.format import CELLS, DESCRIPTOR_BYTES, DIGEST_BYTES
from recognition.snapshot.read import Snapshot
from recognition.snapshot.write import SnapshotContents
from recognition.text.index import build_index, name_document, packaging_document
from recognition.text.lexicon import load_lexicon

ExtraArrays = Callable[[SnapshotContents], Mapping[str, NDArray[Any]]]
#: Called with photos done and photos in all, once before the first and after each one.
Progress = Callable[[int, int], None]
T = TypeVar("T")


class Embedder(Protocol):
    """Turns the bytes of a photo file into features.

    ``fingerprint`` identifies the weights and the recipe: features of equal fingerprints may be compared.
    ``dimensions`` is D of the vectors. Up to ``at_once`` threads may embed at the same time.
    """

    fingerprint: str
    dimensions: int
    at_once: int

    def embed(self, image: bytes) -> PhotoFeatures:
        """Features of one photo.

        Raises:
            RecognitionError: the bytes are not a photo that can be decoded.
        """
        ...


@dataclass(frozen=True)
class BadPhoto:
    """A photo that the snapshot goes without."""

    sku: str
    path: str
    reason: str


@dataclass(frozen=True)
class BuildReport:
    """Counts of one build. ``photos`` are in the snapshot: ``embedded`` now or ``reused``, a repeated one once each."""

    products: int
    photos: int
    embedded: int
    reused: int
    bad: tuple[BadPhoto, ...]


def build_snapshot(
    catalog: Catalog,
    embedder: Embedder,
    *,
    folder: Path,
    previous: Snapshot | None = None,
    journal: Journal | None = None,
    extra: ExtraArrays = lambda contents: {},
    progress: Progress = lambda done, total: None,
) -> tuple[SnapshotContents, BuildReport]:
    """Embeds a catalog's photos for ``write_snapshot``; ``extra`` makes arrays to add, from all the rest.

    A photo that cannot be read or decoded is left out and reported. One that stands twice in a product counts once.
    Negatives are embedded as photos are, and counted with them. What ``journal`` has is not embedded again, and what is
    embedded goes into it.
    """
    listed = with_negative_rows(catalog)
    wanted = [(index, path) for index, product in enumerate(listed.products) for path in product.photos]
    photos: dict[tuple[int, bytes], PhotoFeatures] = {}
    bad = []
    progress(0, len(wanted))
    with ThreadPoolExecutor(embedder.at_once) as threads:
        features = _Features(embedder, previous, journal, threads)
        begun = (features.of(folder / path) for _, path in wanted)
        ready = _with_some_ahead(begun, 2 * embedder.at_once)
        for done, ((product, path), photo) in enumerate(zip(wanted, ready, strict=True), 1):
            try:
                digest, each = photo.result()
                photos[product, digest] = each
            except (RecognitionError, OSError) as error:
                owner = listed.products[product]
                bad.append(BadPhoto(owner.negative_of or owner.sku, path, str(error)))
            progress(done, len(wanted))
    kept, moved = without_empty_negative_rows(listed, photos)
    photos = {(moved[product], digest): each for (product, digest), each in photos.items()}
    contents = _contents(kept.products, photos, fingerprint=embedder.fingerprint, dimensions=embedder.dimensions)
    report = BuildReport(
        products=len(catalog.products),
        photos=len(photos),
        embedded=features.embedded,
        reused=len(photos) - features.embedded,
        bad=tuple(bad),
    )
    return replace(contents, extra=extra(contents)), report


_Photo = Future[tuple[bytes, PhotoFeatures]]


def _with_some_ahead(begun: Iterable[T], count: int) -> Iterator[T]:
    """All of ``begun`` in order, each when up to ``count`` behind it have been begun as well."""
    ahead: deque[T] = deque()
    for each in begun:
        ahead.append(each)
        if len(ahead) > count:
            yield ahead.popleft()
    yield from ahead


class _Features:
    """Digests (SHA-256) and features of photos' files: of the previous snapshot, or embedded once, in ``threads``."""

    def __init__(
        self, embedder: Embedder, previous: Snapshot | None, journal: Journal | None, threads: ThreadPoolExecutor
    ) -> None:
        self._embedder = embedder
        self._journal = journal
        self._threads = threads
        self._known: dict[bytes, _Photo] = {}
        self._previous = previous
        self._place: dict[bytes, int] = {}
        if previous is not None and previous.fingerprint == embedder.fingerprint:
            self._place = {digest.tobytes(): photo for photo, digest in enumerate(previous.photo_digest)}
        self._embedded: set[bytes] = set()

    def of(self, path: Path) -> _Photo:
        """Begins with the photo at ``path``."""
        try:
            image = path.read_bytes()
        except OSError as error:
            missing: _Photo = Future()
            missing.set_exception(error)
            return missing
        digest = hashlib.sha256(image).digest()
        if digest not in self._known:
            self._known[digest] = self._threads.submit(self._features, image, digest)
        return self._known[digest]

    def _features(self, image: bytes, digest: bytes) -> tuple[bytes, PhotoFeatures]:
        kept = None if self._journal is None else self._journal.get(digest)
        return digest, self._reused(digest) or kept or self._embed(image, digest)

    def _embed(self, image: bytes, digest: bytes) -> PhotoFeatures:
        features = self._embedder.embed(image)
        if features.vectors.shape[1] != self._embedder.dimensions:
            raise ValueError(f"vectors of {features.vectors.shape[1]} dimensions from {self._embedder.fingerprint}")
        self._embedded.add(digest)
        if self._journal is not None:
            self._journal.add(digest, features)
        return features

    @property
    def embedded(self) -> int:
        return len(self._embedded)

    def _reused(self, digest: bytes) -> PhotoFeatures | None:
        place, previous = self._place.get(digest), self._previous
        if place is None or previous is None:
            return None
        first, end = np.searchsorted(previous.view_photo, [place, place + 1])
        local = slice(previous.local_offsets[place], previous.local_offsets[place + 1])
        return PhotoFeatures(
            vectors=previous.view_vectors[first:end],
            cells=previous.photo_cells[place],
            local_xy=previous.local_xy[local],
            local_descriptors=previous.local_descriptors[local],
            lines=previous.lines(place),
        )


def _contents(
    products: tuple[CatalogProduct, ...],
    photos: Mapping[tuple[int, bytes], PhotoFeatures],
    *,
    fingerprint: str,
    dimensions: int,
) -> SnapshotContents:
    """``photos`` by product and digest, in the order of the products."""
    features = list(photos.values())
    digests = b"".join(digest for _, digest in photos)
    views = [len(photo.vectors) for photo in features]
    return SnapshotContents(
        fingerprint=fingerprint,
        products=products,
        photo_product=np.array([product for product, _ in photos], dtype=np.int32),
        photo_digest=np.frombuffer(digests, dtype=np.uint8).reshape(-1, DIGEST_BYTES),
        photo_cells=np.stack([np.zeros((CELLS, CELLS, 3), np.uint8), *(photo.cells for photo in features)])[1:],
        view_photo=np.repeat(np.arange(len(features), dtype=np.int32), views),
        view_vectors=_stacked([photo.vectors for photo in features], dimensions, np.float16),
        local_offsets=np.cumsum([0, *(len(photo.local_xy) for photo in features)], dtype=np.int64),
        local_xy=_stacked([photo.local_xy for photo in features], 2, np.float16),
        local_descriptors=_stacked([photo.local_descriptors for photo in features], DESCRIPTOR_BYTES, np.uint8),
        lines=tuple(photo.lines for photo in features),
    )


def _stacked(parts: Sequence[NDArray[Any]], columns: int, dtype: type[np.generic]) -> NDArray[Any]:
    return np.concatenate([np.zeros((0, columns), dtype), *parts])


def with_negative_rows(catalog: Catalog) -> Catalog:
    """Adds a row behind all products for each product with negative examples, which holds them as its photos.

    An archive of before negatives takes it for a product that is sold out: known, and never shown.
    """
    negative_rows = tuple(_negative_row_of(product) for product in catalog.products if product.negatives)
    return replace(catalog, products=catalog.products + negative_rows) if negative_rows else catalog


def without_empty_negative_rows(
    catalog: Catalog, photos: Mapping[tuple[int, T], object]
) -> tuple[Catalog, dict[int, int]]:
    """Leaves out negative rows none of whose ``photos``, by row and digest, could be read; returns where rows went."""
    seen = {row for row, _ in photos}
    kept = [row for row, product in enumerate(catalog.products) if product.negative_of is None or row in seen]
    moved = {row: place for place, row in enumerate(kept)}
    return replace(catalog, products=tuple(catalog.products[row] for row in kept)), moved


def _negative_row_of(product: CatalogProduct) -> CatalogProduct:
    """No words, so that nothing read speaks for it but what is read on its photos."""
    return CatalogProduct(
        sku=f"not {product.sku}",
        name="",
        url=product.url,
        stock=0,
        rooms=product.rooms,
        photos=product.negatives,
        negative_of=product.sku,
    )


def build_indexes(contents: SnapshotContents, previous: Snapshot | None) -> dict[str, NDArray[Any]]:
    """Arrays for ``SnapshotContents.extra`` that ``PhotoIndex`` and ``KeypointIndex`` open.

    What ``previous`` has of the same photos is taken over, and its tables are fitted again only when the catalog has
    grown or shrunk by a factor of two since they were.
    """
    use_threads(1)
    if previous is not None and previous.fingerprint != contents.fingerprint:
        previous = None
    arrays: dict[str, NDArray[Any]] = {}
    views, dimensions = contents.view_vectors.shape
    if views > photo_index.EXACT_VIEWS and dimensions >= 4:
        before = None if previous is None else _photo_codes(previous)
        rows = Rows(contents.photo_digest, _row_offsets(contents.view_photo, len(contents.photo_digest)))
        fetch = HalfVectors(contents.view_vectors)
        arrays |= build_photo_codes(fetch, rows, dimensions, before=before).arrays()
    features = len(contents.local_descriptors)
    if 0 < features <= votes.MOST_FEATURES:
        known = None if previous is None else _keypoint_codes(previous)
        rows = Rows(contents.photo_digest, contents.local_offsets)
        arrays |= votes.build_keypoint_codes(contents.local_descriptors, rows, before=known).arrays()
    return arrays


def _photo_codes(previous: Snapshot) -> tuple[PhotoCodes, Rows] | None:
    views, dimensions = previous.view_vectors.shape
    codes = PhotoCodes.from_arrays(previous.extra, views=views, dimensions=dimensions)
    rows = Rows(previous.photo_digest, _row_offsets(previous.view_photo, previous.photos))
    return None if codes is None else (codes, rows)


def _keypoint_codes(previous: Snapshot) -> tuple[KeypointCodes, Rows] | None:
    codes = KeypointCodes.from_arrays(previous.extra, features=len(previous.local_descriptors))
    return None if codes is None else (codes, Rows(previous.photo_digest, previous.local_offsets))


def _row_offsets(owners: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """(count + 1,) where the rows of each owner begin, ``owners`` being ascending, and where the last one's end."""
    return np.searchsorted(owners, np.arange(count + 1)).astype(np.int64)


def index_arrays(contents: SnapshotContents, previous: Snapshot | None) -> Mapping[str, NDArray[Any]]:
    """The indexes of a snapshot that is being built, for its ``extra`` arrays."""
    lexicon = load_lexicon()
    names = [name_document(product.name, product.brand, product.words, lexicon) for product in contents.products]
    packaging = [packaging_document(lines) for lines in contents.lines]
    return {
        **build_indexes(contents, previous),
        **build_index(names, lexicon).arrays(NAMES_PREFIX),
        **build_index(packaging, lexicon).arrays(PACKAGING_PREFIX),
    }


def empty_snapshot(fingerprint: str, *, dimensions: int) -> SnapshotContents:
    """A catalog of no products, for an archive that is to follow one later, or that knows links alone."""
    contents = _contents((), {}, fingerprint=fingerprint, dimensions=dimensions)
    return replace(contents, extra=index_arrays(contents, None))
