"""A folder of files named by their content's SHA-256: written whole or not at all, each content once."""

import hashlib
import os
import re
import time
import uuid
from collections.abc import Container, Iterator
from pathlib import Path

from livecart.core.files import sync_folder, write_file
from livecart.shop.errors import InvalidValue, NotFound

_DIGEST = re.compile(r"[0-9a-f]{64}")
_SUFFIX = re.compile(r"[a-z0-9]{1,8}")
_UNFINISHED = ".part"


class BlobFolder:
    """Content by digest. Any number of threads and processes may write at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, data: bytes, suffix: str) -> str:
        """Keep `data`; returns its digest. On the disk when this returns."""
        digest = hashlib.sha256(data).hexdigest()
        path = self.path(digest, suffix)
        if path.exists():
            # Young again: a sweep that is under way must not take it from its new owner.
            os.utime(path)
            return digest
        path.parent.mkdir(exist_ok=True)
        write_file(path, data, mark=uuid.uuid4().hex)
        # Else a power cut may undo the name, though the database has it.
        sync_folder(self.folder)
        return digest

    def path(self, digest: str, suffix: str) -> Path:
        """The path of the content, there or not.

        Raises:
            InvalidValue: it is no digest; so nothing outside the folder is ever named.
        """
        if not _DIGEST.fullmatch(digest) or not _SUFFIX.fullmatch(suffix):
            raise InvalidValue("digest", "digest_malformed", name=f"{digest[:80]}.{suffix[:16]}")
        return self.folder / digest[:2] / f"{digest}.{suffix}"

    def read(self, digest: str, suffix: str) -> bytes:
        try:
            return self.path(digest, suffix).read_bytes()
        except FileNotFoundError as error:
            # Clients are told: not where the folder lies.
            raise NotFound("no_file", folder=self.folder.name, name=f"{digest}.{suffix}") from error

    def remove(self, digest: str, suffix: str) -> None:
        """Take it away; nothing happens where it is not here."""
        self.path(digest, suffix).unlink(missing_ok=True)

    def sweep(self, wanted: Container[str], *, older_than_s: float = 3600.0) -> int:
        """Remove what nobody wants, and what a killed writer left. Returns how many files.

        Args:
            wanted: digests that a row of the database names.
            older_than_s: younger files stay: their row may be written in a moment.
        """
        removed = 0
        oldest_kept = time.time() - older_than_s
        for path in self._files():
            unwanted = path.suffix == _UNFINISHED or path.stem not in wanted
            if unwanted and path.stat().st_mtime < oldest_kept:
                path.unlink(missing_ok=True)
                removed += 1
        return removed

    def _files(self) -> Iterator[Path]:
        return (path for part in self.folder.iterdir() if part.is_dir() for path in part.iterdir())
