"""One network in two runtimes: the same answers, whatever runs it, alone or in a batch."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import skimage
import torch
from numpy.typing import NDArray
from PIL import Image

from recognition.classify.labels import softmax
from recognition.errors import ConfigurationError
from recognition.index.vectors import hellinger
from recognition.network.artifact import (
    FEATURES_FILE,
    INFO_FILE,
    LABELS_FILE,
    OPENVINO_FILE,
    OPENVINO_WEIGHTS_FILE,
    TORCH_FILE,
    BackboneInfo,
)
from recognition.network.export import RUNTIMES, export
from recognition.network.runtime import Runtime, import_openvino, open_runtime
from recognition.settings import THREADS_VARIABLE, RuntimeChoice
from tests.conftest import ROOT
from tests.recognition.exported_networks import Exported, network_of_archive, pixels_of, small_network

IMAGENET = Path(os.environ.get("LIVECART_EVAL_DATA", ROOT.parent / "shared" / "eval")) / "imagenet"
SKIMAGE = Path(skimage.__file__).parent / "data"
#: docs/http.md promises it.
TOLERANCE = 1e-3
#: Labels nearer to each other than this may change places.
TIED = 1e-5


@pytest.fixture(scope="module", params=["archive", "small"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "small":
        return small_network(folder)
    return network_of_archive(request.getfixturevalue("archive"), folder)


@pytest.fixture(autouse=True)
def _torch_threads() -> Iterator[None]:
    """The torch runtime sets the threads of the whole process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def photos(exported: Exported) -> NDArray[np.uint8]:
    return pixels_of(exported, [SKIMAGE / "coffee.png", SKIMAGE / "chelsea.png", SKIMAGE / "rocket.jpg"])


def _assert_same_answers(one: NDArray[np.float32], other: NDArray[np.float32]) -> None:
    """Confidences within the promise, and the same five labels in the same order, unless they are tied."""
    assert one.shape == other.shape
    assert np.abs(one - other).max() < TOLERANCE
    for mine, theirs in zip(one, other, strict=True):
        best, again = (np.argsort(-confidences)[:5] for confidences in (mine, theirs))
        assert np.abs(mine[best] - mine[again]).max() < TIED


def test_the_runtimes_agree_on_photos(exported, photos):
    confidences = [softmax(exported.open(cpu).forward(photos)) for cpu in RUNTIMES]

    _assert_same_answers(*confidences)
    # Not because everything looks the same to this network.
    assert np.ptp(confidences[0], axis=0).max() > 100 * TOLERANCE
    assert np.ptp(confidences[0], axis=1).min() > 100 * TOLERANCE


@pytest.mark.skipif(not IMAGENET.is_dir(), reason=f"no photos in {IMAGENET}")
def test_the_runtimes_agree_on_many_photos(exported):
    pixels = pixels_of(exported, sorted(IMAGENET.glob("*.jpg"))[::5])
    assert len(pixels) >= 20

    _assert_same_answers(*(softmax(exported.open(cpu, threads=2).forward(pixels)) for cpu in RUNTIMES))


@pytest.mark.parametrize("cpu", RUNTIMES)
def test_pixels_are_normalised_as_the_weights_want_it(exported, photos, cpu):
    """Against the network as it was loaded, with the normalisation written out once more."""
    spec = exported.info.preprocessing
    normalised = (photos / 255.0 - np.array(spec.mean)) / np.array(spec.std)
    with torch.inference_mode():
        expected = exported.backbone.network(torch.from_numpy(normalised.transpose(0, 3, 1, 2)).float()).numpy()

    logits = exported.open(cpu).forward(photos)

    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected, atol=2e-3)
    assert np.ptp(expected) > 1


@pytest.mark.parametrize("cpu", RUNTIMES)
def test_a_batch_equals_its_photos_one_by_one(exported, photos, cpu):
    runtime = exported.open(cpu)
    batch = np.concatenate([photos, photos[:, ::-1]])

    together = softmax(runtime.forward(batch))

    alone = np.concatenate([softmax(runtime.forward(batch[i : i + 1])) for i in range(len(batch))])
    assert together.shape == (6, exported.info.num_classes)
    assert np.abs(together - alone).max() < 1e-4
    assert min(np.abs(a - b).max() for i, a in enumerate(alone) for b in alone[:i]) > 1e-2, "photos must differ"


