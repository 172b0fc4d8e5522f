"""``feedback.json``: what staff and viewers said of recognition, as livecart exports it and scripts/fit_*.py read it.

It stands beside ``crops/`` and ``catalog/``, a catalog folder. docs/feedback.md describes it.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

FEEDBACK_FILE: Final = "feedback.json"
CATALOG_FOLDER: Final = "catalog"
CROPS_FOLDER: Final = "crops"


class FeedbackCrop(msgspec.Struct, frozen=True, kw_only=True):
    """A product cut out of a stream. ``shows``: the product that a person has seen in it; None: not ``taken_for``."""

    path: Annotated[str, Meta(pattern=rf"^{CROPS_FOLDER}/[0-9a-f]{{64}}\.[a-z]{{3,4}}\Z")]
    taken_for: str
    state: Literal["pending", "approved", "corrected", "rejected"]
    shows: str | None
    reason: Literal["wrong_report", "low_margin"]
    reports: int
    confidence: float | None
    created_at_s: float


class FeedbackProduct(msgspec.Struct, frozen=True, kw_only=True):
    """What viewers did with a product's cards, and the classifier's labels that it names."""

    sku: str
    labels: tuple[str, ...]
    cards: int
    impressions: int
    clicks: int
    wrongs: int
    orders: int


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """The file. Crops that nobody has decided on are there, too."""

    crops: tuple[FeedbackCrop, ...]
    products: tuple[FeedbackProduct, ...]
    schema: Literal[1] = 1
