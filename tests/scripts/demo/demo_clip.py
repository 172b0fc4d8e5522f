"""A tiny clip with a key frame every half a second, for tests of what is sent on."""

from pathlib import Path

import av
import numpy as np

FPS = 25


def write_clip(path: Path, *, seconds: float = 2.0, codec: str = "libx264") -> Path:
    with av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 96, 128, "yuv420p"
        stream.codec_context.gop_size = FPS // 2
        for number in range(round(seconds * FPS)):
            frame = av.VideoFrame.from_ndarray(np.full((128, 96, 3), number * 4 % 256, np.uint8), format="rgb24")
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path
