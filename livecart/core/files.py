"""Files replaced in one step: a reader, and a power cut, finds the old one or the new one, whole."""

import os
from pathlib import Path


def write_file(path: Path, data: bytes, *, mark: str = "", mode: int = 0o644) -> None:
    """Write `data` to `path`, on the disk when this returns; `mark` tells writers apart where there may be several."""
    temporary = path.with_name(f"{path.name}{mark}.part")
    try:
        with temporary.open("wb") as file:
            # Before anything stands in it.
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        # Else a power cut may undo the name.
        sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
