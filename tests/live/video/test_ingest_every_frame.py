"""`every_frame`: the same samples, with everything in between decoded as well."""

import pytest

from livecart.live.video import IngestSettings, StreamReader
from tests.live.video.streams import Seen, encode


@pytest.mark.parametrize("rate_hz", [0.5, 1.0])
def test_it_decodes_everything_and_samples_the_same(tmp_path, rate_hz):
    clip = tmp_path / "clip.mp4"
    encode(clip, seconds=6.0, fps=30, key_every_s=2.0)
    sampled, decoded = [], []
    for every_frame in (True, False):
        seen = Seen()
        settings = IngestSettings(rate_hz=rate_hz, every_frame=every_frame)
        reader = StreamReader(str(clip), "room-1", settings, seen.deliver, seen.on_state)
        reader.start()
        assert reader.join(20)
        reader.stop()
        counts = reader.stats.snapshot()
        sampled.append(seen.pts_s)
        decoded.append(counts.frames_decoded)
        assert counts.decode_mode == "all_frames" or not every_frame
    assert sampled[0] == sampled[1] == [step / rate_hz for step in range(round(6.0 * rate_hz))]
    assert decoded[0] == 180 > decoded[1]
