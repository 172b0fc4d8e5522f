"""Workers and processes of one machine share downloads and copies."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from recognition.snapshot import Snapshot, open_snapshot
from snapshot_cache import Held, SnapshotCache
from tests.follower.follower_worker import eventually, snapshot_bytes
from tests.snapshot_files import FINGERPRINT

ROOT = Path(__file__).resolve().parents[2]


def test_workers_of_a_machine_share_one_download_and_one_file(folder, shop, follow, monkeypatch):
    kept: list[Snapshot] = []

    def open_and_keep(path: Path) -> Snapshot:
        kept.append(open_snapshot(path, fingerprint=FINGERPRINT))
        return kept[-1]

    workers = [follow(shop.url, open=open_and_keep) for _ in range(4)]
    downloaded: list[Held] = []
    keep = SnapshotCache.keep
    monkeypatch.setattr(
        SnapshotCache, "keep", lambda cache, file, held: (downloaded.append(held), keep(cache, file, held))
    )
    shop.drip_s = 0.02
    shop.body = snapshot_bytes(folder, *map(str, range(9)))
    eventually(lambda: all(worker.serving == "012345678" for worker in workers))
    assert len({snapshot.path.stat().st_ino for snapshot in kept[4:]}) == 1
    assert len(downloaded) == 1
    assert len(list((folder / "cache").rglob("*.snapshot"))) <= 2
    assert all(worker.told("unreachable") == [] for worker in workers)


def test_processes_share_it_too(folder, shop):
    code = (
        "import sys, time; from pathlib import Path\n"
        "from snapshot_follower import SnapshotFollower\n"
        "from recognition.snapshot import open_snapshot\n"
        "folder, url = Path(sys.argv[1]), sys.argv[2]\n"
        "follower = SnapshotFollower(url, builtin=folder / 'builtin.snapshot', cache_folder=folder / 'cache',\n"
        "    open=lambda path: open_snapshot(path, fingerprint=None), on_event=print,\n"
        "    on_change=lambda snapshot: print(snapshot.product(0).sku, snapshot.path.stat().st_ino))\n"
        "follower.start()\n"
        "follower.close()\n"
    )
    shop.drip_s = 0.05
    command = [sys.executable, "-c", code, str(folder), shop.url]
    runs = [subprocess.Popen(command, cwd=ROOT / "handler", stdout=subprocess.PIPE, text=True) for _ in range(3)]
    last_lines = {run.communicate(timeout=60)[0].splitlines()[-1] for run in runs}
    assert len(last_lines) == 1
    assert last_lines.pop().startswith("1 ")


def test_who_waited_for_a_killed_worker_goes_on(folder, shop, follow):
    cache = SnapshotCache(folder / "cache", shop.url)
    cache.folder.mkdir(parents=True)
    code = (
        "import fcntl, os, sys, time\n"
        "fcntl.flock(os.open(sys.argv[1], os.O_RDWR | os.O_CREAT), fcntl.LOCK_EX)\n"
        "print('locked', flush=True); time.sleep(60)\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(cache.folder / "lock")], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "locked\n"
    (cache.folder / "incoming.part").write_bytes(b"half a snapshot")
    worker = follow(shop.url, start_s=0.1)
    assert worker.serving == "0"
    holder.kill()
    holder.communicate()
    eventually(lambda: worker.serving == "1")
    assert not (cache.folder / "incoming.part").exists()
