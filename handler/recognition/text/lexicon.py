"""Common knowledge of words: evian is 依云, lychee is 荔枝, and 净含量 says nothing about the product.

``lexicon.json`` holds spellings of brands, translations of product words, words that stand on all packaging, and
characters that look alike to an OCR. It belongs to no catalog.
"""

import functools
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
import opencc
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from recognition.errors import ConfigurationError

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
Kind = Literal["character", "pair", "trigram", "word", "concept"]
#: What is compared: one CJK character, two in a row, three letters of a word, a whole word, an entry of the lexicon.
Piece = tuple[Kind, str]

#: Ideographs with their repetition mark and zero, kana without the middle dot (which separates words), hangul.
_CJK = r"\u3005\u3007\u3400-\u9fff\u3041-\u3096\u30a1-\u30fa\u30fc-\u30ff\uac00-\ud7af"
_LATIN = r"a-z0-9\u03b1-\u03c9\u0430-\u045f"  # with Greek and Cyrillic
_RUN = re.compile(rf"[{_CJK}]+|[{_LATIN}]+")
_TOKEN = re.compile(rf"[{_CJK}]|[{_LATIN}]+")
_HAS_CJK = re.compile(rf"[{_CJK}]")
_NUMBER = re.compile(r"[0-9]+(ml|l|g|kg|cm|mm)?")
#: Taken apart, kana would lose their voicing marks and hangul their syllables.
_KEPT_WHOLE = re.compile(r"[\u3040-\u30ff\uac00-\ud7af]+")
#: A name or a line of print has some dozens of characters; what is longer is no text to compare, only work.
_LONGEST = 1000


@functools.cache
def _to_simplified() -> opencc.OpenCC:
    return opencc.OpenCC("t2s")


@functools.lru_cache(maxsize=8192)
def normalize(text: str) -> str:
    """Half width, lower case, simplified Chinese, Latin letters without accents; at most 1,000 characters of it."""
    # A lone surrogate, which JSON can smuggle in, has no UTF-8 for the converter.
    encodable = text[:_LONGEST].encode("utf-8", "replace").decode("utf-8")
    folded = str(_to_simplified().convert(unicodedata.normalize("NFKC", encodable).lower()))
    kept, at = [], 0
    for whole in _KEPT_WHOLE.finditer(folded):
        kept += [_without_accents(folded[at : whole.start()]), whole.group()]
        at = whole.end()
    return "".join([*kept, _without_accents(folded[at:])])


def runs(text: str) -> list[str]:
    """Unbroken runs of CJK characters or of letters and digits in normalised ``text``; bare amounts are left out."""
    return [run for run in _RUN.findall(text) if not _NUMBER.fullmatch(run)]


def tokens(text: str) -> list[str]:
    """Single CJK characters and whole words of normalised ``text``, amounts and all: what spellings are made of."""
    return _TOKEN.findall(text)


def is_cjk(run: str) -> bool:
    return bool(_HAS_CJK.match(run))


def pieces(run: str) -> Iterator[Piece]:
    """The pieces of one run."""
    if is_cjk(run):
        yield from (("character", sign) for sign in run)
        yield from (("pair", run[at : at + 2]) for at in range(len(run) - 1))
        return
    if len(run) >= 2:
        yield ("word", run)
    if len(run) >= 3:
        marked = f"^{run}$"
        yield from (("trigram", marked[at : at + 3]) for at in range(len(marked) - 2))


def _without_accents(text: str) -> str:
    return "".join(sign for sign in unicodedata.normalize("NFD", text) if not unicodedata.combining(sign))


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
        """Weight of a piece beside one that is not printed on everything, 0..1."""
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
        for sign, alike in ((one, other), (other, one)):
            lookalikes[sign] = (*lookalikes.get(sign, ()), alike)
    return Lexicon(cjk, latin, frozenset(generic), lookalikes)


def _tells_something(spelling: str) -> bool:
    if any(map(is_cjk, spelling)):
        return len(spelling) >= _SHORTEST_CJK
    return len(spelling) >= _SHORTEST_LATIN and not spelling.isdecimal()  # a bare number may be a price
