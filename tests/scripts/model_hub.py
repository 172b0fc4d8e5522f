"""A ModelScope hub of our own at 127.0.0.1.

It answers the three endpoints that the SDK calls for a snapshot with MODELSCOPE_ENDPOINT set.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlparse

from recognition.backbones.modelscope_general import MODEL_ID


@dataclass
class Hub:
    """One repository; ``served`` replaces what is listed, to be an honest hub or not."""

    files: dict[str, bytes]
    served: dict[str, bytes] = field(default_factory=dict)
    model_id: str = MODEL_ID
    endpoint: str = ""
    #: (file, Range header) of every download, (“files”, revision) of every listing.
    downloads: list[tuple[str, str | None]] = field(default_factory=list)
    listings: list[str] = field(default_factory=list)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        url = urlparse(handler.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        if url.path == "/api/v1/repos/internalAccelerationInfo":
            _reply(handler, 200, b'{"Code": 200, "Data": {"InternalRegionQueryAddress": ""}}')
        elif url.path == f"/api/v1/models/{self.model_id}/repo/files":
            self.listings.append(query["Revision"])
            _reply(handler, 200, json.dumps({"Code": 200, "Data": {"Files": self._listing()}}).encode())
        elif url.path == f"/api/v1/models/{self.model_id}/repo" and query["FilePath"] in self.files:
            self.downloads.append((query["FilePath"], handler.headers.get("Range")))
            _reply(handler, 200, self.served.get(query["FilePath"], self.files[query["FilePath"]]))
        else:
            _reply(handler, 404, '{"Code": 10010205001, "Message": "模型不存在"}'.encode())

    def _listing(self) -> list[dict[str, object]]:
        return [
            {"Path": path, "Type": "blob", "Size": len(data), "Sha256": hashlib.sha256(data).hexdigest()}
            for path, data in self.files.items()
        ]


def _reply(handler: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    resumed = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range") or "")
    start = int(resumed[1]) if resumed else 0
    handler.send_response(206 if resumed else status)
    if resumed:
        handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
    handler.send_header("Content-Length", str(len(body) - start))
    handler.end_headers()
    handler.wfile.write(body[start:])


@contextmanager
def serving(hub: Hub) -> Iterator[None]:
    """Serves it on a free port, its `endpoint`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hub.answer(self)

        def log_message(self, *_args: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    yield
    server.shutdown()
    thread.join()
    server.server_close()
