"""Links to cards through `/go`: short enough for a QR code and for the sub-ids that affiliate networks hand back."""

import re
import string

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
#: 62**22 is just above 2**128.
_CHARS = 22
_CARD_ID = re.compile(r"[0-9a-f]{32}")
_SHORT_ID = re.compile(rf"[0-9A-Za-z]{{{_CHARS}}}")
#: Of a viewer that reports its click itself: it is not to be counted twice.
REPORTED = "?v=1"


def short_id(card_id: str) -> str | None:
    """The card's id as 22 letters and digits; None of an id that is not 32 hex digits, as `live/decide` makes them."""
    if not _CARD_ID.fullmatch(card_id):
        return None
    number, short = int(card_id, 16), ""
    for _ in range(_CHARS):
        number, digit = divmod(number, len(_DIGITS))
        short = _DIGITS[digit] + short
    return short


def card_id_of(short: str) -> str | None:
    """The card that `short_id` was made of; None where it was made of none."""
    if not _SHORT_ID.fullmatch(short):
        return None
    number = 0
    for char in short:
        number = number * len(_DIGITS) + _DIGITS.index(char)
    return f"{number:032x}" if number < 2**128 else None


def go_link(public_url: str | None, card_id: str) -> str | None:
    """The link that leads to the card's product and counts; None where there is no such address."""
    short = None if public_url is None else short_id(card_id)
    return None if short is None else f"{public_url}/go/{short}"
