"""Every form of a request to image bytes and options, and what is wrong with a bad one."""

import base64
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognition.errors import BadOption, BadRequest
from recognition.request.forms import Options, Request, parse_request
from tests.stand_ins import THRESHOLDS, TOP_K

IMAGE = b"\xff\xd8 the bytes of an image \0"
BASE64 = base64.b64encode(IMAGE).decode()
JSON_HEADER = {"Content-Type": "application/json"}


def parse(fields, headers=None) -> Request:
    return parse_request(fields, headers or {}, top_k=TOP_K, thresholds=THRESHOLDS)


def options(fields=None, headers=None) -> Options:
    return parse({"image": IMAGE, **(fields or {})}, headers).options


@pytest.mark.parametrize("name", ["body", "image", "data"])
@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_raw_multipart_and_grpc_images_arrive_as_bytes(name, kind):
    image = parse({name: kind(IMAGE)}).image
    assert image == IMAGE
    assert type(image) is bytes


@pytest.mark.parametrize(
    ("fields", "headers"),
    [
        ({"body": {"image": BASE64}}, JSON_HEADER),
        ({"body": {"image": BASE64}}, {}),
        ({"body": json.dumps({"image": BASE64}).encode()}, {"content-type": "Application/JSON; charset=utf-8"}),
        ({"body": {"image": f"data:image/jpeg;base64,{BASE64}"}}, JSON_HEADER),
        ({"body": {"image": base64.encodebytes(IMAGE * 9).decode()}}, JSON_HEADER),
    ],
    ids=["parsed by the server", "parsed, no header", "bytes", "data URL", "base64 with line breaks"],
)
def test_json_images_arrive_as_bytes(fields, headers):
    assert parse(fields, headers).image in (IMAGE, IMAGE * 9)


def test_options_are_read_from_fields_json_keys_and_headers():
    assert options() == Options(room=None, top_k=TOP_K.default, threshold=None, text="auto")
    fields = {"room": "直播间 1".encode(), "top_k": b"7", "threshold": b"0.25", "text": b"never"}
    assert options(fields) == Options(room="直播间 1", top_k=7, threshold=0.25, text="never")
    expected = Options(room="a", top_k=7, threshold=0.25, text="always")
    body = {"image": BASE64, "room": "a", "top_k": 7, "threshold": 0.25, "text": "always"}
    assert parse({"body": body}).options == expected
    assert options(headers={"X-ROOM": "a", "x-top-k": "7", "X-Threshold": "0.25", "X-Text": "always"}) == expected
    assert options({"top_k": b"3"}, {"X-Top-K": "many"}).top_k == 3, "a field goes before a header"
    nulls = {"image": BASE64, "room": None, "top_k": None, "threshold": None}
    assert parse({"body": nulls}).options == options()


@pytest.mark.parametrize("given", ["10,20.5,300,4e2", " 10 , 20.5,300 ,400", "10.0,20.5,300,400"])
def test_a_roi_is_four_numbers_in_text_or_a_list(given):
    expected = (10.0, 20.5, 300.0, 400.0)
    assert options({"roi": given.encode()}).roi == expected
    assert options(headers={"X-Roi": given}).roi == expected
    assert parse({"body": {"image": BASE64, "roi": [10, 20.5, 300, 400.0]}}).options.roi == expected
    assert options().roi is None


@pytest.mark.parametrize("roi", [(-50.0, -50.0, 1.0, 1.0), (99.0, 49.0, 500.0, 500.0), (0.0, 0.0, 100.0, 50.0)])
def test_a_roi_may_reach_out_of_the_image(roi):
    Options(room=None, top_k=5, threshold=None, text="auto", roi=roi).check_size(100, 50)


@pytest.mark.parametrize(
    "roi", [(100.0, 0.0, 200.0, 50.0), (0.0, 50.0, 9.0, 60.0), (-9.0, 0.0, 0.0, 9.0), (0.0, -9.0, 9.0, 0.0)]
)
def test_a_roi_outside_of_the_image_is_a_bad_option(roi):
    with pytest.raises(BadOption, match=r"roi .* outside of the image of 100x50"):
        Options(room=None, top_k=5, threshold=None, text="auto", roi=roi).check_size(100, 50)


@pytest.mark.parametrize(("given", "expected"), [("auto", None), ("true", True), ("false", False)])
def test_mirror_is_auto_or_a_boolean(given, expected):
    assert options({"mirror": given.encode()}).mirror is expected
    assert options(headers={"X-Mirror": given}).mirror is expected
    assert parse({"body": {"image": BASE64, "mirror": given}}).options.mirror is expected
    assert parse({"body": {"image": BASE64, "mirror": expected}}).options.mirror is expected
    assert options().mirror is None


def test_headers_that_the_server_adds_are_left_alone():
    # TorchServe lists the type of each multipart part among the headers, as a dict.
    headers = {"image": {"content-type": "image/png"}, "describe": "False", "Host": "localhost", "X-Other": "1"}
    assert options(headers=headers) == options()


