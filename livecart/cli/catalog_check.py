"""A catalog folder's products as a room's list, and whether the recogniser serves that catalog (docs/catalog.md)."""

from dataclasses import dataclass
from pathlib import Path

from contract.catalog import CATALOG_FILE, CatalogMistake, read_catalog
from livecart.core.errors import RecognizerError, SettingsError
from livecart.live.recognise.client import RecognizerClient

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
#: A catalog's own photo is nearly always known for its product; of so many one is.
_PROBES = 5


@dataclass(frozen=True, slots=True)
class RoomCatalog:
    """The part of a catalog folder that a room shows."""

    folder: Path
    skus: tuple[str, ...]
    #: Product and its first photo, of those that may be shown.
    photos: tuple[tuple[str, Path], ...]


def room_catalog(folder: Path, room: str) -> RoomCatalog:
    """The products of `catalog.json` that may be shown in `room`.

    Raises:
        SettingsError: there is no such file, it cannot be read, or it has nothing for the room.
    """
    path = folder / CATALOG_FILE
    try:
        entries = read_catalog(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror or error}; name a catalog folder") from error
    except (CatalogMistake, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: is no catalog: {error}; docs/catalog.md has the format") from error
    shown = [entry for entry in entries if not entry.rooms or room in entry.rooms]
    if not shown:
        raise SettingsError(f"{path}: has no product for room {room!r}; name another with --room")
    photos = [(entry.sku, folder / entry.photos[0]) for entry in shown if entry.photos and entry.stock != 0]
    return RoomCatalog(folder, tuple(entry.sku for entry in shown), tuple(photos))


async def check_served(client: RecognizerClient, catalog: RoomCatalog, room: str) -> None:
    """Ask the recogniser about a few of the catalog's own photos.

    Raises:
        SettingsError: it knows none of them, so that it serves another catalog; says how to serve this one.
    """
    url = client.settings.base_url
    asked = [(sku, path) for sku, path in catalog.photos if path.suffix.lower() in _SUFFIXES and path.is_file()]
    step = max(1, len(asked) // _PROBES)
    served: str | None = None
    probes = asked[::step][:_PROBES]
    for sku, path in probes:
        try:
            answer = await client.ask(path.read_bytes(), product_list=room)
        except RecognizerError as error:
            raise SettingsError(f"the recogniser at {url} cannot be asked about {path}: {error}") from error
        if any(product.sku == sku for product in answer.products):
            return
        served = answer.model.catalog
    if not asked:
        # A catalog of names alone has nothing to ask about.
        return
    raise SettingsError(
        f"the recogniser at {url} knows none of {len(probes)} photos of {catalog.folder} (it serves the "
        f"catalog {served or 'of product_links.json'}); serve this one: make serve CATALOG={catalog.folder}"
    )
