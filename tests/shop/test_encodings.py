"""Files in the encodings that shops still use: read right, or refused with the guess; never other characters."""

import io
import random
from functools import partial

import pytest

from livecart.shop.errors import FeedError
from livecart.shop.import_export.encodings import Recoded, decode_text

SIMPLIFIED = (
    "好欢螺螺蛳粉|珍珍荔枝味汽水|康师傅绿茶|农夫山泉|红牛维生素饮料|酸梅汤|冰糖雪梨|椰子水|苏打水|咖啡拿铁|柠檬茶|"
    "蜜桃乌龙"
)
TRADITIONAL = "蘋果西打|黑松沙士|維他檸檬茶|統一麵|鳳梨酥|舒跑運動飲料|義美泡芙|乖乖|科學麵|台灣啤酒|烏龍茶|珍珠奶茶"
WESTERN = "Crème_brûlée|Café_glacé|Pâtisserie_Fougère|Élan|Müller_Milch|Käsespätzle|Jalapeño|Weißbier|Piña_colada|Açaí"
#: The same letters in Windows-1250 and 1254.
GERMAN = "Müller_Milch|Käsespätzle|Weißbier|Café_Höfer|Süßer_Öl|Grünkäse|Mälzer|Löwenbräu"
TURKISH = "Fındık|Çikolata|Süt|Peynir_kaşar|Yoğurt|Şeker"
HUNGARIAN = "Tejföl|Főzőtök|Gyümölcslé|Sűrített_paradicsom|Körtelé|Őszibarack"
CYRILLIC = "Молоко|Хлеб_ржаной|Сок_яблочный|банан|Сыр|Масло|Кефир|Чай_зелёный"
KOREAN = "사과_주스|우유|녹차|초콜릿_과자|신라면|김치|고추장|생수"
JAPANESE = "りんごジュース|カメラ|抹茶ラテ|牛乳石鹸|お茶"
POLISH = "Łódź|Zażółć_gęślą_jaźń|Żurek|Kiełbasa"


def tables(words, heads, rows, count=25):
    """Texts of tables, the same ones each time."""
    rng = random.Random(7)
    names = words.split("|")
    for _ in range(count):
        lines = [f"p{row},{rng.choice(names)},{rng.choice(names)},12.90" for row in range(rows)]
        yield "\r\n".join([heads, *lines, ""]).replace("_", " ")


def read_or_guess(data):
    try:
        return decode_text(data, "t.csv")
    except FeedError as error:
        return f"like {error.params['guess']}"


@pytest.mark.parametrize(
    ("words", "encoding"),
    [
        (SIMPLIFIED, "gbk"),
        (SIMPLIFIED, "utf-8-sig"),
        (SIMPLIFIED, "utf-16"),
        (SIMPLIFIED, "utf-16-be"),
        (TRADITIONAL, "big5"),
        (GERMAN, "cp1252"),
        (WESTERN, "utf-8"),
        (CYRILLIC, "utf-8"),
    ],
)
@pytest.mark.parametrize("heads", ["sku,name,brand,price", "货号,商品名称,品牌,价格"])
def test_a_table_of_a_few_rows_is_read_right(words, encoding, heads):
    if encoding in ("cp1252", "big5"):
        heads = "sku,name,brand,price"
    for text in tables(words, heads, rows=5):
        assert read_or_guess(text.encode(encoding)) == text


@pytest.mark.parametrize(
    ("words", "encoding"),
    [(SIMPLIFIED, "gbk"), (TRADITIONAL, "big5"), (GERMAN, "cp1252"), (CYRILLIC, "utf-8"), (SIMPLIFIED, "utf-8")],
)
def test_of_one_row_it_may_be_refused_and_is_never_another_text(words, encoding):
    texts = list(tables(words, "sku,name,brand,price", rows=1, count=100))
    read = [read_or_guess(text.encode(encoding)) for text in texts]
    right = sum(one == text for one, text in zip(read, texts, strict=True))
    assert right >= 85
    assert all(one == text or "\n" not in one for one, text in zip(read, texts, strict=True))


