"""Signatures of requests, as each platform's documents say; docs/connectors.md tells which have published vectors."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any


def top_md5(parameters: Mapping[str, str], secret: str) -> str:
    """Taobao's md5 form: all that is sent but `sign` and what is empty.

    https://open.taobao.com/doc.htm?docId=101617&docType=1
    """
    signed = {name: value for name, value in parameters.items() if name != "sign" and value}
    return hashlib.md5(f"{secret}{_joined(signed)}{secret}".encode()).hexdigest().upper()  # noqa: S324  their rule


def doudian(app_key: str, method: str, param_json: str, timestamp: str, secret: str) -> str:
    """抖店, hmac-sha256: in this order; the token is not signed.

    https://op.jinritemai.com/docs/guide-docs/10/23
    """
    text = f"app_key{app_key}method{method}param_json{param_json}timestamp{timestamp}v2"
    return _hmac_sha256(secret, f"{secret}{text}{secret}").hex()


def tiktok(path: str, query: Mapping[str, str], body: str, secret: str) -> str:
    """TikTok Shop: path, the query but `sign` and `access_token`, and the body as it is sent.

    https://partner.tiktokshop.com/docv2/page/sign-your-api-request
    """
    signed = {name: value for name, value in query.items() if name not in ("sign", "access_token")}
    return _hmac_sha256(secret, f"{secret}{path}{_joined(signed)}{body}{secret}").hex()


def kuaishou(parameters: Mapping[str, str], sign_secret: str) -> str:
    """快手, HMAC_SHA256, by the secret for signatures, which is not the app's.

    https://open.kwaixiaodian.com, 开发文档, API调用说明
    """
    pairs = [f"{name}={value}" for name, value in sorted(parameters.items()) if name != "sign"]
    text = "&".join([*pairs, f"signSecret={sign_secret}"])
    return base64.b64encode(_hmac_sha256(sign_secret, text)).decode()


def compact_json(value: Any) -> str:
    """JSON as 抖店 signs it: keys in order at every level, no blanks, no escapes. To be sent as it is."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _joined(parameters: Mapping[str, str]) -> str:
    return "".join(name + value for name, value in sorted(parameters.items()))


def _hmac_sha256(key: str, text: str) -> bytes:
    return hmac.digest(key.encode(), text.encode(), "sha256")
