"""What everybody who shops knows: evian is 依云, lychee is 荔枝, and 净含量 says nothing about the product.

``lexicon.json`` holds spellings of brands, translations of product words, words that stand on all packaging, and
characters that look alike to an OCR. It belongs to no catalog.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import msgspec
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from recognition.errors import ConfigurationError
from recognition.text.normalize import Piece, is_cjk, normalize, pieces, runs

_FILE = Path(__file__).with_name("lexicon.json")
#: What a piece of a word that stands on all packaging is worth.
_GENERIC_WEIGHT = 0.3
#: A misread Latin word may differ from a spelling by this share of its letters.
_LATIN_DIFFERENCE = 0.2
#: Shorter words are too easily mistaken for each other to be matched in part.
_SHORTEST_FUZZY = 5
#: "nongfu spring" may be read as two words, or as one.
_MOST_WORDS = 3


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    brands: list[list[str]]
    terms: list[list[str]]
    generic: list[str]
    confusions: list[tuple[str, str]]


class Lexicon:
    """Concepts by their spellings, and the pieces that are worth little."""

    def __init__(
        self,
        cjk: dict[str, tuple[str, ...]],
        latin: dict[str, tuple[str, ...]],
        generic: frozenset[Piece],
        lookalikes: dict[str, tuple[str, ...]],
    ) -> None:
        """Take tables of normalised spellings without spaces."""
        self.generic = generic
        self.lookalikes = lookalikes
        self._cjk = cjk
        self._latin = latin
        self._spellings: dict[str, tuple[str, ...]] = {}
        for table in (cjk, latin):
            for spelling, concepts in table.items():
                for concept in concepts:
                    self._spellings[concept] = (*self._spellings.get(concept, ()), spelling)
        self._fuzzy = [spelling for spelling in latin if len(spelling) >= _SHORTEST_FUZZY]
        self._longest_cjk = max(map(len, cjk), default=0)
        # A stream shows the same words for minutes.
        self._nearest = functools.lru_cache(maxsize=8192)(self._find_nearest)

    def worth(self, piece: Piece) -> float:
        """What a piece says beside one that is not printed on everything, 0..1."""
        return _GENERIC_WEIGHT if piece in self.generic else 1.0

    def others(self, concept: str, spelling: str) -> tuple[str, ...]:
        """The other spellings of a concept."""
        return tuple(other for other in self._spellings.get(concept, ()) if other != spelling)

    def concepts(self, text: str) -> Iterator[tuple[str, float, str]]:
        """Concept, similarity 0..1 and spelling for everything of the lexicon that normalised ``text`` holds."""
        found = runs(text)
        for run in filter(is_cjk, found):
            for start in range(len(run)):
                for end in range(start + 2, min(len(run), start + self._longest_cjk) + 1):
                    for concept in self._cjk.get(run[start:end], ()):
                        yield concept, 1.0, run[start:end]
        words = [run for run in found if not is_cjk(run)]
        for start in range(len(words)):
            for count in range(1, min(_MOST_WORDS, len(words) - start) + 1):
                spelling, similarity = self._nearest("".join(words[start : start + count]))
                for concept in self._latin.get(spelling, ()):
                    yield concept, similarity, spelling

    def _find_nearest(self, word: str) -> tuple[str, float]:
        """The spelling that ``word`` is, or is a misreading of; "" where there is none."""
        if word in self._latin:
            return word, 1.0
        best = None
        if len(word) >= _SHORTEST_FUZZY:
            best = process.extractOne(
                word, self._fuzzy, scorer=Levenshtein.normalized_distance, score_cutoff=_LATIN_DIFFERENCE
            )
        return ("", 0.0) if best is None else (str(best[0]), 1.0 - float(best[1]))


@functools.cache
def load_lexicon() -> Lexicon:
    """Read the lexicon of the package.

    Raises:
        ConfigurationError: missing or not of its form.
    """
    try:
        file = msgspec.json.decode(_FILE.read_bytes(), type=_File)
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigurationError(f"{_FILE}: {error}") from error
    cjk: dict[str, tuple[str, ...]] = {}
    latin: dict[str, tuple[str, ...]] = {}
    for kind, entries in (("brand", file.brands), ("term", file.terms)):
        for number, spellings in enumerate(entries):
            for spelling in map(normalize, spellings):
                table = cjk if is_cjk(spelling) else latin
                key = "".join(runs(spelling))
                if len(key) >= 2:
                    table[key] = (*table.get(key, ()), f"{kind}{number}")
    generic = {piece for word in map(normalize, file.generic) for run in runs(word) for piece in pieces(run)}
    lookalikes: dict[str, tuple[str, ...]] = {}
    for one, other in file.confusions:
        for sign, twin in ((one, other), (other, one)):
            lookalikes[sign] = (*lookalikes.get(sign, ()), twin)
    return Lexicon(cjk, latin, frozenset(generic), lookalikes)
