"""Whether the recogniser would answer: the picture it is asked with, and TorchServe's own word."""

from __future__ import annotations

import struct
import zlib

import msgspec


class _Worker(msgspec.Struct):
    status: str = ""


class _ServedModel(msgspec.Struct):
    workers: list[_Worker] = []


def has_ready_worker(body: bytes) -> bool:
    """Whether TorchServe's description of a model names a worker that is ready; False for anything else."""
    try:
        versions = msgspec.json.decode(body, type=list[_ServedModel])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return any(worker.status == "READY" for version in versions for worker in version.workers)


def _grey_png(side_px: int) -> bytes:
    """A grey square as PNG, so that asking whether the recogniser is ready needs no picture and no encoder."""
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", side_px, side_px, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress((b"\0" + b"\x80" * side_px) * side_px)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


#: So small that the archive looks for no product in it: an answer costs one pass of the classifier.
TINY_PNG = _grey_png(16)
