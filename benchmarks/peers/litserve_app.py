"""LitServe: a worker a core, dynamic batching, photos as a form's file: its API takes forms and JSON."""

import sys

import litserve
from fastapi import Request, Response

from benchmarks.peers.recognise import BATCH_DELAY_MS, BATCH_SIZE, PROCESSES, Recognise


class RecogniseApi(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self._recognise = Recognise()

    def decode_request(self, request: Request) -> bytes:
        # LitServe reads the form where the argument is a Request, and hands over what it read.
        photo: bytes = request["photo"].file.read()  # type: ignore[index]
        return photo

    def batch(self, inputs: list[bytes]) -> list[bytes]:
        return inputs

    def predict(self, photos: list[bytes]) -> list[bytes]:
        return self._recognise(photos)

    def unbatch(self, output: list[bytes]) -> list[bytes]:
        return output

    def encode_response(self, output: bytes) -> Response:
        return Response(output, media_type="application/json")


if __name__ == "__main__":
    api = RecogniseApi(max_batch_size=BATCH_SIZE, batch_timeout=BATCH_DELAY_MS / 1000)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=PROCESSES)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
