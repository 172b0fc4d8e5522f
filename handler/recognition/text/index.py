"""Text as pieces, and an inverted index of documents by the rare pieces they share, in memory-mapped arrays."""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pypinyin import lazy_pinyin

from recognition.errors import SnapshotError
from recognition.text.lexicon import Kind, Lexicon, Piece, is_cjk, normalize, pieces, runs

#: How much a piece of each kind says. One character is shared by many names, two in a row by few; a word has about as
#: many trigrams as letters.
KIND_WEIGHT: Mapping[Kind, float] = {"character": 0.35, "pair": 1.0, "trigram": 0.4, "word": 0.5, "concept": 1.0}
#: Documents as if every catalog had these many more without the piece: in a catalog of five, rarity means nothing yet.
_PRIOR_DOCUMENTS = 20
#: Pieces that more than this share of a large index holds are not looked up: they decide nothing and cost the most.
_COMMON_SHARE = 0.05
_COMMON_LEAST = 5000
_ARRAYS = {
    **{"keys": np.uint64, "key_weight": np.float32, "starts": np.int64},
    **{"documents": np.int32, "counts": np.float16, "mass": np.float32},
}
#: Text and confidence 0..1 of one line.
Line = tuple[str, float]

#: What a name's other words are worth beside the name itself.
_WORDS_WEIGHT = 0.6
#: Packaging often carries the name in pinyin, but other words share its trigrams.
_PINYIN_WEIGHT = 0.5
#: A pair of characters with one of them misread for its look-alike.
_LOOKALIKE_WEIGHT = 0.7
#: Lines that the OCR reads with less confidence are noise.
LEAST_CONFIDENCE = 0.3


@dataclass(frozen=True)
class Document:
    """``pieces`` with their counts or confidences, 0 and up; ``alternatives`` are other ways to say the same."""

    pieces: Mapping[Piece, float]
    alternatives: Mapping[Piece, float]


@dataclass(frozen=True)
class TextIndex:
    """K keys, D documents, and for each key the documents that hold it.

    ``keys`` uint64 (K,) ascending, ``key_weight`` float32 (K,), ``starts`` int64 (K + 1,), ``documents`` int32 (n,),
    ``counts`` float16 (n,), ``mass`` float32 (D,): what a document would score against itself.
    """

    keys: NDArray[np.uint64]
    key_weight: NDArray[np.float32]
    starts: NDArray[np.int64]
    documents: NDArray[np.int32]
    counts: NDArray[np.float16]
    mass: NDArray[np.float32]

    def score(self, query: Mapping[Piece, float]) -> tuple[NDArray[np.float32], float]:
        """Shared mass with each document (D,), and the mass of the query itself; confidences 0..1 weigh its pieces."""
        if not query or len(self.keys) == 0:
            return np.zeros(len(self.mass), np.float32), 0.0
        wanted = np.array([key_of(piece) for piece in query], dtype=np.uint64)
        confidences = np.fromiter(query.values(), np.float32, len(query))
        at = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        known = self.keys[at] == wanted
        at, confidences = at[known], confidences[known]
        lengths = self.starts[at + 1] - self.starts[at]
        rare = lengths <= max(_COMMON_LEAST, _COMMON_SHARE * len(self.mass))
        at, confidences, lengths = at[rare], confidences[rare], lengths[rare]
        if len(at) == 0:
            return np.zeros(len(self.mass), np.float32), 0.0
        weights = confidences * self.key_weight[at]
        # All the keys' postings as one run of indices, without a loop over the keys.
        offsets = np.repeat(self.starts[at] - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
        postings = np.arange(int(lengths.sum())) + offsets
        shared = np.bincount(
            self.documents[postings],
            np.repeat(weights, lengths) * self.counts[postings],
            minlength=len(self.mass),
        )
        return shared.astype(np.float32), float(weights.sum())

    def arrays(self, prefix: str) -> dict[str, NDArray[np.generic]]:
        return {f"{prefix}{name}": getattr(self, name) for name in _ARRAYS}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]], prefix: str, *, documents: int) -> TextIndex:
        """The index of so many documents that ``arrays`` named.

        Raises:
            KeyError: one of them is missing.
            SnapshotError: one is of another type or length, or points outside of the others.
        """
        index = cls(**{name: arrays[f"{prefix}{name}"] for name in _ARRAYS})  # type: ignore[arg-type]
        keys, starts, places = index.keys, index.starts, index.documents
        lengths = {"keys": len(keys), "key_weight": len(keys), "starts": len(keys) + 1, "mass": documents}
        lengths |= {"documents": len(places), "counts": len(places)}
        for name, dtype in _ARRAYS.items():
            array = arrays[f"{prefix}{name}"]
            if array.dtype != dtype or array.shape != (lengths[name],):
                raise SnapshotError(f"array {prefix}{name}: {array.dtype} {list(array.shape)} does not fit the others")
        if (keys[1:] < keys[:-1]).any():
            raise SnapshotError(f"array {prefix}keys: is not in order")
        if starts[0] != 0 or starts[-1] != len(places) or (starts[1:] < starts[:-1]).any():
            raise SnapshotError(f"array {prefix}starts: does not divide {prefix}documents")
        if len(places) and not 0 <= places.min() <= places.max() < documents:
            raise SnapshotError(f"array {prefix}documents: holds places outside of {prefix}mass")
        return index


