"""Chapters of a recorded show: what was explained, from when to when, out of the cards that were kept.

`explanations` makes them of cards; `FORMATS` writes them as players, editors and cutters of replays read them.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Annotated, Literal

from msgspec import Meta
from sqlalchemy.orm import Session

from livecart.shop.errors import InvalidValue
from livecart.shop.import_export.spreadsheet import guarded_text
from livecart.shop.repositories import cards, viewer_events
from livecart.shop.repositories.cards import Card
from livecart.shop.repositories.sales import sales_of_cards
from livecart.shop.schemas.product import Link, ProductName, Seconds, Sku

ChapterFormat = Literal["csv", "vtt", "apple", "dateranges", "text"]
#: The host puts a product down for a moment, or a face hides it: still one explanation.
MERGE_GAP_S = 15.0
#: Shorter ones are glances, not explanations.
SHORTEST_S = 5.0
#: From this length on YouTube takes chapters of a description (support.google.com/youtube/answer/9884579).
_SHORTEST_IN_TEXT_S = 10.0
MOST_CARDS = 10_000
#: Viewers' events come up to a day late (docs/feedback.md).
_CLICKS_LATER_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Explanation:
    """One product explained without a pause. `start_s` and `end_s` are seconds of the recording."""

    sku: Sku
    name: ProductName
    url: Link
    start_s: Annotated[float, Meta(description="Seconds from the recording's beginning.", examples=[61.5])]
    end_s: Annotated[float, Meta(examples=[140.0])]
    started_at_s: Seconds
    clicks: Annotated[int, Meta(examples=[12])]
    orders: Annotated[int, Meta(description="That came by its cards.", examples=[3])]


def of_room(session: Session, room: str, *, start_s: float, end_s: float) -> list[Explanation]:
    """Explanations of a room in a recording that runs from `start_s` to `end_s`, UNIX time.

    Raises:
        InvalidValue: `end_s` is not after `start_s`, or more than 10,000 cards were shown in between.
    """
    if not start_s < end_s:
        raise InvalidValue("end_s", "ends_before_it_starts")
    shown = cards.between(session, room, start_s, end_s, limit=MOST_CARDS + 1)
    if len(shown) > MOST_CARDS:
        raise InvalidValue("end_s", "too_many_cards", most=MOST_CARDS)
    clicks = viewer_events.clicks_by_card(session, room=room, since_s=start_s, until_s=end_s + _CLICKS_LATER_S)
    sold = sales_of_cards(session, [card.card_id for card in shown])
    orders = {card_id: sales.orders for card_id, sales in sold.items()}
    return explanations(shown, clicks, orders, start_s=start_s, end_s=end_s)


def explanations(
    shown: Sequence[Card], clicks: Mapping[str, int], orders: Mapping[str, int], *, start_s: float, end_s: float
) -> list[Explanation]:
    """Make explanations of cards, which come in the order in which they were shown.

    A card ends when it is withdrawn, when the next one comes, or with the recording. Neighbours of one product that
    are less than `MERGE_GAP_S` apart are one; what is then shorter than `SHORTEST_S` is dropped, and those around it
    may be one.
    """
    found = []
    for card, following in zip_longest(shown, shown[1:]):
        begins_s = max(card.shown_at_s, start_s)
        ends = [end_s, card.withdrawn_at_s, following.shown_at_s if following else None]
        ends_s = min(moment for moment in ends if moment is not None)
        if ends_s > begins_s:
            times = (begins_s - start_s, ends_s - start_s, begins_s)
            counts = (clicks.get(card.card_id, 0), orders.get(card.card_id, 0))
            found.append(Explanation(card.sku, card.name, card.url, *times, *counts))
    return _merged([one for one in _merged(found) if one.end_s - one.start_s >= SHORTEST_S])


def _merged(found: Sequence[Explanation]) -> list[Explanation]:
    merged: list[Explanation] = []
    for one in found:
        last = merged[-1] if merged else None
        if last is not None and last.sku == one.sku and one.start_s - last.end_s < MERGE_GAP_S:
            clicks, orders = last.clicks + one.clicks, last.orders + one.orders
            merged[-1] = replace(last, end_s=one.end_s, clicks=clicks, orders=orders)
        else:
            merged.append(one)
    return merged


def as_csv(found: Sequence[Explanation]) -> str:
    """A row each, for whoever cuts the replay; UTF-8 with a mark, nothing in it runs in a spreadsheet."""
    file = io.StringIO()
    file.write("\ufeff")
    writer = csv.writer(file)
    writer.writerow(["sku", "name", "start", "end", "seconds", "started_at", "clicks", "url", "orders"])
    for one in found:
        texts = (_clock(one.start_s), _clock(one.end_s), f"{one.end_s - one.start_s:.1f}", _iso(one.started_at_s))
        writer.writerow([guarded_text(one.sku), guarded_text(one.name), *texts, one.clicks, one.url, one.orders])
    return file.getvalue()


def as_vtt(found: Sequence[Explanation]) -> str:
    """WebVTT, for `<track kind="chapters">` (www.w3.org/TR/webvtt1)."""
    cues = [
        f"{number}\n{_clock(one.start_s)} --> {_clock(one.end_s)}\n{_vtt_text(one.name)}\n"
        for number, one in enumerate(found, 1)
    ]
    return "\n".join(["WEBVTT\n", *cues])


def as_apple(found: Sequence[Explanation]) -> str:
    """Apple's JSON chapters, for `EXT-X-SESSION-DATA:DATA-ID="com.apple.hls.chapters"`."""
    chapters = [
        {
            "chapter": number,
            "start-time": round(one.start_s, 3),
            "duration": round(one.end_s - one.start_s, 3),
            "titles": [{"language": "und", "title": _one_line(one.name)}],
            "metadata": [{"key": "sku", "value": one.sku, "language": "und"}],
        }
        for number, one in enumerate(found, 1)
    ]
    return json.dumps(chapters, ensure_ascii=False, indent=1) + "\n"


