"""nginx with its RTMP module, set up as docs/streams.md says."""

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.waiting import wait_until

_MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
_NGINX = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")


@contextmanager
def rtmp_server(folder: Path) -> Iterator[str]:
    """The address of a stream to send and to read; skips the test without nginx or its module."""
    if _NGINX is None or not _MODULE.exists():
        pytest.skip("needs nginx with its RTMP module (Debian: libnginx-mod-rtmp)")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    page = (ROOT / "docs" / "streams.md").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"run by tests/live/video/test_ingest_rtmp.py -->\n```nginx\n(.*?)```", page, re.DOTALL)
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"load_module {_MODULE};\nuser root;\ndaemon off;\nmaster_process off;\npid {folder}/nginx.pid;\n"
        f"error_log {folder}/error.log;\nevents {{}}\n{recipe.replace('listen 1935', f'listen 127.0.0.1:{port}')}"
    )
    server = subprocess.Popen([_NGINX, "-p", str(folder), "-c", str(configuration), "-e", f"{folder}/error.log"])
    try:
        wait_until(lambda: _answers(port), 20.0)
        yield f"rtmp://127.0.0.1:{port}/live/room"
    finally:
        server.terminate()
        server.wait(10)


def _answers(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0
