"""Scenes that a recogniser has found in images, kept in a file between runs of a fit.

What is kept is the evidence before any weight: regions with likenesses, keypoints and lines of text. It is found again
where the image, the catalog's features, the profile or the code that looks have changed.
"""

import hashlib
import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from PIL import Image

import recognition
from recognition.catalog.loaded import LoadedCatalog
from recognition.find import evidence as ev
from recognition.find.scene import Region, Scene
from recognition.recognizer import Recognizer
from recognition.text.lexicon import load_lexicon

#: Parts of the recogniser that work on what was found: changing them changes no scene.
_AFTERWARDS = ("evidence.py", "fusion.py", "replies.py", "boxes.py")
_LOOKING = ("find", "index", "keypoints", "network", "request", "text")


class _Kept(msgspec.Struct, array_like=True, frozen=True):
    regions: list[Region]
    text_was_read: bool


class SceneCache:
    """Scenes by image and catalog. Use as a context manager; each is on disk as soon as it was found."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path)
        self._database.execute("CREATE TABLE IF NOT EXISTS scenes (key BLOB PRIMARY KEY, scene BLOB)")
        self._code = _digest_of_code()
        self._lexicon = load_lexicon()
        self.found = self.reused = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def scene_of(self, recognizer: Recognizer, image: bytes) -> tuple[LoadedCatalog, Scene]:
        """As ``Recognizer.scene_of``; the frame of a scene that was kept is blank.

        Raises:
            RecognitionError, ConfigurationError: as there.
        """
        catalog = recognizer.catalog
        if catalog is None:
            return recognizer.scene_of(image)  # says what is missing
        key = hashlib.sha256(
            f"{self._code} {catalog.snapshot.id} {recognizer.settings.profile} ".encode() + image
        ).digest()
        row = self._database.execute("SELECT scene FROM scenes WHERE key = ?", (key,)).fetchone()
        if row is not None:
            self.reused += 1
            return catalog, self._opened(catalog, row[0])
        catalog, scene = recognizer.scene_of(image)
        kept = msgspec.msgpack.encode(_Kept(scene.regions, scene.text_was_read))
        with self._database:
            self._database.execute("INSERT INTO scenes VALUES (?, ?)", (key, kept))
        self.found += 1
        return catalog, scene

    def _opened(self, catalog: LoadedCatalog, encoded: bytes) -> Scene:
        kept = msgspec.msgpack.decode(encoded, type=_Kept)
        allowed = catalog.snapshot.room_mask(None)
        for region in kept.regions:
            # By the evidence's code of today.
            ev.take_text(catalog, region, allowed, self._lexicon)
        return Scene(Image.new("RGB", (1, 1)), allowed, regions=kept.regions, text_was_read=kept.text_was_read)


def _digest_of_code() -> str:
    root = Path(recognition.__file__).parent
    files = sorted(
        path for folder in _LOOKING for path in (root / folder).rglob("*") if path.suffix in {".py", ".json"}
    )
    digest = hashlib.sha256()
    for path in files:
        if path.name not in _AFTERWARDS:
            digest.update(path.read_bytes())
    return digest.hexdigest()
