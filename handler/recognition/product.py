"""A product as the archive knows it, from a catalog, a snapshot or a links file."""

import msgspec


class CatalogProduct(msgspec.Struct, frozen=True, omit_defaults=True):
    """One product. ``photos`` are paths relative to the folder; without ``rooms`` (None) it is for all rooms.

    ``price`` is decimal digits as the shop wrote them, ``stock`` pieces (None: unknown), ``threshold`` 0..1 or None
    for the archive's own. ``negatives`` are photos of what was taken for it; ``negative_of`` is set of the row that
    holds them, which no catalog file names (catalog/build.py).
    """

    sku: str
    name: str
    url: str
    brand: str | None = None
    words: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    price: str | None = None
    currency: str | None = None
    stock: int | None = None
    photos: tuple[str, ...] = ()
    rooms: tuple[str, ...] | None = None
    threshold: float | None = None
    negatives: tuple[str, ...] = ()
    negative_of: str | None = None

    def in_room(self, room: str | None) -> bool:
        """True for a request without a room, and for a product of all rooms."""
        return room is None or self.rooms is None or room in self.rooms
