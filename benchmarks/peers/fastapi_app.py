"""FastAPI: blocking work in its thread pool, uvicorn's processes. No batching, as it has none."""

import threading

from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool

from benchmarks.peers.recognise import Recognise

app = FastAPI()
_recognise, _one_at_a_time = Recognise(), threading.Lock()


@app.get("/health")
def health() -> str:
    return "ready"


@app.post("/predict")
async def predict(request: Request) -> Response:
    return Response(await run_in_threadpool(_answer, await request.body()), media_type="application/json")


def _answer(photo: bytes) -> bytes:
    with _one_at_a_time:
        return _recognise([photo])[0]
