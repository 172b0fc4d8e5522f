"""The decisions of one room: results, time and the host's wishes go in, card events come out."""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from contract.card import CardEvent, WithdrawReason
from livecart.core.types import Detection, Detections, InSight, ShareBox
from livecart.live.decide.availability import Availability
from livecart.live.decide.cards import CardWriter, FrameStamp
from livecart.live.decide.host import HostControl
from livecart.live.decide.settings import DecisionSettings
from livecart.live.decide.state import RoomState
from livecart.live.decide.stream_clock import StreamClock
from livecart.live.decide.track_table import TrackTable
from livecart.live.decide.tracker import Tracker
from livecart.live.decide.vote import is_sure

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
        monotonic: Callable[[], float] = time.monotonic,
        last_event_id: int = 0,
        state: RoomState | None = None,
        availability: Availability | None = None,
    ) -> None:
        """Begin a room, or go on where `state` left it.

        Args:
            room: its name.
            settings: None for the defaults.
            clock: wall clock in seconds.
            monotonic: the clock that is never set, in seconds; that of `tick`.
            last_event_id: id of the newest event of this room that is on the bus; event ids go on after it.
            state: what `state()` gave before a restart. Its cards go on; a product of it is not announced again.
            availability: what may be shown at all; None: whatever the recogniser names, as it names it.

        Raises:
            ValueError: the state is another room's.
        """
        self.room = room
        self._settings = settings or DecisionSettings()
        self._clock = clock
        self._monotonic = monotonic
        self._time = StreamClock()
        self._tracker = Tracker(self._settings)
        self._host = HostControl() if state is None else state.host.copy()
        self._last_result_s = -math.inf
        self._last_key: tuple[float, float] | None = None
        self._heard_at_s = clock()
        self._heard_s = monotonic()
        self._outdated = False
        self._writer = CardWriter(room, last_event_id)
        self._availability = availability
        self._table = TrackTable(
            self._writer, self._tracker, self._host, self._settings, clock, availability=availability
        )
        if state is not None:
            self._restore(state)

    # Frames and time

    def on_result(self, detections: Detections) -> list[CardEvent]:
        """Take a result. One of the same frame as before, or of an older one, says nothing.

        Raises:
            ValueError: they are another room's.
        """
        if detections.room != self.room:
            raise ValueError(f"detections of room {detections.room!r} was given to room {self.room!r}")
        events = self._hear()
        key = detections.key
        at_s = self._time.advance(*key)
        if key == self._last_key or at_s < self._last_result_s:
            return events
        self._last_key, self._last_result_s = key, at_s
        self._table.frame = FrameStamp(*key, detections.frame_width_px, detections.frame_height_px)
        self._tracker.take(detections, at_s, self._time.now_s, self._host.pinned)
        return events + self._settle()

    def on_unchanged(
        self, pts_s: float, captured_at_s: float, tracked: Mapping[str, ShareBox] | None = None
    ) -> list[CardEvent]:
        """A frame was skipped because nothing in it is new since the last result: time passes, no vote is cast.

        `tracked`: where products of that result are now, by sku, as shares of the picture; the others have not moved.
        """
        events = self._hear()
        at_s = self._time.advance(pts_s, captured_at_s)
        if at_s >= self._time.now_s:
            self._table.frame = FrameStamp(
                pts_s, captured_at_s, self._table.frame.width_px, self._table.frame.height_px
            )
        self._tracker.unchanged(tracked or {}, at_s, self._time.now_s)
        return events + self._settle()

    def tick(self, now_s: float) -> list[CardEvent]:
        """Time passes, of the monotonic clock; to be called about once a second, for live streams.

        Nothing is withdrawn as absent while no results come. After `silence_s` without one the stream is lost:
        every card but a pinned one is withdrawn, and its product may be announced anew when the stream is back.
        """
        if self._outdated or now_s - self._heard_s >= self._settings.silence_s:
            self._outdated = False
            return self._table.lose(but=self._host.pinned)
        return []

    def on_availability(self, skus: Iterable[str]) -> list[CardEvent]:
        """The shop's answer about products changed: cards go, or come, without waiting for the next result."""
        self._add_pinned()
        for sku in skus:
            product = self._tracker.tracks.get(sku)
            if product is not None and product.refusal is not None:
                # Its votes may be forgotten by now; new ones are wanted as of one that has just come into sight.
                product.in_sight_since_s = self._time.now_s
        return self._settle()

    def recheck_availability(self) -> list[CardEvent]:
        """Withdraw cards whose products were not confirmed again in time."""
        return self._table.withdraw_off_sale()

    def knows(self, sku: str) -> bool:
        """True for a product that matters here now: it was seen lately, is pinned, or is shown."""
        return sku in self._tracker.tracks or sku == self._host.pinned

    @property
    def awaits_availability_of(self) -> set[str]:
        """Whose availability matters between two results: shown, pinned, or in sight and refused."""
        products = self._tracker.tracks.values()
        awaited = {each.sku for each in products if each.card or (each.refusal and each.is_seen)}
        return awaited if self._host.pinned is None else awaited | {self._host.pinned}

    def close(self, reason: WithdrawReason = "room_closed") -> list[CardEvent]:
        """Withdraw every card. The room may go on afterwards; only "stream_lost" lets it announce them anew."""
        if reason == "stream_lost":
            return self._table.lose(but=None)
        events = [self._table.withdraw(product, reason) for product in self._table.live()]
        self._tracker.forget_results()
        return events

    @property
    def needs_look(self) -> bool:
        """True while one more result could change something soon: the gate should let the next frame through."""
        return any(self._table.is_pending(track) for track in self._tracker.tracks.values())

    @property
    def in_sight(self) -> InSight:
        """Products in sight after the newest result, but for products that are seen again and again, never surely."""
        tracks = self._tracker.tracks.values()
        seen = [track for track in tracks if track.is_seen and not self._tracker.is_uncertain(track)]
        return InSight(
            {track.sku: track.seen_box for track in seen},
            shown=frozenset(track.sku for track in tracks if track.card is not None and track.is_seen),
            uncertain=frozenset(track.sku for track in seen if not is_sure(track.detection)),
            pending=any(track.card is None and self._table.is_pending(track) for track in tracks),
            # A pinned product may be out of sight.
            missing=any(
                track.card is not None and not track.is_seen and track.sku != self._host.pinned for track in tracks
            ),
        )

    @property
    def shown(self) -> list[Detection]:
        """The products whose cards viewers see now."""
        return [track.detection for track in self._table.live()]

    # The host

    def pin(self, sku: str, detection: Detection | None = None) -> list[CardEvent]:
        """Show the product now and until it is unpinned, withdrawn or muted, in sight or not; unmutes it.

        One product is pinned at a time. `detection` has the card's particulars; without it those of the last result
        are taken. A product that was never seen is shown as the shop has it, and else at its first result.

        Raises:
            SettingsError: it is not on the room's own list.
            ValueError: the detection is of another product.
        """
        if detection is not None and detection.sku != sku:
            raise ValueError(f"particulars of {detection.sku!r} were given for pinning {sku!r}")
        self._host.pin(self.room, sku)
        if detection is not None:
            self._tracker.add(detection, self._time.now_s)
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
        return self._table.take_away(lambda product: product.sku == sku, reason)

    def unmute(self, sku: str) -> list[CardEvent]:
        """End a mute; a product in sight may be announced at once, if it may be announced at all."""
        self._host.muted_until_s.pop(sku, None)
        return self._settle()

    def withdraw(self, sku: str, reason: WithdrawReason = "host") -> list[CardEvent]:
        """Take its card away and unpin it. It may come again as if it had been announced now."""
        self._host.unpin(sku)
        return self._table.take_away(lambda product: product.sku == sku, reason)

    def set_products(self, skus: Iterable[str] | None) -> list[CardEvent]:
        """The room's own list: only these are announced; None: any. Cards that are not on it are withdrawn."""
        self._host.restrict(skus)
        listed = self._host.listed
        return self._table.take_away(lambda product: listed is not None and product.sku not in listed, "host")

    # Another runner

    def state(self) -> RoomState:
        """For `RoomDecision(state=...)`."""
        return RoomState(
            room=self.room,
            last_event_id=self._writer.last_event_id,
            heard_at_s=self._heard_at_s,
            clock=replace(self._time),
            frame=self._table.frame,
            tracks=tuple(track.saved(self._settings) for track in self._tracker.tracks.values()),
            host=self._host.copy(),
        )

    def _restore(self, state: RoomState) -> None:
        if state.room != self.room:
            raise ValueError(f"the state of room {state.room!r} was given to room {self.room!r}")
        self._writer.last_event_id = max(state.last_event_id, self._writer.last_event_id)
        self._time = replace(state.clock)
        self._table.now_s = self._time.now_s
        self._table.frame = state.frame
        self._tracker.tracks = {track.sku: track.saved(self._settings) for track in state.tracks}
        self._outdated = self._clock() - state.heard_at_s > (self._settings.again_every_s or _RESTART_S)

    # Inside

    def _add_pinned(self) -> None:
        """Add what is pinned and was never seen, as the shop has it."""
        sku = self._host.pinned
        if self._availability is None or sku is None or sku in self._tracker.tracks:
            return
        offer = self._availability.offer(sku)
        if not isinstance(offer, str):
            self._tracker.add(Detection(sku, offer.name, offer.url, 1.0, None), self._time.now_s)

    def _hear(self) -> list[CardEvent]:
        self._heard_at_s = self._clock()
        self._heard_s = self._monotonic()
        if not self._outdated:
            return []
        self._outdated = False
        return self._table.lose(but=self._host.pinned)

    def _settle(self) -> list[CardEvent]:
        self._table.now_s = self._time.now_s
        return self._table.settle()
