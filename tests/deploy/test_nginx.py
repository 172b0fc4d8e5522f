"""deploy/nginx.conf in a real nginx, before stand-ins that say what reached them."""

import asyncio
import io
import re
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

ROOT = Path(__file__).resolve().parents[2]
NGINX = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(NGINX is None or shutil.which("openssl") is None, reason="needs nginx and openssl"),
]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


#: Requests that wait behind nginx for this, with `?hold`.
RELEASE = web.AppKey("release", asyncio.Event)


async def _echo(request: web.Request) -> web.StreamResponse:
    if request.headers.get("Upgrade") == "websocket":
        connection = web.WebSocketResponse()
        await connection.prepare(request)
        await connection.send_json(dict(request.headers))
        await connection.close()
        return connection
    if request.path == "/stream":
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(b"data: 1\n\n")
        await asyncio.sleep(30)
        return answer
    body = await request.read()
    if "hold" in request.query:
        await request.app[RELEASE].wait()
    return web.json_response({"path": request.path, "bytes": len(body), "headers": dict(request.headers)})


@pytest.fixture
async def front(tmp_path):
    """A session to nginx, its port, and the event that frees what waits at the stand-in behind it."""
    application = web.Application(client_max_size=64 * 2**20)
    application[RELEASE] = asyncio.Event()
    application.router.add_route("*", "/{path:.*}", _echo)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    behind, port = free_port(), free_port()
    await web.TCPSite(runner, "127.0.0.1", behind).start()
    key, certificate = tmp_path / "livecart.key", tmp_path / "livecart.pem"
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-days",
                "2",
            ),
            *("-subj", "/CN=live.example.com", "-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    text = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    text = re.sub(r"127\.0\.0\.1:80[89]0", f"127.0.0.1:{behind}", text)
    text = text.replace("listen 443", f"listen 127.0.0.1:{port}").replace("/etc/ssl", str(tmp_path))
    text = text.replace("/var/log/nginx", str(tmp_path))
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(f"daemon off;\nuser root;\npid {tmp_path}/nginx.pid;\n{text}")
    server = subprocess.Popen([NGINX, "-p", tmp_path, "-c", configuration, "-e", tmp_path / "error.log"])
    connector = aiohttp.TCPConnector(ssl=_trusting(certificate), resolver=_Here())
    try:
        async with aiohttp.ClientSession(connector=connector) as session:
            for _ in range(200):
                with socket.socket() as attempt:
                    if attempt.connect_ex(("127.0.0.1", port)) == 0:
                        break
                await asyncio.sleep(0.05)
            yield session, port, application[RELEASE]
    finally:
        server.terminate()
        server.wait(10)
        await runner.cleanup()


def _trusting(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(certificate))
    context.check_hostname = False
    return context


class _Here(aiohttp.abc.AbstractResolver):
    async def resolve(self, host, port=0, family=socket.AF_INET):
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": family, "proto": 0, "flags": 0}]

    async def close(self):
        pass


async def test_viewers_are_passed_on_with_their_host_and_address(front):
    session, port, _ = front
    base = f"https://live.example.com:{port}"
    async with session.get(f"{base}/rooms/a/watch", headers={"X-Forwarded-For": "198.51.100.1"}) as answer:
        seen = (await answer.json())["headers"]
        assert answer.headers["Strict-Transport-Security"].startswith("max-age=31536000")
    assert seen["Host"] == f"live.example.com:{port}"
    assert (seen["X-Forwarded-For"], seen["X-Forwarded-Proto"]) == ("198.51.100.1, 127.0.0.1", "https")
    async with session.ws_connect(f"{base}/rooms/a/events?ticket=secret") as connection:
        assert "Upgrade" in await connection.receive_json()
    async with session.get(f"{base}/stream") as answer:
        # Not buffered: the first event is here while the answer goes on.
        assert await asyncio.wait_for(answer.content.readline(), 5) == b"data: 1\n"


async def test_tickets_are_not_logged(front, tmp_path):
    session, port, _ = front
    async with session.get(f"https://live.example.com:{port}/rooms/a/watch?ticket=secret") as answer:
        assert answer.status == 200
    for _ in range(100):
        if log := (tmp_path / "access.log").read_text():
            break
        await asyncio.sleep(0.02)
    assert "/rooms/a/watch" in log
    assert "secret" not in log


REQUESTS = [
    ("/predictions/product_recognizer", "image/jpeg", 1000, 200),
    ("/predictions/product_recognizer", "image/png; q=1", 15 * 2**20, 200),
    ("/predictions/product_recognizer", "application/json", 1000, 200),
    ("/predictions/product_recognizer", "multipart/form-data; boundary=b", 7 * 2**20, 200),
    ("/predictions/product_recognizer", "multipart/form-data; boundary=b", 9 * 2**20, 413),
    ("/predictions/product_recognizer", "image/jpeg", 17 * 2**20, 413),
    ("/predictions/product_recognizer", "application/x-www-form-urlencoded", 10, 415),
    ("/predictions/product_recognizer", "image/jpegs", 10, 415),
    ("/predictions/product_recognizer", "text/plain", 10, 415),
    ("/form/predictions/product_recognizer", "image/jpeg", 10, 404),
    ("/models", "application/json", 10, 404),
]


async def test_the_archive_gets_photos_alone(front):
    session, port, _ = front
    for path, kind, size, status in REQUESTS:
        body, headers = io.BytesIO(b"a" * size), {"Content-Type": kind}
        async with session.post(f"https://photos.example.com:{port}{path}", data=body, headers=headers) as answer:
            assert answer.status == status, (path, kind, size)
            if status == 200:
                said = await answer.json()
                assert (said["path"], said["bytes"]) == (path, size)


#: Content type, bytes, and how many of them the archive's heap holds at once.
KINDS = [("image/jpeg", 2**20, 12), ("multipart/form-data; boundary=b", 1000, 4)]


async def test_the_archive_gets_as_many_large_photos_and_forms_at_once_as_its_heap_holds(front):
    session, port, release = front
    url = f"https://photos.example.com:{port}/predictions/product_recognizer"

    async def status(kind, size, query=""):
        async with session.post(f"{url}{query}", data=b"a" * size, headers={"Content-Type": kind}) as answer:
            return answer.status

    held = []
    for kind, size, most in KINDS:
        asked = [asyncio.create_task(status(kind, size, "?hold")) for _ in range(most + 2)]
        answers = asyncio.as_completed(asked, timeout=20)
        assert [await next(answers), await next(answers)] == [502, 502]
        held += [task for task in asked if not task.done()]
    assert await status("image/jpeg", 1000) == 200
    release.set()
    assert await asyncio.gather(*held) == [200] * 16
