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
from recognition.network.artifact import FEATURES_FILE, OPENVINO_FILE, TORCH_FILE
from recognition.network.export import RUNTIMES, export
from recognition.network.runtime import Runtime, import_openvino, open_runtime
from recognition.settings import RuntimeChoice
from tests.conftest import ROOT
from tests.recognition.exported_networks import Exported, network_of_archive, pixels_of, small_network

IMAGENET = Path(os.environ.get("LIVECART_EVAL_DATA", ROOT.parent / "shared" / "eval")) / "imagenet"
SKIMAGE = Path(skimage.__file__).parent / "data"
#: docs/http.md promises it.
TOLERANCE = 1e-3
#: Labels nearer to each other than this may change places.
TIED = 1e-5


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return small_network(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def served(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return network_of_archive(archive, tmp_path_factory.mktemp("served"))


@pytest.fixture(autouse=True)
def _torch_threads() -> Iterator[None]:
    """The torch runtime sets the threads of the whole process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def photos_for(exported: Exported) -> NDArray[np.uint8]:
    return pixels_of(exported, [SKIMAGE / "coffee.png", SKIMAGE / "chelsea.png", SKIMAGE / "rocket.jpg"])


def _assert_same_answers(one: NDArray[np.float32], other: NDArray[np.float32]) -> None:
    """Confidences within the promise, and the same five labels in the same order, unless they are tied."""
    assert one.shape == other.shape
    assert np.abs(one - other).max() < TOLERANCE
    for mine, theirs in zip(one, other, strict=True):
        best, again = (np.argsort(-confidences)[:5] for confidences in (mine, theirs))
        assert np.abs(mine[best] - mine[again]).max() < TIED


def test_the_runtimes_agree_on_photos(served):
    files = sorted(IMAGENET.glob("*.jpg"))[::5]
    pixels = np.concatenate([photos_for(served), *([pixels_of(served, files)] if files else [])])
    confidences = [softmax(served.open(cpu, threads=2).forward(pixels)) for cpu in RUNTIMES]

    _assert_same_answers(*confidences)
    # Not because everything looks the same to this network.
    assert np.ptp(confidences[0], axis=0).max() > 100 * TOLERANCE
    assert np.ptp(confidences[0], axis=1).min() > 100 * TOLERANCE


@pytest.mark.parametrize("cpu", RUNTIMES)
@pytest.mark.parametrize("name", ["small", "served"])
def test_pixels_are_normalised_as_the_weights_want_it(request, name, cpu):
    """Against the network as it was loaded, with the normalisation written out once more."""
    exported = request.getfixturevalue(name)
    photos, spec = photos_for(exported), exported.info.preprocessing
    normalised = (photos / 255.0 - np.array(spec.mean)) / np.array(spec.std)
    with torch.inference_mode():
        expected = exported.backbone.network(torch.from_numpy(normalised.transpose(0, 3, 1, 2)).float()).numpy()

    logits = exported.open(cpu).forward(photos)

    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected, atol=2e-3)
    assert np.ptp(expected) > 1


@pytest.mark.parametrize("cpu", RUNTIMES)
def test_a_batch_equals_its_photos_one_by_one(small, cpu):
    runtime, photos = small.open(cpu), photos_for(small)
    batch = np.concatenate([photos, photos[:, ::-1]])

    together = softmax(runtime.forward(batch))

    # Each pass writes into the buffers of the one before: what was returned must stay.
    alone = np.concatenate([softmax(each) for each in [runtime.forward(batch[i : i + 1]) for i in range(len(batch))]])
    assert together.shape == (6, small.info.num_classes)
    assert np.abs(together - alone).max() < 1e-4
    assert min(np.abs(a - b).max() for i, a in enumerate(alone) for b in alone[:i]) > 1e-2, "photos must differ"


def _frames(count: int, rows: int, columns: int) -> NDArray[np.uint8]:
    """Parts of a photo, ``rows`` x ``columns`` cells of 32 pixels."""
    photo = np.asarray(Image.open(SKIMAGE / "coffee.png").convert("RGB"))
    parts = [photo[16 * n : 16 * n + 32 * rows, 24 * n : 24 * n + 32 * columns] for n in range(count)]
    return np.ascontiguousarray(np.stack(parts))


@pytest.mark.parametrize(("count", "rows", "columns"), [(1, 1, 1), (1, 6, 11), (3, 4, 2)])
def test_the_runtimes_agree_on_feature_maps(served, count, rows, columns):
    frames = _frames(count, rows, columns)

    one, other = (served.open(cpu).features(frames) for cpu in RUNTIMES)

    assert one.shape == other.shape == (count, served.info.feature_channels, rows, columns)
    assert one.dtype == other.dtype == np.float32
    np.testing.assert_allclose(one, other, atol=1e-3 * np.abs(other).max())
    # In one dark corner of a photo a trained network may see nothing at all.
    assert rows * columns == 1 or one.std() > 0.01 * np.abs(one).max()


@pytest.mark.parametrize("cpu", RUNTIMES)
def test_a_batch_of_feature_maps_equals_them_one_by_one(small, cpu):
    runtime = small.open(cpu)
    frames = _frames(3, 3, 4)

    together = runtime.features(frames)

    alone = [runtime.features(frames[index : index + 1]) for index in range(3)]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-3 * np.abs(together).max())
    assert np.abs(alone[0] - alone[1]).max() > 0.05 * np.abs(together).max(), "frames must differ"


def test_the_same_weights_have_the_same_fingerprint(small, tmp_path):
    again = export(small.backbone, tmp_path, runtimes=["torch"])
    assert again == small.info
    assert not (tmp_path / OPENVINO_FILE).exists()

    parameter = next(small.backbone.network.parameters())
    with torch.no_grad():
        parameter.flatten()[0] += 1
    changed = export(small.backbone, tmp_path, runtimes=["torch"])
    with torch.no_grad():
        parameter.flatten()[0] -= 1
    assert changed.weights_sha256 != small.info.weights_sha256


@pytest.mark.parametrize(
    ("cpu", "gpu_id", "file", "runtime"),
    [
        ("openvino", None, OPENVINO_FILE, "openvino"),
        ("openvino", None, FEATURES_FILE, "openvino"),
        ("torch", None, TORCH_FILE, "torch"),
        ("openvino", 0, TORCH_FILE, "torch"),
    ],
)
def test_a_runtime_without_its_file_is_refused(small, tmp_path, cpu, gpu_id, file, runtime):
    shutil.copytree(small.folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / file).unlink()

    with pytest.raises(ConfigurationError, match=rf"{file} is not in the archive: .*--runtimes including {runtime}"):
        open_runtime(tmp_path, small.info, RuntimeChoice(cpu=cpu), gpu_id=gpu_id)


def test_a_network_without_a_feature_map_needs_no_file_of_it(small, tmp_path):
    shutil.copytree(small.folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / FEATURES_FILE).unlink()
    info = msgspec.structs.replace(small.info, feature_channels=None)
    blank = np.zeros((1, info.preprocessing.input_px, info.preprocessing.input_px, 3), np.uint8)
    assert open_runtime(tmp_path, info, RuntimeChoice(), gpu_id=None).forward(blank).shape == (1, info.num_classes)


def _threads_in_use(runtime: Runtime) -> int:
    if runtime.name == "openvino":
        return int(runtime._classifier.get_compiled_model().get_property("INFERENCE_NUM_THREADS"))
    return torch.get_num_threads()


@pytest.mark.parametrize("cpu", RUNTIMES)
def test_a_runtime_takes_the_threads_that_it_is_given(small, cpu):
    runtime = small.open(cpu, threads=3)
    assert runtime.threads == 3
    # OpenVINO takes no more threads than there are cores.
    assert _threads_in_use(runtime) == (min(3, os.cpu_count() or 1) if cpu == "openvino" else 3)


def test_openvino_classifies_in_float32_and_pins_no_threads(small):
    """bfloat16 would break the promise on CPUs that have it; pinned workers would all sit on the first core."""
    model = small.open("openvino", precision="auto")._classifier.get_compiled_model()

    assert model.get_property("INFERENCE_PRECISION_HINT").get_type_name() == "f32"
    assert model.get_property("ENABLE_CPU_PINNING") is False


def test_features_are_in_bfloat16_where_the_cpu_has_it_and_it_is_not_forbidden(small):
    native = import_openvino().Core().get_property("CPU", "INFERENCE_PRECISION_HINT").get_type_name()

    def precision_of(precision: str) -> str:
        model = small.open("openvino", precision=precision)._features.get_compiled_model()
        return model.get_property("INFERENCE_PRECISION_HINT").get_type_name()

    assert precision_of("f32") == "f32"
    assert precision_of("auto") == ("bf16" if native == "bf16" else "f32")


def test_the_precision_of_features_hardly_turns_a_vector(served):
    """What is compared is the direction of averaged features: a few parts in a thousand off is below any margin."""
    frames = _frames(3, 6, 6)

    exact, quick = (
        hellinger(served.open("openvino", precision=precision).features(frames).mean(axis=(2, 3)))
        for precision in ("f32", "auto")
    )

    assert (exact * quick).sum(axis=1).min() > 0.995


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_answers_as_the_cpu_does(served):
    runtime, photos = served.open("openvino", gpu_id=0), photos_for(served)

    assert runtime.name == "torch:cuda:0"
    assert all(each.is_cuda for each in runtime._features.parameters())
    on_gpu = softmax(runtime.forward(photos))
    on_cpu = softmax(served.open("torch").forward(photos))
    # Mixed precision keeps three digits of a logit, so a confidence moves by a hundredth or so.
    assert np.abs(on_gpu - on_cpu).max() < 2e-2
    assert on_gpu.argmax(axis=1).tolist() == on_cpu.argmax(axis=1).tolist()