def build_index(documents: Sequence[Document], lexicon: Lexicon) -> TextIndex:
    """Index ``documents``, weighing each piece by how few of them hold it (inverse document frequency)."""
    frequency = Counter(piece for document in documents for piece in {**document.pieces, **document.alternatives})
    everywhere = np.log(len(documents) + _PRIOR_DOCUMENTS)
    weight = {
        piece: KIND_WEIGHT[piece[0]] * lexicon.worth(piece) * float(everywhere - np.log(count + 0.5))
        for piece, count in frequency.items()
    }
    ordered = sorted((key_of(piece), piece) for piece in weight)
    slot = {piece: index for index, (_, piece) in enumerate(ordered)}
    # Typed arrays: as tuples the postings of 100,000 products and their photos would take gigabytes.
    slots, numbers, counts = array("q"), array("i"), array("f")
    for number, document in enumerate(documents):
        for piece, count in {**document.alternatives, **document.pieces}.items():
            slots.append(slot[piece])
            numbers.append(number)
            counts.append(count)
    # Stable: a key's documents stay in their order.
    order = np.argsort(np.frombuffer(slots, np.int64), kind="stable") if slots else np.zeros(0, np.int64)
    lengths = np.fromiter((frequency[piece] for _, piece in ordered), np.int64, len(ordered))
    return TextIndex(
        keys=np.array([key for key, _ in ordered], dtype=np.uint64),
        key_weight=np.array([weight[piece] for _, piece in ordered], dtype=np.float32),
        starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        documents=np.array(numbers, dtype=np.int32)[order],
        counts=np.array(counts, dtype=np.float16)[order],
        mass=np.array(
            [sum(weight[piece] * count for piece, count in document.pieces.items()) for document in documents],
            dtype=np.float32,
        ),
    )


def key_of(piece: Piece) -> int:
    """A piece as 64 bits: of a million pieces two share a key once in 30 million catalogs."""
    return int.from_bytes(hashlib.blake2b(f"{piece[0]}\0{piece[1]}".encode(), digest_size=8).digest(), "big")


def name_document(name: str, brand: str | None, words: Sequence[str], lexicon: Lexicon) -> Document:
    """A product's name, and other spellings that may stand on it."""
    exact: dict[Piece, float] = {}
    other: dict[Piece, float] = {}
    texts = [(name, 1.0), *([(brand, 1.0)] if brand else []), *((word, _WORDS_WEIGHT) for word in words)]
    normals = [(normalize(text), weight) for text, weight in texts]
    own = {(concept, spelling) for normal, _ in normals for concept, _, spelling in lexicon.concepts(normal)}
    for normal, weight in normals:
        for run in runs(normal):
            for piece in pieces(run):
                _raise(exact, piece, weight)
            if is_cjk(run):
                for piece in _romanised(run):
                    _raise(other, piece, _PINYIN_WEIGHT * weight)
                for piece in _misread(run, lexicon):
                    _raise(other, piece, _LOOKALIKE_WEIGHT * weight)
        for concept, similarity, spelling in lexicon.concepts(normal):
            # Another spelling is worth as much as reading this one.
            parts = [piece for run in runs(spelling) for piece in pieces(run)]
            worth = sum(KIND_WEIGHT[piece[0]] * lexicon.worth(piece) for piece in parts)
            for other_spelling in lexicon.others(concept, spelling):
                if (concept, other_spelling) not in own:
                    _raise(other, ("concept", f"{concept}/{other_spelling}"), worth * similarity * weight)
    return Document(exact, {piece: weight for piece, weight in other.items() if piece not in exact})


def packaging_document(lines: Iterable[Line]) -> Document:
    """Packaging text of a catalog photo."""
    return Document(_line_pieces(lines), {})


def query_of(lines: Iterable[Line], lexicon: Lexicon) -> dict[Piece, float]:
    """Text of a frame as pieces, with the concepts it names."""
    found = list(lines)
    query = _line_pieces(found)
    for text, confidence in found:
        if confidence >= LEAST_CONFIDENCE:
            for concept, similarity, spelling in lexicon.concepts(normalize(text)):
                _raise(query, ("concept", f"{concept}/{spelling}"), similarity * confidence)
    return query


def _line_pieces(lines: Iterable[Line]) -> dict[Piece, float]:
    found: dict[Piece, float] = {}
    for text, confidence in lines:
        if confidence >= LEAST_CONFIDENCE:
            for run in runs(normalize(text)):
                for piece in pieces(run):
                    _raise(found, piece, confidence)
    return found


def _romanised(run: str) -> Iterable[Piece]:
    return pieces("".join(syllable for syllable in lazy_pinyin(run) if syllable.isascii()))


def _misread(run: str, lexicon: Lexicon) -> Iterable[Piece]:
    for at in range(len(run) - 1):
        for alike in lexicon.lookalikes.get(run[at], ()):
            yield ("pair", alike + run[at + 1])
        for alike in lexicon.lookalikes.get(run[at + 1], ()):
            yield ("pair", run[at] + alike)


def _raise(table: dict[Piece, float], piece: Piece, weight: float) -> None:
    table[piece] = max(weight, table.get(piece, 0.0))
