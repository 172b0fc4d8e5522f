"""Which documents share rare pieces with what was read: an inverted index in arrays that can be memory-mapped."""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recognition.text.lexicon import Lexicon
from recognition.text.normalize import Kind, Piece

#: How much a piece of each kind says. One character is shared by many names, two in a row by few; a word has about as
#: many trigrams as letters.
KIND_WEIGHT: Mapping[Kind, float] = {"character": 0.35, "pair": 1.0, "trigram": 0.4, "word": 0.5, "concept": 1.0}
#: Documents as if every catalog had these many more without the piece: in a catalog of five, rarity means nothing yet.
_PRIOR_DOCUMENTS = 20
#: Pieces that more than this share of a large index holds are not looked up: they decide nothing and cost the most.
_COMMON_SHARE = 0.05
_COMMON_LEAST = 5000
_ARRAYS = ("keys", "key_weight", "starts", "documents", "counts", "mass")


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
        """The index as named arrays, for a snapshot."""
        return {f"{prefix}{name}": getattr(self, name) for name in _ARRAYS}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]], prefix: str) -> TextIndex:
        """The index that ``arrays`` named.

        Raises:
            KeyError: one of them is missing.
        """
        return cls(**{name: arrays[f"{prefix}{name}"] for name in _ARRAYS})  # type: ignore[arg-type]


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
