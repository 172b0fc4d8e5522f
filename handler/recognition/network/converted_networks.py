"""Networks converted for OpenVINO, kept on disk: a new archive with other products or another version takes seconds."""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

#: The oldest go.
_MOST = 4
_PACKAGES = ("torch", "timm", "openvino")


def key_of(*network_facts: object) -> str:
    """Names a conversion: of the network with these facts, by this code and these packages."""
    digest = hashlib.sha256(repr((network_facts, [(name, version(name)) for name in _PACKAGES])).encode())
    for package in ("backbones", "network"):
        for source in sorted((Path(__file__).parents[1] / package).glob("*.py")):
            digest.update(source.read_bytes())
    return digest.hexdigest()[:32]


@contextmanager
def kept(folder: Path | None, key: str, convert: Callable[[Path], bool]) -> Iterator[Path]:
    """The folder that ``convert`` filled, now or for an archive before; in a ``folder`` of None nothing is kept.

    Nor is what ``convert`` says is not whole.

    One process converts at a time; others wait for what it made.
    """
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="livecart-converted-") as temporary:
            convert(Path(temporary))
            yield Path(temporary)
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = folder / key
        if not found.is_dir():
            part = Path(tempfile.mkdtemp(dir=folder, prefix="part-"))
            try:
                is_whole = convert(part)
                if not is_whole:
                    yield part
                    shutil.rmtree(part)
                    return
                part.rename(found)
            except BaseException:
                shutil.rmtree(part)
                raise
        os.utime(found)
        by_age = sorted((path for path in folder.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
        for old in by_age[:-_MOST]:
            shutil.rmtree(old)
        yield found
