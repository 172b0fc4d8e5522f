"""Names found by what stands on a package, through the errors of an OCR."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognition.text.index import TextIndex, build_index, name_document, packaging_document, query_of
from recognition.text.lexicon import load_lexicon, normalize

NAMES = (
    "可口可乐",
    "农夫山泉饮用天然水",
    "珍珍荔枝味汽水",
    "北冰洋橙汁汽水",
    "依云天然矿泉水",
    "百岁山矿泉水",
    "東方樹葉茉莉花茶",
    "元气森林白桃味苏打气泡水",
    "Red Bull 维生素功能饮料",
    "王老吉凉茶",
    "脉动维生素饮料",
    "冰峰橙味汽水",
)
INDEX = build_index([name_document(name, None, (), load_lexicon()) for name in NAMES], load_lexicon())


def scores(*lines: str, confidence: float = 0.9, index: TextIndex = INDEX) -> dict[str, float]:
    query = query_of([(line, confidence) for line in lines], load_lexicon())
    shared, _ = index.score(query)
    return {name: float(score) for name, score in zip(NAMES, shared, strict=False)}


def found(*lines: str) -> str:
    """The best name, which must be well ahead of the second."""
    table = scores(*lines)
    best, second = sorted(table, key=table.__getitem__, reverse=True)[:2]
    assert table[best] > 1.2 * table[second], table
    return best


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        (["可口可东"], "可口可乐"),  # 乐 read as 东
        (["可囗可乐"], "可口可乐"),
        (["农夫山", "饮用天然水 550ml"], "农夫山泉饮用天然水"),
        (["农大山泉"], "农夫山泉饮用天然水"),
        (["荔枝味", "净含量350毫升"], "珍珍荔枝味汽水"),  # the brand's line is missing
        (["东方树叶"], "東方樹葉茉莉花茶"),
        (["東方樹葉", "茉莉花茶"], "東方樹葉茉莉花茶"),
        (["ＲＥＤ　ＢＵＬＬ"], "Red Bull 维生素功能饮料"),
        (["red bull", "energy drink"], "Red Bull 维生素功能饮料"),
        (["REDBULL"], "Red Bull 维生素功能饮料"),
        (["红牛"], "Red Bull 维生素功能饮料"),
        (["evian", "natural mineral water"], "依云天然矿泉水"),
        (["EVLAN"], "依云天然矿泉水"),
        (["Coca-Cola"], "可口可乐"),
        (["WANGLAOJI"], "王老吉凉茶"),
        (["wang lao ji"], "王老吉凉茶"),
        (["Nongfu Spring"], "农夫山泉饮用天然水"),
        (["北", "冰", "洋", "橙汁汽水"], "北冰洋橙汁汽水"),
    ],
)
def test_a_name_is_found_by_what_was_read(lines, name):
    assert found(*lines) == name


def test_words_on_every_package_decide_nothing():
    generic = scores("净含量:500ml", "配料:水", "生产日期见瓶身", "保质期12个月")
    assert max(generic.values()) < 0.4 * scores("脉动")["脉动维生素饮料"]


def test_doubtful_lines_are_noise():
    assert max(scores("可口可乐", confidence=0.29).values()) == 0
    assert scores("可口可乐", confidence=0.5)["可口可乐"] == pytest.approx(
        scores("可口可乐", confidence=1.0)["可口可乐"] / 2, rel=1e-3
    )
    assert packaging_document([("可口可乐", 0.29)]).pieces == {}


def test_a_brand_and_words_lead_to_a_name_that_does_not_hold_them():
    documents = [
        name_document("经典原味 330ml", "可口可乐", ["碳酸"], load_lexicon()),
        name_document("经典原味 330ml", "百事", [], load_lexicon()),
    ]
    index = build_index(documents, load_lexicon())
    brand, _ = index.score(query_of([("coca cola", 1.0)], load_lexicon()))
    word, _ = index.score(query_of([("碳酸", 1.0)], load_lexicon()))
    assert brand[0] > 0
    assert brand[1] == 0
    assert brand[0] > word[0] > word[1] == 0


def test_the_print_of_a_photo_is_found_again():
    lexicon = load_lexicon()
    photos = [[("珍珍", 0.9), ("荔枝味汽水", 0.8)], [("北冰洋", 0.9), ("橙汁汽水", 0.9)], []]
    index = build_index([packaging_document(lines) for lines in photos], lexicon)

    shared, mass = index.score(query_of([("珍珍", 1.0), ("茘枝味汽水", 1.0)], lexicon))

    assert shared[0] > 2 * shared[1] > 0
    assert shared[2] == 0
    assert mass > 0
    assert index.mass[2] == 0


@pytest.mark.parametrize("text", ["", " ", "!!!", "\ud800", "\0", "7", "水", "a", "́", "😀"])
def test_names_and_lines_of_nothing_do_no_harm(text):
    lexicon = load_lexicon()
    index = build_index([name_document(text, text, [text, text], lexicon), packaging_document([(text, 1.0)])], lexicon)
    shared, _ = index.score(query_of([(text, 1.0), ("可口可乐", 1.0)], lexicon))
    assert shared.shape == (2,)
    assert (shared >= 0).all()


@pytest.mark.parametrize("sign", ["水", "a", "ab 12 ", "可口可乐 evian "])
def test_a_line_of_ten_thousand_characters_is_cut(sign):
    line = (sign * 10_000)[:10_000]
    query = query_of([(line, 1.0)], load_lexicon())
    assert query == query_of([(line[:1000], 1.0)], load_lexicon())
    assert len(query) < 3000


@given(st.sampled_from(NAMES), st.data())
def test_a_name_is_found_with_a_character_lost_anywhere(name, data):
    text = normalize(name)
    lost = data.draw(st.integers(0, len(text) - 1))
    table = scores(text[:lost] + text[lost + 1 :])
    assert max(table, key=table.__getitem__) == name
