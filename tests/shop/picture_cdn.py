"""A CDN of pictures on this machine: for a fetcher of this process, or for `livecart` in one of its own.

`command` starts `livecart` where names have other addresses: inside.example.com is a private network's, every other one
a public one, whose connections end at the CDN's port. Which addresses are public is for `livecart` to judge.
"""

import http.server
import os
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import suppress

import aiohttp

from tests.shop.feed_server import Answer

_CERTIFICATE = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=cdn.example.com "
    "-addext subjectAltName=DNS:*.example.com"
)
_PRIVATE, _PUBLIC = "10.1.2.3", "93.184.215.14"


class Cdn:
    """An https server for every name; answers by path, and keeps what was asked, and of how many at once."""

    def __init__(self, folder):
        self.answers, self.asked, self.bodies, self.at_once, self.most_at_once = {}, [], 0, 0, 0
        self.lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                with outer.lock:
                    outer.asked.append((self.headers["Host"], self.path, self.headers.get("If-None-Match")))
                    outer.at_once += 1
                    outer.most_at_once = max(outer.most_at_once, outer.at_once)
                answer = outer.answers.get(self.path, Answer(status=404))
                if answer.headers.get("ETag") == self.headers.get("If-None-Match", "no"):
                    answer = Answer(status=304)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                with outer.lock:
                    outer.at_once -= 1
                    outer.bodies += bool(answer.body)
                with suppress(OSError):  # who has had enough hangs up
                    self.wfile.write(answer.body)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                """Who is killed hangs up."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        key, self.certificate = folder / "key.pem", folder / "certificate.pem"
        command = [*_CERTIFICATE.split(), "-keyout", key, "-out", self.certificate]
        subprocess.run(command, check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._trusted = ssl.create_default_context(cafile=str(self.certificate))
        self._trusted.check_hostname = False
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def connector(self):
        port = self.port

        class Here(aiohttp.abc.AbstractResolver):
            async def resolve(self, host, _=0, family=0):
                return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": 2, "proto": 0, "flags": 0}]

            async def close(self):
                pass

        return aiohttp.TCPConnector(resolver=Here(), ssl=self._trusted)

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def command(cdn, *arguments):
    """The command line of `livecart`, and its environment."""
    # Not as a module: processes that decode pictures would import it, and all that it imports, for each of them.
    code = f"from tests.shop.picture_cdn import run; run({cdn.port})"
    return [sys.executable, "-c", code, *arguments], {**os.environ, "SSL_CERT_FILE": str(cdn.certificate)}


def _redirect(port):
    look_up = socket.getaddrinfo

    def addresses(host, service, *given, **options):
        named = isinstance(host, str) and host.endswith("example.com")
        address = {"inside.example.com": _PRIVATE}.get(host, _PUBLIC) if named else host
        return look_up(address, service, *given, **options)

    class Redirected(socket.socket):
        def connect(self, address):
            if self.family != socket.AF_UNIX and address[0] != _PUBLIC:
                raise AssertionError(f"connects to {address}")
            return super().connect(address if self.family == socket.AF_UNIX else ("127.0.0.1", port))

    socket.getaddrinfo, socket.socket = addresses, Redirected


def run(port):
    """`livecart` with the arguments of the command line."""
    from livecart.__main__ import main

    _redirect(port)
    main()
