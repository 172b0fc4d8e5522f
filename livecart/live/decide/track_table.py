"""The cards on screen: announces, replaces, updates and withdraws them, and so makes every event of a room."""

import math
from collections.abc import Callable, Iterable, Sequence

from contract.card import CardEvent, WithdrawReason
from livecart.core.types import Detection
from livecart.live.decide.availability import WAITING, Availability, with_offer
from livecart.live.decide.boxes import same_place
from livecart.live.decide.cards import CardWriter, FrameStamp, update_due
from livecart.live.decide.host import HostControl
from livecart.live.decide.settings import DecisionSettings
from livecart.live.decide.track import MISSES, Track, may_announce
from livecart.live.decide.tracker import Tracker

#: A product is pending for so many windows at most: after that a still picture has said what it can say.
_PENDING_WINDOWS = 3


class TrackTable:
    """The cards of one room. `now_s` is the room's time; `frame` is the newest frame that has a result."""

    def __init__(
        self,
        writer: CardWriter,
        tracker: Tracker,
        host: HostControl,
        settings: DecisionSettings,
        clock: Callable[[], float],
        *,
        availability: Availability | None = None,
    ) -> None:
        self._writer = writer
        self._tracker = tracker
        self._host = host
        self._settings = settings
        self._clock = clock
        self._availability = availability
        self.now_s = 0.0
        self.frame = FrameStamp(0.0, clock(), 0, 0)

    def live(self) -> list[Track]:
        return [product for product in self._tracker.tracks.values() if product.card is not None]

    def settle(self) -> list[CardEvent]:
        """Withdraw what is absent or cannot be bought, announce what is due, tell of boxes that moved."""
        events = self.withdraw_off_sale()
        events += [
            self.withdraw(product, "gone")
            for product in self.live()
            if product.sku != self._host.pinned and product.absent(self.now_s, self._settings)
        ]
        events += self._announce()
        for product in self.live():
            card = product.card
            if card is not None and product.is_seen and update_due(card, product.box, self.now_s, self._settings):
                card.sent_box, card.sent_at_s = product.box, self.now_s
                card.confidence = round(product.ballot.confidence or card.confidence, 4)
                shown = self._as_offered(product)
                events.append(self._writer.write("update", shown, card, frame=self.frame, decided_at_s=self._clock()))
        return events

    def withdraw_off_sale(self) -> list[CardEvent]:
        """Withdraw what may no longer be shown; it is announced again when it may be, if it is in sight then."""
        events = []
        for product in self.live():
            if not self._is_offered(product):
                product.announced_at_s = None
                events.append(self.withdraw(product, "off_sale"))
        return events

    def _announce(self) -> list[CardEvent]:
        products = list(self._tracker.tracks.values())
        holders = [product for product in self.live() if product.sku != self._host.pinned]
        for product in products:
            if product.card is None and product.is_seen:
                _note_challenge(product, holders, self._settings.replace_margin, self.now_s)
        events: list[CardEvent] = []
        for product in sorted(products, key=lambda each: (each.sku != self._host.pinned, -each.prominence)):
            due_again = product.card is not None and product.is_seen
            if due_again and may_announce(product, self.now_s, self._settings) and self._is_offered(product):
                events += [self.withdraw(product, "replaced"), self._show(product)]
            elif product.card is None and self._is_due(product):
                events += self._make_room(product)
                if self._has_room_for(product):
                    events.append(self._show(product))
        return events

    def _is_due(self, product: Track) -> bool:
        if not self._host.allows(product.sku, self._clock()):
            return False
        is_due = product.sku == self._host.pinned or (
            product.is_seen and product.ballot.decided and may_announce(product, self.now_s, self._settings)
        )
        # Asked last: only what would be shown counts as refused.
        return is_due and self._is_offered(product)

    def _is_offered(self, product: Track) -> bool:
        """True where the shop has it to sell now, or nobody asks."""
        if self._availability is None:
            return True
        offer = self._availability.offer(product.sku)
        refusal = offer if isinstance(offer, str) else None
        if refusal not in (None, WAITING, product.refusal):
            self._availability.refused(refusal)
        if refusal != WAITING:
            product.refusal = refusal
        return refusal is None

    def _as_offered(self, product: Track) -> Detection:
        return with_offer(
            product.detection, None if self._availability is None else self._availability.last(product.sku)
        )

    def _has_room_for(self, product: Track) -> bool:
        return len(self.live()) < self._settings.max_cards and self._holder_at(product) is None

    def _holder_at(self, product: Track) -> Track | None:
        """Whose card is shown for the same place: variants of a product share one."""
        if not product.is_seen:
            return None
        for held in self.live():
            # A pinned product out of sight has no place.
            placed = held.is_seen or held.sku != self._host.pinned
            if placed and same_place(held.seen_box, product.seen_box, self._settings.same_place_iou):
                return held
        return None

    def _make_room(self, product: Track) -> list[CardEvent]:
        """Withdraw the card that the product takes the place of, if there is one that has to give way."""
        pinned = product.sku == self._host.pinned
        loser = self._holder_at(product)
        if loser is not None:
            put_away = loser.last_seen_s < product.first_vote_s
            outvoted = product.ballot.score > loser.ballot.score
            if loser.sku == self._host.pinned or not (pinned or put_away or outvoted):
                return []
        elif len(self.live()) >= self._settings.max_cards:
            holders = [held for held in self.live() if held.sku != self._host.pinned]
            if pinned:
                loser = min(self.live(), key=lambda held: held.prominence)
            else:
                loser = _loser_to(product, holders, self._settings.replace_after_s, self.now_s)
        return [] if loser is None else [self.withdraw(loser, "replaced")]

    def _show(self, product: Track) -> CardEvent:
        confidence = product.ballot.confidence or product.detection.confidence
        box = product.box if product.is_seen else None
        shown = self._as_offered(product)
        product.card = self._writer.card(shown, confidence, box, self.now_s)
        product.announced_at_s = self.now_s
        product.challenges_since_s = None
        return self._writer.write("card", shown, product.card, frame=self.frame, decided_at_s=self._clock())

    def withdraw(self, product: Track, reason: WithdrawReason) -> CardEvent:
        """Take away the card of a product that has one."""
        card = product.card
        if card is None:
            raise RuntimeError(f"{product.sku} has no card to withdraw")
        product.card = None
        return self._writer.write(
            "withdraw", self._as_offered(product), card, frame=self.frame, decided_at_s=self._clock(), reason=reason
        )

    def take_away(self, which: Callable[[Track], bool], reason: WithdrawReason) -> list[CardEvent]:
        """Withdraw at the host's wish: counts as announced now, so that it does not come straight back."""
        events = []
        for product in filter(which, self.live()):
            product.announced_at_s = self.now_s
            events.append(self.withdraw(product, reason))
        return events + self.settle()

    def lose(self, but: str | None) -> list[CardEvent]:
        """The stream is lost: withdraw every card but one; the products may be announced anew."""
        events = []
        for product in self.live():
            if product.sku != but:
                product.announced_at_s = None
                events.append(self.withdraw(product, "stream_lost"))
        self._tracker.forget_results()
        return events

    def is_pending(self, product: Track) -> bool:
        """True while one more result could announce it soon, or show that it is out of sight."""
        if product.card is not None:
            return 0 < product.misses < MISSES and product.sku != self._host.pinned
        if not (product.is_seen and self._host.allows(product.sku, self._clock())):
            return False
        if self._tracker.is_uncertain(product):
            return False
        if not may_announce(product, self.now_s, self._settings) or math.isinf(product.first_vote_s):
            return False
        if self.now_s - product.in_sight_since_s > _PENDING_WINDOWS * self._settings.window_s:
            return False
        return not product.ballot.decided or product.challenges_since_s is not None


def _note_challenge(rival: Track, holders: Iterable[Track], margin: float, now_s: float) -> None:
    """Keep since when the rival has been clearly more prominent than the weakest product that holds a card."""
    weakest = min((holder.prominence for holder in holders), default=None)
    if weakest is None or rival.prominence <= weakest * (1 + margin):
        rival.challenges_since_s = None
    elif rival.challenges_since_s is None:
        rival.challenges_since_s = now_s


def _loser_to(rival: Track, holders: Sequence[Track], replace_after_s: float, now_s: float) -> Track | None:
    """The holder of a card that the rival, a decided product, takes the place of; None: it has to wait.

    A holder that was last seen before the rival's first result has been put away for it. One that is in sight gives
    way only to a challenge that lasted: two products side by side do not take turns.
    """
    put_away = [holder for holder in holders if holder.last_seen_s < rival.first_vote_s]
    if put_away:
        return min(put_away, key=lambda holder: holder.last_seen_s)
    if rival.challenges_since_s is None or now_s - rival.challenges_since_s < replace_after_s:
        return None
    return min(holders, key=lambda holder: holder.prominence, default=None)
