"""Which cards are shown: announces, replaces, updates and withdraws, and so makes every event of a room."""

from __future__ import annotations

import math
from collections.abc import Callable

from livecart.pipeline.decision.boxes import same_place
from livecart.pipeline.decision.cards import CardWriter, FrameStamp, WithdrawReason, update_due
from livecart.pipeline.decision.competition import loser_to, note_challenge
from livecart.pipeline.decision.dedupe import may_announce
from livecart.pipeline.decision.host import HostControl
from livecart.pipeline.decision.offers import WAITING, Offers, with_offer
from livecart.pipeline.decision.settings import DecisionSettings
from livecart.pipeline.decision.track import MISSES, TrackedProduct
from livecart.pipeline.decision.tracker import Tracker
from livecart.types import Candidate, CardEvent

#: A product is undecided for so many windows at most: after that a still picture has said what it can say.
_UNDECIDED_WINDOWS = 3


class CardBoard:
    """The cards of one room. `now_s` is the room's time; `frame` is the newest frame that was judged."""

    def __init__(
        self,
        writer: CardWriter,
        tracker: Tracker,
        host: HostControl,
        settings: DecisionSettings,
        clock: Callable[[], float],
        *,
        offers: Offers | None = None,
    ) -> None:
        self._writer = writer
        self._tracker = tracker
        self._host = host
        self._settings = settings
        self._clock = clock
        self._offers = offers
        self.now_s = 0.0
        self.frame = FrameStamp(0.0, clock(), 0, 0)

    def live(self) -> list[TrackedProduct]:
        """The products whose cards viewers see now."""
        return [product for product in self._tracker.products.values() if product.card is not None]

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
            if card is not None and product.in_last_look and update_due(card, product.box, self.now_s, self._settings):
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
        products = list(self._tracker.products.values())
        holders = [product for product in self.live() if product.sku != self._host.pinned]
        for product in products:
            if product.card is None and product.in_last_look:
                note_challenge(product, holders, self._settings.replace_margin, self.now_s)
        events: list[CardEvent] = []
        for product in sorted(products, key=lambda each: (each.sku != self._host.pinned, -each.prominence)):
            due_again = product.card is not None and product.in_last_look
            if due_again and may_announce(product, self.now_s, self._settings) and self._is_offered(product):
                events += [self.withdraw(product, "replaced"), self._show(product)]
            elif product.card is None and self._is_due(product):
                events += self._make_room(product)
                if self._has_room_for(product):
                    events.append(self._show(product))
        return events

    def _is_due(self, product: TrackedProduct) -> bool:
        if not self._host.allows(product.sku, self._clock()):
            return False
        is_due = product.sku == self._host.pinned or (
            product.in_last_look and product.ballot.decided and may_announce(product, self.now_s, self._settings)
        )
        # Asked last: only what would be shown counts as refused.
        return is_due and self._is_offered(product)

    def _is_offered(self, product: TrackedProduct) -> bool:
        """Whether the shop has it to sell now, as far as anybody asks that."""
        if self._offers is None:
            return True
        offer = self._offers.offer(product.sku)
        refusal = offer if isinstance(offer, str) else None
        if refusal not in (None, WAITING, product.refusal):
            self._offers.refused(refusal)
        if refusal != WAITING:
            product.refusal = refusal
        return refusal is None

    def _as_offered(self, product: TrackedProduct) -> Candidate:
        return with_offer(product.candidate, None if self._offers is None else self._offers.last(product.sku))

    def _has_room_for(self, product: TrackedProduct) -> bool:
        return len(self.live()) < self._settings.max_cards and self._holder_at(product) is None

    def _holder_at(self, product: TrackedProduct) -> TrackedProduct | None:
        """Whose card is shown for the same place: variants of a product share one."""
        if not product.in_last_look:
            return None
        for held in self.live():
            # A pinned product out of sight has no place.
            placed = held.in_last_look or held.sku != self._host.pinned
            if placed and same_place(held.seen_box, product.seen_box, self._settings.same_place_iou):
                return held
        return None

    def _make_room(self, product: TrackedProduct) -> list[CardEvent]:
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
                loser = loser_to(product, holders, self._settings.replace_after_s, self.now_s)
        return [] if loser is None else [self.withdraw(loser, "replaced")]

    def _show(self, product: TrackedProduct) -> CardEvent:
        confidence = product.ballot.confidence or product.candidate.confidence
        box = product.box if product.in_last_look else None
        shown = self._as_offered(product)
        product.card = self._writer.card(shown, confidence, box, self.now_s)
        product.announced_at_s = self.now_s
        product.challenges_since_s = None
        return self._writer.write("card", shown, product.card, frame=self.frame, decided_at_s=self._clock())

    def withdraw(self, product: TrackedProduct, reason: WithdrawReason) -> CardEvent:
        """Take away the card of a product that has one."""
        card = product.card
        if card is None:
            raise RuntimeError(f"{product.sku} has no card to withdraw")
        product.card = None
        return self._writer.write(
            "withdraw", self._as_offered(product), card, frame=self.frame, decided_at_s=self._clock(), reason=reason
        )

    def take_away(self, which: Callable[[TrackedProduct], bool], reason: WithdrawReason) -> list[CardEvent]:
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
        self._tracker.forget_looks()
        return events

    def is_undecided(self, product: TrackedProduct) -> bool:
        """Whether one more look could announce it soon, or show that it is out of sight."""
        if product.card is not None:
            return 0 < product.missed_looks < MISSES and product.sku != self._host.pinned
        if not (product.in_last_look and self._host.allows(product.sku, self._clock())):
            return False
        if self._tracker.is_doubtful(product):
            return False
        if not may_announce(product, self.now_s, self._settings) or math.isinf(product.first_vote_s):
            return False
        if self.now_s - product.in_sight_since_s > _UNDECIDED_WINDOWS * self._settings.window_s:
            return False
        return not product.ballot.decided or product.challenges_since_s is not None
