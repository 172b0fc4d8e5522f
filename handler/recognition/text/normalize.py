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

_CJK = r"\u3400-\u9fff\u3040-\u30ff\uac00-\ud7af"
_RUN = re.compile(rf"[{_CJK}]+|[a-z0-9\u03b1-\u03c9]+")
_HAS_CJK = re.compile(rf"[{_CJK}]")
_NUMBER = re.compile(r"[0-9]+(ml|l|g|kg|cm|mm)?")
_KANA_OR_HANGUL = re.compile(r"[\u3040-\u30ff\uac00-\ud7af]")


@functools.cache
def _to_simplified() -> opencc.OpenCC:
    return opencc.OpenCC("t2s")


@functools.lru_cache(maxsize=8192)
def normalize(text: str) -> str:
    """Half width, lower case, simplified Chinese, Latin letters without accents."""
    folded = _to_simplified().convert(unicodedata.normalize("NFKC", text).lower())
    if _KANA_OR_HANGUL.search(folded):
        return str(folded)  # taken apart, kana lose their voicing marks and hangul their syllables
    return "".join(sign for sign in unicodedata.normalize("NFD", folded) if not unicodedata.combining(sign))


def runs(text: str) -> list[str]:
    """Unbroken runs of CJK characters or of Latin letters and digits in normalised ``text``; bare amounts are left out."""
    return [run for run in _RUN.findall(text) if not _NUMBER.fullmatch(run)]


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
