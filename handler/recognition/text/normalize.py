"""Text to the pieces that are compared: the same for a name in a catalog and for a line that OCR read."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator
from typing import Literal

import opencc

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
    """Whether a run, or a spelling, is written in CJK characters."""
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
