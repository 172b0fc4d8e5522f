"""Names and read lines as documents and queries of the text index."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pypinyin import lazy_pinyin

from recognition.text.index import KIND_WEIGHT, Document
from recognition.text.lexicon import Lexicon
from recognition.text.normalize import Piece, is_cjk, normalize, pieces, runs

#: Text and confidence 0..1 of one line.
Line = tuple[str, float]

#: What a name's other words are worth beside the name itself.
_WORDS_WEIGHT = 0.6
#: Packaging often carries the name in pinyin, but other words share its trigrams.
_PINYIN_WEIGHT = 0.5
#: A pair of characters with one of them misread for its look-alike.
_LOOKALIKE_WEIGHT = 0.7
#: Lines that the OCR itself doubts more than this are noise.
LEAST_CONFIDENCE = 0.3


def name_document(name: str, brand: str | None, words: Sequence[str], lexicon: Lexicon) -> Document:
    """What a product is called, and how else that may stand on it."""
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


def print_document(lines: Iterable[Line]) -> Document:
    """What was read on a catalog photo."""
    return Document(_line_pieces(lines), {})


def query_of(lines: Iterable[Line], lexicon: Lexicon) -> dict[Piece, float]:
    """What was read in a frame, with the concepts it speaks of."""
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
        for twin in lexicon.lookalikes.get(run[at], ()):
            yield ("pair", twin + run[at + 1])
        for twin in lexicon.lookalikes.get(run[at + 1], ()):
            yield ("pair", run[at] + twin)


def _raise(table: dict[Piece, float], piece: Piece, weight: float) -> None:
    table[piece] = max(weight, table.get(piece, 0.0))
