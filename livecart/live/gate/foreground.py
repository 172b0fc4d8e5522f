"""The new parts of a picture, compared with several pictures seen before, each part of which may have moved a little.

A host moves all the time, so that every frame differs from the last one. But a hand or a face that was in an earlier
picture, somewhere near, is nothing that a recogniser has to be asked about again. The picture is cut into blocks; a
block is known if in one of the pictures remembered it lies within `_REACH_PX`. How badly the least known block fits
is the picture's foreground score: a product that comes in fits nowhere.

Works on the small copy of signature.py, halved once more: a block is 4 of about 80 pixels, a twentieth of
the picture's longer side.
"""

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from livecart.core.types import ShareBox
from livecart.live.gate.signature import neighbour_range

#: Side of a block, and how far it may have moved in each direction.
_BLOCK_PX, _REACH_PX = 4, 6
#: Positions are tried every so many pixels: what lies between them is inside a pixel's range of neighbours.
_STRIDE_PX = 2
#: Blocks searched for at once, those that fit worst first: one of them that fits nowhere settles it.
_CHUNK = 24

Planes = NDArray[np.uint8]


def halved(planes: Planes) -> Planes:
    """Planes of shape (3, height, width) at half the size, each pixel the mean of four; an odd edge is cut off."""
    height, width = planes.shape[1] // 2 * 2, planes.shape[2] // 2 * 2
    levels = planes[:, :height, :width].astype(np.uint16)
    rows = levels[:, ::2] + levels[:, 1::2]
    return ((rows[:, :, ::2] + rows[:, :, 1::2] + 2) >> 2).astype(np.uint8)


class KnownPicture:
    """A picture seen before, prepared for comparing: `planes` as `halved` makes them."""

    def __init__(self, planes: Planes) -> None:
        self.shape = planes.shape
        # Padded so that blocks may move out of the picture.
        lowest, highest = neighbour_range(planes, pad_px=_REACH_PX + 1)
        self._lowest, self._highest = _windows(lowest), _windows(highest)

    def misfits(
        self, blocks: NDArray[np.int16], at_y: NDArray[np.intp], at_x: NDArray[np.intp], *, near: bool
    ) -> NDArray[np.float32]:
        """Misfit of each block here, in levels, planes added: at its own place, or with `near` at the best one.

        Args:
            blocks: (3, n, side, side) of another picture.
            at_y: (n,) their first row.
            at_x: (n,) their first column.
            near: also look around.
        """
        shift_y, shift_x = _SHIFTS if near else _NO_SHIFT
        y, x = at_y + shift_y[:, None] + _REACH_PX, at_x + shift_x[:, None] + _REACH_PX
        here = blocks[:, None]
        above = here - np.minimum(here, self._highest[:, y, x])
        below = np.maximum(here, self._lowest[:, y, x]) - here
        fits = (above + below).sum(axis=(0, 3, 4), dtype=np.float32) / _BLOCK_PX**2
        return np.asarray(fits.min(axis=0), np.float32)


def foreground_score(
    planes: Planes,
    known: Sequence[KnownPicture],
    *,
    enough: float,
    beside: Sequence[ShareBox] = (),
    within: ShareBox | None = None,
) -> float:
    """Misfit of the least known block of a picture, in levels, luma and chroma added; infinite with none known.

    Args:
        planes: the picture, as `halved` makes it; pictures of another size know nothing of it.
        known: what it is compared with.
        enough: a value at or above this one is enough to know: the search ends there, and so it begins only for blocks
            that do not fit at their own place by as much.
        beside: blocks that touch one of these boxes do not count.
        within: nor do those that do not touch this one.
    """
    known = [picture for picture in known if picture.shape == planes.shape]
    if not known:
        return float("inf")
    at_y, at_x = _grid(planes.shape[1], planes.shape[2], beside, within)
    if not at_y.size:
        return 0.0
    blocks = sliding_window_view(planes, (_BLOCK_PX, _BLOCK_PX), axis=(1, 2))[:, at_y, at_x].astype(np.int16)
    fits = np.min([picture.misfits(blocks, at_y, at_x, near=False) for picture in known], axis=0)
    unknown = np.argsort(-fits)[: np.count_nonzero(fits >= enough)]
    worst = float(fits[fits < enough].max(initial=0.0))
    for start in range(0, unknown.size, _CHUNK):
        chunk = unknown[start : start + _CHUNK]
        best = fits[chunk]
        for picture in known:
            still = np.flatnonzero(best >= enough)
            if not still.size:
                break
            which = chunk[still]
            best[still] = np.minimum(
                best[still], picture.misfits(blocks[:, which], at_y[which], at_x[which], near=True)
            )
        worst = max(worst, float(best.max()))
        if worst >= enough:
            break
    return worst


def _grid(
    height: int, width: int, beside: Sequence[ShareBox], within: ShareBox | None
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First rows and columns of the blocks that count."""
    rows, columns = np.arange(0, height - _BLOCK_PX + 1, _BLOCK_PX), np.arange(0, width - _BLOCK_PX + 1, _BLOCK_PX)

    def touching(box: ShareBox) -> NDArray[np.bool_]:
        down = (rows + _BLOCK_PX > box[1] * height) & (rows < box[3] * height)
        across = (columns + _BLOCK_PX > box[0] * width) & (columns < box[2] * width)
        return down[:, None] & across[None, :]

    counts = np.ones((rows.size, columns.size), bool) if within is None else touching(within)
    for box in beside:
        counts &= ~touching(box)
    at_row, at_column = np.nonzero(counts)
    return rows[at_row], columns[at_column]


def _windows(planes: Planes) -> NDArray[np.uint8]:
    return sliding_window_view(planes, (_BLOCK_PX, _BLOCK_PX), axis=(1, 2))


_STEPS = np.arange(-_REACH_PX, _REACH_PX + 1, _STRIDE_PX)
_SHIFTS = tuple(axis.ravel() for axis in np.meshgrid(_STEPS, _STEPS, indexing="ij"))
_NO_SHIFT = (np.zeros(1, np.intp), np.zeros(1, np.intp))
