"""Text of strangers: names, links and reasons that a terminal or a page would obey."""

import unicodedata

#: Unicode's controls (a terminal obeys escape sequences), halves of characters, line ends.
_CONTROLS = {"Cc", "Cs", "Zl", "Zp"}
#: They turn the order of what follows round, so that a text could be made to read as another.
_TURN_ROUND = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def is_printable(text: str) -> bool:
    """True for text without controls; unlike `str.isprintable` it takes joined emoji and unusual spaces."""
    return text.isprintable() or all(map(_is_harmless, text))


def printable(text: str) -> str:
    """The text with � in place of each control."""
    return "".join(character if _is_harmless(character) else "�" for character in text)


def _is_harmless(character: str) -> bool:
    return character not in _TURN_ROUND and unicodedata.category(character) not in _CONTROLS
