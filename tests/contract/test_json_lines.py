"""JSON that people edit: strict where slips hide, and able to name a line."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.json_lines import DuplicateKeyError, line_of_key, parse_object


@pytest.mark.parametrize("text", ['{"a": 1, "a": 1}', '{"b": {"a": 1, "a": 2}}', '{"b": [{"a": 1, "\\u0061": 2}]}'])
def test_a_key_that_stands_twice_in_one_object_is_refused_at_any_depth(text):
    with pytest.raises(DuplicateKeyError) as caught:
        parse_object(text)
    assert caught.value.key == "a"
    assert "'a'" in str(caught.value)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_does_not_have_are_refused_with_their_line(constant):
    with pytest.raises(json.JSONDecodeError) as caught:
        parse_object(f'{{"a":\n{constant}}}')
    assert caught.value.lineno == 2


@pytest.mark.parametrize(("text", "found"), [("[]", "list"), ("null", "NoneType"), ('"a"', "str"), ("1", "int")])
def test_json_that_is_no_object_is_refused(text, found):
    with pytest.raises(ValueError, match=f"object, found {found}"):
        parse_object(text)


TEXT = """{
  "first": "a value that mentions \\"second\\": no",
  "second": {
    "url": 1
  },
  "\\u4e09": {"url": 2, "x": "second"}
}"""


@pytest.mark.parametrize(
    ("key", "occurrence", "line"),
    [("first", 1, 2), ("second", 1, 3), ("url", 1, 4), ("url", 2, 6), ("三", 1, 6), ("url", 3, 1), ("none", 1, 1)],
)
def test_the_line_of_a_key_is_counted_from_one_and_is_one_where_there_is_no_such_key(key, occurrence, line):
    assert line_of_key(TEXT, key, occurrence=occurrence) == line


@given(st.dictionaries(st.text(':", \\a\n', max_size=3), st.text(':", \\a\n', max_size=5), min_size=1, max_size=6))
def test_the_line_of_any_key_is_found_whatever_the_values_look_like(data):
    text = json.dumps(data, indent=1)
    for number, key in enumerate(data, 2):
        assert line_of_key(text, key) == number
