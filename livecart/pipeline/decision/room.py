"""The decisions of one room: looks, time and the host's wishes go in, card events come out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping

from livecart.pipeline.decision.board import CardBoard
from livecart.pipeline.decision.boxes import ShareBox
from livecart.pipeline.decision.cards import CardWriter, FrameStamp, WithdrawReason
from livecart.pipeline.decision.host import HostControl
from livecart.pipeline.decision.offers import Offers
from livecart.pipeline.decision.saving import room_state, tracked_product
from livecart.pipeline.decision.settings import DecisionSettings
from livecart.pipeline.decision.state import RoomState
from livecart.pipeline.decision.stream_clock import StreamClock
from livecart.pipeline.decision.tracker import Tracker
from livecart.pipeline.decision.vote import is_sure
from livecart.types import Candidate, CardEvent, Look

#: A restart within this time is one that viewers do not notice, unless `again_every_s` says another time.
_RESTART_S = 300.0


class RoomDecision:
    """Decides for one room. Not thread-safe: one thread or event loop calls it.

    Every method that can change what viewers see returns the events to publish, in order.
    """

    def __init__(
        self,
        room: str,
        settings: DecisionSettings | None = None,
        *,
        clock: Callable[[], float] = time.time,
        last_event_id: int = 0,
        state: RoomState | None = None,
        offers: Offers | None = None,
    ) -> None:
        """Begin a room, or go on where `state` left it.

        Args:
            room: its name.
            settings: None for the defaults.
            clock: wall clock in seconds.
            last_event_id: id of the newest event of this room that is on the bus; event ids go on after it.
            state: what `state()` gave before a restart. Its cards go on; a product of it is not announced again.
            offers: what may be shown at all; None: whatever the recogniser names, as it names it.

        Raises:
            ValueError: the state is another room's.
        """
        self.room = room
        self._settings = settings or DecisionSettings()
        self._clock = clock
        self._time = StreamClock()
        self._tracker = Tracker(self._settings)
        self._host = HostControl()
        self._last_look_s = -math.inf
        self._last_look_key: tuple[float, float] | None = None
        self._heard_at_s = clock()
        self._outdated = False
        self._writer = CardWriter(room, last_event_id)
        self._offers = offers
        self._board = CardBoard(self._writer, self._tracker, self._host, self._settings, clock, offers=offers)
        if state is not None:
            self._restore(state)

    # Frames and time

    def on_look(self, look: Look) -> list[CardEvent]:
        """What the recogniser saw. A frame that was looked at before, or one older than the last, says nothing.

        Raises:
            ValueError: the look is another room's.
        """
        if look.room != self.room:
            raise ValueError(f"a look of room {look.room!r} was given to room {self.room!r}")
        events = self._hear()
        key = (look.pts_s, look.captured_at_s)
        at_s = self._time.advance(*key)
        if key == self._last_look_key or at_s < self._last_look_s:
            return events
        self._last_look_key, self._last_look_s = key, at_s
        self._board.frame = FrameStamp(*key, look.frame_width_px, look.frame_height_px)
        self._tracker.take(look, at_s, self._time.now_s, self._host.pinned)
        return events + self._settle()

    def on_unchanged(
        self, pts_s: float, captured_at_s: float, followed: Mapping[str, ShareBox] | None = None
    ) -> list[CardEvent]:
        """A frame was skipped because nothing in it is new since the last look: time passes, no vote is cast.

        `followed`: where products of that look are now, by sku, as shares of the picture; the others have not moved.
        """
        events = self._hear()
        at_s = self._time.advance(pts_s, captured_at_s)
        if at_s >= self._time.now_s:
            self._board.frame = FrameStamp(
                pts_s, captured_at_s, self._board.frame.width_px, self._board.frame.height_px
            )
        self._tracker.unchanged(followed or {}, at_s, self._time.now_s)
        return events + self._settle()

    def tick(self, now_s: float) -> list[CardEvent]:
        """Wall clock passes; to be called about once a second, for live streams.

        Nothing is withdrawn as absent while no frame is judged. After `silence_s` without one the stream is lost:
        every card but a pinned one is withdrawn, and its product may be announced anew when the stream is back.
        """
        if self._outdated or now_s - self._heard_at_s >= self._settings.silence_s:
            self._outdated = False
            return self._board.lose(but=self._host.pinned)
        return []

    def on_offers(self, skus: Iterable[str]) -> list[CardEvent]:
        """The shop's answer about products changed: cards go, or come, without waiting for the next look."""
        self._add_pinned()
        for sku in skus:
            product = self._tracker.products.get(sku)
            if product is not None and product.refusal is not None:
                # Its looks may be forgotten by now; new ones are asked for as of one that has just come into sight.
                product.in_sight_since_s = self._time.now_s
        return self._settle()

    def recheck_offers(self) -> list[CardEvent]:
        """Withdraw cards whose products were not confirmed again in time."""
        return self._board.withdraw_off_sale()

    def knows(self, sku: str) -> bool:
        """Whether the product matters here now: it was seen lately, is pinned, or is shown."""
        return sku in self._tracker.products or sku == self._host.pinned

    @property
    def awaits_offers_of(self) -> set[str]:
        """Whose answer matters between two looks: of cards that stand, of what is pinned or in sight and refused."""
        products = self._tracker.products.values()
        awaited = {each.sku for each in products if each.card or (each.refusal and each.in_last_look)}
        return awaited if self._host.pinned is None else awaited | {self._host.pinned}

    def close(self, reason: WithdrawReason = "room_closed") -> list[CardEvent]:
        """Withdraw every card. The room may go on afterwards; only "stream_lost" lets it announce them anew."""
        if reason == "stream_lost":
            return self._board.lose(but=None)
        events = [self._board.withdraw(product, reason) for product in self._board.live()]
        self._tracker.forget_looks()
        return events

    @property
    def undecided(self) -> bool:
        """Whether one more look could change something soon: the gate should let the next frame through."""
        return any(self._board.is_undecided(product) for product in self._tracker.products.values())

    @property
    def deciding(self) -> bool:
        """Whether one more look could soon announce a product that is in sight."""
        products = self._tracker.products.values()
        return any(product.card is None and self._board.is_undecided(product) for product in products)

    @property
    def in_sight(self) -> dict[str, ShareBox | None]:
        """The products of the last look and their boxes in it, as shares of the picture, but for doubtful ones."""
        products = [product for product in self._tracker.products.values() if product.in_last_look]
        return {product.sku: product.seen_box for product in products if not self._tracker.is_doubtful(product)}

    @property
    def shown_in_sight(self) -> frozenset[str]:
        """Those of them whose cards viewers see now."""
        return frozenset(product.sku for product in self._board.live() if product.in_last_look)

    @property
    def unsure_in_sight(self) -> frozenset[str]:
        """Those of them that the archive would not show by the last look alone."""
        return frozenset(sku for sku in self.in_sight if not is_sure(self._tracker.products[sku].candidate))

    @property
    def missing(self) -> bool:
        """Whether a product whose card is shown was not in the last look. A pinned one may be out of sight."""
        return any(not product.in_last_look and product.sku != self._host.pinned for product in self._board.live())

    # The host

    def pin(self, sku: str, candidate: Candidate | None = None) -> list[CardEvent]:
        """Show the product now and until it is unpinned, withdrawn or muted, in sight or not; unmutes it.

        One product is pinned at a time. `candidate` has the card's particulars; without it those of the last look
        are taken. A product that was never seen is shown as the shop has it, and else at its first look.

        Raises:
            SettingsError: it is not on the room's own list.
            ValueError: the candidate is another product.
        """
        if candidate is not None and candidate.sku != sku:
            raise ValueError(f"particulars of {candidate.sku!r} were given for pinning {sku!r}")
        self._host.pin(self.room, sku)
        if candidate is not None:
            self._tracker.add(candidate, self._time.now_s)
        self._add_pinned()
        return self._settle()

    def unpin(self) -> list[CardEvent]:
        """Its card stays while the product is in sight."""
        self._host.unpin()
        return self._settle()

    def mute(self, sku: str, for_s: float | None = None, reason: WithdrawReason = "muted") -> list[CardEvent]:
        """Do not show the product for so many seconds, None: until `unmute`. Withdraws its card, with the reason.

        Raises:
            SettingsError: `for_s` is not more than 0.
        """
        self._host.mute(self.room, sku, self._clock(), for_s)
        return self._board.take_away(lambda product: product.sku == sku, reason)

    def unmute(self, sku: str) -> list[CardEvent]:
        """End a mute; a product in sight may be announced at once, if it may be announced at all."""
        self._host.muted_until_s.pop(sku, None)
        return self._settle()

    def withdraw(self, sku: str, reason: WithdrawReason = "host") -> list[CardEvent]:
        """Take its card away and unpin it. It may come again as if it had been announced now."""
        self._host.unpin(sku)
        return self._board.take_away(lambda product: product.sku == sku, reason)

    def set_products(self, skus: Iterable[str] | None) -> list[CardEvent]:
        """The room's own list: only these are announced; None: any. Cards that are not on it are withdrawn."""
        self._host.restrict(skus)
        listed = self._host.listed
        return self._board.take_away(lambda product: listed is not None and product.sku not in listed, "host")

    # Restart

    def state(self) -> RoomState:
        """For a console, and for `RoomDecision(state=...)` after a restart."""
        return room_state(
            self.room,
            last_event_id=self._writer.last_event_id,
            heard_at_s=self._heard_at_s,
            clock=self._time,
            frame=self._board.frame,
            tracker=self._tracker,
            host=self._host,
        )

    def _restore(self, state: RoomState) -> None:
        if state.room != self.room:
            raise ValueError(f"the state of room {state.room!r} was given to room {self.room!r}")
        self._writer.last_event_id = max(state.last_event_id, self._writer.last_event_id)
        self._time = StreamClock(state.now_s, state.pts_s, state.captured_at_s)
        self._board.now_s = state.now_s
        size = (state.frame_width_px, state.frame_height_px)
        self._board.frame = FrameStamp(state.pts_s or 0.0, state.captured_at_s, *size)
        for saved in state.products:
            self._tracker.products[saved.candidate.sku] = tracked_product(saved, self._settings)
        self._host.pinned = state.pinned
        self._host.listed = None if state.listed is None else frozenset(state.listed)
        self._host.muted_until_s = {
            sku: math.inf if until_s is None else until_s for sku, until_s in state.muted_until_s.items()
        }
        self._outdated = self._clock() - state.heard_at_s > (self._settings.again_every_s or _RESTART_S)

    # Inside

    def _add_pinned(self) -> None:
        """What is pinned and was never seen is known as the shop has it."""
        sku = self._host.pinned
        if self._offers is None or sku is None or sku in self._tracker.products:
            return
        offer = self._offers.offer(sku)
        if not isinstance(offer, str):
            self._tracker.add(Candidate(sku, offer.name, offer.url, 1.0, None), self._time.now_s)

    def _hear(self) -> list[CardEvent]:
        self._heard_at_s = self._clock()
        if not self._outdated:
            return []
        self._outdated = False
        return self._board.lose(but=self._host.pinned)

    def _settle(self) -> list[CardEvent]:
        self._board.now_s = self._time.now_s
        return self._board.settle()
