"""One spelling for what is the same: width, case, script and accents; and what a text is cut into."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognition.text.lexicon import normalize, pieces, runs, tokens

#: Lone surrogates, too: JSON can smuggle them in.
ANYTHING = st.text(st.characters(), max_size=40)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ＥＶＩＡＮ　５００ｍｌ", "evian 500ml"),
        ("東方樹葉", "东方树叶"),
        ("農夫山泉", "农夫山泉"),
        ("乾杯", "干杯"),
        ("Nestlé", "nestle"),
        ("Häagen-Dazs", "haagen-dazs"),
        ("ｺｶ･ｺｰﾗ", "コカ・コーラ"),
        ("ビタミン", "ビタミン"),
        ("코카콜라", "코카콜라"),
        ("Café カフェ Ｃａｆé", "cafe カフェ cafe"),
        ("③", "3"),
        ("", ""),
        ("\ud800水", "?水"),
    ],
)
def test_the_same_text_is_written_the_same(text, expected):
    assert normalize(text) == expected


@given(ANYTHING)
def test_any_text_can_be_normalised_cut_and_encoded(text):
    normal = normalize(text)

    normal.encode()
    for part in [*runs(normal), *tokens(normal)]:
        assert part in normal
        assert list(pieces(part)) or len(part) == 1


def test_endless_text_is_cut():
    assert len(normalize("水" * 1_000_000)) == 1000
    assert len(normalize("水" * 999)) == 999


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("农夫山泉 nongfu spring", ["农夫山泉", "nongfu", "spring"]),
        ("净含量:550ml", ["净含量"]),
        ("12 330ml 1l 500g 2kg", []),
        ("7up 1664blanc c100", ["7up", "1664blanc", "c100"]),
        ("茶π", ["茶", "π"]),
        ("コカ・コーラ", ["コカ", "コーラ"]),
        ("佐々木", ["佐々木"]),
        ("аленка", ["аленка"]),
        ("!?、。", []),
    ],
)
def test_runs_are_unbroken_and_without_amounts(text, expected):
    assert runs(text) == expected


def test_tokens_keep_amounts_and_take_cjk_apart():
    assert tokens("7-up 零度c 330ml") == ["7", "up", "零", "度", "c", "330ml"]


def test_cjk_is_compared_by_characters_and_pairs():
    assert list(pieces("农夫泉")) == [
        ("character", "农"),
        ("character", "夫"),
        ("character", "泉"),
        ("pair", "农夫"),
        ("pair", "夫泉"),
    ]


def test_latin_is_compared_by_words_and_trigrams_with_their_ends():
    assert list(pieces("evi")) == [("word", "evi"), ("trigram", "^ev"), ("trigram", "evi"), ("trigram", "vi$")]
    assert list(pieces("ok")) == [("word", "ok")]
    assert list(pieces("x")) == []
