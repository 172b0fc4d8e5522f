"""The archive's error codes, and that every error of it can become a body."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from contract.errors import STATUS_OF, ErrorCode, decode_error, encode_error
from recognition import errors


def recognition_errors() -> list[type[errors.RecognitionError]]:
    found = [errors.RecognitionError]
    for kind in found:
        found += kind.__subclasses__()
    return found


def test_every_code_has_its_status_and_an_error_that_raises_it():
    assert set(STATUS_OF) == set(get_args(ErrorCode)) == {kind.code for kind in recognition_errors()}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (encode_error("bad_image", "图片"), ("bad_image", "图片")),
        (b'{"schema": 1, "error": {"code": "new_code", "message": "m", "more": 1}}', ("new_code", "m")),
        (b'{"code": 503, "type": "Unavailable", "message": "queue full"}', ("Unavailable", "queue full")),
        (b'{"error": "a proxy\'s"}', ("", "")),
        (b"{}", ("", "")),
        (b"[]", ("", "")),
        (b"<html>", ("", "")),
        (b'{"type": "\xff"}', ("", "")),
        (b"", ("", "")),
    ],
)
def test_the_error_of_the_archive_or_of_torchserve_is_read(body, told):
    assert decode_error(body) == told


@pytest.mark.parametrize("kind", recognition_errors())
def test_every_error_has_a_status_an_ascii_code_and_a_body(kind):
    error = kind("it was so")
    assert 400 <= error.status <= 599
    assert error.code.isascii()
    assert error.code.replace("_", "").isalpha()
    assert json.loads(encode_error(error.code, error.message)) == {
        "schema": 1,
        "error": {"code": error.code, "message": "it was so"},
    }
    assert str(error) == "it was so"


def test_a_lone_surrogate_in_a_message_does_not_spoil_the_body():
    error = errors.BadOption("unknown option \ud800 x")
    body = json.loads(encode_error(error.code, error.message))
    assert body["error"]["message"] == "unknown option ? x"


def test_the_docs_tell_every_code_with_its_status():
    page = (Path(__file__).resolve().parents[2] / "docs" / "http.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", page, re.MULTILINE)
    assert {code: int(status) for status, code in rows} == STATUS_OF
