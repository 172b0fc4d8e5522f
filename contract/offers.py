"""Price and stock of products as a small file beside a snapshot says, which changes more often than the snapshot.

``{"schema": 1, "revision": 7, "products": {"1001": ["12.90", "CNY", false, true]}}``: price, currency, whether none is
left, whether variants cost more.
"""

from typing import Annotated, Final, Literal

import msgspec

#: Beside the snapshot that an archive follows, be it a path or a link.
OFFERS_FILE: Final = "offers.json"
Price = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,20}(\.[0-9]{1,20})?$")]
Currency = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{3}$")]


class ProductOffer(msgspec.Struct, frozen=True, array_like=True):
    """A product's price, as the shop wrote it, whether it is sold out or off sale, and whether variants cost more."""

    price: Price | None
    currency: Currency | None
    is_sold_out: bool
    is_from_price: bool = False


class Offers(msgspec.Struct, frozen=True, kw_only=True):
    """Offers by sku, as of one revision of the catalog. They count before what the snapshot holds."""

    schema: Literal[1] = 1
    revision: int
    products: dict[str, ProductOffer]


#: A product that is not in it is as the snapshot says.
NO_OFFERS: Final = Offers(revision=0, products={})
_DECODER = msgspec.json.Decoder(Offers)


def decode_offers(data: bytes) -> Offers:
    """Read the file.

    Raises:
        ValueError: it is another one, and why.
    """
    try:
        return _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"no offers: {error}") from error
