"""Each stream of the matrix is read, at even steps, and its pictures are what a player shows."""

import numpy as np
import pytest
from PIL import Image

from livecart.live.video import IngestSettings, StreamReader
from tests.live.video.stream_matrix import Case, cases
from tests.live.video.streams import Seen, folder_server, numbered_picture

#: Levels, as a mean over the picture: lossy coding, and tone mapping of the brightest.
_MOST_DIFFERENCE = 6.0


@pytest.mark.parametrize("case", cases(), ids=str)
def test_it_is_read_and_shown_as_a_player_shows_it(tmp_path, case):
    case.make(tmp_path / case.file)
    seen = Seen()
    with folder_server(tmp_path) as address:
        source = f"{address}/{case.file}" if case.file.endswith(".m3u8") else str(tmp_path / case.file)
        reader = StreamReader(source, "room", IngestSettings(), seen.deliver, seen.on_state)
        reader.start()
        assert reader.join(30)
    reader.stop()
    assert seen.states == ["connecting", "live", "ended", "closed"], seen.details
    assert np.diff(seen.pts_s) == pytest.approx(np.ones(case.frames - 1), abs=0.1)
    assert seen.sizes_px[-1] == case.shown_px
    for frame in seen.frames:
        off = difference(frame, case, case.first + round((frame.pts_s - seen.pts_s[0]) * case.fps))
        assert off < _MOST_DIFFERENCE, f"at {frame.pts_s:.2f} s"


def difference(frame, case: Case, number: int) -> float:
    """Mean difference of a frame's sixteenths of each side from the picture of that number."""
    stored = Image.fromarray(numbered_picture(number % case.numbers, 320, 240))
    shown = stored if case.transpose is None else stored.transpose(case.transpose)
    size = (shown.width // 16, shown.height // 16)
    wanted = np.asarray(shown.resize(size, Image.Resampling.BOX)).astype(float)
    return float(np.abs(frame.picture.thumbnail(*size).astype(float) - wanted).mean())
