"""The font of everything that is written: Noto Sans SC and Noto Serif SC, from a package of the dev group."""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from PIL import ImageFont

from clips.errors import ClipError

Face = Literal["sans", "serif"]

#: Ships both faces under the SIL Open Font License 1.1, and nothing else.
_PACKAGE = "pylopdf_fonts_zh_cn"
_FILES: dict[Face, str] = {"sans": "NotoSansSC-Regular.otf", "serif": "NotoSerifSC-Regular.otf"}


def font_path(face: Face) -> Path:
    """The font file.

    Raises:
        ClipError: the package with the fonts is not installed.
    """
    spec = find_spec(_PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder) / _FILES[face]
        if path.is_file():
            return path
    raise ClipError("no Chinese font: `make setup` installs it, or `pip install pylopdf-fonts-zh-cn`")


@lru_cache(maxsize=256)
def font(face: Face, size_px: int) -> ImageFont.FreeTypeFont:
    """The face at that height. Only regular weights are shipped: draw with a stroke for bold.

    Raises:
        ClipError: the package with the fonts is not installed.
    """
    # The basic layout gives the same glyph positions whether or not a shaping library is on the machine.
    return ImageFont.truetype(str(font_path(face)), max(4, size_px), layout_engine=ImageFont.Layout.BASIC)
