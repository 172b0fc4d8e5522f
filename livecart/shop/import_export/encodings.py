"""The encoding of a table or feed: found by what its text would be in each, or refused with the guess.

A file that is read by the wrong one of GB18030, Big5 and Windows-1252 seldom fails: it becomes other characters, rare
ones. So each is judged by how many of its characters are common, and one that does not stand out is refused.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import IO

from livecart.shop.errors import FeedError

#: In this order: UTF-32's mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: What is declared: what it is read as, which has its characters and more (as https://encoding.spec.whatwg.org has it).
_DECLARED = {
    "utf-8": "utf-8",
    "ascii": "utf-8",
    "utf-16": "utf-16",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "gb18030": "gb18030",
    "big5": "big5hkscs",
    "big5hkscs": "big5hkscs",
    "cp950": "big5hkscs",
    "iso8859-1": "cp1252",
    "cp1252": "cp1252",
    "iso8859-15": "iso8859-15",
    "cp1250": "cp1250",
    "iso8859-2": "iso8859-2",
    "cp1254": "cp1254",
    "iso8859-9": "cp1254",
    "cp1251": "cp1251",
    "shift_jis": "cp932",
    "cp932": "cp932",
    "euc_jp": "euc_jp",
    "euc_kr": "cp949",
    "cp949": "cp949",
}
_NAMES = {
    "utf-8": "UTF-8",
    "gb18030": "GB18030 (GBK)",
    "big5hkscs": "Big5",
    "cp1252": "Windows-1252",
    "cp949": "EUC-KR",
    "euc_jp": "EUC-JP",
}
_XML_DECLARATION = re.compile(rb"""\s*<\?xml[^>]{0,200}?\sencoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_HEAD_BYTES = 64 * 1024
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_MOST_RUNS, _MOST_RUN_CHARS = 2_000, 60
#: From where on an encoding's text is believable, and how far it must stand out from the next.
_BELIEVABLE, _MARGIN = 0.7, 0.1
#: So few characters of GB18030 may happen to be valid UTF-8: two letters for two hanzi.
_FEW = 6
#: In a text of western letters they stand alone between others, two at most in a row.
_WESTERN = frozenset("àâäáãåæçèéêëìíîïñòóôöõøœùúûüýÿßÀÂÄÁÃÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÖÕØŒÙÚÛÜÝ")
_BEFORE_WORDS = frozenset("’‘“–—«\xa0´¿¡")
_BEHIND_WORDS = frozenset("€£°”™®©²³½¼¾…•»·ªº§")
#: Their characters are not looked for, but they must not pass for Chinese.
_RIVALS = ("cp949", "euc_jp")


def decode_text(data: bytes, where: str, declared: str | None = None) -> str:
    """The text of `data`, without its mark.

    Args:
        data: in any encoding that can be told.
        where: for the message.
        declared: the encoding that its sender names, if any.

    Raises:
        FeedError: with the guess: it cannot be told for sure, or is not what it says.
    """
    found = _marked(data) or _wide(data) or (_declared(data, declared) if declared else _found(data))
    try:
        return data.decode(found.codec or _refuse(found, where))
    except UnicodeDecodeError as error:
        raise FeedError("encoding_unknown", where=where, guess=found.guess) from error


class Recoded:
    """A file of XML as UTF-8, read piece by piece. expat knows no encoding of several bytes but UTF-8 and UTF-16."""

    def __init__(self, file: IO[bytes], where: str, declared: str | None = None) -> None:
        """`declared`: by HTTP; what the XML says itself comes before, for servers name one encoding for all files.

        Raises:
            FeedError: as of `decode_text`.
        """
        head = file.read(_HEAD_BYTES)
        match = _XML_DECLARATION.match(head)
        said = match[1].decode() if match else declared or "utf-8"
        found = _marked(head) or _wide(head) or _declared(head, said, is_cut=len(head) == _HEAD_BYTES)
        self._where, self._guess = where, found.guess
        self._decoder = codecs.getincrementaldecoder(found.codec or _refuse(found, where))()
        self._file, self._head = file, head

    def read(self, size: int = -1) -> bytes:
        while True:
            data = self._head or self._file.read(size)
            self._head = b""
            try:
                text = self._decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                raise FeedError("encoding_unknown", where=self._where, guess=self._guess) from error
            if text or not data:
                return text.encode()


@dataclass(frozen=True)
class _Codec:
    """`codec` None: it cannot be told. `guess` names what it is most like."""

    codec: str | None
    guess: str


def _refuse(found: _Codec, where: str) -> str:
    raise FeedError("encoding_unknown", where=where, guess=found.guess)


def _marked(data: bytes) -> _Codec | None:
    codec = next((codec for mark, codec in _MARKS if data.startswith(mark)), None)
    return None if codec is None else _Codec(codec, codec.upper())


def _wide(data: bytes) -> _Codec | None:
    """UTF-16 without its mark: every other byte of ASCII is 0."""
    head = data[:200]
    even, odd = head[::2].count(0), head[1::2].count(0)
    if max(even, odd) <= len(head) // 8:
        return None
    return _Codec("utf-16-le" if odd > even else "utf-16-be", "UTF-16")


def _declared(data: bytes, declared: str, *, is_cut: bool = False) -> _Codec:
    """The declared encoding, unless the text in it is not believable, or it is UTF-8 all the same."""
    try:
        codec = _DECLARED.get(codecs.lookup(declared).name)
    except LookupError:
        codec = None
    found = _found(data, is_cut=is_cut)
    if codec is None:
        return _Codec(None, f"{declared!r}; {found.guess}")
    if codec in ("utf-8", found.codec) or found.codec is None:
        return _Codec(codec, found.guess)
    if found.codec == "utf-8":
        return found
    # Korean and Japanese are not looked for.
    return _Codec(None, found.guess) if codec in set(_SCORES) - set(_RIVALS) else _Codec(codec, declared)


