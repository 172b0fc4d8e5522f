"""Every form of a request to image bytes and options, and what is wrong with a bad one."""

import base64
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognition.errors import BadOption, BadRequest
from recognition.request.forms import Options, Request, parse_request
from recognition.settings import Thresholds
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


def test_json_bytes_without_a_json_content_type_are_taken_for_an_image():
    assert parse({"body": b'{"image": ""}'}).image == b'{"image": ""}'


def test_without_options_the_defaults_hold():
    assert options() == Options(room=None, top_k=TOP_K.default, threshold=None, text="auto")


def test_options_are_read_from_multipart_fields():
    given = {"room": "直播间 1".encode(), "top_k": b"7", "threshold": b"0.25", "text": b"never"}
    assert options(given) == Options(room="直播间 1", top_k=7, threshold=0.25, text="never")


def test_options_are_read_from_json_keys():
    body = {"image": BASE64, "room": "a", "top_k": 7, "threshold": 0.25, "text": "always"}
    assert parse({"body": body}).options == Options(room="a", top_k=7, threshold=0.25, text="always")


def test_options_are_read_from_headers_in_any_case():
    headers = {"X-ROOM": "a", "x-top-k": "7", "X-Threshold": "0.25", "X-Text": "always"}
    assert options(headers=headers) == Options(room="a", top_k=7, threshold=0.25, text="always")


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


def test_a_field_wins_over_a_header_also_when_the_header_is_wrong():
    assert options({"top_k": b"3"}, {"X-Top-K": "many"}).top_k == 3


def test_null_in_json_means_not_given():
    body = {"image": BASE64, "room": None, "top_k": None, "threshold": None}
    assert parse({"body": body}).options == options()


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


def test_an_empty_image_is_left_to_the_decoder():
    assert parse({"body": {"image": ""}}).image == b""


@pytest.mark.parametrize(
    "fields",
    [
        {"topk": b"3"},
        {"url": b"http://example.com/a.jpg"},
        {"top_k": b"51"},
        {"top_k": b"-1"},
        {"top_k": b"2.0"},
        {"top_k": b"\xff"},
        {"top_k": "٣"},
        {"top_k": b"9" * 5000},
        {"threshold": b"0.04"},
        {"threshold": b"0.96"},
        {"threshold": b"0,5"},
        {"threshold": b"nan"},
        {"threshold": b"inf"},
        {"threshold": b""},
        {"threshold": b"0.7_5"},
        {"threshold": "٠.٥"},
        {"roi": b"1,2,3"},
        {"roi": b"1,2,3,4,5"},
        {"roi": b"30,2,3,40"},
        {"roi": b"1,2,1,4"},
        {"roi": b"nan,2,3,4"},
        {"roi": b"1,2,inf,4"},
        {"roi": b"1,2,3,9e9"},
        {"roi": b""},
        {"roi": "١,2,3,4"},
        {"text": b"sometimes"},
        {"text": b""},
        {"room": b""},
        {"room": b"  "},
        {"room": b"a\nb"},
        {"room": "a\u202eb"},
        {"room": b"r" * 129},
    ],
)
def test_an_option_that_is_unknown_or_out_of_bounds_is_a_bad_option(fields):
    with pytest.raises(BadOption) as caught:
        options(fields)
    assert next(iter(fields)) in caught.value.message
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    "option",
    [
        {"top_k": True},
        {"top_k": 2.0},
        {"top_k": [1]},
        {"top_k": 10**30},
        {"threshold": {}},
        {"threshold": 10**400},
        {"roi": [1, 2, 3]},
        {"roi": [True, 2, 3, 4]},
        {"roi": [[1], 2, 3, 4]},
        {"roi": [1, 2, 3, 10**400]},
        {"roi": {"x1": 1}},
        {"roi": 7},
        {"text": 1},
        {"text": ["auto"]},
        {"room": 5},
        {"room": "\ud800"},
    ],
)
def test_a_json_option_of_the_wrong_type_is_a_bad_option(option):
    with pytest.raises(BadOption):
        parse({"body": {"image": BASE64, **option}})


@pytest.mark.parametrize("value", [True, False])
def test_a_boolean_is_no_threshold_even_where_its_number_would_be_one(value):
    bounds = Thresholds(default=0.5, lowest=0.0, highest=1.0)
    with pytest.raises(BadOption, match="threshold"):
        parse_request({"body": {"image": BASE64, "threshold": value}}, {}, top_k=TOP_K, thresholds=bounds)


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


@given(st.binary(max_size=200))
def test_any_bytes_survive_the_way_through_base64(data):
    assert parse({"body": {"image": base64.b64encode(data).decode()}}).image == data


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["image", "body", "data", "room", "top_k", "threshold", "text"]) | st.text(max_size=8)
HEADERS = st.dictionaries(
    st.sampled_from(["Content-Type", "X-Room", "X-Top-K", "X-Threshold", "X-Text"]) | st.text(max_size=8),
    st.sampled_from(["application/json", "image/png"]) | st.text(max_size=20),
    max_size=4,
)


def accepted_or_refused(fields, headers) -> None:
    """Fails with whatever else than the two documented errors is raised, and on options out of bounds."""
    try:
        request = parse(fields, headers)
    except (BadOption, BadRequest) as error:
        error.message.encode()
        return
    assert type(request.image) is bytes
    assert 0 <= request.options.top_k <= TOP_K.highest
    threshold = request.options.threshold
    assert threshold is None or THRESHOLDS.lowest <= threshold <= THRESHOLDS.highest
    assert request.options.text in ("auto", "always", "never")
    assert request.options.room is None or request.options.room.isprintable()


@given(st.dictionaries(NAMES, st.binary(max_size=20) | st.text(max_size=20) | JSON_VALUES, max_size=5), HEADERS)
def test_arbitrary_fields_and_headers_are_accepted_or_refused(fields, headers):
    accepted_or_refused(fields, headers)


@given(st.dictionaries(NAMES, JSON_VALUES, max_size=5).map(lambda body: {"image": BASE64, **body}), HEADERS)
def test_arbitrary_json_options_are_accepted_or_refused(body, headers):
    accepted_or_refused({"body": body}, headers)


@given(JSON_VALUES.map(json.dumps).map(str.encode) | st.binary(max_size=60))
def test_arbitrary_json_bodies_are_accepted_or_refused(body):
    accepted_or_refused({"body": body}, JSON_HEADER)