def as_dateranges(found: Sequence[Explanation]) -> str:
    """`EXT-X-DATERANGE` lines for a playlist with EXT-X-PROGRAM-DATE-TIME (RFC 8216, 4.3.2.7)."""
    return "".join(
        f"#EXT-X-DATERANGE:ID={_quoted(f'{one.sku}-{one.started_at_s:.3f}')},CLASS={_quoted('livecart.explanation')},"
        f"START-DATE={_quoted(_iso(one.started_at_s))},DURATION={one.end_s - one.start_s:.3f},"
        f"X-SKU={_quoted(one.sku)},X-NAME={_quoted(one.name)},X-URL={_quoted(one.url)}\n"
        for one in found
    )


def as_text(found: Sequence[Explanation]) -> str:
    """Lines `1:05 name` for a video's description: the first at 0:00, each 10 s long at least."""
    lines: list[tuple[int, str]] = []
    for one in found:
        at_s = int(one.start_s)
        if not lines:
            lines.append((0, _one_line(one.name) if at_s < _SHORTEST_IN_TEXT_S else "开始 Start"))
        if at_s - lines[-1][0] >= _SHORTEST_IN_TEXT_S:
            lines.append((at_s, _one_line(one.name)))
    return "".join(f"{_short_clock(at_s)} {name}\n" for at_s, name in lines)


#: Media type and writer of each format.
FORMATS: Mapping[ChapterFormat, tuple[str, Callable[[Sequence[Explanation]], str]]] = {
    "csv": ("text/csv", as_csv),
    "vtt": ("text/vtt", as_vtt),
    "apple": ("application/json", as_apple),
    "dateranges": ("text/plain", as_dateranges),
    "text": ("text/plain", as_text),
}


def _clock(seconds: float) -> str:
    """HH:MM:SS.mmm; a show may have more than 99 hours."""
    whole_ms = round(seconds * 1000)
    minutes, ms = divmod(whole_ms, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{ms // 1000:02}.{ms % 1000:03}"


def _short_clock(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _iso(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _vtt_text(text: str) -> str:
    return _one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _quoted(text: str) -> str:
    """A quoted-string, which knows no escape for a quotation mark (RFC 8216, 4.2)."""
    return '"{}"'.format(_one_line(text).replace('"', "”"))
