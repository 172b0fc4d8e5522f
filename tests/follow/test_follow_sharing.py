"""Workers and processes of one machine share downloads and copies."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from follow.cache import Held, SnapshotCache, shared_cache_folder
from recognition.snapshot.read import Snapshot, open_snapshot
from tests.follow.follower_worker import eventually, snapshot_bytes
from tests.snapshot_files import FINGERPRINT


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


def cache_folder_in(base: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(base))
    monkeypatch.delenv("CACHE_DIRECTORY", raising=False)
    return shared_cache_folder("weights")


def test_the_cache_lies_in_a_folder_of_this_user_alone(tmp_path, monkeypatch):
    cache = cache_folder_in(tmp_path / "home" / "cache", monkeypatch)
    assert cache.is_relative_to(tmp_path / "home" / "cache")
    assert stat.S_IMODE(cache.parent.stat().st_mode) == 0o700
    assert cache_folder_in(tmp_path / "home" / "cache", monkeypatch) == cache
    monkeypatch.setenv("CACHE_DIRECTORY", f"{tmp_path / 'service'}:{tmp_path / 'other'}")
    assert shared_cache_folder("weights").is_relative_to(tmp_path / "service")


@pytest.mark.parametrize("fault", ["open to all", "another user's", "a link", "no folder can be made"])
def test_a_cache_folder_that_others_could_have_filled_is_not_used(tmp_path, monkeypatch, fault):
    cache = cache_folder_in(tmp_path, monkeypatch)
    if fault == "open to all":
        cache.parent.chmod(0o777)
    elif fault == "a link":
        cache.parent.rename(tmp_path / "elsewhere")
        cache.parent.symlink_to(tmp_path / "elsewhere")
    elif fault == "no folder can be made":
        cache.parent.rmdir()
        cache.parent.write_bytes(b"")
    else:
        another = os.getuid() + 1
        monkeypatch.setattr(os, "getuid", lambda: another)
    fresh = cache_folder_in(tmp_path, monkeypatch)
    assert not fresh.is_relative_to(tmp_path)
    assert stat.S_IMODE(fresh.parent.stat().st_mode) == 0o700
    assert fresh != cache_folder_in(tmp_path, monkeypatch)


@pytest.mark.parametrize("part", ["incoming.part", "state.json.part"])
def test_a_link_in_the_cache_is_not_written_through(folder, path, follow, part):
    victim = folder / "victim"
    victim.write_text("precious")
    cache = SnapshotCache(folder / "cache", str(path))
    cache.folder.mkdir(parents=True)
    (cache.folder / part).symlink_to(victim)
    assert follow(path).serving == "1"
    assert victim.read_text() == "precious"
