"""What everybody knows: other spellings of a brand or a word, and what stands on every package."""

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognition.errors import ConfigurationError
from recognition.text import lexicon as module
from recognition.text.lexicon import Lexicon, is_cjk, load_lexicon, normalize, tokens

FILE = msgspec.json.decode(module._FILE.read_bytes())


def concepts(text: str, lexicon: Lexicon | None = None) -> dict[str, tuple[float, str]]:
    found = (lexicon or load_lexicon()).concepts(normalize(text))
    return {concept: (similarity, spelling) for concept, similarity, spelling in found}


def shared(one: str, other: str) -> set[str]:
    return set(concepts(one)) & set(concepts(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("依云", "evian"),
        ("依雲矿泉水", "EVIAN natural mineral water"),
        ("可口可乐", "coca-cola"),
        ("可口可乐", "COCACOLA"),
        ("コカ・コーラ", "可口可乐"),
        ("农夫山泉", "NongFu Spring"),
        ("七喜", "7-up"),
        ("茶π", "茶派"),
        ("荔枝", "lychee"),
    ],
)
def test_spellings_of_one_thing_meet(one, other):
    assert shared(one, other)


@pytest.mark.parametrize(
    ("one", "other"), [("依云", "百事可乐"), ("up", "七喜"), ("蔗糖", "0蔗糖"), ("GB/T 10792 5 mg", "晨光")]
)
def test_what_is_not_the_same_does_not_meet(one, other):
    assert not shared(one, other)


def test_every_spelling_is_found_in_itself():
    for kind in ("brands", "terms"):
        for number, spellings in enumerate(FILE[kind]):
            for spelling in spellings:
                parts = tokens(normalize(spelling))
                latin = not any(map(is_cjk, parts))
                if len("".join(parts)) < (3 if latin else 2) or "".join(parts).isdecimal():
                    continue
                found = list(load_lexicon().concepts(normalize(spelling)))
                assert (f"{kind[:-1]}{number}", 1.0, "".join(parts)) in found


def test_no_spelling_is_kept_twice():
    lexicon = load_lexicon()
    for spelling, found in lexicon._concepts.items():
        assert len(set(found)) == len(found), spelling
    assert all(len(set(spellings)) == len(spellings) for spellings in lexicon._spellings.values())


def test_a_misread_latin_word_is_nearly_the_spelling():
    (brand,) = set(concepts("schweppes")) & set(concepts("schwcppes"))
    assert concepts("schwcppes")[brand] == (pytest.approx(1 - 1 / 9), "schweppes")
    assert concepts("schweppes")[brand] == (1.0, "schweppes")
    # Two errors in five letters are another word.
    assert not shared("evian", "ovlan")


def test_short_words_are_taken_to_the_letter():
    lexicon = Lexicon({}, {"cola": ("brand0",)}, frozenset(), {})
    assert concepts("cola", lexicon) == {"brand0": (1.0, "cola")}
    assert concepts("coia", lexicon) == {}


def test_a_brand_is_found_among_other_words_and_across_gaps():
    lexicon = Lexicon({"茶π": ("tea",), "农夫山泉": ("water",)}, {"mountaindew": ("dew",)}, frozenset(), {})
    assert set(concepts("new MOUNTAIN dew zero", lexicon)) == {"dew"}
    assert set(concepts("饮用 农夫 山泉水", lexicon)) == {"water"}
    assert set(concepts("好茶π 500ml", lexicon)) == {"tea"}
    assert concepts("茶πxy", lexicon) == {}


def test_other_spellings_leave_out_the_one_that_was_read():
    lexicon = Lexicon({"依云": ("b",)}, {"evian": ("b",), "evlan": ("b",)}, frozenset(), {})
    assert set(lexicon.others("b", "evian")) == {"依云", "evlan"}
    assert lexicon.others("unknown", "evian") == ()


def test_of_spellings_within_each_other_the_longest_is_found_and_none_is_another():
    lexicon = Lexicon({"矿泉水": ("w",), "天然矿泉水": ("w",)}, {"mineralwater": ("w",)}, frozenset(), {})
    assert list(lexicon.concepts("天然矿泉水")) == [("w", 1.0, "天然矿泉水")]
    assert list(lexicon.concepts("矿泉水 矿泉水")) == [("w", 1.0, "矿泉水")]
    assert lexicon.others("w", "矿泉水") == ("mineralwater",)
    assert set(lexicon.others("w", "mineralwater")) == {"矿泉水", "天然矿泉水"}


def test_what_stands_on_every_package_is_worth_little():
    lexicon = load_lexicon()
    assert lexicon.worth(("pair", "含量")) < 0.5
    assert lexicon.worth(("word", "ingredients")) < 0.5
    assert lexicon.worth(("pair", "脉动")) == 1.0


@given(st.text(st.characters(), max_size=60))
def test_any_text_is_looked_through(text):
    for _, similarity, spelling in load_lexicon().concepts(normalize(text)):
        assert 0.5 < similarity <= 1.0
        assert spelling


def test_an_empty_lexicon_knows_nothing():
    lexicon = Lexicon({}, {}, frozenset(), {})
    assert concepts("可口可乐 coca cola", lexicon) == {}


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'{"brands": []}', b'{"brands": [["a"]], "terms": [], "generic": [], "confusions": [["a"]]}'],
)
def test_a_damaged_file_is_named(tmp_path, monkeypatch, content):
    path = tmp_path / "lexicon.json"
    path.write_bytes(content)
    monkeypatch.setattr(module, "_FILE", path)

    with pytest.raises(ConfigurationError, match=r"lexicon\.json"):
        load_lexicon.__wrapped__()


def test_entries_of_one_character_or_none_are_left_out(tmp_path, monkeypatch):
    path = tmp_path / "lexicon.json"
    entries = [["水", "h", ""], ["雪碧", "·"], ["999", "三九"], ["gb", "国标"]]
    path.write_bytes(
        msgspec.json.encode({"brands": entries, "terms": [], "generic": ["水", ""], "confusions": [("东", "乐")]})
    )
    monkeypatch.setattr(module, "_FILE", path)

    lexicon = load_lexicon.__wrapped__()

    assert set(lexicon._concepts) == {"雪碧", "三九", "国标"}
    assert lexicon.lookalikes == {"东": ("乐",), "乐": ("东",)}
    assert lexicon.worth(("character", "水")) < 1


def test_lookalikes_go_both_ways():
    near_duplicates = load_lexicon().lookalikes
    assert "乐" in near_duplicates["东"]
    for sign, other in itertools.islice(((s, t) for s, found in near_duplicates.items() for t in found), 500):
        assert sign in near_duplicates[other]
