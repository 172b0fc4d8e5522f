"""The inverted index against scores that are added up piece by piece."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognition.text import index as module
from recognition.text.index import KIND_WEIGHT, Document, TextIndex, build_index
from recognition.text.lexicon import Lexicon

PLAIN = Lexicon({}, {}, frozenset({("word", "generic")}), {})

PIECES = st.tuples(st.sampled_from(sorted(KIND_WEIGHT)), st.sampled_from(["a", "b", "水", "generic", "cd"]))
#: Sixteenths, which float16 holds exactly.
COUNTS = st.integers(0, 32).map(lambda sixteenths: sixteenths / 16)
TABLES = st.dictionaries(PIECES, COUNTS, max_size=6)
DOCUMENTS = st.builds(Document, TABLES, TABLES)


def naive(documents: list[Document], query: dict) -> tuple[list[float], float, list[float]]:
    """Scores, the query's mass and the documents' masses, one piece at a time."""
    known = {piece for document in documents for piece in (*document.pieces, *document.alternatives)}

    def weight(piece):
        holders = sum(piece in document.pieces or piece in document.alternatives for document in documents)
        rarity = math.log(len(documents) + 20) - math.log(holders + 0.5)
        return KIND_WEIGHT[piece[0]] * PLAIN.worth(piece) * rarity

    def count(document, piece):
        return document.pieces.get(piece, document.alternatives.get(piece, 0.0))

    asked = [(piece, confidence) for piece, confidence in query.items() if piece in known]
    return (
        [sum(weight(p) * c * count(document, p) for p, c in asked) for document in documents],
        sum(weight(piece) * confidence for piece, confidence in asked),
        [sum(weight(p) * c for p, c in document.pieces.items()) for document in documents],
    )


@given(st.lists(DOCUMENTS, max_size=6), st.dictionaries(PIECES, COUNTS, max_size=8))
def test_scores_are_the_shared_weights(documents, query):
    index = build_index(documents, PLAIN)

    shared, own = index.score(query)

    scores, mass, masses = naive(documents, query)
    assert shared.shape == (len(documents),)
    assert shared.dtype == np.float32
    np.testing.assert_allclose(shared, scores, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(index.mass, masses, rtol=1e-4, atol=1e-5)
    assert own == pytest.approx(mass, rel=1e-4, abs=1e-5)


@given(st.lists(DOCUMENTS, max_size=6), st.dictionaries(PIECES, COUNTS, max_size=8))
def test_arrays_hold_the_whole_index(documents, query):
    index = build_index(documents, PLAIN)

    arrays = index.arrays("text_")
    again = TextIndex.from_arrays({**arrays, "other": np.zeros(1)}, "text_", documents=len(documents))

    assert {name: array.dtype for name, array in arrays.items()} == {
        "text_keys": np.uint64,
        "text_key_weight": np.float32,
        "text_starts": np.int64,
        "text_documents": np.int32,
        "text_counts": np.float16,
        "text_mass": np.float32,
    }
    np.testing.assert_array_equal(again.score(query)[0], index.score(query)[0])
    assert (np.diff(index.keys.astype(object)) > 0).all()
    assert index.starts[0] == 0
    assert index.starts[-1] == len(index.documents) == len(index.counts)
    assert (np.diff(index.starts) > 0).all()


def test_pieces_that_too_many_hold_are_not_looked_up(monkeypatch):
    monkeypatch.setattr(module, "_COMMON_LEAST", 3)
    documents = [Document({("word", "tea"): 1.0, ("word", f"n{number}"): 1.0}, {}) for number in range(4)]
    index = build_index(documents, PLAIN)

    shared, _ = index.score({("word", "tea"): 1.0, ("word", "n2"): 1.0})

    assert np.flatnonzero(shared).tolist() == [2]
    assert index.score({("word", "tea"): 1.0})[0].tolist() == [0] * 4
