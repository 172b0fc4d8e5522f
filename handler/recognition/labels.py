"""The closed set of classes that the classifier knows, in index order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recognition.errors import ConfigurationError


@dataclass(frozen=True)
class LabelSet:
    """``texts[i]`` is the label of class ``i``. ``fingerprint`` identifies the texts and their order."""

    texts: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """First 12 hex digits of SHA-256 over the labels, one a line."""
        return hashlib.sha256("\n".join(self.texts).encode()).hexdigest()[:12]

    def __len__(self) -> int:
        return len(self.texts)

    def indices(self) -> dict[str, list[int]]:
        """Label text to the classes that carry it: a large label set may use one text for several classes."""
        found: dict[str, list[int]] = {}
        for index, text in enumerate(self.texts):
            found.setdefault(text, []).append(index)
        return found


def load_labels(path: Path, *, num_classes: int | None = None) -> LabelSet:
    """Read labels from one of these, told apart by their content.

    - ``{"classes": [{"label": "马克杯", …}, …]}``, the form of this repository's ``labels.json``
    - ``["马克杯", …]`` or ``{"0": "马克杯", …}``
    - ``meta_info.txt`` of a ModelScope folder: tab-separated, the label is the second column
    - plain text, one label a line

    Raises:
        ConfigurationError: unreadable, an empty label, or not exactly ``num_classes`` of them where that is given.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot read labels: {error}") from error
    texts = _from_json(path, text) if text.lstrip()[:1] in ("{", "[") else _from_lines(path, text)
    for index, label in enumerate(texts):
        if not isinstance(label, str) or not label.strip():
            raise ConfigurationError(f"{path}: class {index} has no label text: {label!r}")
        if not _encodable(label):
            raise ConfigurationError(f"{path}: class {index}: half a surrogate pair in {label!r}")
    if not texts:
        raise ConfigurationError(f"{path}: no labels")
    if num_classes is not None and len(texts) != num_classes:
        raise ConfigurationError(f"{path}: {len(texts)} labels, but the model has {num_classes} classes")
    return LabelSet(tuple(label.strip() for label in texts))


def write_labels(labels: LabelSet, path: Path) -> None:
    """Write ``labels`` as the JSON array that ``load_labels`` reads."""
    path.write_text(json.dumps(labels.texts, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


def _encodable(text: str) -> bool:
    return not any("\ud800" <= sign <= "\udfff" for sign in text)


def _from_json(path: Path, text: str) -> Sequence[str]:
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"{path}: line {error.lineno}: not JSON: {error.msg}") from error
    if isinstance(data, list):
        return data
    classes = data.get("classes")
    if isinstance(classes, list):
        return [entry.get("label", "") if isinstance(entry, dict) else "" for entry in classes]
    try:
        return [data[str(index)] for index in range(len(data))]
    except KeyError as error:
        raise ConfigurationError(f"{path}: class {error} is missing between 0 and {len(data) - 1}") from error


def _from_lines(path: Path, text: str) -> Sequence[str]:
    # Not splitlines(): it also splits at characters that may stand inside a label.
    lines = [(number, line.rstrip("\r")) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not any("\t" in line for _, line in lines):
        return [line for _, line in lines]
    labels = []
    for number, line in lines:
        columns = line.split("\t")
        if len(columns) < 2:
            raise ConfigurationError(f"{path}: line {number}: no tab-separated second column: {line[:60]!r}")
        labels.append(columns[1])
    return labels
