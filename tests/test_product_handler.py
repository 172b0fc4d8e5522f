"""The archive's entry between TorchServe's own classes: contexts, metrics and batches as its worker makes them."""

import json
import logging
import os
import re
import sys
import time
import warnings
from pathlib import Path

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore", ResourceWarning)  # TorchServe leaves its version file open
    import ts

from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl
from ts.service import Service
from ts.utils.util import list_classes_from_module

import product_handler
from recognition import recognizer as recognizer_module
from recognition.errors import ConfigurationError
from recognition.find.replies import BatchResult
from recognition.find.search import StageSeconds
from recognition.snapshot.write import write_snapshot
from tests.stand_ins import (
    ColourRuntime,
    FailingRuntime,
    encoded,
    model_config,
    named_snapshot,
    solid,
    write_archive_folder,
)

REPOSITORY = Path(__file__).resolve().parents[1]
METRICS = REPOSITORY / "handler" / "metrics.yaml"
TORCHSERVES_METRICS = Path(ts.__file__).parent / "configs" / "metrics.yaml"
JSON = "application/json; charset=utf-8"
RED, BLUE = encoded(solid("red")), encoded(solid("blue"))


class Worker:
    """What TorchServe's worker does with the entry, without the socket: load it once, hand it batches."""

    def __init__(self, folder: Path, *, metrics: Path, batch_size: int = 4, config: dict | None = None) -> None:
        cache = read_metrics(metrics)
        self.handler = product_handler.ProductHandler()
        manifest = {"model": {"modelVersion": "1.0"}}
        self.service = Service(
            "product_recognizer", str(folder), manifest, self.handler.handle, None, batch_size, metrics_cache=cache
        )
        self.context = self.service.context
        self.context.model_yaml_config = model_config() if config is None else config
        self.handler.initialize(self.context)

    def answer(self, *requests: dict) -> list[tuple[int, str | None, dict]]:
        """Status, phrase and parsed body for each of ``requests``, once what must hold for all of them is checked."""
        processors, inputs, identities = Service.retrieve_data_for_inference(list(requests))
        self.context.request_ids, self.context.request_processor = identities, processors
        bodies = self.handler.handle(inputs, self.context)
        assert type(bodies) is list
        answers = []
        for index, body in enumerate(bodies):
            assert type(body) is bytes
            assert self.context.get_response_content_type(index) == JSON
            answers.append((*self.context.get_response_status(index), json.loads(body)))
        return answers


def read_metrics(path: Path) -> MetricsCacheYamlImpl:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # TorchServe leaves the file open
        cache = MetricsCacheYamlImpl(str(path))
    cache.initialize_cache()
    return cache


def request(image: bytes | None = RED, /, *, headers: dict | None = None, **fields: bytes) -> dict:
    """A request as the worker reads it from the socket."""
    parts = {} if image is None else {"body" if not fields else "image": image}
    return {
        "requestId": b"id",
        "headers": [{"name": k.encode(), "value": v.encode()} for k, v in (headers or {}).items()],
        "parameters": [{"name": k, "contentType": "", "value": v} for k, v in {**parts, **fields}.items()],
    }


@pytest.fixture
def runtime(monkeypatch):
    network = ColourRuntime()
    monkeypatch.setattr(recognizer_module, "open_runtime", lambda *_, **__: network)
    return network


@pytest.fixture
def worker(tmp_path, runtime):
    worker = Worker(write_archive_folder(tmp_path), metrics=METRICS)
    runtime.batch_sizes.clear()
    return worker


def emitted(caplog) -> dict[str, list[tuple[str, str]]]:
    """Value and dimensions of each metric line; the server reads exactly these lines from the worker's output."""
    found: dict[str, list[tuple[str, str]]] = {}
    for record in caplog.records:
        if "[METRICS]" in record.getMessage():
            match = re.fullmatch(r"\[METRICS\](\w+)\.(\w+):([^|]+)\|#([^|]*)\|#type:(\w+)\|.*", record.getMessage())
            assert match, record.getMessage()
            found.setdefault(match[1], []).append((match[3], match[4]))
    return found


def test_torchserve_finds_exactly_one_entry():
    assert list_classes_from_module(product_handler) == [product_handler.ProductHandler]
    assert not hasattr(product_handler, "handle")


def test_a_batch_is_answered_in_order_by_one_pass(worker, runtime):
    answers = worker.answer(request(RED), request(BLUE), request(RED))
    assert [status for status, _, _ in answers] == [200, 200, 200]
    assert [body["labels"][0]["label"] for _, _, body in answers] == ["红色", "蓝色", "红色"]
    assert runtime.batch_sizes == [3]