@pytest.mark.parametrize(
    ("fields", "headers", "told"),
    [
        ({}, {}, "one image"),
        ({"top_k": b"1"}, {}, "one image"),
        ({"image": IMAGE, "data": IMAGE}, {}, "one image"),
        ({"body": b"image=%FF"}, {"Content-Type": "application/x-www-form-urlencoded"}, "image/jpeg"),
        ({"body": "text"}, {"Content-Type": "text/plain"}, "image/jpeg"),
        ({"image": {"a": 1}}, {}, "not bytes"),
        ({"body": b"{"}, JSON_HEADER, "not JSON"),
        ({"body": b"\xff\xfe\xfa"}, JSON_HEADER, "not JSON"),
        ({"body": b"[" * 100_000}, JSON_HEADER, "not JSON"),
        ({"body": [BASE64]}, JSON_HEADER, "object, not list"),
        ({"body": 5}, JSON_HEADER, "object, not int"),
        ({"body": {}}, JSON_HEADER, "'image'"),
        ({"body": {"image": 5}}, JSON_HEADER, "'image'"),
        ({"body": {"image": "not base64!"}}, JSON_HEADER, "base64"),
        ({"body": {"image": BASE64[:-1]}}, JSON_HEADER, "base64"),
        ({"body": {"image": "!!!!" + BASE64}}, JSON_HEADER, "base64"),
        ({"body": {"image": "图片"}}, JSON_HEADER, "base64"),
        ({"body": {"image": "data:image/png," + BASE64}}, JSON_HEADER, "data: URL"),
        ({"body": {"image": "data:image/png;base64"}}, JSON_HEADER, "data: URL"),
    ],
)
def test_a_request_without_a_readable_image_is_a_bad_request_that_says_why(fields, headers, told):
    with pytest.raises(BadRequest) as caught:
        parse(fields, headers)
    assert told in caught.value.message
    assert caught.value.status == 400


BAD_TEXTS = {
    "topk": [b"3"],
    "url": [b"http://example.com/a.jpg"],
    "top_k": [b"51", b"-1", b"2.0", b"\xff", "٣", b"9" * 5000],
    "threshold": [b"0.04", b"0.96", b"0,5", b"nan", b"inf", b"", b"0.7_5", "٠.٥"],
    "roi": [b"1,2,3", b"1,2,3,4,5", b"30,2,3,40", b"1,2,1,4", b"nan,2,3,4", b"1,2,inf,4", b"1,2,3,9e9", b"", "١,2,3,4"],
    "text": [b"sometimes", b""],
    "room": [b"", b"  ", b"a\nb", "a\u202eb", b"r" * 129],
}
BAD_JSON = {
    "top_k": [True, 2.0, [1], 10**30],
    "threshold": [True, {}, 10**400],
    "roi": [[1, 2, 3], [True, 2, 3, 4], [[1], 2, 3, 4], [1, 2, 3, 10**400], {"x1": 1}, 7],
    "text": [1, ["auto"]],
    "room": [5, "\ud800"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD_TEXTS.items() for value in values])
def test_an_option_that_is_unknown_or_out_of_bounds_is_a_bad_option(name, value):
    with pytest.raises(BadOption) as caught:
        options({name: value})
    assert name in caught.value.message
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD_JSON.items() for value in values])
def test_a_json_option_of_the_wrong_type_is_a_bad_option(name, value):
    with pytest.raises(BadOption):
        parse({"body": {"image": BASE64, name: value}})


# TorchServe parses a multipart part that says it is application/json, so that any JSON can stand in a field.
@pytest.mark.parametrize("value", [2**62, 2**70, -1, [53], {}, None, 0.5, True])
def test_a_field_that_the_server_parsed_as_json_costs_no_memory_and_is_no_text(value):
    with pytest.raises(BadOption):
        options({"room": value})


def test_an_option_that_is_nested_too_deep_to_be_shown_is_a_bad_option():
    # The server parses JSON with fewer frames on the stack than we then have for looking at it.
    nested: list = []
    for _ in range(5000):
        nested = [nested]
    with pytest.raises(BadOption):
        parse({"body": {"image": BASE64, "top_k": nested}})


def test_the_bounds_themselves_are_allowed():
    assert options({"top_k": b"0"}).top_k == 0
    assert options({"top_k": b" 50 "}).top_k == 50
    assert options({"threshold": b"0.05"}).threshold == 0.05
    assert options({"threshold": b"0.95"}).threshold == 0.95
    assert options({"room": b"r" * 128}).room == "r" * 128


@given(st.integers(1, TOP_K.highest), st.floats(THRESHOLDS.lowest, THRESHOLDS.highest))
def test_options_mean_the_same_as_field_header_and_json(top_k, threshold):
    fields = {"top_k": str(top_k).encode(), "threshold": repr(threshold).encode()}
    headers = {"X-Top-K": str(top_k), "X-Threshold": repr(threshold)}
    body = {"image": BASE64, "top_k": top_k, "threshold": threshold}
    assert options(fields) == options(headers=headers) == parse({"body": body}).options
    assert math.isclose(options(fields).threshold, threshold, rel_tol=0)
