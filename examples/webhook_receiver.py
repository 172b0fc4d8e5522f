"""Receives livecart's webhooks.

pip install standardwebhooks; WEBHOOK_SECRET=whsec_… python webhook_receiver.py 8000
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["WEBHOOK_SECRET"])
#: A message may come twice: its id is the same. Keep them where a restart does not lose them.
seen: set[str] = set()


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 to what is signed, 401 to everything else."""

    def do_POST(self) -> None:
        """Take one message."""
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), 65_536))
        try:
            # The bytes as they came: signed is not what a parser would write again.
            message = webhook.verify(body, dict(self.headers))
        except (WebhookVerificationError, ValueError):
            self.answer(401)
            return
        # Answer within 3 s; what takes longer goes into a queue of your own.
        if self.headers["webhook-id"] not in seen:
            seen.add(self.headers["webhook-id"])
            print(message["type"], message["data"].get("sku"), message["data"].get("offers"), flush=True)
        self.answer(204)

    def answer(self, status: int) -> None:
        """Answer without a body."""
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print messages alone."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
    print("listening", server.server_port, flush=True)
    server.serve_forever()