def test_a_bad_item_gets_its_own_status_and_its_neighbours_their_answers(worker, runtime):
    answers = worker.answer(
        request(b"no image"),
        request(RED),
        request(encoded(solid("red"), "GIF")),
        request(BLUE, top_k=b"many"),
        request(BLUE),
        request(None),
        request(b"x" * ((1 << 20) + 1)),
    )
    assert [status for status, _, _ in answers] == [400, 200, 415, 400, 200, 400, 413]
    codes = [body["error"]["code"] for _, _, body in answers if "error" in body]
    assert codes == ["bad_image", "unsupported_image", "bad_option", "bad_request", "image_too_large"]
    assert answers[1][2]["labels"][0]["label"] == "红色"
    assert answers[4][2]["labels"][0]["label"] == "蓝色"
    assert runtime.batch_sizes == [2]


def test_phrases_are_ascii_whatever_the_request_holds(worker):
    # TorchServe counts characters of the phrase where it should count bytes: one Chinese one corrupts the frame.
    answers = worker.answer(
        request(RED, text="有时".encode()), request(RED, **{"选项": b"1"}), request("图片".encode()), request(RED)
    )
    assert [phrase for _, phrase, _ in answers] == ["bad_option", "bad_option", "bad_image", None]
    assert "选项" in answers[1][2]["error"]["message"]


def test_options_of_one_item_are_not_those_of_another(worker):
    answers = worker.answer(request(RED, headers={"x-top-k": "4"}), request(RED), request(RED, top_k=b"1"))
    assert [len(body["labels"]) for _, _, body in answers] == [4, 2, 1]


def test_each_item_is_described_or_predicted_as_it_asked(worker, runtime):
    describe = {"describe": "True"}
    answers = worker.answer(
        request(None, headers=describe), request(RED), request(BLUE, headers=describe), request(BLUE)
    )
    assert [status for status, _, _ in answers] == [200] * 4
    assert [body["labels"]["count"] for _, _, body in (answers[0], answers[2])] == [4, 4]
    assert [body["labels"][0]["label"] for _, _, body in (answers[1], answers[3])] == ["红色", "蓝色"]
    assert runtime.batch_sizes == [2]


def test_no_image_is_written_to_a_file(worker):
    written, watching = [], [True]

    def watch(event, arguments):
        if watching and event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            written.append(arguments[0])

    sys.addaudithook(watch)  # there is no way to take it out again
    try:
        assert worker.answer(request(RED), request(BLUE))[0][0] == 200
    finally:
        watching.clear()
    assert written == []


def test_a_batch_of_descriptions_alone_measures_nothing(worker, runtime, caplog):
    with caplog.at_level(logging.INFO):
        [(status, _, body)] = worker.answer(request(None, headers={"describe": "True"}))
    assert (status, body["model"]["backbone"]) == (200, "colours")
    assert runtime.batch_sizes == []
    assert emitted(caplog) == {}


def test_an_explanation_is_not_offered_and_its_neighbours_are_answered(worker):
    answers = worker.answer(request(RED, headers={"explain": "True"}), request(RED))
    assert [(status, phrase) for status, phrase, _ in answers] == [(501, "not_offered"), (200, None)]
    assert answers[0][2]["error"]["code"] == "not_offered"


def test_a_request_that_fails_in_an_unforeseen_way_fails_alone(worker, monkeypatch):
    real = product_handler.forms.parse_request

    def parse_request(fields, *arguments, **options):
        if fields.get("body") == b"strange":
            raise ZeroDivisionError
        return real(fields, *arguments, **options)

    monkeypatch.setattr(product_handler.forms, "parse_request", parse_request)
    answers = worker.answer(request(b"strange"), request(RED))
    assert [status for status, _, _ in answers] == [500, 200]


def test_a_network_that_fails_is_a_500_for_each_good_item(worker, runtime, monkeypatch):
    monkeypatch.setattr(runtime, "forward", FailingRuntime().forward)
    answers = worker.answer(request(RED), request(b"no image"))
    assert [(status, phrase) for status, phrase, _ in answers] == [(500, "internal_error"), (400, "bad_image")]


