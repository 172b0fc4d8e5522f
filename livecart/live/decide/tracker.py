"""Takes results in: which products a room has in sight, and what each result says for and against them."""

from collections.abc import Mapping

from livecart.core.types import Detection, Detections, ShareBox
from livecart.live.decide.boxes import centre, same_place
from livecart.live.decide.competition import Shift, scene_shift, speed_of
from livecart.live.decide.detections import PlacedDetection, UncertainStreaks, by_place
from livecart.live.decide.settings import DecisionSettings
from livecart.live.decide.track import Track, forget_absent
from livecart.live.decide.vote import Ballot, weight_of


class Tracker:
    """The products of one room that still matter, by sku. Times are the room's."""

    def __init__(self, settings: DecisionSettings) -> None:
        self._settings = settings
        self.tracks: dict[str, Track] = {}
        self._uncertain = UncertainStreaks(settings.window_s)

    def take(self, detections: Detections, at_s: float, now_s: float, pinned: str | None) -> None:
        """One result of a new frame of time `at_s`; `now_s` is later where newer frames came before it."""
        forget_absent(self.tracks, at_s, self._settings, pinned)
        self._forget_votes(now_s)
        placed = by_place(detections, self._settings.same_place_iou)
        self._uncertain.take((each.detection for each in placed), at_s)
        shifts = self._shifts(placed)
        scene = scene_shift(list(shifts.values()))
        said = [self._take_in(each, shifts.get(each.detection.sku), scene, at_s) for each in placed]
        seen = {each.detection.sku for each in placed}
        for sku, product in self.tracks.items():
            if sku not in seen:
                product.miss()
        for each, weight in zip(placed, said, strict=True):
            if each.speaks:
                self._contradict(each, weight, at_s)

    def unchanged(self, tracked: Mapping[str, ShareBox], at_s: float, now_s: float) -> None:
        """A frame in which nothing is new: what the last result had stays in sight, the rest stays missed."""
        self._forget_votes(now_s)
        for sku, product in self.tracks.items():
            if not product.is_seen:
                product.miss()
            elif sku in tracked:
                product.move(tracked[sku], at_s, self._settings)
            else:
                product.still_there(at_s)

    def is_uncertain(self, product: Track) -> bool:
        """True where it is seen again and again, never for sure; a product whose card is shown is not."""
        return product.card is None and product.sku in self._uncertain

    def add(self, detection: Detection, now_s: float) -> Track:
        """A product that no result has had yet, or whose particulars are to be these."""
        product = self.tracks.get(detection.sku)
        if product is None:
            product = Track(detection, Ballot(self._settings), now_s, now_s, misses=1)
            self.tracks[detection.sku] = product
        product.detection = detection
        return product

    def forget_results(self) -> None:
        """The stream was interrupted: no result before it speaks for anything after it."""
        for product in self.tracks.values():
            product.ballot.clear()
            product.miss()

    def _forget_votes(self, now_s: float) -> None:
        for product in self.tracks.values():
            product.ballot.forget_before(now_s)

    def _shifts(self, placed: list[PlacedDetection]) -> dict[str, Shift]:
        """Movement of each product's box since the result before this one, where both have it."""
        shifts = {}
        for each in placed:
            known = self.tracks.get(each.detection.sku)
            if known is not None and known.is_seen and known.seen_box is not None and each.box is not None:
                old, new = centre(known.seen_box), centre(each.box)
                shifts[each.detection.sku] = (new[0] - old[0], new[1] - old[1])
        return shifts

    def _take_in(self, placed: PlacedDetection, shift: Shift | None, scene: Shift, at_s: float) -> float:
        """Take in one detection; the weight of what it says."""
        product = self.tracks.get(placed.detection.sku) or self.add(placed.detection, at_s)
        speed = 0.0
        if shift is not None and placed.box is not None:
            speed = speed_of(placed.box, shift, scene, at_s - product.last_seen_s)
        since_last_s = at_s - product.ballot.last_at_s
        product.see(placed, at_s, speed, self._settings)
        weight = weight_of(placed.detection, placed.box, since_last_s, at_s - product.in_sight_since_s, self._settings)
        if placed.speaks:
            product.ballot.speak_for(at_s, weight, placed.detection)
        return weight

    def _contradict(self, speaker: PlacedDetection, weight: float, at_s: float) -> None:
        for sku, product in self.tracks.items():
            if sku == speaker.detection.sku:
                continue
            if same_place(product.seen_box, speaker.box, self._settings.same_place_iou):
                product.ballot.speak_against(at_s, weight)