@pytest.mark.parametrize("cpu", RUNTIMES)
def test_an_answer_stays_when_the_next_one_is_computed(exported, photos, cpu):
    runtime = exported.open(cpu)
    first = runtime.forward(photos[:1])
    kept = first.copy()

    runtime.forward(photos[1:2])

    np.testing.assert_array_equal(first, kept)


def _frames(count: int, rows: int, columns: int) -> NDArray[np.uint8]:
    """Parts of a photo, ``rows`` x ``columns`` cells of 32 pixels."""
    photo = np.asarray(Image.open(SKIMAGE / "coffee.png").convert("RGB"))
    parts = [photo[16 * n : 16 * n + 32 * rows, 24 * n : 24 * n + 32 * columns] for n in range(count)]
    return np.ascontiguousarray(np.stack(parts))


@pytest.mark.parametrize(("count", "rows", "columns"), [(1, 1, 1), (1, 6, 11), (3, 4, 2), (2, 3, 3)])
def test_the_runtimes_agree_on_feature_maps(exported, count, rows, columns):
    frames = _frames(count, rows, columns)

    one, other = (exported.open(cpu).features(frames) for cpu in RUNTIMES)

    assert one.shape == other.shape == (count, exported.info.feature_channels, rows, columns)
    assert one.dtype == other.dtype == np.float32
    np.testing.assert_allclose(one, other, atol=1e-3 * np.abs(other).max())
    # In one dark corner of a photo a trained network may see nothing at all.
    assert rows * columns == 1 or one.std() > 0.01 * np.abs(one).max()


@pytest.mark.parametrize("cpu", RUNTIMES)
def test_a_batch_of_feature_maps_equals_them_one_by_one(exported, cpu):
    runtime = exported.open(cpu)
    frames = _frames(3, 3, 4)

    together = runtime.features(frames)

    # Each pass writes into the buffers of the one before: what was returned must stay.
    alone = [runtime.features(frames[index : index + 1]) for index in range(3)]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-3 * np.abs(together).max())
    assert np.abs(alone[0] - alone[1]).max() > 0.05 * np.abs(together).max(), "frames must differ"


def test_both_kinds_of_answer_come_from_one_runtime_in_turn(exported, photos):
    runtime = exported.open("openvino")
    logits, features = runtime.forward(photos), runtime.features(_frames(1, 2, 2))

    np.testing.assert_allclose(runtime.forward(photos), logits, atol=1e-4)
    np.testing.assert_allclose(runtime.features(_frames(1, 2, 2)), features, atol=1e-4)


def test_openvino_without_its_feature_map_is_refused(exported, tmp_path):
    shutil.copytree(exported.folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / FEATURES_FILE).unlink()
    choice = RuntimeChoice(cpu="openvino")

    with pytest.raises(ConfigurationError, match=rf"{FEATURES_FILE} is not in the archive: .*including openvino"):
        open_runtime(tmp_path, exported.info, choice, gpu_id=None)

    # A network that has none does without.
    info = msgspec.structs.replace(exported.info, feature_channels=None)
    assert open_runtime(tmp_path, info, choice, gpu_id=None).forward(_blank(info)).shape == (1, info.num_classes)


def _blank(info: BackboneInfo) -> NDArray[np.uint8]:
    return np.zeros((1, info.preprocessing.input_px, info.preprocessing.input_px, 3), np.uint8)


def test_the_same_weights_have_the_same_fingerprint(exported, tmp_path):
    again = export(exported.backbone, tmp_path, runtimes=["torch"])
    assert again == exported.info

    parameter = next(exported.backbone.network.parameters())
    with torch.no_grad():
        parameter.flatten()[0] += 1
    changed = export(exported.backbone, tmp_path, runtimes=["torch"])
    with torch.no_grad():
        parameter.flatten()[0] -= 1
    assert changed.weights_sha256 != exported.info.weights_sha256


def test_only_the_runtimes_asked_for_are_written(exported, tmp_path):
    export(exported.backbone, tmp_path, runtimes=["torch"])

    written = {path.name for path in tmp_path.iterdir()}
    assert written == {INFO_FILE, LABELS_FILE, TORCH_FILE}
    assert written | {OPENVINO_FILE, OPENVINO_WEIGHTS_FILE} <= {path.name for path in exported.folder.iterdir()}


