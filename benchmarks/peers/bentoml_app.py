"""BentoML: a worker a core, adaptive batching, photos as Base64 in JSON: its batches are made of fields."""

import base64

import bentoml

from benchmarks.peers.recognise import BATCH_SIZE, PROCESSES, Recognise


@bentoml.service(workers=PROCESSES, traffic={"timeout": 60})
class RecogniseService:
    def __init__(self) -> None:
        self._recognise = Recognise()

    @bentoml.api(batchable=True, batch_dim=0, max_batch_size=BATCH_SIZE, max_latency_ms=10_000)
    def predict(self, photos: list[str]) -> list[str]:
        return [reply.decode() for reply in self._recognise([base64.b64decode(photo) for photo in photos])]
