"""Takes looks in: which products a room has in sight, and what each look says for and against them."""

from __future__ import annotations

from collections.abc import Mapping

from livecart.pipeline.decision.boxes import ShareBox, centre, same_place
from livecart.pipeline.decision.competition import Shift, scene_shift, speed_of
from livecart.pipeline.decision.dedupe import forget_absent
from livecart.pipeline.decision.doubtful import Doubtful
from livecart.pipeline.decision.settings import DecisionSettings
from livecart.pipeline.decision.sightings import Sighting, sightings_of
from livecart.pipeline.decision.track import TrackedProduct
from livecart.pipeline.decision.vote import Ballot, weight_of
from livecart.types import Candidate, Look


class Tracker:
    """The products of one room that still matter, by sku. Times are the room's."""

    def __init__(self, settings: DecisionSettings) -> None:
        self._settings = settings
        self.products: dict[str, TrackedProduct] = {}
        self._doubtful = Doubtful(settings.window_s)

    def take(self, look: Look, at_s: float, now_s: float, pinned: str | None) -> None:
        """One look at a new frame of time `at_s`; `now_s` is later where newer frames were judged before it."""
        forget_absent(self.products, at_s, self._settings, pinned)
        self._forget_votes(now_s)
        sightings = sightings_of(look, self._settings.same_place_iou)
        self._doubtful.take((sighting.candidate for sighting in sightings), at_s)
        shifts = self._shifts(sightings)
        scene = scene_shift(list(shifts.values()))
        said = [self._see(sighting, shifts.get(sighting.candidate.sku), scene, at_s) for sighting in sightings]
        seen = {sighting.candidate.sku for sighting in sightings}
        for sku, product in self.products.items():
            if sku not in seen:
                product.miss()
        for sighting, weight in zip(sightings, said, strict=True):
            if sighting.speaks:
                self._contradict(sighting, weight, at_s)

    def unchanged(self, followed: Mapping[str, ShareBox], at_s: float, now_s: float) -> None:
        """A frame in which nothing is new: what the last look saw stays in sight, the rest stays missed."""
        self._forget_votes(now_s)
        for sku, product in self.products.items():
            if not product.in_last_look:
                product.miss()
            elif sku in followed:
                product.follow(followed[sku], at_s, self._settings)
            else:
                product.still_there(at_s)

    def is_doubtful(self, product: TrackedProduct) -> bool:
        """Whether it is seen again and again, never for sure; a product whose card is shown is not."""
        return product.card is None and product.sku in self._doubtful

    def add(self, candidate: Candidate, now_s: float) -> TrackedProduct:
        """A product that no look has seen yet, or whose particulars are to be these."""
        product = self.products.get(candidate.sku)
        if product is None:
            product = TrackedProduct(candidate, Ballot(self._settings), now_s, now_s, missed_looks=1)
            self.products[candidate.sku] = product
        product.candidate = candidate
        return product

    def forget_looks(self) -> None:
        """The stream was interrupted: no look before it speaks for anything after it."""
        for product in self.products.values():
            product.ballot.clear()
            product.miss()

    def _forget_votes(self, now_s: float) -> None:
        for product in self.products.values():
            product.ballot.forget_before(now_s)

    def _shifts(self, sightings: list[Sighting]) -> dict[str, Shift]:
        """How each product's box moved since the look before this one, where both have it."""
        shifts = {}
        for sighting in sightings:
            known = self.products.get(sighting.candidate.sku)
            if known is not None and known.in_last_look and known.seen_box is not None and sighting.box is not None:
                old, new = centre(known.seen_box), centre(sighting.box)
                shifts[sighting.candidate.sku] = (new[0] - old[0], new[1] - old[1])
        return shifts

    def _see(self, sighting: Sighting, shift: Shift | None, scene: Shift, at_s: float) -> float:
        """Take in one sighting; the weight of what it says."""
        product = self.products.get(sighting.candidate.sku) or self.add(sighting.candidate, at_s)
        speed = 0.0
        if shift is not None and sighting.box is not None:
            speed = speed_of(sighting.box, shift, scene, at_s - product.last_seen_s)
        since_last_s = at_s - product.ballot.last_at_s
        product.see(sighting, at_s, speed, self._settings)
        weight = weight_of(
            sighting.candidate, sighting.box, since_last_s, at_s - product.in_sight_since_s, self._settings
        )
        if sighting.speaks:
            product.ballot.speak_for(at_s, weight, sighting.candidate)
        return weight

    def _contradict(self, speaker: Sighting, weight: float, at_s: float) -> None:
        for sku, product in self.products.items():
            if sku == speaker.candidate.sku:
                continue
            if same_place(product.seen_box, speaker.box, self._settings.same_place_iou):
                product.ballot.speak_against(at_s, weight)
