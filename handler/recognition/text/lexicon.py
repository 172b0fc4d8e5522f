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
from recognition.text.normalize import Piece, is_cjk, normalize, pieces, runs, tokens

_FILE = Path(__file__).with_name("lexicon.json")
#: What a piece of a word that stands on all packaging is worth.
_GENERIC_WEIGHT = 0.3
#: A misread Latin word may differ from a spelling by this share of its letters.
_LATIN_DIFFERENCE = 0.2
#: Shorter words are too easily mistaken for each other to be matched in part.
_SHORTEST_FUZZY = 5
#: "nongfu spring" may be read as two words, or as one.
_MOST_WORDS = 3
#: Shorter spellings stand for nothing. "gb" and "mg" are brands, too, but on every package they are something else.
_SHORTEST_LATIN = 3
_SHORTEST_CJK = 2


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
        """Take the concepts of normalised spellings without spaces: those with CJK characters, and all others."""
        self.generic = generic
        self.lookalikes = lookalikes
        self._concepts = {**cjk, **latin}
        self._spellings: dict[str, tuple[str, ...]] = {}
        for spelling, concepts in self._concepts.items():
            for concept in concepts:
                self._spellings[concept] = (*self._spellings.get(concept, ()), spelling)
        self._fuzzy = [spelling for spelling in latin if len(spelling) >= _SHORTEST_FUZZY]
        self._most_tokens = max((len(tokens(spelling)) for spelling in cjk), default=0)
        # A stream shows the same words for minutes.
        self._nearest = functools.lru_cache(maxsize=8192)(self._find_nearest)

    def worth(self, piece: Piece) -> float:
        """What a piece says beside one that is not printed on everything, 0..1."""
        return _GENERIC_WEIGHT if piece in self.generic else 1.0

    def others(self, concept: str, spelling: str) -> tuple[str, ...]:
        """The other spellings of a concept, but for those that hold ``spelling`` or are held by it.

        What 矿泉水 and 天然矿泉水 have in common is seen without a lexicon, and would count twice.
        """
        found = self._spellings.get(concept, ())
        return tuple(other for other in found if other not in spelling and spelling not in other)

    def concepts(self, text: str) -> Iterator[tuple[str, float, str]]:
        """Concept, similarity 0..1 and spelling for everything of the lexicon that normalised ``text`` holds.

        Of spellings of the same concept that lie in each other there is only the longest.
        """
        found: dict[tuple[str, str], float] = {}
        for concept, similarity, spelling in self._spelt(text):
            found[concept, spelling] = max(similarity, found.get((concept, spelling), 0.0))
        for (concept, spelling), similarity in found.items():
            if not any(other == concept and spelling != longer and spelling in longer for other, longer in found):
                yield concept, similarity, spelling

    def _spelt(self, text: str) -> Iterator[tuple[str, float, str]]:
        found = tokens(text)
        for start in range(len(found)):
            joined, latin = "", True
            for count, token in enumerate(found[start : start + max(self._most_tokens, _MOST_WORDS)], start=1):
                joined += token
                latin = latin and not is_cjk(token)
                spelling, similarity = self._nearest(joined) if latin and count <= _MOST_WORDS else (joined, 1.0)
                for concept in self._concepts.get(spelling, ()):
                    yield concept, similarity, spelling

    def _find_nearest(self, word: str) -> tuple[str, float]:
        """The spelling that ``word`` is, or is a misreading of; "" where there is none."""
        if word in self._concepts:
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
            # Two spellings of a concept may differ in nothing but a space or a hyphen.
            for key in dict.fromkeys("".join(tokens(normalize(spelling))) for spelling in spellings):
                if _tells_something(key):
                    table = cjk if any(map(is_cjk, key)) else latin
                    table[key] = (*table.get(key, ()), f"{kind}{number}")
    generic = {piece for word in map(normalize, file.generic) for run in runs(word) for piece in pieces(run)}
    lookalikes: dict[str, tuple[str, ...]] = {}
    for one, other in file.confusions:
        for sign, twin in ((one, other), (other, one)):
            lookalikes[sign] = (*lookalikes.get(sign, ()), twin)
    return Lexicon(cjk, latin, frozenset(generic), lookalikes)


def _tells_something(spelling: str) -> bool:
    if any(map(is_cjk, spelling)):
        return len(spelling) >= _SHORTEST_CJK
    return len(spelling) >= _SHORTEST_LATIN and not spelling.isdecimal()  # a bare number may be a price
