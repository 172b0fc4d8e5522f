"""Holds the cards of a clip against what the clip shows: the pure computation of `livecart evaluate-clip`.

Everything is counted by shows: a show is one stretch of time in which the host holds one product. All times are
seconds of the clip's presentation time unless a name says otherwise.

A card belongs to a show when it is for the show's product and the frame that decided it (`pts_s`) lies between
`EARLY_S` before the show's `from_s` and the tolerance after its `to_s`. The first card of a show finds it, each later
one is a duplicate. A card for no show is a bystander's when that product lies in the picture at that time, and wrong
otherwise. With S shows, of which F were found by the cards, D duplicates and W wrong cards:

    recall = F / S        precision = F / (F + D + W)

A bystander's card is neither right nor wrong: it counts in neither, and is reported by itself.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from contract.card import CardEvent
from livecart.core.errors import SettingsError

#: A product may well be known a moment before half of it is in the picture.
EARLY_S = 0.1
#: How long after its show a card may still come: the result that completes a vote is up to a second old.
TOLERANCE_S = 1.0

#: t_s, x1, y1, x2, y2: the time, and the box in pixels of the clip's picture.
TimedBox = tuple[float, float, float, float, float]


class ShownProduct(msgspec.Struct, frozen=True, kw_only=True):
    """One product from when to when, and where.

    `from_s` is when half of the product has come into the picture, `to_s` when less than half is left in it. `boxes`
    are tight around the product, cut at the picture's edge, whatever a hand hides of it. `visible` has for each box the
    share of the product that is neither outside the picture nor behind a hand, 0 to 1.
    """

    sku: str
    name: str
    from_s: float
    to_s: float
    boxes: list[TimedBox] = []
    visible: list[float] = []


class ClipTruth(msgspec.Struct, frozen=True, kw_only=True):
    """The truth about a clip. `bystanders` are products that are in the picture without being presented."""

    schema: int
    clip: str
    fps: float
    width: int
    height: int
    duration_s: float
    shows: list[ShownProduct]
    bystanders: list[ShownProduct] = []


class Delays(msgspec.Struct, frozen=True):
    """Spread over the shows that were found; None where there is none. `p95` is interpolated linearly."""

    median: float | None
    p95: float | None


class ShowResult(msgspec.Struct, frozen=True, kw_only=True):
    """Result of one show. `cards_pts_s` are its cards in order, the first of which found it."""

    clip: str
    sku: str
    name: str
    from_s: float
    to_s: float
    cards_pts_s: list[float]
    appear_to_card_s: float | None


class StrayCard(msgspec.Struct, frozen=True, kw_only=True):
    clip: str
    sku: str
    name: str
    pts_s: float


class ClipScore(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one clip or of several together; see the module's docstring.

    `precision` is None without any card, `recall` without any show, `skipped_share` without any sampled frame.
    `skipped_share` is the share of the sampled frames that were not sent to the recogniser, `calls_per_min` the
    recogniser's calls per minute of clip.
    """

    precision: float | None
    recall: float | None
    wrong: int
    duplicates: int
    appear_to_card_s: Delays
    skipped_share: float | None
    calls_per_min: float
    bystanders: int
    shows_found: int
    shows_total: int
    calls: int
    sampled_frames: int
    skipped_frames: int
    duration_s: float
    shows: list[ShowResult]
    wrong_cards: list[StrayCard]
    bystander_cards: list[StrayCard]


def read_truth(path: Path) -> ClipTruth:
    """Read the truth file that scripts/make_clip.py writes beside a clip.

    Raises:
        SettingsError: the file cannot be read, or does not say what a truth file says; names the file and the place.
    """
    try:
        truth = msgspec.json.decode(path.read_bytes(), type=ClipTruth)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror or error}); name a truth file") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: no truth file of scripts/make_clip.py: {error}") from error
    if truth.schema != 1:
        raise SettingsError(f"{path}: truth of schema {truth.schema}, this program reads schema 1; make the clip anew")
    if truth.duration_s <= 0:
        raise SettingsError(f"{path}: duration_s is {truth.duration_s:g}, and must be more than 0; make the clip anew")
    for product in [*truth.shows, *truth.bystanders]:
        if product.from_s > product.to_s:
            raise SettingsError(
                f"{path}: {product.name!r} is shown from {product.from_s:g} s to {product.to_s:g} s, "
                "backwards in time; make the clip anew"
            )
    return truth


