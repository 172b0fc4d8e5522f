"""Which links are shown: the catalog and the archive say the same of every one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecart.catalog.links import check_host_pattern, check_link
from livecart.errors import InvalidValue
from recognition.links import check_url

HOSTS = (
    "shop.example.com",
    "*.cdn.example.com",
    "pay.example.com:8443",
    "例子.中国",
    "BIG.example.com",
    "plain.example.com:443",
)

ALLOWED = [
    "https://shop.example.com/item/1001",
    "https://shop.example.com",
    "https://SHOP.example.com./item?a=1&b=%20#x",
    "https://shop.example.com:443/",
    "https://a.cdn.example.com/x",
    "https://a.b.cdn.example.com/x",
    "https://pay.example.com:8443/x",
    "https://例子.中国/商品",
    "https://xn--fsqu00a.xn--fiqs8s/x",
    "https://big.example.com/",
    "https://plain.example.com/",
    "https://ｓｈｏｐ.example.com/wide",
    "HTTPS://shop.example.com/x",
]
REFUSED = [
    "",
    "shop.example.com/item",
    "//shop.example.com/item",
    "http://shop.example.com/item",
    "javascript:alert(1)",
    "javascript://shop.example.com/%0aalert(1)",
    "data:text/html,<script>",
    "file:///etc/passwd",
    "https:///item",
    "https:shop.example.com",
    "https://",
    "https://evil.example.org/",
    "https://shop.example.com.evil.org/",
    "https://evilshop.example.com/",
    "https://cdn.example.com/apex-is-not-below",
    "https://evilcdn.example.com/",
    "https://shop.example.com@evil.org/",
    "https://user:pass@shop.example.com/",
    "https://@shop.example.com/",
    "https://shop.example.com:8443/",
    "https://pay.example.com/",
    "https://shop.example.com:99999/",
    "https://shop.example.com:x/",
    "https://shop.example.com:0/",
    "https://shop.example.com\\@evil.org/",
    "https://evil.org\\.shop.example.com/",
    "https://shop.example.com%2f.evil.org/",
    "https://evil.org%2f.cdn.example.com/",
    "https://shop.example.com/a b",
    "https://shop.example.com/\titem",
    "https://shop.example.com/\nitem",
    " https://shop.example.com/",
    'https://shop.example.com/"onclick="x',
    "https://shop.example.com/'",
    "https://shop.example.com/<script>",
    "https://shop.example.com/`",
    "https://shop.example.com/\u202e",
    "https://shop\u200d.example.com/",
    "https://\u200bshop.example.com/",
    "https://stra\u00dfe.cdn.example.com/",
    "https://[::1]/",
    "https://[shop.example.com/",
    "https://127.0.0.1/",
    "https://.shop.example.com/",
    "https://shop..example.com/",
    "https://..cdn.example.com/",
    "https://" + "a" * 64 + ".cdn.example.com/",
    "https://shop.example.com/\ud800",
    "https://shop。example.com.evil.org/",
]


def archive_allows(url):
    return check_url(url, allowed_hosts=HOSTS) is None


@pytest.mark.parametrize("url", ALLOWED)
def test_allowed_by_both(url):
    assert check_link(url, HOSTS) is None
    assert archive_allows(url)


@pytest.mark.parametrize("url", REFUSED)
def test_refused_by_both(url):
    assert check_link(url, HOSTS)
    assert not archive_allows(url)


PIECES = [
    "https:",
    "http:",
    "javascript:",
    "//",
    "/",
    "shop",
    ".",
    "example",
    "com",
    "cdn",
    "pay",
    "BIG",
    "evil.org",
    "@",
    ":",
    "443",
    "8443",
    "\\",
    "%2f",
    "?",
    "#",
    "例子",
    "中国",
    "。",
    "ß",
    "[",
    "]",
    "xn--",
    "-",
    "_",
]
PIECES += ["\u200d", "\t", " "]


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_the_same_answer_to_anything(url):
    assert (check_link(url, HOSTS) is None) == archive_allows(url)


@given(st.text(max_size=40))
def test_the_same_answer_behind_a_good_start(rest):
    url = "https://shop.example.com" + rest
    assert (check_link(url, HOSTS) is None) == archive_allows(url)


@pytest.mark.parametrize(
    ("given_", "stored"),
    [
        ("Shop.Example.com", "shop.example.com"),
        (" shop.example.com. ", "shop.example.com"),
        ("shop.example.com:443", "shop.example.com"),
        ("pay.example.com:08443", "pay.example.com:8443"),
        ("*.例子.中国", "*.xn--fsqu00a.xn--fiqs8s"),
    ],
)
def test_a_pattern_is_stored_in_one_form(given_, stored):
    assert check_host_pattern(given_) == stored


NO_PATTERNS = [
    "*",
    "*.com",
    "*.*.com",
    "https://shop.example.com",
    "shop.example.com/",
    "a:0",
    "a:x",
    "a:70000",
    "a@b",
    "[::1]",
]


@pytest.mark.parametrize("pattern", ["", "a b", *NO_PATTERNS])
def test_what_is_no_host_is_no_pattern(pattern):
    with pytest.raises(InvalidValue):
        check_host_pattern(pattern)
