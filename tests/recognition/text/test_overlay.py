"""Text drawn over a picture, told from the same words printed on a thing that is held into it."""

import cv2
import numpy as np
import pytest

from recognition.text.ocr import ReadLine
from recognition.text.overlay import is_drawn_over, printed
from tests import drawings

TEXT = "珍珍荔枝味汽水"
BOX = (60, 180, 420, 240)


def room() -> np.ndarray:
    """A picture as a lens makes it: soft, uneven, with grain."""
    random = np.random.default_rng(4)
    coarse = random.integers(60, 190, (6, 8, 3)).astype(np.uint8)
    soft = cv2.resize(coarse, (480, 360), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    return np.clip(soft + random.normal(0, 4, soft.shape), 0, 255).astype(np.uint8)


def written(picture: np.ndarray, *, colour: tuple[int, int, int] = (255, 255, 255)) -> np.ndarray:
    cv2.putText(picture, TEXT, (66, 226), colour, drawings.FACE, 44)
    return picture


def outlined(picture: np.ndarray) -> np.ndarray:
    ink = written(np.zeros_like(picture)).max(axis=2)
    picture[cv2.dilate(ink, np.ones((7, 7), np.uint8)) > 60] = (20, 15, 15)
    return written(picture, colour=(255, 240, 90))


def plate(picture: np.ndarray, colour: tuple[int, int, int], opacity: float) -> np.ndarray:
    left, top, right, bottom = BOX
    part = picture[top:bottom, left:right].astype(np.float32)
    picture[top:bottom, left:right] = (part * (1 - opacity) + np.array(colour) * opacity).astype(np.uint8)
    return picture


def as_jpeg(picture: np.ndarray, quality: int = 75) -> np.ndarray:
    _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1].copy()


def line(tilt_deg: float = 0.0, box: tuple[float, ...] = BOX) -> ReadLine:
    return ReadLine(TEXT, 0.98, tuple(map(float, box)), tilt_deg)


@pytest.mark.parametrize(
    "drawn",
    [
        written(plate(room(), (0, 0, 0), 0.45)),
        written(plate(room(), (220, 36, 48), 1.0)),
        written(plate(room(), (255, 255, 255), 0.9), colour=(20, 20, 20)),
        outlined(room()),
    ],
    ids=["bubble", "sticker", "banner", "outlined"],
)
@pytest.mark.parametrize("quality", [75, 90])
def test_words_drawn_over_a_picture_are(drawn, quality):
    assert is_drawn_over(as_jpeg(drawn, quality), line())


def test_print_is_not_where_a_lens_blurs_it():
    label = written(plate(room(), (200, 40, 40), 1.0), colour=(235, 235, 225))
    assert not is_drawn_over(as_jpeg(cv2.GaussianBlur(label, (0, 0), 1.6)), line())


def test_print_is_not_where_light_falls_on_it():
    label = written(plate(room(), (200, 40, 40), 1.0), colour=(235, 235, 225)).astype(np.float32)
    light = 0.6 + 0.4 * np.cos(np.linspace(-1.5, 1.5, label.shape[1]))[:, None]
    grain = np.random.default_rng(1).normal(0, 6, label.shape)
    assert not is_drawn_over(as_jpeg(np.clip(label * light + grain, 0, 255).astype(np.uint8)), line())


@pytest.mark.parametrize(
    ("tilt_deg", "box"), [(3.0, BOX), (-88.0, BOX), (0.0, (60, 180, 120, 300)), (0.0, (60, 180, 80, 188))]
)
def test_print_is_not_where_it_is_tilted_or_too_small_to_tell(tilt_deg, box):
    drawn = written(plate(room(), (0, 0, 0), 0.45))
    assert not is_drawn_over(drawn, line(tilt_deg, box))


def test_a_line_of_a_stack_is_drawn_where_another_of_it_is():
    picture = as_jpeg(written(plate(room(), (0, 0, 0), 0.45)))
    left, top, right, bottom = BOX
    high = bottom - top
    below = line(box=(left + 4, top + 2 * high, right - 20, bottom + 2 * high))
    aside = line(box=(left + 3 * high, top + 2 * high, right + 3 * high, bottom + 2 * high))
    larger = line(box=(left, top + 2 * high, right, bottom + 4 * high))
    assert printed(picture, [line(), below, aside, larger]) == [aside, larger]
    assert printed(room(), [below]) == [below]
