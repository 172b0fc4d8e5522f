"""Every request form, option and error of docs/http.md, over real HTTP."""

import base64
import json
import os
import struct
import zlib
from pathlib import Path

import psutil
import pytest
import requests

import torchserve_control as control
import torchserve_plan

JSON = {"Content-Type": "application/json"}
PNG = {"Content-Type": "image/png"}


def labels_of(answer: requests.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [entry["label"] for entry in answer.json()["labels"]]


def error_of(answer: requests.Response) -> tuple[int, str]:
    body = answer.json()
    assert body["schema"] == 1
    assert body["error"]["message"]
    assert answer.headers["content-type"].startswith("application/json")
    return answer.status_code, body["error"]["code"]


def png(width: int, height: int) -> bytes:
    """A PNG that only claims its size: the header is whole, the pixels are missing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_reply_has_the_contracts_fields(url: str, session: requests.Session, coffee: Path) -> None:
    answer = session.post(url, data=coffee.read_bytes(), headers=PNG)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert b"\\u" not in answer.content
    body = answer.json()
    assert list(body) == ["schema", "model", "image", "labels", "products", "texts", "mirrored", "timing_ms", "batch"]
    assert body["schema"] == 1
    assert body["model"]["name"] == "product_recognizer"
    assert body["model"]["backbone"] == "efficientnet-lite2"
    assert body["image"] == {"width": 600, "height": 400}
    assert body["labels"][0]["label"] == "浓缩咖啡"
    assert body["labels"][0]["index"] == 967
    assert len(body["labels"]) == 5
    assert list(body["timing_ms"]) == ["decode", "network", "keypoints", "text", "match"]
    [product] = body["products"]
    assert product["sku"] == "2001"
    assert product["url"] == "https://shop.example.com/item/2001"
    assert product["box"] is None
    assert product["confidence"] == product["evidence"]["label"] == body["labels"][0]["confidence"]


def test_every_request_form_gives_the_same_labels(url: str, session: requests.Session, coffee: Path) -> None:
    photo = coffee.read_bytes()
    text = base64.b64encode(photo).decode()
    forms = {
        "post": session.post(url, data=photo, headers=PNG),
        "put": session.put(url, data=photo, headers=PNG),
        "octet-stream": session.post(url, data=photo, headers={"Content-Type": "application/octet-stream"}),
        "multipart": session.post(url, files={"image": ("coffee.png", photo, "image/png")}),
        "json": session.post(url, json={"image": text}),
        "json with charset": session.post(
            url, data=json.dumps({"image": text}), headers={"Content-Type": "application/json; charset=utf-8"}
        ),
        "data url": session.post(url, json={"image": f"data:image/png;base64,{text}"}),
    }
    expected = labels_of(forms["post"])
    for form, answer in forms.items():
        assert labels_of(answer) == expected, form


def test_options_are_read_from_headers_fields_and_json(url: str, session: requests.Session, coffee: Path) -> None:
    photo = coffee.read_bytes()
    text = base64.b64encode(photo).decode()
    wanted = {"top_k": "2", "threshold": "0.95", "text": "never", "room": "店铺一"}
    header = {"X-Top-K": "2", "x-threshold": "0.95", "X-TEXT": "never", "X-Room": "店铺一".encode()}
    answers = {
        "headers": session.post(url, data=photo, headers={**PNG, **header}),
        "fields": session.post(url, files={"image": photo}, data=wanted),
        "json": session.post(url, json={"image": text, **wanted, "top_k": 2, "threshold": 0.95}),
        "field over header": session.post(url, files={"image": photo}, data=wanted, headers={"X-Top-K": "7"}),
    }
    for where, answer in answers.items():
        assert len(labels_of(answer)) == 2, where
        assert answer.json()["products"] == [], where


IMAGE = base64.b64encode(b"not an image").decode()
#: By what they break: data, headers, and the answer. tests/recognition/request has every other way.
REFUSED = {
    "an option out of bounds": (b"", {"X-Threshold": "nan"}, 400, "bad_option"),
    "an unknown option": (json.dumps({"image": IMAGE, "topk": 3}).encode(), JSON, 400, "bad_option"),
    "no JSON": (b"[" * 100_000, JSON, 400, "bad_request"),
    "no bytes": (b"", {}, 400, "bad_image"),
    "another format": (b"GIF89a" + bytes(50), {}, 415, "unsupported_image"),
    "a size that no memory holds": (png(50_000, 50_000), {}, 413, "image_too_large"),
    "a header without pixels": (png(300, 300), {}, 400, "bad_image"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_answered_is_refused_with_its_code(url: str, session: requests.Session, what: str) -> None:
    data, headers, status, code = REFUSED[what]
    answer = session.post(url, data=data, headers={"Content-Type": "image/jpeg", **headers})
    assert error_of(answer) == (status, code)


def test_two_images_in_a_multipart_request_are_refused(url: str, session: requests.Session, coffee: Path) -> None:
    photo = coffee.read_bytes()
    assert error_of(session.post(url, files={"image": photo, "data": photo})) == (400, "bad_request")


def test_describe_names_model_labels_and_thresholds(server: control.Server, session: requests.Session) -> None:
    answer = session.get(f"{server.management_url}/models/{torchserve_plan.MODEL}", params={"customized": "true"})
    told = answer.json()[0]["customizedMetadata"]
    assert told["model"]["backbone"] == "efficientnet-lite2"
    assert told["model"]["version"] == answer.json()[0]["modelVersion"]
    assert told["labels"]["count"] == 1000
    assert len(told["labels"]["fingerprint"]) == 12
    assert told["preprocessing"]["mean"] == [0.5, 0.5, 0.5]
    assert told["thresholds"]["default"] == 0.7


def test_a_worker_on_a_cpu_holds_no_torch(
    server: control.Server, url: str, session: requests.Session, coffee: Path
) -> None:
    assert session.post(url, data=coffee.read_bytes(), headers=PNG).ok
    for worker in server.workers():
        mapped = " ".join(each.path for each in psutil.Process(worker["pid"]).memory_maps())
        assert "libopenvino" in mapped
        assert "libtorch" not in mapped


def test_explanations_are_not_offered(server: control.Server, session: requests.Session, coffee: Path) -> None:
    answer = session.post(
        f"{server.inference_url}/explanations/{torchserve_plan.MODEL}", data=coffee.read_bytes(), headers=PNG
    )
    assert error_of(answer) == (501, "not_offered")


def test_a_request_over_the_size_limit_is_refused(url: str, session: requests.Session) -> None:
    try:
        answer = session.post(url, data=bytes(17 * 1024 * 1024), headers={"Content-Type": "image/jpeg"})
    except requests.ConnectionError:
        pass  # refused while it was still being sent
    else:
        assert answer.status_code == 413
    assert session.get(url.partition("/predictions")[0] + "/ping").status_code == 200


def test_management_only_registers_archives_of_the_model_store(
    server: control.Server, session: requests.Session, archive: Path, tmp_path: Path
) -> None:
    store = Path(server.model_store)
    outside = tmp_path / "outside.mar"
    outside.write_bytes(archive.read_bytes())
    way_out = os.path.relpath(outside, store)
    refusals = {
        outside.as_uri(): "does not match any allowed URL",
        f"{store.as_uri()}/{way_out}": "",
        f"{store.as_uri()}/{way_out.replace('..', '%2e%2e')}": "does not match any allowed URL",
        way_out: "Relative path is not allowed",
        "https://models.example.com/a.mar": "does not match any allowed URL",
    }
    for source, reason in refusals.items():
        answer = session.post(f"{server.management_url}/models", params={"url": source, "model_name": "outside"})
        assert 400 <= answer.status_code < 500, source
        assert reason in answer.text, source
    listed = session.get(f"{server.management_url}/models").json()["models"]
    assert [model["modelName"] for model in listed] == [torchserve_plan.MODEL]
