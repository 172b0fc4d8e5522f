"""The bytes of schema 1."""

import json

import msgspec
import pytest

from contract.reply import (
    Detection,
    Evidence,
    ImageInfo,
    LabelScore,
    ModelInfo,
    Reply,
    TextLine,
    TimingMs,
    decode,
    encode,
)

PRODUCT = Detection(
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
    mirrored=True,
    timing_ms=TimingMs(decode=4.1, network=31.0, keypoints=9.5, text=88.2, match=0.4),
    batch=3,
)


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
        "mirrored": True,
        "timing_ms": {"decode": 4.1, "network": 31.0, "keypoints": 9.5, "text": 88.2, "match": 0.4},
        "batch": 3,
    }


def test_what_is_encoded_can_be_decoded_to_the_same_reply():
    assert decode(encode(REPLY)) == REPLY


def test_a_reader_ignores_what_it_does_not_know_and_does_without_what_an_earlier_archive_did_not_send():
    told = json.loads(encode(REPLY))
    told["products"][0]["colour"] = told["model"]["weather"] = told["news"] = "x"
    assert decode(json.dumps(told).encode()) == REPLY
    early = decode(
        b'{"schema": 1, "image": {"width": 3, "height": 4}, "products": '
        b'[{"sku": "1", "name": "", "url": "", "confidence": 1, "box": null}]}'
    )
    assert (early.texts, early.mirrored, early.batch, early.model.catalog) == ([], None, 1, None)
    assert (early.products[0].evidence, early.products[0].threshold) == (Evidence(), None)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"schema": 2}, "schema"),
        ({"image": {"width": 0, "height": 4}}, "image.width"),
        ({"products": {}}, "products"),
        ({"batch": 0}, "batch"),
        ({"timing_ms": {"text": "soon"}}, "timing_ms.text"),
        ({"texts": [{"text": "x", "confidence": 1, "box": [1, 2, 3]}]}, "texts"),
    ],
)
def test_what_breaks_the_contract_is_refused_with_its_place(changes, place):
    with pytest.raises(msgspec.ValidationError, match=rf"\$\.{place}"):
        decode(json.dumps(json.loads(encode(REPLY)) | changes).encode())
