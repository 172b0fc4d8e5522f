"""Signatures: published vectors, and each step of a rule broken once; a fake that verifies by itself must refuse it."""

import base64
import hashlib
import json

import pytest

from livecart.shop.connectors import sign
from livecart.shop.connectors.platform_client import PlatformRefused
from tests.shop import fake_platforms
from tests.shop.fake_platforms import SECRET, SIGN_SECRET

TOP = {
    "method": "taobao.item.seller.get",
    "app_key": "12345678",
    "session": "test",
    "timestamp": "2016-01-01 12:00:00",
    "format": "json",
    "v": "2.0",
    "sign_method": "md5",
    "fields": "num_iid,title,nick,price,num",
    "num_iid": "11223344",
}


def test_published_vectors():
    """Of open.taobao.com docId=101617, and of partner.tiktokshop.com docv2/page/sign-your-api-request."""
    assert sign.top_md5(TOP, "helloworld") == "66987CB115214E59E6EC978214934FB8"
    # Empty values and the signature itself are none of it.
    assert sign.top_md5(TOP | {"sign": "x", "cid": ""}, "helloworld") == "66987CB115214E59E6EC978214934FB8"
    query = {"app_key": "29a39d", "timestamp": "1623812664"}
    vector = "b596b73e0cc6de07ac26f036364178ab16b0a907af13d43f0a0cd2345f582dc8"
    path = "/authorization/202309/shops"
    assert sign.tiktok(path, query, "", "e59af819cc") == vector
    assert sign.tiktok(path, query | {"sign": "x", "access_token": "y"}, "", "e59af819cc") == vector


def test_rules_without_a_published_vector_stay_as_they_are():
    """By the written rules; of Kuaishou's, kwaixiaodian 1.0.3 (PyPI) makes the same."""
    body = sign.compact_json({"size": 100, "page": 1})
    assert body == '{"page":1,"size":100}'
    made = sign.doudian("test_app_key", "product.listV2", body, "1700000000", "test_secret")
    assert made == "f5929d104c6706708660dc5c1fdaf43a418892202d7eb4379c7870b508656608"
    sent = {
        "access_token": "tok",
        "appkey": "ks1",
        "method": "open.item.list.get",
        "param": '{"pageNumber":1,"pageSize":20}',
        "signMethod": "HMAC_SHA256",
        "timestamp": "1700000000000",
        "version": "1",
    }
    assert sign.kuaishou(sent, "sgn") == "kxjVoFBp0AmlKdYve1PgawowYATiQzOju4oYhIpnNlI="


def test_json_to_be_signed_is_in_order_at_every_level_and_escapes_nothing():
    value = {"b": [{"d": 1, "c": "<好欢螺 & 'é'>"}], "a": {}}
    assert sign.compact_json(value) == '{"a":{},"b":[{"c":"<好欢螺 & \'é\'>","d":1}]}'


def unordered(parameters):
    return "".join(name + value for name, value in sorted(parameters.items(), reverse=True))


def with_separators(parameters):
    return "&".join(f"{name}={value}" for name, value in sorted(parameters.items()))


def values_alone(parameters):
    return "".join(value for _, value in sorted(parameters.items()))


def front_alone(parameters, secret):
    """A rule of 2009 that old libraries still have."""
    joined = "".join(name + value for name, value in sorted(parameters.items()))
    return hashlib.md5((secret + joined).encode()).hexdigest().upper()


real = {name: getattr(sign, name) for name in ("top_md5", "tiktok", "doudian", "kuaishou", "_joined", "_hmac_sha256")}


def changed(name, change):
    """`sign.name` replaced by `change` of its arguments to a signature."""
    return {name: lambda *arguments: change(real[name], *arguments)}


def without(parameters, *names):
    return {name: value for name, value in parameters.items() if name not in names}


def redumped(body):
    return json.dumps(json.loads(body)) if body else body