@pytest.mark.parametrize(("cpu", "file"), [("openvino", OPENVINO_FILE), ("torch", TORCH_FILE)])
def test_a_runtime_without_its_file_is_refused(exported, tmp_path, cpu, file):
    shutil.copytree(exported.folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / file).unlink()

    with pytest.raises(ConfigurationError, match=rf"{file} is not in the archive: .*--runtimes including {cpu}"):
        open_runtime(tmp_path, exported.info, RuntimeChoice(cpu=cpu), gpu_id=None)
    (other,) = set(RUNTIMES) - {cpu}
    assert open_runtime(tmp_path, exported.info, RuntimeChoice(cpu=other), gpu_id=None).name.startswith(other)


def test_a_gpu_needs_the_torch_file_whatever_the_cpu_runs(exported, tmp_path):
    shutil.copyfile(exported.folder / OPENVINO_FILE, tmp_path / OPENVINO_FILE)

    with pytest.raises(ConfigurationError, match=rf"{TORCH_FILE} is not in the archive: .*including torch"):
        open_runtime(tmp_path, exported.info, RuntimeChoice(cpu="openvino"), gpu_id=0)


def _threads_in_use(runtime: Runtime) -> int:
    if runtime.name == "openvino":
        return int(runtime._classifier.get_compiled_model().get_property("INFERENCE_NUM_THREADS"))
    return torch.get_num_threads()


@pytest.mark.parametrize("cpu", RUNTIMES)
@pytest.mark.parametrize(
    ("variable", "configured", "expected"), [(None, "auto", 1), ("3", "auto", 3), ("3", 2, 2), ("nonsense", 2, 2)]
)
def test_threads_are_as_configured_or_as_the_environment_says(
    exported, monkeypatch, cpu, variable, configured, expected
):
    if variable is None:
        monkeypatch.delenv(THREADS_VARIABLE, raising=False)
    else:
        monkeypatch.setenv(THREADS_VARIABLE, variable)

    runtime = exported.open(cpu, threads=configured)

    assert runtime.threads == expected
    # OpenVINO takes no more threads than there are cores.
    assert _threads_in_use(runtime) == (min(expected, os.cpu_count() or 1) if cpu == "openvino" else expected)


@pytest.mark.parametrize("value", ["0", "-1", "two", "", "1.5", " 2", "²", "٣"])
def test_a_bad_number_of_threads_is_refused(exported, monkeypatch, value):
    monkeypatch.setenv(THREADS_VARIABLE, value)

    with pytest.raises(ConfigurationError, match=f"{THREADS_VARIABLE}=.* is not a number of threads"):
        exported.open("openvino", threads="auto")


def test_says_what_runs_it(exported):
    assert [exported.open(cpu).name for cpu in RUNTIMES] == ["openvino", "torch:cpu"]


@pytest.mark.parametrize("precision", ["auto", "f32"])
def test_openvino_classifies_in_float32_and_pins_no_threads(exported, precision):
    """bfloat16 would break the promise on CPUs that have it; pinned workers would all sit on the first core."""
    model = exported.open("openvino", precision=precision)._classifier.get_compiled_model()

    assert model.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"
    assert model.get_property("ENABLE_CPU_PINNING") is False


def test_features_are_in_bfloat16_where_the_cpu_has_it_and_it_is_not_forbidden(exported):
    native = import_openvino().Core().get_property("CPU", "INFERENCE_PRECISION_HINT").get_type_name()

    def precision_of(precision: str) -> str:
        model = exported.open("openvino", precision=precision)._features.get_compiled_model()
        return model.get_property("INFERENCE_PRECISION_HINT").get_type_name()

    assert precision_of("f32") == "f32"
    assert precision_of("auto") == ("bf16" if native == "bf16" else "f32")


def test_the_precision_of_features_hardly_turns_a_vector(exported):
    """What is compared is the direction of averaged features: a few parts in a thousand off is below any margin."""
    frames = _frames(3, 6, 6)

    exact, quick = (
        hellinger(exported.open("openvino", precision=precision).features(frames).mean(axis=(2, 3)))
        for precision in ("f32", "auto")
    )

    assert (exact * quick).sum(axis=1).min() > 0.995


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_answers_as_the_cpu_does(exported, photos):
    runtime = exported.open("openvino", gpu_id=0)

    assert runtime.name == "torch:cuda:0"
    assert all(each.is_cuda for each in runtime._features.parameters())
    on_gpu = softmax(runtime.forward(photos))
    on_cpu = softmax(exported.open("torch").forward(photos))
    # Mixed precision keeps three digits of a logit, so a confidence moves by a hundredth or so.
    assert np.abs(on_gpu - on_cpu).max() < 2e-2
    assert on_gpu.argmax(axis=1).tolist() == on_cpu.argmax(axis=1).tolist()
