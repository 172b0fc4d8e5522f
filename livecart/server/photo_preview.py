"""Shows the recogniser a photo for the staff's pages: what it sees in it, and what it could be taken for."""

from collections.abc import Awaitable, Callable

from livecart.core.types import Detections
from livecart.live.recognise.client import RecognizerClient
from livecart.live.recognise.reply import detections_of

#: Far below any threshold: a preview is about what else a photo resembles.
_SEE_FROM = 0.02
_SEE_MOST = 10


class PhotoPreview:
    """Implements `livecart.shop.admin.RecognizePhoto`.

    Args:
        client: the recogniser.
        rooms_first: waits while rooms are about to look for the products of a photo that was just saved.
    """

    def __init__(self, client: RecognizerClient, rooms_first: Callable[[], Awaitable[None]]) -> None:
        self._client = client
        self._rooms_first = rooms_first

    async def __call__(self, photo: bytes) -> Detections:
        """Detections from far below their thresholds on, with the packaging's text.

        Raises:
            RecognizerBusy: it did not answer now.
            RecognizerError: it refused the photo, or answered what schema 1 does not know.
        """
        await self._rooms_first()
        reply = await self._client.ask(photo, threshold=_SEE_FROM, text="always", top_k=_SEE_MOST)
        detections, _ = detections_of(reply, width_px=reply.image.width, height_px=reply.image.height)
        return detections