#: Platform: step of its rule: what it is broken by.
BROKEN = {
    "taobao": {
        "order": {"_joined": unordered},
        "separators": {"_joined": with_separators},
        "names": {"_joined": values_alone},
        "case": changed("top_md5", lambda good, sent, key: good(sent, key).lower()),
        "secret": changed("top_md5", lambda good, sent, key: good(sent, "")),
        "secret in front alone": changed("top_md5", lambda good, sent, key: front_alone(sent, key)),
        "sign_method unsigned": changed("top_md5", lambda good, sent, key: good(without(sent, "sign_method"), key)),
        "format unsigned": changed("top_md5", lambda good, sent, key: good(without(sent, "format"), key)),
        "session unsigned": changed("top_md5", lambda good, sent, key: good(without(sent, "session"), key)),
        "unsent parameter": changed("top_md5", lambda good, sent, key: good({**sent, "simplify": "true"}, key)),
    },
    "tiktok": {
        "order": {"_joined": unordered},
        "separators": {"_joined": with_separators},
        "case": changed("tiktok", lambda good, *sent: good(*sent).upper()),
        "path": changed("tiktok", lambda good, path, *sent: good("", *sent)),
        "body": changed("tiktok", lambda good, path, query, body, key: good(path, query, "", key)),
        "re-dumped body": changed(
            "tiktok", lambda good, path, query, body, key: good(path, query, redumped(body), key)
        ),
        "secret": changed("tiktok", lambda good, path, query, body, key: good(path, query, body, "")),
        "unwrapped": {"_hmac_sha256": lambda key, text: real["_hmac_sha256"](key, text.replace(SECRET, ""))},
        "wrapped in front alone": {
            "_hmac_sha256": lambda key, text: real["_hmac_sha256"](key, text.removesuffix(SECRET))
        },
        "key": {"_hmac_sha256": lambda key, text: real["_hmac_sha256"]("", text)},
        "cipher unsigned": changed(
            "tiktok", lambda good, path, query, *sent: good(path, without(query, "shop_cipher"), *sent)
        ),
    },
}
BROKEN |= {
    "doudian": {
        "order": changed("doudian", lambda good, key, method, *sent: good(method, key, *sent)),
        "case": changed("doudian", lambda good, *sent: good(*sent).upper()),
        "secret": changed("doudian", lambda good, *sent: good(*sent[:-1], "")),
        "method": changed("doudian", lambda good, key, method, *sent: good(key, "", *sent)),
        "timestamp": changed(
            "doudian", lambda good, key, method, body, at, secret: good(key, method, body, "", secret)
        ),
        "re-dumped JSON": changed(
            "doudian", lambda good, key, method, body, *sent: good(key, method, redumped(body), *sent)
        ),
        "unwrapped": {"_hmac_sha256": lambda key, text: real["_hmac_sha256"](key, text.replace(SECRET, ""))},
        "wrapped in front alone": {
            "_hmac_sha256": lambda key, text: real["_hmac_sha256"](key, text.removesuffix(SECRET))
        },
        "key": {"_hmac_sha256": lambda key, text: real["_hmac_sha256"]("", text)},
        "MD5": {"_hmac_sha256": lambda _, text: hashlib.md5(text.encode()).digest()},
        "keys as they come": {"compact_json": lambda value: json.dumps(value, separators=(",", ":"))},
        "blanks": {"compact_json": lambda value: json.dumps(value, sort_keys=True)},
    },
    "kuaishou": {
        "order": changed("kuaishou", lambda good, sent, key: good({f"~{name}": sent[name] for name in sent}, key)),
        "the app's secret": changed("kuaishou", lambda good, sent, key: good(sent, SECRET)),
        "token unsigned": changed("kuaishou", lambda good, sent, key: good(without(sent, "access_token"), key)),
        "signMethod unsigned": changed("kuaishou", lambda good, sent, key: good(without(sent, "signMethod"), key)),
        "unsent parameter": changed("kuaishou", lambda good, sent, key: good({**sent, "uid": "1"}, key)),
        "re-dumped JSON": changed(
            "kuaishou",
            lambda good, sent, key: good({**sent, "param": sign.compact_json(json.loads(sent["param"]))}, key),
        ),
        "hex": changed("kuaishou", lambda good, sent, key: base64.b64decode(good(sent, key)).hex()),
        "key": {"_hmac_sha256": lambda key, text: real["_hmac_sha256"]("", text)},
        "separators": {"_hmac_sha256": lambda key, text: real["_hmac_sha256"](key, text.replace("&", ""))},
        "no secret behind": {"_hmac_sha256": lambda key, text: real["_hmac_sha256"](key, text.split("&signSecret")[0])},
    },
}
CASES = [(platform, step) for platform, steps in BROKEN.items() for step in steps]


@pytest.fixture(scope="module")
def fakes():
    opened = {fake.kind: fake() for fake in fake_platforms.FAKES if fake.kind in BROKEN}
    yield opened
    for fake in opened.values():
        fake.close()


@pytest.mark.parametrize(("platform", "step"), CASES)
def test_a_signature_with_a_broken_step_is_refused(fakes, tmp_path, monkeypatch, platform, step):
    monkeypatch.setenv("FAKE_APP_SECRET", SECRET)
    monkeypatch.setenv("FAKE_TOKEN", "access-1")
    monkeypatch.setenv("FAKE_SIGN_SECRET", SIGN_SECRET)
    (tmp_path / "tokens.json").write_text('{"access_token": "access-1", "refresh_token": "refresh-1"}')
    source = fakes[platform].source(tmp_path)
    assert source.check().first is not None
    for name, replacement in BROKEN[platform][step].items():
        monkeypatch.setattr(sign, name, replacement)
    with pytest.raises(PlatformRefused, match=r"(?i)sign|验签"):
        source.check()
