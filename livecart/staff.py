"""What the staff's pages need of the running rooms and of the recogniser."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from livecart.pipeline.archive_reply import candidates, text_lines
from livecart.pipeline.recognizer import RecognizerClient
from livecart.room_book import RoomBook
from livecart.types import Look, RoomView

#: Far below any threshold: a preview is about what else a photo resembles.
_SEE_FROM = 0.02
_SEE_MOST = 10


class StaffRooms:
    """Implements `livecart.catalog.admin.LiveRooms` over the rooms of this process."""

    def __init__(self, book: RoomBook) -> None:
        self._book = book

    def views(self) -> Sequence[RoomView]:
        """See `LiveRooms`."""
        return self._book.views()

    def pin(self, room: str, sku: str) -> RoomView | None:
        """See `LiveRooms`; the card has the catalog's particulars."""
        return self._book.pin(room, sku, None)

    def unpin(self, room: str) -> RoomView | None:
        """See `LiveRooms`."""
        return self._book.unpin(room)

    def mute(self, room: str, sku: str, for_s: float | None) -> RoomView | None:
        """See `LiveRooms`."""
        return self._book.mute(room, sku, for_s)

    def unmute(self, room: str, sku: str) -> RoomView | None:
        """See `LiveRooms`."""
        return self._book.unmute(room, sku)

    def withdraw(self, room: str, sku: str) -> RoomView | None:
        """See `LiveRooms`."""
        return self._book.withdraw(room, sku)


class PhotoSight:
    """Implements `livecart.catalog.admin.See`: shows the recogniser a photo.

    Args:
        client: the recogniser.
        rooms_first: waits while rooms are about to look for the products of a photo that was just saved.
    """

    def __init__(self, client: RecognizerClient, rooms_first: Callable[[], Awaitable[None]]) -> None:
        self._client = client
        self._rooms_first = rooms_first

    async def __call__(self, photo: bytes) -> Look:
        """What it sees, its print read, products from far below their thresholds on.

        Raises:
            RecognizerBusy: it did not answer now.
            RecognizerError: it refused the photo, or answered what schema 1 does not know.
        """
        await self._rooms_first()
        reply = await self._client.ask(photo, _media_type(photo), threshold=_SEE_FROM, text="always", top_k=_SEE_MOST)
        size = {"width_px": reply.image.width, "height_px": reply.image.height}
        found, _ = candidates(reply, **size, scale=1.0)
        return Look(
            room="",
            pts_s=0.0,
            captured_at_s=0.0,
            frame_width_px=reply.image.width,
            frame_height_px=reply.image.height,
            candidates=tuple(found),
            stage_seconds={stage: ms / 1000 for stage, ms in reply.timing_ms.items()},
            texts=text_lines(reply, **size),
        )


def _media_type(photo: bytes) -> str:
    if photo.startswith(b"\x89PNG"):
        return "image/png"
    return "image/webp" if photo[8:12] == b"WEBP" else "image/jpeg"
