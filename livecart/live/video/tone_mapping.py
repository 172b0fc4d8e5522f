"""High dynamic range to the range of photos: BT.2100 PQ and HLG, BT.2020 colours, to sRGB.

Reference white, 203 cd/m2 (BT.2408), becomes nearly the white of a photo; what is brighter is compressed, keeping its
hue. Shown by its numbers alone, an HDR picture is grey and pale, and resembles no photo. swscale can convert too, but
takes 6 s of a core for each stream's first picture, to make its table.
"""

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorTrc
from numpy.typing import NDArray

#: Reference white in units of PQ's highest luminance, 10,000 cd/m2, and of HLG's on a display of 1,000 cd/m2.
_WHITE_OF_PQ, _WHITE_OF_HLG = 203 / 10_000, 203 / 1_000
#: BT.2100: gamma of HLG's display at 1,000 cd/m2.
_HLG_GAMMA = 1.2
#: From this share of white on brightness is compressed.
_KNEE = 0.75
_BT2020_LUMA = np.array([0.2627, 0.6780, 0.0593], dtype=np.float32)
#: BT.2020 to BT.709 (BT.2087), for row vectors.
_TO_BT709 = np.array(
    [[1.6605, -0.1246, -0.0182], [-0.5876, 1.1329, -0.1006], [-0.0728, -0.0083, 1.1187]], dtype=np.float32
)
#: Codes looked up, of the upper bits of 16; and steps of the square root of linear light in the way back.
_CODES, _STEPS = 4096, 4096


def is_hdr(frame: VideoFrame) -> bool:
    """True where the frame's transfer function is PQ or HLG."""
    return frame.color_trc in {ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67}


def tone_mapped(rgb: NDArray[np.uint16], transfer: int) -> NDArray[np.uint8]:
    """R'G'B' of 16 bits (height, width, 3), PQ or HLG, as sRGB of 8 bits."""
    is_pq = transfer == ColorTrc.SMPTE2084
    light = (_PQ_LIGHT if is_pq else _HLG_LIGHT)[rgb >> 4]
    if not is_pq:
        luma = np.maximum(light @ _BT2020_LUMA, 1e-6)
        light *= (luma ** np.float32(_HLG_GAMMA - 1) / np.float32(_WHITE_OF_HLG))[..., None]
    light = np.maximum(light @ _TO_BT709, 0)
    highest = light.max(axis=-1)
    over = np.maximum(highest - _KNEE, 0)
    compressed = np.minimum(highest, _KNEE) + (1 - _KNEE) * -np.expm1(over / -(1 - _KNEE))
    light *= (compressed / np.maximum(highest, 1e-6))[..., None]
    codes: NDArray[np.uint8] = _SRGB[(np.sqrt(light) * (_STEPS - 1)).astype(np.uint16)]
    return codes


def _pq_light() -> NDArray[np.float32]:
    """Linear light of each code, 1 at reference white (BT.2100, table 4)."""
    code = np.linspace(0, 1, _CODES) ** (1 / 78.84375)
    light = np.maximum(code - 0.8359375, 0) / (18.8515625 - 18.6875 * code)
    return (light ** (1 / 0.1593017578125) / _WHITE_OF_PQ).astype(np.float32)


def _hlg_light() -> NDArray[np.float32]:
    """Scene light of each code, 1 at the highest (BT.2100, table 5)."""
    code = np.linspace(0, 1, _CODES)
    light = np.where(code <= 0.5, code**2 / 3, (np.exp((code - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    return light.astype(np.float32)


def _srgb() -> NDArray[np.uint8]:
    """The code of linear light, by its square root."""
    light = np.linspace(0, 1, _STEPS) ** 2
    code = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (code * 255).round().astype(np.uint8)


_PQ_LIGHT, _HLG_LIGHT, _SRGB = _pq_light(), _hlg_light(), _srgb()