def _found(data: bytes, *, is_cut: bool = False) -> _Codec:
    """The encoding that the bytes are like; `is_cut`: the last one may be within a character."""
    start = _BEYOND_ASCII.search(data)
    if start is None:
        return _Codec("utf-8", "UTF-8")
    text = _decoded(data, "utf-8", is_cut=is_cut)
    if text is not None:
        runs = list(islice(_runs(text), _FEW))
        if sum(map(len, runs)) >= _FEW or max(map(max, runs)) >= "\u0800" or _western(text) >= _BELIEVABLE:
            return _Codec("utf-8", "UTF-8")
    # What stands before it is ASCII in all of them.
    begin = max(0, start.start() - 20)
    part = data[begin : begin + _HEAD_BYTES]
    is_cut = is_cut or len(data) > begin + _HEAD_BYTES
    texts = {codec: _decoded(part, codec, is_cut=is_cut) for codec in _SCORES}
    scores = {codec: _SCORES[codec](text) for codec, text in texts.items() if text is not None}
    if text is not None:
        scores["utf-8"] = 1.0
    ranked = sorted(scores, key=scores.__getitem__, reverse=True)
    if not ranked or scores[ranked[0]] < _BELIEVABLE:
        return _Codec(None, _other(part))
    rivals = [each for each in ranked[1:] if scores[each] > scores[ranked[0]] - _MARGIN]
    if rivals or ranked[0] in _RIVALS:
        return _Codec(None, " / ".join(_NAMES[each] for each in (ranked[0], *rivals)))
    if ranked[0] == "cp1252" and (others := [name for name, letters in _OTHER_LETTERS.items() if letters.search(data)]):
        return _Codec(None, " / ".join([_NAMES["cp1252"], *others]))
    return _Codec(ranked[0], _NAMES[ranked[0]])


def _letters_of(codec: str) -> re.Pattern[bytes]:
    """Bytes that are letters in `codec`, and something else in Windows-1252."""
    pairs = (
        (byte, byte.decode(codec, "ignore"), byte.decode("cp1252", "ignore"))
        for byte in (bytes([number]) for number in range(128, 256))
    )
    return re.compile(
        b"[" + b"".join(byte for byte, other, western in pairs if other.isalpha() and other != western) + b"]"
    )


#: Central Europe and Turkey: their texts are as believable.
_OTHER_LETTERS = {"Windows-1250": _letters_of("cp1250"), "Windows-1254": _letters_of("cp1254")}


def _decoded(data: bytes, codec: str, *, is_cut: bool) -> str | None:
    try:
        return codecs.getincrementaldecoder(codec)().decode(data, final=not is_cut)
    except UnicodeDecodeError:
        return None


def _other(data: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(data).best()
    return "?" if best is None else best.encoding


def _runs(text: str) -> Iterator[str]:
    return (match[0][:_MOST_RUN_CHARS] for match in islice(_NOT_ASCII.finditer(text), _MOST_RUNS))


def _mean(scores: list[float]) -> float:
    return sum(scores) / len(scores) if scores else 0.0


def _western(text: str) -> float:
    scores = []
    for match in islice(_NOT_ASCII.finditer(text), _MOST_RUNS):
        run, following = match[0][:_MOST_RUN_CHARS], text[match.end() : match.end() + 1]
        for each, after in zip(run, run[1:] + following or " ", strict=False):
            is_sign = each in _BEFORE_WORDS or (each in _BEHIND_WORDS and not after.isalpha())
            scores.append(0.7 if is_sign else float(each in _WESTERN and len(run) <= 2))
    return _mean(scores)


def _simplified(text: str) -> float:
    """GB 2312: signs and full width in rows 1 and 3, hanzi of level 1, by use, in 16 to 55, of level 2 in 56 to 87."""
    return _mean(
        [_level(each, "gb2312", common=range(0xB0, 0xD8), signs=(0xA1, 0xA3)) for each in "".join(_runs(text))]
    )


def _traditional(text: str) -> float:
    """Big5: signs from A1, hanzi of level 1, by strokes, from A4, of level 2 from C9.

    Half of a text's hanzi have few strokes and stand before B0; what GB 2312 has for hanzi never does.
    """
    characters = "".join(_runs(text))
    mean = _mean([_level(each, "cp950", common=range(0xA4, 0xC7), signs=(0xA1, 0xA2)) for each in characters])
    has_few_strokes = any(b"\xa4" <= each.encode("cp950", "ignore") < b"\xb0" for each in characters)
    return mean if has_few_strokes or len(characters) < _FEW else mean / 2


def _korean(text: str) -> float:
    """Hangul alone: half of all hanzi in GB18030 are hangul in EUC-KR, and hanja the others."""
    hangul = _mean([float("가" <= each <= "힣") for each in "".join(_runs(text))])
    return hangul if hangul > 0.97 else 0.0


def _japanese(text: str) -> float:
    """Kana, of which there are some in every Japanese text."""
    kana = _mean([float("\u3040" <= each <= "\u30ff") for each in "".join(_runs(text))])
    return 1.0 if kana > 0.2 else 0.0


def _level(character: str, codec: str, *, common: range, signs: tuple[int, ...]) -> float:
    raw = character.encode(codec, "ignore")
    if len(raw) != 2:
        return 0.0
    if raw[0] in common or raw[0] in signs:
        return 1.0
    return 0.5 if raw[0] > common.stop else 0.2


_SCORES = {
    "gb18030": _simplified,
    "big5hkscs": _traditional,
    "cp1252": _western,
    "cp949": _korean,
    "euc_jp": _japanese,
}
