"""Labels in every form that they come in, and the identity of a label set."""

import json

import pytest

from recognition.classify.labels import LabelSet, load_labels, write_labels
from recognition.errors import ConfigurationError

FORMS = {
    "this repository's": '{"classes": [{"label": "猫", "en": "cat"}, {"label": "狗"}, {"label": "a cup"}]}',
    "array": '["猫", "狗", "a cup"]',
    "array with blanks around": '\n [" 猫", "狗 ", "a cup"]',
    "by index": '{"2": "a cup", "0": "猫", "1": "狗"}',
    "meta_info.txt": "0\t猫\tx\n1\t狗\ty\n2\ta cup\tz\n",
    "lines": "猫\n狗\na cup",
    "lines of Windows": "\ufeff猫\r\n狗\r\na cup\r\n",
}


def load(folder, text, **options):
    path = folder / "labels.txt"
    path.write_bytes(text.encode())
    return load_labels(path, **options)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_labels_in_index_order(tmp_path, form):
    assert load(tmp_path, FORMS[form], num_classes=3).texts == ("猫", "狗", "a cup")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('["a", "b"]', "2 labels, but the model has 3"),
        ('["a", "b", "c", "d"]', "4 labels, but the model has 3"),
        ("", "no labels"),
        ('["a", " ", "c"]', "class 1"),
        ('["a", 5, "c"]', "class 1"),
        ('["a", null, "c"]', "class 1"),
        ('{"classes": [{"label": "a"}, {"en": "b"}, {"label": "c"}]}', "class 1"),
        ('{"classes": [{"label": "a"}, "b", {"label": "c"}]}', "class 1"),
        ('{"0": "a", "1": "b", "3": "c"}', "class '2' is missing"),
        ('["a",\n"b" "c"]', "line 2: not JSON"),
        ("0\ta\n1\n2\tc", "line 2: no tab-separated"),
        ("0\ta\n\n1\n2\tc", "line 3: no tab-separated"),
        ("0\ta\n1\t\n2\tc", "class 1"),
    ],
)
def test_wrong_labels_are_refused_with_file_and_place(tmp_path, text, told):
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text, num_classes=3)
    assert "labels.txt: " in str(caught.value)
    assert told in str(caught.value)


def test_a_missing_file_and_one_that_is_not_utf8_are_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot read labels"):
        load_labels(tmp_path / "none.json")
    (tmp_path / "gbk.txt").write_bytes("马克杯".encode("gbk"))
    with pytest.raises(ConfigurationError, match="cannot read labels"):
        load_labels(tmp_path / "gbk.txt")


def test_written_labels_are_read_back_unescaped(tmp_path):
    labels = LabelSet(("猫", 'a "cup"', "[x]"))
    write_labels(labels, tmp_path / "labels.json")
    assert load_labels(tmp_path / "labels.json") == labels
    assert "猫" in (tmp_path / "labels.json").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "labels.json").read_bytes()) == list(labels.texts)


def test_the_fingerprint_is_of_texts_and_order_and_stays_the_same():
    # Written down, because archives built by other versions carry it too.
    assert LabelSet(("猫", "狗")).fingerprint == "680b26750c3c"
    assert LabelSet(("狗", "猫")).fingerprint != LabelSet(("猫", "狗")).fingerprint
    assert LabelSet(("猫", "狐")).fingerprint != LabelSet(("猫", "狗")).fingerprint
