"""Where a purchase link may lead: the rule that catalog, archive and live system share."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.links import LinkFault, check_link, host_pattern, is_https_link

HOSTS = ["shop.example.com"]
URL = "https://shop.example.com/item/1"


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        (URL, HOSTS),
        ("https://shop.example.com", HOSTS),
        ("https://shop.example.com/商品?名=螺蛳粉&b=%20#x@y", HOSTS),
        ("HTTPS://SHOP.Example.COM/item", HOSTS),
        (URL, ["SHOP.EXAMPLE.COM"]),
        ("https://shop.example.com./item", HOSTS),
        ("https://shop.example.com:443/item", HOSTS),
        ("https://shop.example.com:8443/item", ["shop.example.com:8443"]),
        ("https://a.example.com/item", ["*.example.com"]),
        ("https://a.b.example.com/item", ["*.example.com"]),
        ("https://a.example.com:8443/item", ["*.example.com:8443"]),
        ("https://例子.中国/item", ["例子.中国"]),
        ("https://例子.中国/item", ["xn--fsqu00a.xn--fiqs8s"]),
        ("https://xn--fsqu00a.xn--fiqs8s/item", ["例子.中国"]),
        ("https://店.例子.中国/item", ["*.例子.中国"]),
        (URL, ["other.example.com", "shop.example.com"]),
    ],
)
def test_an_https_link_to_an_allowed_host_may_be_shown(url, allowed):
    assert check_link(url, allowed) is None


NO_WHOLE_HTTPS_LINKS = [
    *("", "item/1", "/item/1", "//shop.example.com/item", "data:text/html,hi", "https://shop.example.com:port/"),
    *("http://shop.example.com/item", "ftp://shop.example.com/item", "javascript:alert(1)", "https:", "https://"),
    *("javascript://shop.example.com/%0aalert(1)", "https:///item", "https:/shop.example.com/item", "https://[::1"),
    *("https:shop.example.com/item", "https://?shop.example.com", "https://[::1]/", "https://shop.example.com:-1/"),
]
READ_OTHERWISE_THAN_OPENED = [
    *("https://shop.example.com@evil.com/", "https://shop.example.com:443@evil.com/", "https://user@shop.example.com/"),
    *("https://:secret@shop.example.com/", "https://@shop.example.com/", "https://evil.com\\@shop.example.com/"),
    *("https:\\\\shop.example.com/", "https://evil.com\\.shop.example.com/", "https://shop.example.com\\item"),
    *("https://shop.example.com/a\\b", "https://shop.exa\tmple.com/", "https://shop.example.com/a\nb"),
    *("java\nscript:alert(1)", " https://shop.example.com/", "https://shop.example.com/a b"),
    *("https://shop.example.com/\0", "https://shop.example.com/\x7f", "https://shop.example.com/\u202egpj"),
    *("https://shop.example.com/\u200b", "https://shop.example.com/\ud800", "https://shop.example.com\u3000/"),
    *('https://shop.example.com/"onclick="x', "https://shop.example.com/'", "https://shop.example.com/<script>"),
    *("https://shop.example.com/`", "https://shop\u200d.example.com/", "https://\u200bshop.example.com/"),
]


@pytest.mark.parametrize("url", NO_WHOLE_HTTPS_LINKS + READ_OTHERWISE_THAN_OPENED)
def test_what_is_no_whole_link_or_reads_otherwise_than_it_opens_may_not_be_shown(url):
    assert check_link(url, HOSTS)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://evil.com/", HOSTS),
        (URL, []),
        ("https://shop.example.com.evil.com/", HOSTS),
        ("https://evilshop.example.com/", HOSTS),
        ("https://a.shop.example.com/", HOSTS),
        ("https://shop.example.com:8443/", HOSTS),
        ("https://shop.example.com:80/", HOSTS),
        ("https://shop.example.com:0/", HOSTS),
        ("https://shop.example.com/", ["shop.example.com:8443"]),
        ("https://example.com/", ["*.example.com"]),
        ("https://evilexample.com/", ["*.example.com"]),
        ("https://a.example.com.evil.com/", ["*.example.com"]),
        ("https://.example.com/", ["*.example.com"]),
        ("https://a.example.com:8443/", ["*.example.com"]),
        ("https://shop.example.com。evil.com/", HOSTS),
        ("https://shop.example.com。evil.com/", ["*.example.com"]),
        ("https://shop.еxample.com/", HOSTS),  # a Cyrillic е
        ("https://evil.com%2f.example.com/", ["*.example.com"]),
        ("https://evil.com%00.example.com/", ["*.example.com"]),
        ('https://a"onclick=.example.com/', ["*.example.com"]),
        ("https://" + "a" * 64 + ".example.com/", ["*.example.com"]),
        ("https://evil.com/?https://shop.example.com/", HOSTS),
        ("https://evil.com#@shop.example.com/", HOSTS),
        ("https://evil.com/shop.example.com", ["*"]),
        ("https://evil.com/", ["*."]),
        ("https://127.0.0.1/", HOSTS),
        ("https://shop..example.com/", ["*.example.com"]),
        ("https://..example.com/", ["*.example.com"]),
        ("https://evil.org\\.example.com/", ["*.example.com"]),
        ("https://shop.example.com%2f.evil.org/", HOSTS),
    ],
)
def test_a_link_to_a_host_that_is_not_allowed_may_not_be_shown(url, allowed):
    assert check_link(url, allowed)


@pytest.mark.parametrize(
    ("url", "fault", "text"),
    [
        ("https://shop.example.com/a b", LinkFault("link_characters"), "the link holds spaces, quotes, "),
        ("https://[::1", LinkFault("link_malformed", "Invalid IPv6 URL"), "not a link: Invalid IPv6 URL"),
        ("http://a.com/", LinkFault("link_not_https", "http"), "only https links are shown, this one is 'http'"),
        ("/item/1", LinkFault("link_not_https", "relative"), "only https links are shown, this one is 'relative'"),
        ("https:///item", LinkFault("link_without_host"), "the link names no host"),
        ("https://a@evil.com/", LinkFault("link_with_user"), "a link must not hold a user name or a password"),
        ("https://evil.com:8443/", LinkFault("link_host_not_allowed", "evil.com:8443"), "host 'evil.com:8443' is not "),
        ("https://evil.com:443/", LinkFault("link_host_not_allowed", "evil.com"), "host 'evil.com' is not "),
    ],
)
def test_a_fault_has_a_code_a_value_and_a_text(url, fault, text):
    assert check_link(url, HOSTS) == fault
    assert str(fault).startswith(text)
    assert is_https_link(url) == (fault.code == "link_host_not_allowed")


_SYNTAX = st.sampled_from([*"/@:?#\\[].*² ", "https:", "http:", "//", ":443", ":0", "%2e", "。", "\t", "\u00ad"])
_HOSTS = st.sampled_from(["shop.example.com", "example.org", "evil.com", "例子", "ⓢ", "ﬀ", "ß"])


@given(st.text(max_size=40) | st.lists(_SYNTAX | _HOSTS, max_size=8).map("".join))
def test_any_text_is_judged_and_what_may_be_shown_leads_to_an_allowed_host(url):
    allowed = ["shop.example.com", "*.example.org"]
    if check_link(url, allowed) is None:
        parts = urlsplit(url)
        assert parts.scheme == "https"
        assert parts.username is None
        assert parts.port in (None, 443)
        host = parts.hostname.encode("idna").decode().removesuffix(".").lower()
        assert host == "shop.example.com" or host.endswith(".example.org")


@pytest.mark.parametrize("host", ["stra\u00dfe.de", "\u03c2.example.com", "a\u200db.example.com"])
def test_hosts_that_browsers_and_python_read_differently_are_refused(host):
    allowed = ["strasse.de", "*.example.com", host]
    assert check_link(f"https://{host}/1", allowed) is not None


@pytest.mark.parametrize("url", ["https://shop.example.com:8443/商品/1", "HTTPS://shop.example.com/?a=b#c"])
def test_a_whole_https_link_to_any_host_may_be_shown(url):
    assert is_https_link(url)


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
    assert host_pattern(given_) == stored


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "a b",
        "*",
        "*.com",
        "*.*.com",
        "https://shop.example.com",
        "shop.example.com/",
        "a:0",
        "a:70000",
        "a@b",
        "[::1]",
    ],
)
def test_what_is_no_host_is_no_pattern(pattern):
    with pytest.raises(ValueError, match=r"host|port"):
        host_pattern(pattern)