@pytest.mark.parametrize(
    ("words", "encoding", "guess"),
    [
        (KOREAN, "euc_kr", "EUC-KR"),
        (JAPANESE, "euc_jp", "EUC-JP"),
        (JAPANESE, "shift_jis", "cp932"),
        (CYRILLIC, "cp1251", "cp1251"),
        (POLISH, "cp1250", "1250"),
        (HUNGARIAN, "cp1250", "Windows-1250"),
        (TURKISH, "cp1254", "Windows-1254"),
        ("Crème_brûlée|Piña_colada", "cp1252", "Windows-1252"),
    ],
)
def test_other_encodings_are_refused_with_the_guess(words, encoding, guess):
    guesses = [read_or_guess(text.encode(encoding)) for text in tables(words, "sku,name,brand,price", rows=5)]
    assert all("\n" not in each for each in guesses)
    assert any(guess in each for each in guesses)
    # Two hanzi whose bytes are valid UTF-8 are not taken for letters.
    assert "鞋".encode("gbk").decode("utf-8") == "Ь"
    assert "GB18030" in read_or_guess("sku,name\n1,鞋鞋\n".encode("gbk"))


@pytest.mark.parametrize("data", [b"sku,name\n1,\xff\xfe\xff\n", "sku,name\n1,螺蛳粉".encode() + b"\x80", b"a\x81"])
def test_bytes_of_no_encoding_are_refused(data):
    with pytest.raises(FeedError, match="save it as UTF-8"):
        decode_text(data, "t.csv")


def test_what_is_declared_counts_unless_the_text_says_otherwise():
    text = "螺蛳粉,酸梅汤,好欢螺柳州特产"
    assert decode_text(text.encode("gbk"), "f", "GB2312") == text
    japanese = "牛乳石鹸,抹茶ラテ"
    assert decode_text(japanese.encode("euc_jp"), "f", "EUC-JP") == japanese
    # Servers name one encoding for all files.
    assert decode_text(text.encode(), "f", "iso-8859-1") == text
    for wrong in ("iso-8859-1", "big5", "utf-8"):
        with pytest.raises(FeedError, match="GB18030"):
            decode_text(text.encode("gbk"), "f", wrong)
    with pytest.raises(FeedError, match="unicode_escape"):
        decode_text(text.encode(), "f", "unicode_escape")


def xml(encoding, text, declared=None):
    said = f'<?xml version="1.0" encoding="{declared or encoding}"?>' if declared != "" else ""
    return f"{said}<rss>{text}</rss>".encode(encoding)


@pytest.mark.parametrize("encoding", ["GBK", "gb2312", "GB18030", "UTF-8", "utf-16"])
def test_xml_is_recoded_piece_by_piece(encoding):
    text = "珍珍荔枝味汽水" * 30_000
    recoded = Recoded(io.BytesIO(xml(encoding, text)), "f")
    pieces = iter(lambda: recoded.read(1001), b"")
    assert f"<rss>{text}</rss>".encode() in b"".join(pieces)


def test_http_says_it_for_xml_that_does_not_and_what_is_not_what_it_says_is_refused():
    data = xml("gbk", "珍珍荔枝味汽水", "")
    assert "珍珍荔枝味汽水".encode() in Recoded(io.BytesIO(data), "f", "gbk").read()
    assert "珍珍".encode() in Recoded(io.BytesIO(xml("gbk", "珍珍荔枝味汽水")), "f", "iso-8859-1").read()
    late = xml("utf-8", "x" * 70_000, "utf-8") + b"\xff"
    for wrong in (data, *(xml("gbk", "珍珍荔枝味汽水", said) for said in ("utf-8", "iso-8859-1")), late):
        with pytest.raises(FeedError, match="cannot be told"):
            list(iter(partial(Recoded(io.BytesIO(wrong), "f").read, 65_536), b""))


@pytest.mark.parametrize(
    ("words", "encoding"), [(WESTERN, "cp1252"), (TURKISH, "cp1254"), (HUNGARIAN, "cp1250"), (TURKISH, "iso-8859-9")]
)
def test_letters_of_europe_are_read_as_declared(words, encoding):
    for text in tables(words, "sku,name,brand,price", rows=5):
        assert decode_text(text.encode(encoding), "f", encoding) == text
