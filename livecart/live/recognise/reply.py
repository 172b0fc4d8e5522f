"""From the archive's reply to detections in pixels of the frame that was sent; TorchServe's word on its workers."""

import msgspec

from contract import boxes, links
from contract import reply as archive
from contract.boxes import BoxXyxyPx
from contract.errors import decode_error
from contract.reply import ImageInfo, Reply, TextLine
from livecart.core.errors import RecognizerBusy, RecognizerError
from livecart.core.types import Detection, Detections, Frame

#: Pixels by which the archive's idea of the JPEG's size may differ from ours: one for rounding on each side.
_SIZE_TOLERANCE_PX = 2
#: TorchServe: 503 queue full or no worker ready, 507 worker went down, 429/502/504 a proxy in front of it.
_BUSY_STATUS = frozenset({408, 429, 502, 503, 504, 507})
#: TorchServe's 500 when the worker that held the request died; any other 500 is the archive's own fault.
_WORKER_DIED = "Worker died"


class _DescribedModel(msgspec.Struct):
    catalog: str | None = None
    #: An archive of an older version knows none.
    offers: int | None = None


class _Description(msgspec.Struct):
    model: _DescribedModel


def decode(status: int, body: bytes, url: str) -> Reply:
    """The reply that `url` sent.

    Raises:
        RecognizerBusy: It may answer in a moment.
        RecognizerError: It will not, or this is not a reply of schema 1; says where.
    """
    if status != 200:
        raise _refusal(status, body, url)
    try:
        return archive.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecognizerError(f"the recogniser's reply is not one of schema 1 (docs/http.md): {error}") from error


def _refusal(status: int, body: bytes, url: str) -> RecognizerError:
    code, message = decode_error(body)
    said = " ".join(part for part in (str(status), code, message) if part)
    if status in _BUSY_STATUS or (status == 500 and _WORKER_DIED in message):
        return RecognizerBusy(f"the recogniser is busy or restarting: {said}")
    if 300 <= status < 400:
        return RecognizerError(f"{url} redirects ({status}), which is not followed: set the address it leads to")
    if status == 404:
        return RecognizerError(f"{url} is not served: {said}; is the model registered under this name?")
    if status in {401, 403}:
        return RecognizerError(f"{url} wants another token: {said}")
    return RecognizerError(f"the recogniser refused the frame: {said}")


def detections_of(
    reply: Reply, *, width_px: int, height_px: int, scale: float = 1.0, frame: Frame | None = None
) -> tuple[Detections, list[str]]:
    """The reply's products and texts, boxes in pixels of that size, and the skus left out for their links.

    Args:
        reply: As the archive sent it.
        width_px: Of the picture, above 0.
        height_px: Of the picture, above 0.
        scale: Factor from the picture's sides to those of the JPEG that was sent, above 0.
        frame: It is about; None: a photo of no room.

    Raises:
        RecognizerError: The reply is about a picture of another size, or a box is inside out.
    """
    image = reply.image
    if max(abs(image.width - width_px * scale), abs(image.height - height_px * scale)) > _SIZE_TOLERANCE_PX:
        raise RecognizerError(
            f"the recogniser answered for a picture of {image.width}x{image.height} pixels, "
            f"but was sent one of {width_px * scale:.0f}x{height_px * scale:.0f}"
        )
    kept, unsafe = [], []
    for product in reply.products:
        if not links.is_https_link(product.url):
            unsafe.append(product.sku)
            continue
        box = None if product.box is None else _to_frame(product.box, image, width_px, height_px)
        if product.box is not None and box is None:
            raise RecognizerError(f"the recogniser's box of product {product.sku} is empty or outside: {product.box}")
        kept.append(
            Detection(
                sku=product.sku,
                name=product.name,
                url=product.url,
                confidence=product.confidence,
                box_xyxy_px=box,
                threshold=product.threshold,
                price=product.price,
                currency=product.currency,
                is_from_price=product.is_from_price,
                evidence=product.evidence,
            )
        )
    detections = Detections(
        room="" if frame is None else frame.room,
        pts_s=0.0 if frame is None else frame.pts_s,
        captured_at_s=0.0 if frame is None else frame.captured_at_s,
        frame_width_px=width_px,
        frame_height_px=height_px,
        products=tuple(kept),
        stage_seconds={stage: ms / 1000 for stage, ms in msgspec.structs.asdict(reply.timing_ms).items()},
        mirrored=reply.mirrored,
        texts=_text_lines(reply, width_px, height_px),
        picture=None if frame is None else frame.picture,
    )
    return detections, unsafe


def _text_lines(reply: Reply, width_px: int, height_px: int) -> tuple[TextLine, ...]:
    """The lines read. One outside the picture is left out: they are only shown to people, and cost no result."""
    placed = ((line, _to_frame(line.box, reply.image, width_px, height_px)) for line in reply.texts)
    return tuple(TextLine(line.text, line.confidence, box) for line, box in placed if box is not None)


def described_catalog(status: int, body: bytes, url: str) -> str | None:
    """The snapshot's id and the offers' revision of a recogniser that describes itself; None: it has no snapshot.

    Raises:
        RecognizerBusy: It may answer in a moment.
        RecognizerError: It will not, or this is no description.
    """
    if status != 200:
        raise _refusal(status, body, url)
    try:
        model = msgspec.json.decode(body, type=_Description).model
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RecognizerError(f"the recogniser's description cannot be read: {error}") from error
    return None if model.catalog is None else f"{model.catalog}/{model.offers or 0}"


def _to_frame(box: BoxXyxyPx, image: ImageInfo, width_px: int, height_px: int) -> BoxXyxyPx | None:
    """The box in the frame's pixels, cut at its edges; None: nothing of it is in the frame."""
    x1, y1, x2, y2 = box
    across, down = width_px / image.width, height_px / image.height
    return boxes.clip((x1 * across, y1 * down, x2 * across, y2 * down), width_px, height_px)


class _Worker(msgspec.Struct):
    status: str = ""


class _ServedModel(msgspec.Struct):
    workers: list[_Worker] = []


def count_ready_workers(body: bytes) -> int | None:
    """Ready workers in TorchServe's description of a model; None for anything else."""
    try:
        versions = msgspec.json.decode(body, type=list[_ServedModel])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return sum(worker.status == "READY" for version in versions for worker in version.workers)
