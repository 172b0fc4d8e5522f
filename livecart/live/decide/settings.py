"""Settings of decisions, with bounds."""

from typing import ClassVar

import msgspec

from livecart.core.settings import Bounds, check_bounds


class DecisionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a room's decisions. Times are stream time in seconds, except `silence_s`, which is the machine's.

    Raises:
        SettingsError: a value out of its bounds; names it and the bounds.
    """

    BOUNDS: ClassVar[Bounds] = {
        "agreeing_results": (1, 20),
        "window_s": (0.5, 120),
        "full_area_share": (0.0001, 1),
        "boxless_weight": (0.05, 1),
        "independent_after_s": (0, 10),
        "contradiction": (0, 10),
        "same_place_iou": (0.05, 0.95),
        "absence_s": (0.2, 600),
        "again_after_absence_s": (0, 86_400),
        "again_every_s": (1, 86_400),
        "max_cards": (1, 20),
        "replace_margin": (0, 10),
        "replace_after_s": (0, 60),
        "update_moved_share": (0.001, 10),
        "update_every_s": (0.1, 3600),
        "update_min_interval_s": (0, 60),
        "smoothing_s": (0, 10),
        "silence_s": (1, 86_400),
    }

    #: A product is announced after this many results at different frames that agree, within `window_s`, whose weights
    #: less those of the results that contradict them reach the same number. A result that is certain (vote.py)
    #: is two.
    agreeing_results: int = 2
    #: See `agreeing_results`.
    window_s: float = 5.0
    #: A box of at least this share of the picture has full weight, a smaller one less.
    full_area_share: float = 0.02
    #: Weight of a candidate without a box: a label of the whole frame spoke for it.
    boxless_weight: float = 0.75
    #: Results closer together than this see nearly the same picture: the later one counts less.
    independent_after_s: float = 0.4
    #: How much a result for another product at the same place weighs against, in units of its own weight.
    contradiction: float = 1.0
    #: Boxes that overlap at least so much (intersection over union) are one place.
    same_place_iou: float = 0.3
    #: A card is withdrawn when its product was not seen for this long, and not in two results.
    absence_s: float = 3.0
    #: A product is announced again once it was out of sight for so long, as far as results came, ...
    again_after_absence_s: float = 30.0
    #: ... or this long after it was announced, in sight or not. None: never by time alone.
    again_every_s: float | None = 300.0
    #: Cards that one room shows at the same time.
    max_cards: int = 1
    #: A product takes the place of a card in sight when its prominence is larger by this share, for this long.
    replace_margin: float = 0.25
    #: See `replace_margin`.
    replace_after_s: float = 1.0
    #: An `update` is sent when an edge moved by this share of the box's side, or after `update_every_s`; ...
    update_moved_share: float = 0.1
    #: See `update_moved_share`.
    update_every_s: float = 10.0
    #: ... never sooner after the card's last event than this.
    update_min_interval_s: float = 0.5
    #: Time constant of a box's smoothing. 0: none.
    smoothing_s: float = 0.5
    #: Without any result for so long, the stream counts as lost and cards are withdrawn.
    silence_s: float = 60.0

    def __post_init__(self) -> None:
        check_bounds(
            self,
            "decision setting {name} is {value!r}; give a number from {lowest:g} to {highest:g}",
            optional=("again_every_s",),
        )
