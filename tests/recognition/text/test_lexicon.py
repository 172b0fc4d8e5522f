"""What everybody knows: other spellings of a brand or a word, and what stands on every package."""

import msgspec
import pytest

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


def test_a_misread_latin_word_is_nearly_the_spelling():
    (brand,) = set(concepts("schweppes")) & set(concepts("schwcppes"))
    assert concepts("schwcppes")[brand] == (pytest.approx(1 - 1 / 9), "schweppes")
    assert concepts("schweppes")[brand] == (1.0, "schweppes")
    # Two errors in five letters are another word.
    assert not shared("evian", "ovlan")


def test_a_brand_is_found_among_other_words_and_across_gaps():
    lexicon = Lexicon({"茶π": ("tea",), "农夫山泉": ("water",)}, {"mountaindew": ("dew",)}, frozenset(), {})
    assert set(concepts("new MOUNTAIN dew zero", lexicon)) == {"dew"}
    assert set(concepts("饮用 农夫 山泉水", lexicon)) == {"water"}
    assert set(concepts("好茶π 500ml", lexicon)) == {"tea"}
    assert concepts("茶πxy", lexicon) == {}


def test_what_stands_on_every_package_is_worth_little():
    lexicon = load_lexicon()
    assert lexicon.worth(("pair", "含量")) < 0.5
    assert lexicon.worth(("word", "ingredients")) < 0.5
    assert lexicon.worth(("pair", "脉动")) == 1.0


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
