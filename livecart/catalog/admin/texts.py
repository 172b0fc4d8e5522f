"""Every text of the pages that the library does not bring, in Chinese and English."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, cast

from babel.support import LazyProxy
from starlette_admin.i18n import get_locale

#: Key: (Chinese, English).
TEXTS: dict[str, tuple[str, str]] = {
    key: (chinese, english)
    for key, (chinese, english) in tomllib.loads(
        Path(__file__).with_name("texts.toml").read_text(encoding="utf-8")
    ).items()
}


def t(key: str, **values: Any) -> str:
    """The text in the language of this request.

    Raises:
        KeyError: there is none of that key, or a value is missing.
    """
    chinese, english = TEXTS[key]
    text = chinese if get_locale() == "zh" else english
    return text.format(**values) if values else text


def later(key: str) -> str:
    """The text in the language of whoever reads it then: for labels, which are made before any request."""
    if key not in TEXTS:
        raise KeyError(key)
    return cast(str, LazyProxy(t, key, enable_cache=False))
