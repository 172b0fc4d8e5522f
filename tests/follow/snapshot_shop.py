"""A server of one snapshot that misbehaves when told to."""

import hashlib
import threading
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Shop:
    """A server of one snapshot; attributes change how it answers."""

    body: bytes = b""
    status: int = 200
    location: str = ""
    etags: bool = True
    #: Seconds since 1970 for Last-Modified; None: none is sent.
    modified: float | None = None
    #: Of the body, as Content-Length says; None: all. Or the body in chunks, without a length.
    sent: int | None = None
    chunked: bool = False
    #: Seconds before each kilobyte.
    drip_s: float = 0.0
    encoding: str = ""
    requests: list[dict[str, str]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    port: int = 0
    server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/live.snapshot"

    def open(self) -> None:
        shop = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                shop.answer(self)

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body, headers = self.body, {"Connection": "close"}
        self.requests.append({key.lower(): value for key, value in handler.headers.items()})
        if self.etags:
            headers["ETag"] = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if self.modified is not None:
            headers["Last-Modified"] = formatdate(self.modified, usegmt=True)
        unchanged = (
            handler.headers.get("If-None-Match") == headers["ETag"]
            if self.etags
            else "Last-Modified" in headers and handler.headers.get("If-Modified-Since") == headers["Last-Modified"]
        )
        status = 304 if self.status == 200 and unchanged else self.status
        self.answers.append(status)
        handler.close_connection = True
        handler.send_response(status)
        if self.location:
            headers["Location"] = self.location
        if self.encoding:
            headers["Content-Encoding"] = self.encoding
        headers["Transfer-Encoding" if self.chunked else "Content-Length"] = (
            "chunked" if self.chunked else str(len(body))
        )
        for name, value in headers.items():
            if status == 200 or not name.endswith(("Length", "Transfer-Encoding")):
                handler.send_header(name, value)
        handler.end_headers()
        if status == 200:
            self._send(handler, body[: self.sent])

    def _send(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        try:
            for start in range(0, len(body), 1024):
                time.sleep(self.drip_s)
                block = body[start : start + 1024]
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(block), block) if self.chunked else block)
            if self.chunked and self.sent is None:
                handler.wfile.write(b"0\r\n\r\n")
        except OSError:
            pass
