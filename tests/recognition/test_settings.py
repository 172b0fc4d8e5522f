"""The handler block of model-config.yaml: what is read, and that no slip in it is ignored."""

from pathlib import Path

import pytest
import yaml

from recognition.errors import ConfigurationError
from recognition.settings import THREADS_VARIABLE, RuntimeChoice, parse_settings
from tests.stand_ins import model_config

REPOSITORY = Path(__file__).resolve().parents[2]
SPEC = {"input_px": 224, "resize_px": 256, "interpolation": "bicubic", "mean": [0.5] * 3, "std": [0.5] * 3}


def test_the_repositorys_own_file_is_valid():
    document = yaml.safe_load((REPOSITORY / "handler" / "model-config.yaml").read_text(encoding="utf-8"))
    settings = parse_settings(document)
    assert settings.thresholds.lowest <= settings.thresholds.default <= settings.thresholds.highest
    assert settings.images.max_pixels > 50_000_000
    assert settings.allowed_hosts == ["shop.example.com"]


def test_every_value_is_read():
    settings = parse_settings(model_config(thresholds__labels={"红色": 0.5}, model={"source": "timm", "path": "a.pt"}))
    assert settings.model.source == "timm"
    assert settings.model.path == "a.pt"
    assert settings.thresholds.labels == {"红色": 0.5}
    assert settings.top_k.highest == 50
    assert settings.images.max_bytes == 1 << 20


def test_preprocessing_is_read_in_a_model_choice():
    spec = parse_settings(model_config(model={"source": "timm", "preprocessing": SPEC})).model.preprocessing
    assert spec.resize_px == 256
    assert spec.std == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"threshold": 0.5}, "threshold"),
        ({"thresholds__defualt": 0.5}, "defualt"),
        ({"model__weights": "a.pt"}, "weights"),
        ({"model": {"source": "resnet"}}, "model.source"),
        ({"model": {}}, "source"),
        ({"runtime__cpu": "onnx"}, "runtime.cpu"),
        ({"runtime__threads": 0}, "runtime.threads"),
        ({"runtime__threads": "two"}, "runtime.threads"),
        ({"thresholds__default": "0.7"}, "thresholds.default"),
        ({"thresholds__default": 1.1}, "thresholds.default"),
        ({"thresholds__default": 0.01}, "lowest"),
        ({"thresholds__default": 0.99}, "highest"),
        ({"thresholds__default": float("nan")}, "thresholds"),
        ({"thresholds__labels": {"a": 2}}, "thresholds.labels"),
        ({"thresholds__labels": {"a": float("nan")}}, "thresholds.labels"),
        ({"thresholds__labels": {1: 0.5}}, "thresholds.labels"),
        ({"top_k__default": 0}, "top_k.default"),
        ({"top_k__default": 51}, "highest 50"),
        ({"top_k__default": 2.5}, "top_k.default"),
        ({"images__max_pixels": 0}, "images.max_pixels"),
        ({"images__max_bytes": None}, "images.max_bytes"),
        ({"allowed_hosts": "shop.example.com"}, "allowed_hosts"),
        ({"catalog": {"source": "catalog/published/catalog.snapshot"}}, "relative path"),
        ({"model": {"source": "timm", "preprocessing": {**SPEC, "resize_px": 100}}}, "resize_px 100"),
        ({"model": {"source": "timm", "preprocessing": {**SPEC, "std": [0.5, 0.0, 0.5]}}}, "std"),
        ({"model": {"source": "timm", "preprocessing": {**SPEC, "mean": [0.5]}}}, "mean"),
        ({"model": {"source": "timm", "preprocessing": {**SPEC, "interpolation": "nearest"}}}, "interpolation"),
    ],
)
def test_a_wrong_unknown_or_missing_value_is_refused_by_name(changes, named):
    with pytest.raises(ConfigurationError) as caught:
        parse_settings(model_config(**changes), where="folder/model-config.yaml")
    assert "folder/model-config.yaml: handler: " in str(caught.value)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    "host",
    ["https://shop.example.com", "shop.example.com/", "shop.example.com:", "shop.example.com:https", "", "a:1:2"],
)
def test_an_allowed_host_that_could_never_match_is_refused(host):
    with pytest.raises(ConfigurationError, match="allowed_hosts"):
        parse_settings(model_config(allowed_hosts=["shop.example.com", host]))


@pytest.mark.parametrize("port", ["²", "٤٤٣"])
def test_a_port_must_be_of_ascii_digits(port):
    with pytest.raises(ConfigurationError, match="allowed_hosts"):
        parse_settings(model_config(allowed_hosts=[f"shop.example.com:{port}"]))


@pytest.mark.parametrize("host", ["shop.example.com", "shop.example.com:8443", "*.example.com", "例子.中国"])
def test_an_allowed_host_is_a_name_with_or_without_port_or_star(host):
    assert parse_settings(model_config(allowed_hosts=[host])).allowed_hosts == [host]


def test_no_password_of_a_followed_link_goes_into_the_archive():
    source = "https://archive:lc_secret@shop.example.com/catalog/snapshot"
    with pytest.raises(ConfigurationError, match="LIVECART_SNAPSHOT_TOKEN") as caught:
        parse_settings(model_config(catalog={"source": source}))
    assert "lc_secret" not in str(caught.value)


@pytest.mark.parametrize("document", [{}, {"batchSize": 4}, {"handler": None}])
def test_a_file_without_a_handler_block_is_refused(document):
    with pytest.raises(ConfigurationError, match=r"model-config\.yaml: key 'handler' is missing"):
        parse_settings(document)


@pytest.mark.parametrize("block", [[], "x", 5])
def test_a_handler_block_that_is_no_mapping_is_refused(block):
    with pytest.raises(ConfigurationError, match="handler"):
        parse_settings({"handler": block})


def test_threads_are_as_configured_whatever_the_environment_says(monkeypatch):
    monkeypatch.setenv(THREADS_VARIABLE, "7")
    assert RuntimeChoice(threads=3).thread_count() == 3


def test_automatic_threads_come_from_the_environment_or_are_one(monkeypatch):
    monkeypatch.setenv(THREADS_VARIABLE, "7")
    assert RuntimeChoice().thread_count() == 7
    monkeypatch.delenv(THREADS_VARIABLE)
    assert RuntimeChoice().thread_count() == 1


@pytest.mark.parametrize("value", ["", "0", "-1", "two", "1.5", "²", "٣", " 2"])
def test_an_environment_variable_that_is_no_number_of_threads_is_refused_by_name(monkeypatch, value):
    monkeypatch.setenv(THREADS_VARIABLE, value)
    with pytest.raises(ConfigurationError, match=THREADS_VARIABLE):
        RuntimeChoice().thread_count()
