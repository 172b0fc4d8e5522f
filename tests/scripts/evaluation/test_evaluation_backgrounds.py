"""Pictures without products, from folders of photos and clips."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation.backgrounds import find_pictures, load_picture
from evaluation.dataset import EvaluationError
from tests.scripts.evaluation.drawn import write_scenery


def write_gif(path: Path, frames: int) -> None:
    images = [Image.new("RGB", (20, 10), (10 * number, 0, 0)) for number in range(frames)]
    images[0].save(path, save_all=True, append_images=images[1:])


def test_photos_and_frames_of_clips_are_found_in_order(tmp_path: Path) -> None:
    folder = write_scenery(tmp_path / "streets", [2, 1])
    write_gif(folder / "clip.gif", 20)
    (folder / "notes.txt").write_text("no picture")
    found = find_pictures([folder], frames_per_clip=4)
    assert [picture.key for picture in found] == [
        "streets/1.png",
        "streets/2.png",
        *(f"streets/clip.gif#{index}" for index in (0, 5, 10, 15)),
    ]
    red = [int(load_picture(picture, frames_per_clip=4)[0, 0, 0]) for picture in found[2:]]
    assert red == pytest.approx([0, 50, 100, 150], abs=6)


def test_a_short_clip_gives_all_it_has(tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    write_gif(folder / "clip.gif", 3)
    assert [picture.index for picture in find_pictures([folder])] == [0, 1, 2]


def test_frames_of_a_video(tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="PyAV is not installed")
    folder = tmp_path / "clips"
    folder.mkdir()
    with av.open(str(folder / "clip.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height = 64, 48
        for number in range(30):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 8 * number, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    found = find_pictures([folder], frames_per_clip=3)
    assert [picture.index for picture in found] == [0, 10, 20]
    grey = [load_picture(picture, frames_per_clip=3).mean() for picture in found]
    assert grey == pytest.approx([0, 80, 160], abs=8)
    assert load_picture(found[0], frames_per_clip=3).shape == (48, 64, 3)


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="nowhere: no such folder"):
        find_pictures([tmp_path / "nowhere"])
    with pytest.raises(EvaluationError, match="neither photos nor clips"):
        find_pictures([tmp_path])
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(EvaluationError, match=r"a\.png"):
        load_picture(find_pictures([tmp_path])[0])


def test_a_damaged_clip_is_named(tmp_path: Path) -> None:
    pytest.importorskip("av", reason="PyAV is not installed")
    (tmp_path / "a.mp4").write_bytes(b"no clip")
    with pytest.raises(EvaluationError, match=r"a\.mp4"):
        find_pictures([tmp_path])
