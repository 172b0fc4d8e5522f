"""The bytes of schema 1, and that every error can become one."""

from __future__ import annotations

import json

import msgspec
import pytest

from recognition import errors
from recognition.reply import (
    Evidence,
    ImageInfo,
    LabelScore,
    ModelInfo,
    Product,
    Reply,
    TextLine,
    TimingMs,
    encode,
    encode_error,
)

PRODUCT = Product(
    sku="1001",
    name="好欢螺螺蛳粉",
    url="https://shop.example.com/item/1001",
    confidence=0.93,
    box=None,
    evidence=Evidence(label=0.93),
    threshold=0.7,
)
REPLY = Reply(
    schema=1,
    model=ModelInfo(name="product_recognizer", version="1.0", backbone="efficientnet-lite2", catalog=None),
    image=ImageInfo(width=720, height=1280),
    labels=[LabelScore(504, "咖啡杯", 0.91)],
    products=[PRODUCT],
    texts=[TextLine("好欢螺", 0.99, (250.0, 600.0, 450.0, 680.0))],
    timing_ms=TimingMs(decode=4.1, network=31.0, print=9.5, text=88.2, match=0.4),
    batch=3,
)


def recognition_errors() -> list[type[errors.RecognitionError]]:
    found = [errors.RecognitionError]
    for kind in found:
        found += kind.__subclasses__()
    return found


def test_a_reply_has_every_key_of_the_contract():
    assert json.loads(encode(REPLY)) == {
        "schema": 1,
        "model": {"name": "product_recognizer", "version": "1.0", "backbone": "efficientnet-lite2", "catalog": None},
        "image": {"width": 720, "height": 1280},
        "labels": [{"index": 504, "label": "咖啡杯", "confidence": 0.91}],
        "products": [
            {
                "sku": "1001",
                "name": "好欢螺螺蛳粉",
                "url": "https://shop.example.com/item/1001",
                "confidence": 0.93,
                "box": None,
                "evidence": {"photo": None, "text": None, "label": 0.93},
                "threshold": 0.7,
            }
        ],
        "texts": [{"text": "好欢螺", "confidence": 0.99, "box": [250.0, 600.0, 450.0, 680.0]}],
        "timing_ms": {"decode": 4.1, "network": 31.0, "print": 9.5, "text": 88.2, "match": 0.4},
        "batch": 3,
    }


def test_a_reply_without_findings_has_empty_lists_and_not_missing_keys():
    empty = json.loads(encode(msgspec.structs.replace(REPLY, labels=[], products=[], texts=[])))
    assert empty["labels"] == empty["products"] == empty["texts"] == []


def test_a_price_is_only_there_where_it_is_known():
    priced = json.loads(encode(msgspec.structs.replace(REPLY, products=[_priced()])))["products"][0]
    assert (priced["price"], priced["currency"]) == ("12.90", "CNY")
    assert "price" not in json.loads(encode(REPLY))["products"][0]


def _priced() -> Product:
    return msgspec.structs.replace(PRODUCT, price="12.90", currency="CNY")


def test_chinese_is_sent_as_it_is_in_utf8():
    assert "咖啡杯".encode() in encode(REPLY)
    assert "图片".encode() in encode_error(errors.BadImage("图片"))


def test_what_is_encoded_can_be_decoded_to_the_same_reply():
    assert msgspec.json.decode(encode(REPLY), type=Reply) == REPLY


@pytest.mark.parametrize("kind", recognition_errors())
def test_every_error_has_a_status_an_ascii_code_and_a_body(kind):
    error = kind("it was so")
    assert 400 <= error.status <= 599
    assert error.code.isascii()
    assert error.code.replace("_", "").isalpha()
    assert json.loads(encode_error(error)) == {"schema": 1, "error": {"code": error.code, "message": "it was so"}}
    assert str(error) == "it was so"


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (errors.BadRequest, 400, "bad_request"),
        (errors.BadOption, 400, "bad_option"),
        (errors.BadImage, 400, "bad_image"),
        (errors.ImageTooLarge, 413, "image_too_large"),
        (errors.UnsupportedImage, 415, "unsupported_image"),
        (errors.NotOffered, 501, "not_offered"),
        (errors.InternalError, 500, "internal_error"),
    ],
)
def test_statuses_and_codes_are_those_that_clients_were_promised(kind, status, code):
    assert (kind.status, kind.code) == (status, code)


def test_a_lone_surrogate_in_a_message_does_not_spoil_the_body():
    body = json.loads(encode_error(errors.BadOption("unknown option \ud800 x")))
    assert body["error"]["message"] == "unknown option ? x"


def test_weights_that_do_not_fit_are_an_error_of_the_configuration_and_of_no_request():
    assert issubclass(errors.WeightsError, errors.ConfigurationError)
    assert not issubclass(errors.ConfigurationError, errors.RecognitionError)
