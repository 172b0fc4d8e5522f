"""Availability as a decision asks it before a card: may the product be shown, with which link and price."""

from dataclasses import dataclass, replace
from typing import Protocol

from contract.card import PlatformOffer, Selling
from livecart.core.types import Detection

#: Why nothing may be shown while the shop's answer is on its way.
WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Offer:
    """A product that may be shown, as the shop had it at `confirmed_at_s` (UNIX time). `price` is decimal as text."""

    name: str
    url: str
    price: str | None
    currency: str | None
    #: Where viewers load a photo of it: https, or a path of the hub's own.
    image_url: str | None
    confirmed_at_s: float
    offers: tuple[PlatformOffer, ...] = ()
    is_from_price: bool = False
    selling: Selling | None = None


class Availability(Protocol):
    """Availability of products. Never waits: an unknown answer is reported once it has come."""

    def offer(self, sku: str) -> Offer | str:
        """The offer to show now, or in one word the reason for none; `WAITING` where that is not known yet."""

    def last(self, sku: str) -> Offer | None:
        """The newest offer, however old: for further events of a card that was shown."""

    def refused(self, reason: str) -> None:
        """A card was due, and is not shown."""


def with_offer(detection: Detection, offer: Offer | None) -> Detection:
    """The product with the shop's particulars, which are younger than the recogniser's."""
    if offer is None:
        return detection
    return replace(
        detection,
        name=offer.name,
        url=offer.url,
        price=offer.price,
        currency=offer.currency,
        image_url=offer.image_url,
        offers=offer.offers,
        is_from_price=offer.is_from_price,
        selling=offer.selling,
    )
