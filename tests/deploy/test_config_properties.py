"""TorchServe's configuration as it is shipped."""

from pathlib import Path
from urllib.parse import urlsplit

from livecart.core.settings import LOOPBACK_HOSTS

FILE = Path(__file__).parents[2] / "config.properties"


def test_only_this_machine_connects_and_nothing_is_downloaded():
    lines = (line.partition("=") for line in FILE.read_text(encoding="utf-8").splitlines() if line[:1] not in "#")
    keys = {key: value for key, _, value in lines}
    for name in ("inference_address", "management_address", "metrics_address"):
        assert urlsplit(keys[name]).hostname in LOOPBACK_HOSTS, name
    for name in ("grpc_inference_address", "grpc_management_address"):
        assert keys[name] in LOOPBACK_HOSTS, name
    # No address of a network begins so.
    assert keys["allowed_urls"] == "file:///dev/null/.*"
    assert keys["install_py_dep_per_model"] == "false"
