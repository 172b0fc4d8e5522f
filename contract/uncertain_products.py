"""Products that a catalog cannot be sure of, as the build that found them writes beside a snapshot.

``{"schema": 1, "looked_at": 40, "found": 1, "products": [{"sku": "1001", "name": "矿泉水", "kind": "plain"}]}``.
"""

from typing import Final, Literal

import msgspec

#: Beside the snapshot that is written.
UNCERTAIN_PRODUCTS_FILE: Final = "uncertain_products.json"


class UncertainProduct(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One product, and why it may stay silent or another may be shown for it.

    ``plain``: nothing but its shape tells it from walls and hands. ``alike``: a photo of it is as good a photo of
    ``other_sku``. ``same_photo``: the two have a file in common. ``words`` are in its name, not in the other's, and
    read on none of its photos: a photo of the side where they stand would tell the two apart.
    """

    sku: str
    name: str
    kind: Literal["plain", "alike"]
    other_sku: str | None = None
    other_name: str | None = None
    same_photo: bool = False
    words: tuple[str, ...] = ()


class UncertainProducts(msgspec.Struct, frozen=True, kw_only=True):
    """Of one snapshot, the first so many.

    ``found`` counts all of them among the ``looked_at`` products: those with photos, and from 2,001 photos on an even
    share of these.
    """

    schema: Literal[1] = 1
    looked_at: int
    found: int
    products: tuple[UncertainProduct, ...]


_DECODER = msgspec.json.Decoder(UncertainProducts)


def decode_uncertain_products(data: bytes) -> UncertainProducts:
    """Read the file.

    Raises:
        ValueError: it is another one, and why.
    """
    try:
        return _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"no list of uncertain products: {error}") from error
