"""Ray Serve: a replica a core, `serve.batch`."""

import sys
import threading

import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from benchmarks.peers.recognise import BATCH_DELAY_MS, BATCH_SIZE, PROCESSES, Recognise


@serve.deployment(num_replicas=PROCESSES, ray_actor_options={"num_cpus": 0.5}, max_ongoing_requests=4 * BATCH_SIZE)
class RecogniseDeployment:
    def __init__(self) -> None:
        self._recognise = Recognise()

    @serve.batch(max_batch_size=BATCH_SIZE, batch_wait_timeout_s=BATCH_DELAY_MS / 1000)
    async def _answer(self, photos: list[bytes]) -> list[bytes]:
        return self._recognise(photos)

    async def __call__(self, request: Request) -> Response:
        return Response(await self._answer(await request.body()), media_type="application/json")


if __name__ == "__main__":
    ray.init(num_cpus=PROCESSES, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
    serve.run(RecogniseDeployment.bind(), route_prefix="/predict")
    threading.Event().wait()
