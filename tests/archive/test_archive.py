"""The built .mar, unpacked outside the repository and run by an isolated Python, as a worker runs it."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from sample_photos import sample_photos

OURS = ("product_handler", "sitecustomize", "recognition", "follow", "contract")
REPOSITORY = Path(__file__).resolve().parents[2]
#: Loads the archive with TorchServe's own loader and answers one good and one broken image; prints what it saw. The
#: checkout, which an editable install makes importable, is taken off the path first.
WORKER = """
import json, sys, threading
from pathlib import Path
folder, photo, metrics, checkout = sys.argv[1:5]
outside = [place for place in sys.path if "site-packages" in place or not Path(place).is_relative_to(checkout)]
sys.path[:] = [folder, *outside]
import sitecustomize  # as Python itself does where PYTHONPATH names the archive
from ts.context import RequestProcessor
from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl
from ts.model_loader import ModelLoaderFactory
cache = MetricsCacheYamlImpl(metrics)
cache.initialize_cache()
cache.model_name = "product_recognizer"
service = ModelLoaderFactory.get_model_loader().load(
    "product_recognizer", folder, "product_handler.py", None, 4, None, True, cache
)
context = service.context
context.request_processor = [RequestProcessor({"Content-Type": "image/png"}) for _ in range(2)]
bodies = service._entry_point([{"body": Path(photo).read_bytes()}, {"body": b"broken"}], context)
print(json.dumps({
    "bodies": [json.loads(body) for body in bodies],
    "statuses": [context.get_response_status(index)[0] for index in range(2)],
    "modules": {name: getattr(module, "__file__", None) for name, module in sys.modules.items() if module is not None},
    "threads": [thread.name for thread in threading.enumerate()],
    "torch": __import__("torch").__version__,
}))
"""


@pytest.fixture(scope="module")
def unpacked(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(archive) as content:
        content.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def seen(unpacked: Path) -> dict[str, object]:
    metrics = REPOSITORY / "handler" / "metrics.yaml"
    done = subprocess.run(
        [sys.executable, "-I", "-c", WORKER, str(unpacked), str(sample_photos()[0]), str(metrics), str(REPOSITORY)],
        cwd=unpacked,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_archive_recognises_without_the_repository(seen: dict, unpacked: Path) -> None:
    good, bad = seen["bodies"]
    assert good["labels"][0]["label"] == "浓缩咖啡"
    assert bad["error"]["code"] == "bad_image"
    assert seen["statuses"] == [200, 400]


def test_every_module_of_ours_that_a_worker_loads_is_the_archives(seen: dict, unpacked: Path) -> None:
    ours = {name: file for name, file in seen["modules"].items() if name.partition(".")[0] in OURS}
    assert {"product_handler", "recognition.recognizer", "follow.follower", "contract.reply"} <= set(ours)
    assert {name: file for name, file in ours.items() if not Path(file).is_relative_to(unpacked)} == {}
    assert not any(name.partition(".")[0] in ("livecart", "scripts") for name in seen["modules"])


def test_a_cpu_worker_never_loads_torch_nor_the_model_zoo(seen: dict) -> None:
    """They would cost seconds of start-up and most of a worker's memory."""
    assert not {"torch", "timm", "torchvision", "recognition.backbones"} & set(seen["modules"])
    assert "openvino" in seen["modules"]


def test_a_worker_reports_to_nobody(seen: dict) -> None:
    """OpenVINO's telemetry would open connections to its maker from a thread of its own."""
    assert not [name for name in seen["modules"] if name.startswith("openvino_telemetry")]
    assert seen["threads"] == ["MainThread"]


def test_the_archive_holds_what_it_needs_and_nothing_else(archive: Path) -> None:
    with zipfile.ZipFile(archive) as content:
        names = set(content.namelist())
    needed = {"product_handler.py", "model-config.yaml", "labels.json", "product_links.json", "backbone.json"}
    needed |= {"sitecustomize.py", "backbone.xml", "backbone.bin", "backbone.pt", "recognition/recognizer.py"}
    needed |= {"follow/follower.py", "follow/sources.py", "follow/cache.py", "catalog.snapshot", "features.xml"}
    needed |= {f"contract/{path.name}" for path in (REPOSITORY / "contract").glob("*.py")}
    needed |= {f"recognition/fitted/calibrations/{name}.json" for name in ("any", "efficientnet-lite2")}
    assert needed | {"recognition/text/lexicon.json"} <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith(("tests", "scripts"))]


def test_the_manifest_names_model_version_and_configuration(archive: Path) -> None:
    with zipfile.ZipFile(archive) as content:
        manifest = json.loads(content.read("MAR-INF/MANIFEST.json"))
    assert manifest["model"]["modelName"] == "product_recognizer"
    assert manifest["model"]["handler"] == "product_handler.py"
    assert manifest["model"]["configFile"] == "model-config.yaml"
    assert manifest["model"]["modelVersion"]