def test_every_metric_is_emitted_once_a_batch_with_its_value_and_dimensions(worker, monkeypatch, caplog):
    real = recognizer_module.Recognizer.recognize

    def recognize(self, requests):
        stages = StageSeconds(decode=0.25, network=0.5, keypoints=0.75, text=1.5, match=0.125)
        return BatchResult(real(self, requests).replies, stages, texts_read=2)

    monkeypatch.setattr(recognizer_module.Recognizer, "recognize", recognize)
    with caplog.at_level(logging.INFO):
        worker.answer(request(RED), request(b"no image"), request(BLUE), request(None, headers={"describe": "True"}))
    lines = emitted(caplog)
    model = "ModelName:product_recognizer"
    assert lines["livecart_decode_seconds"] == [("0.25", model)]
    assert lines["livecart_network_seconds"] == [("0.5", model)]
    assert lines["livecart_keypoints_seconds"] == [("0.75", model)]
    assert lines["livecart_text_seconds"] == [("1.5", model)]
    assert lines["livecart_match_seconds"] == [("0.125", model)]
    assert lines["livecart_texts_read_total"] == [("2", model)]
    assert lines["livecart_batch_size"] == [("3", model)]
    assert sorted(lines["livecart_images_total"]) == [("1", f"{model},Outcome:bad_image"), ("2", f"{model},Outcome:ok")]


def test_every_metric_of_metrics_yaml_under_our_name_is_emitted(tmp_path, runtime, monkeypatch, caplog):
    real = recognizer_module.Recognizer.recognize

    def recognize(self, requests):
        result = real(self, requests)
        result.texts_read = 1
        return result

    monkeypatch.setattr(recognizer_module.Recognizer, "recognize", recognize)
    with caplog.at_level(logging.INFO):
        worker = Worker(write_archive_folder(tmp_path), metrics=METRICS)
        worker.answer(request(RED))
    declared = {key.partition(":")[2] for key in worker.context.metrics.cache_keys() if "livecart_" in key}
    assert set(emitted(caplog)) == declared


def test_a_server_with_torchserves_own_metrics_file_still_answers(tmp_path, runtime, caplog):
    worker = Worker(write_archive_folder(tmp_path), metrics=TORCHSERVES_METRICS)
    with caplog.at_level(logging.INFO):
        [(status, _, _)] = worker.answer(request(RED))
    assert status == 200
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_loading_logs_one_ascii_line_that_says_what_is_ready(tmp_path, runtime, caplog):
    links = {"红色": "https://shop.example.com/item/1", "螺蛳粉": "https://shop.example.com/item/2"}
    with caplog.at_level(logging.INFO, logger="product_handler"):
        Worker(write_archive_folder(tmp_path, links=links), metrics=METRICS)
    lines = [record.getMessage() for record in caplog.records if record.name == "product_handler"]
    assert all(line.isascii() for line in lines)
    catalog, ready, unreachable = map(json.loads, lines)
    assert (catalog["event"], catalog["outcome"]) == ("catalog", "loaded")
    assert (ready["event"], ready["model"]["backbone"]) == ("ready", "colours")
    assert (unreachable["event"], unreachable["name"]) == ("no_label_leads_to_product", "螺蛳粉")


def test_a_followed_snapshot_is_served_from_the_next_batch_on_and_a_bad_one_is_told_of(
    tmp_path, runtime, monkeypatch, caplog
):
    monkeypatch.setattr(product_handler, "shared_cache_folder", lambda _fingerprint: tmp_path / "cache")
    followed = tmp_path / "live.snapshot"
    folder = tmp_path / "archive"
    folder.mkdir()
    config = model_config(catalog={"source": str(followed), "poll_s": 0.1})
    with caplog.at_level(logging.INFO):
        worker = Worker(write_archive_folder(folder), metrics=METRICS, config=config)
        try:
            built_in = worker.answer(request(RED))[0][2]["model"]["catalog"]
            contents = named_snapshot("red", name="红色杯", url="https://shop.example.com/item/7", labels=("红色",))
            written = write_snapshot(tmp_path / "new", contents)
            (tmp_path / "new").rename(followed)
            wait_until(lambda: worker.answer(request(RED))[0][2]["model"]["catalog"] == written)
            [product] = worker.answer(request(RED, text=b"never"))[0][2]["products"]
            (tmp_path / "bad").write_bytes(b"no snapshot at all" * 100)
            (tmp_path / "bad").rename(followed)
            wait_until(lambda: any("Outcome:refused" in dimensions for _, dimensions in events(caplog)))
            after = worker.answer(request(RED))[0][2]["model"]["catalog"]
        finally:
            worker.handler._follower.close()
    assert built_in != written
    assert (product["sku"], product["url"]) == ("red", "https://shop.example.com/item/7")
    assert after == written


def events(caplog) -> list[tuple[str, str]]:
    return emitted(caplog).get("livecart_catalog_events_total", [])


def wait_until(seen, *, most_s: float = 20.0) -> None:
    end = time.monotonic() + most_s
    while not seen():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


def test_an_archive_for_a_server_that_gives_no_configuration_says_what_is_missing(tmp_path, runtime):
    with pytest.raises(ConfigurationError, match="key 'handler' is missing"):
        Worker(write_archive_folder(tmp_path), metrics=METRICS, config={})
