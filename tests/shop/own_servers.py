"""A Redis and a MariaDB of a test's own, to be killed and started again."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pymysql
import redis

from tests.shop.catalog_stores import missing


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def program(*names: str) -> str:
    for name in names:
        found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
        if found:
            return found
    missing(f"{' or '.join(names)} is not installed")
    raise AssertionError


class OwnServer:
    """A program on a port. `kill` is SIGKILL: nothing is tidied up."""

    def __init__(self, command: list[str], log: Path) -> None:
        self._command, self._log = command, log
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self._process.poll() is None, self._log.read_text(errors="replace")[-2000:]
            assert time.monotonic() < deadline, f"{self._command[0]} does not answer"
            time.sleep(0.05)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        raise NotImplementedError


class OwnRedis(OwnServer):
    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        command = [program("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1"]
        super().__init__([*command, "--save", "", "--appendonly", "no", "--dir", str(folder)], folder / "redis.log")

    def _answers(self) -> bool:
        try:
            with redis.Redis(port=self.port, socket_timeout=1) as client:
                return bool(client.ping())
        except (redis.RedisError, OSError):
            return False


class OwnMariaDb(OwnServer):
    def __init__(self, folder: Path) -> None:
        server, install = program("mariadbd", "mysqld"), program("mariadb-install-db", "mysql_install_db")
        data = folder / "mariadb"
        common = ["--no-defaults", f"--datadir={data}", "--innodb-log-file-size=8M"]
        made = subprocess.run(
            [install, *common, "--auth-root-authentication-method=normal", "--skip-test-db", "--user=root"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stderr[-2000:]
        # Chosen at the last moment: whoever connects somewhere meanwhile could be given it.
        self.port = free_port()
        options = [
            "--user=root",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            f"--socket={folder / 'mariadb.sock'}",
            f"--pid-file={folder / 'mariadb.pid'}",
            "--innodb-buffer-pool-size=16M",
            "--innodb-flush-log-at-trx-commit=1",
            "--skip-name-resolve",
        ]
        super().__init__([server, *common, *options], folder / "mariadb.log")

    def url(self, database: str) -> str:
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> None:
        with (
            pymysql.connect(host="127.0.0.1", port=self.port, user="root") as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(f"CREATE DATABASE {database}")

    def _answers(self) -> bool:
        try:
            pymysql.connect(host="127.0.0.1", port=self.port, user="root", connect_timeout=1).close()
        except (pymysql.Error, OSError):
            return False
        return True


@contextlib.contextmanager
def both_running(folder: Path) -> Iterator[tuple[OwnMariaDb, OwnRedis]]:
    database, cache = OwnMariaDb(folder), OwnRedis(folder)
    try:
        database.start()
        cache.start()
        yield database, cache
    finally:
        database.kill()
        cache.kill()
