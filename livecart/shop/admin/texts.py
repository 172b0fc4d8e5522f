"""Texts and times in the language and time zone of a request: all that the library does not bring itself."""

import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from babel.support import LazyProxy
from starlette_admin.i18n import get_locale, get_tzinfo

from livecart.shop.errors import CatalogError

#: Key: (Chinese, English).
TEXTS: dict[str, tuple[str, str]] = {
    key: (chinese, english)
    for key, (chinese, english) in tomllib.loads(
        Path(__file__).with_name("texts.toml").read_text(encoding="utf-8")
    ).items()
}


def t(key: str, **values: Any) -> str:
    """The text in the language of this request."""
    chinese, english = TEXTS[key]
    text = chinese if get_locale() == "zh" else english
    return text.format(**values) if values else text


def later(key: str) -> str:
    """The text in the language of whoever reads it then: for labels, which are made before any request."""
    if key not in TEXTS:
        raise KeyError(key)
    return cast(str, LazyProxy(t, key, enable_cache=False))


def refusal(error: CatalogError) -> str:
    """The reason of a refusal, in the language of this request."""
    return error.text(get_locale())


def local_time(at_s: float | None) -> str:
    """UNIX time in the browser's time zone, to the second; "–" for none."""
    if at_s is None:
        return "–"
    return datetime.fromtimestamp(at_s, UTC).astimezone(get_tzinfo()).strftime("%Y-%m-%d %H:%M:%S")