def score(
    events: Iterable[CardEvent],
    truth: ClipTruth,
    *,
    calls: int,
    sampled_frames: int,
    skipped_frames: int,
    tolerance_s: float = TOLERANCE_S,
) -> ClipScore:
    """Judge the events of one clip; only those that show a card count, in the order of their `pts_s`.

    The time from appearance to card is `pts_s + (emitted_at_s - captured_at_s) - from_s`: the frame that decided, in
    the clip's time, and what it took from that frame's capture to the card. So it means the same for a clip that is
    streamed in real time and for one read as fast as the recogniser follows. A card of the `EARLY_S` before a
    show can make it a little less than 0.
    """
    cards = sorted((event for event in events if event.event == "card"), key=lambda card: card.pts_s)
    found: list[list[CardEvent]] = [[] for _ in truth.shows]
    wrong: list[StrayCard] = []
    bystanders: list[StrayCard] = []
    for card in cards:
        place = _show_of(card, truth.shows, found, tolerance_s)
        if place is not None:
            found[place].append(card)
        elif any(_belongs(card, bystander, tolerance_s) for bystander in truth.bystanders):
            bystanders.append(_stray(card, truth))
        else:
            wrong.append(_stray(card, truth))
    return _summary(
        [_result(show, of_show, truth.clip) for show, of_show in zip(truth.shows, found, strict=True)],
        wrong,
        bystanders,
        calls=calls,
        sampled_frames=sampled_frames,
        skipped_frames=skipped_frames,
        duration_s=truth.duration_s,
    )


def merge(scores: Sequence[ClipScore]) -> ClipScore:
    """The figures of several clips together, each show, card, frame and minute with the same weight."""
    if not scores:
        raise ValueError("merge() needs the score of at least one clip")
    return _summary(
        [show for each in scores for show in each.shows],
        [card for each in scores for card in each.wrong_cards],
        [card for each in scores for card in each.bystander_cards],
        calls=sum(each.calls for each in scores),
        sampled_frames=sum(each.sampled_frames for each in scores),
        skipped_frames=sum(each.skipped_frames for each in scores),
        duration_s=sum(each.duration_s for each in scores),
    )


def _belongs(card: CardEvent, shown: ShownProduct, tolerance_s: float) -> bool:
    return card.sku == shown.sku and shown.from_s - EARLY_S <= card.pts_s <= shown.to_s + tolerance_s


def _show_of(
    card: CardEvent, shows: Sequence[ShownProduct], found: Sequence[Sequence[CardEvent]], tolerance_s: float
) -> int | None:
    """The card's show. Where two shows of a product follow each other closely: the first that has no card yet."""
    places = [place for place, show in enumerate(shows) if _belongs(card, show, tolerance_s)]
    return min(places, key=lambda place: (len(found[place]) > 0, shows[place].from_s), default=None)


def _result(show: ShownProduct, cards: Sequence[CardEvent], clip: str) -> ShowResult:
    delay_s = None
    if cards:
        first = cards[0]
        delay_s = first.pts_s + (first.emitted_at_s - first.captured_at_s) - show.from_s
    return ShowResult(
        clip=clip,
        sku=show.sku,
        name=show.name,
        from_s=show.from_s,
        to_s=show.to_s,
        cards_pts_s=[card.pts_s for card in cards],
        appear_to_card_s=delay_s,
    )


def _stray(card: CardEvent, truth: ClipTruth) -> StrayCard:
    return StrayCard(clip=truth.clip, sku=card.sku, name=card.name, pts_s=card.pts_s)


def _summary(
    shows: list[ShowResult],
    wrong: list[StrayCard],
    bystanders: list[StrayCard],
    *,
    calls: int,
    sampled_frames: int,
    skipped_frames: int,
    duration_s: float,
) -> ClipScore:
    found = sum(bool(show.cards_pts_s) for show in shows)
    duplicates = sum(max(0, len(show.cards_pts_s) - 1) for show in shows)
    delays = [show.appear_to_card_s for show in shows if show.appear_to_card_s is not None]
    return ClipScore(
        precision=_share(found, found + duplicates + len(wrong)),
        recall=_share(found, len(shows)),
        wrong=len(wrong),
        duplicates=duplicates,
        appear_to_card_s=Delays(
            float(np.median(delays)) if delays else None, float(np.percentile(delays, 95)) if delays else None
        ),
        skipped_share=_share(skipped_frames, sampled_frames),
        calls_per_min=calls * 60 / duration_s,
        bystanders=len(bystanders),
        shows_found=found,
        shows_total=len(shows),
        calls=calls,
        sampled_frames=sampled_frames,
        skipped_frames=skipped_frames,
        duration_s=duration_s,
        shows=shows,
        wrong_cards=wrong,
        bystander_cards=bystanders,
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
