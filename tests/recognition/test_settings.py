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


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"threshold": 0.5}, "threshold"),
        ({"thresholds__defualt": 0.5}, "defualt"),
        ({"model__weights": "a.pt"}, "weights"),
        ({"model": {"source": "resnet"}}, "model.source"),
        ({"runtime__cpu": "onnx"}, "runtime.cpu"),
        ({"runtime__threads": 0}, "runtime.threads"),
        ({"thresholds__default": 1.1}, "thresholds.default"),
        ({"thresholds__default": 0.01}, "lowest"),
        ({"thresholds__default": 0.99}, "highest"),
        ({"thresholds__default": float("nan")}, "thresholds"),
        ({"thresholds__labels": {"a": 2}}, "thresholds.labels"),
        ({"thresholds__labels": {1: 0.5}}, "thresholds.labels"),
        ({"top_k__default": 0}, "top_k.default"),
        ({"top_k__default": 51}, "highest 50"),
        ({"images__max_pixels": 0}, "images.max_pixels"),
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
    [
        "https://shop.example.com",
        "shop.example.com/",
        "shop.example.com:",
        "shop.example.com:https",
        "",
        "a:1:2",
        "shop.example.com:²",
    ],
)
def test_an_allowed_host_that_could_never_match_is_refused(host):
    with pytest.raises(ConfigurationError, match="allowed_hosts"):
        parse_settings(model_config(allowed_hosts=["shop.example.com", host]))


def test_no_password_of_a_followed_link_goes_into_the_archive():
    source = "https://archive:lc_secret@shop.example.com/catalog/snapshot"
    with pytest.raises(ConfigurationError, match="LIVECART_SNAPSHOT_TOKEN") as caught:
        parse_settings(model_config(catalog={"source": source}))
    assert "lc_secret" not in str(caught.value)


@pytest.mark.parametrize("document", [{}, {"batchSize": 4}, {"handler": None}])
def test_a_file_without_a_handler_block_is_refused(document):
    with pytest.raises(ConfigurationError, match=r"model-config\.yaml: key 'handler' is missing"):
        parse_settings(document)


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
