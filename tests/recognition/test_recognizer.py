"""A batch in, an answer for each out: the right one, and whatever happens to its neighbours."""

import json

import msgspec
import pytest

from contract.images import FRAME_KINDS
from contract.reply import Reply, encode
from recognition import recognizer as recognizer_module
from recognition.errors import BadImage, ConfigurationError, InternalError
from recognition.recognizer import Recognizer
from recognition.request import images
from recognition.request.forms import Options, Request
from recognition.settings import parse_settings
from tests.stand_ins import COLOURS, INFO, encoded, model_config, solid, write_archive_folder


def request(colour, **options) -> Request:
    given = {"room": None, "top_k": 1, "threshold": None, "text": "auto", **options}
    return Request(image=encoded(solid(colour)), options=Options(**given))


def best(answer) -> str:
    assert isinstance(answer, Reply), answer
    return answer.labels[0].label


def test_a_step_that_fails_unexpectedly_fails_one_request_and_is_logged(recognizer, monkeypatch, caplog):
    real = recognizer_module.images.decode

    def decode(data, *arguments, **options):
        if data == b"strange":
            raise ZeroDivisionError("a secret of the server")
        return real(data, *arguments, **options)

    monkeypatch.setattr(recognizer_module.images, "decode", decode)
    strange = Request(image=b"strange", options=request("red").options)
    replies = recognizer.recognize([strange, request("red")]).replies
    assert isinstance(replies[0], InternalError)
    assert "secret" not in replies[0].message
    assert best(replies[1]) == "红色"
    assert "a secret of the server" in caplog.text


def test_a_reply_says_which_archive_answered_and_for_which_size(recognizer):
    [answer] = recognizer.recognize([request("red")]).replies
    assert (answer.schema, answer.texts) == (1, [])
    assert msgspec.to_builtins(answer.model) == {
        "name": "product_recognizer",
        "version": "1.0",
        "backbone": "colours",
        "catalog": None,
    }
    assert (answer.image.width, answer.image.height) == (40, 30)
    assert answer.products[0].name == "红色杯"
    assert json.loads(encode(answer))["labels"][0]["label"] == "红色"


def test_warming_up_runs_every_batch_size_and_answers_each_format_alone(recognizer, runtime):
    recognizer.warm_up(3)
    assert runtime.batch_sizes == [1, 2, 3, *(1 for _ in FRAME_KINDS)]


def test_an_answer_that_fails_stops_the_start(recognizer, monkeypatch):
    def fail(*_arguments, **_options):
        raise BadImage("none can be read")

    monkeypatch.setattr(images, "decode", fail)
    with pytest.raises(ConfigurationError, match="cannot recognise a blank image: none can be read"):
        recognizer.warm_up(1)


def test_the_description_names_what_makes_two_archives_the_same(recognizer, labels):
    description = json.loads(msgspec.json.encode(recognizer.describe()))
    assert description["schema"] == 1
    assert description["model"]["weights_sha256"] == INFO.weights_sha256
    assert description["labels"] == {"count": len(COLOURS), "fingerprint": labels.fingerprint}
    assert description["preprocessing"]["input_px"] == 8
    assert description["thresholds"]["default"] == 0.7
    assert description["runtime"] == {"name": "colours", "threads": 1}


def load(folder, monkeypatch, runtime, **changes) -> Recognizer:
    monkeypatch.setattr(recognizer_module, "open_runtime", lambda *_, **__: runtime)
    return Recognizer.from_folder(folder, parse_settings(model_config(**changes)), name="p", version="2.0")


def test_an_unpacked_archive_is_loaded_with_its_labels_and_links(archive_folder, monkeypatch, runtime):
    [answer] = load(archive_folder, monkeypatch, runtime).recognize([request("red")]).replies
    assert best(answer) == "红色"
    assert answer.products[0].url == "https://shop.example.com/item/1"
    assert answer.model.version == "2.0"


@pytest.mark.parametrize("missing", ["backbone.json", "labels.json", "product_links.json"])
def test_an_archive_that_lacks_a_file_does_not_start(archive_folder, monkeypatch, runtime, missing):
    (archive_folder / missing).unlink()
    with pytest.raises(ConfigurationError, match=missing):
        load(archive_folder, monkeypatch, runtime)


def test_an_archive_whose_labels_do_not_fit_its_network_does_not_start(archive_folder, monkeypatch, runtime):
    (archive_folder / "labels.json").write_text('["红色"]', encoding="utf-8")
    with pytest.raises(ConfigurationError, match="1 labels, but the model has 4"):
        load(archive_folder, monkeypatch, runtime)


def test_an_archive_with_a_link_to_a_host_that_is_not_allowed_does_not_start(tmp_path, monkeypatch, runtime):
    write_archive_folder(tmp_path, links={"红色": "https://evil.com/"})
    with pytest.raises(ConfigurationError, match=r"evil\.com"):
        load(tmp_path, monkeypatch, runtime)


def test_an_archive_with_a_threshold_for_an_unknown_label_does_not_start(archive_folder, monkeypatch, runtime):
    with pytest.raises(ConfigurationError, match="紫色"):
        load(archive_folder, monkeypatch, runtime, thresholds__labels={"紫色": 0.5})


@pytest.mark.parametrize("cpu", ["openvino", "torch"])
def test_an_archive_without_the_network_for_its_runtime_does_not_start(archive_folder, cpu):
    settings = parse_settings(model_config(runtime__cpu=cpu))
    with pytest.raises(ConfigurationError, match=f"--runtimes including {cpu}"):
        Recognizer.from_folder(archive_folder, settings, name="p", version="1.0")
