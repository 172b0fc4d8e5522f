"""The catalog that the server of these tests follows: published, and waited for until every worker serves it."""

import subprocess
import sys
import time
import zipfile
from pathlib import Path

import yaml

import torchserve_control as control
from recognition.network.artifact import SNAPSHOT_FILE
from recognition.snapshot.write import SnapshotContents, write_snapshot
from tests.e2e.prometheus import samples, total

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "build_catalog.py"
#: The most that a busy machine may take for what an idle one does in one or two seconds.
PATIENCE_S = 60.0


def built_in(archive: Path) -> bytes:
    """The archive's own snapshot, of no products."""
    with zipfile.ZipFile(archive) as content:
        return content.read(SNAPSHOT_FILE)


def following(archive: Path, target: Path, source: Path) -> Path:
    """A copy of the archive that follows ``source``."""
    with zipfile.ZipFile(archive) as given, zipfile.ZipFile(target, "w") as copy:
        for name in given.namelist():
            content = given.read(name)
            if name == "model-config.yaml":
                config = yaml.safe_load(content)
                config["handler"]["catalog"] = {"source": str(source), "poll_s": 0.5}
                content = yaml.safe_dump(config, allow_unicode=True).encode()
            copy.writestr(name, content)
    return target


class ServedCatalog:
    """What ``server`` follows, at ``path``."""

    def __init__(self, archive: Path, path: Path, server: control.Server) -> None:
        self.path = path
        self._none = built_in(archive)
        self.workers = len(server.workers())
        self._server = server

    def publish(self, contents: SnapshotContents) -> str:
        """Returns its identity once every worker serves it."""
        before = self.events("loaded")
        published = write_snapshot(self.path, contents)
        self.wait_for("loaded", before + self.workers)
        return published

    def follow(self, snapshot: Path) -> None:
        """Returns once every worker serves a snapshot that was published elsewhere."""
        before = self.events("loaded")
        self.put(snapshot.read_bytes())
        self.wait_for("loaded", before + self.workers)

    def build(self, archive: Path, products: Path) -> None:
        """Publish a catalog's folder, as a shop does."""
        before = self.events("loaded")
        command = [sys.executable, str(SCRIPT), str(products), "--archive", str(archive), "--output", str(self.path)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        self.wait_for("loaded", before + self.workers)

    def put(self, data: bytes) -> None:
        """Put ``data`` in place, whatever it is."""
        new = self.path.with_name("new")
        new.write_bytes(data)
        new.replace(self.path)

    def clear(self) -> None:
        """No products, which leaves the archive's own links."""
        before = self.events("loaded")
        if self.path.read_bytes() != self._none:
            self.put(self._none)
            self.wait_for("loaded", before + self.workers)

    def events(self, outcome: str) -> int:
        return int(total(samples(self._server), "livecart_catalog_events_total", f'Outcome="{outcome}"'))

    def wait_for(self, outcome: str, count: int) -> None:
        end = time.monotonic() + PATIENCE_S
        while self.events(outcome) < count:
            assert time.monotonic() < end, f"{self.events(outcome)} of {count} are {outcome}"
            time.sleep(0.1)
