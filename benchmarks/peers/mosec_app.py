"""mosec: a worker a core, dynamic batching in its front end."""

from mosec import Server, Worker

from benchmarks.peers.recognise import BATCH_DELAY_MS, BATCH_SIZE, PROCESSES, Recognise


class RecogniseWorker(Worker):
    resp_mime_type = "application/json"

    def __init__(self) -> None:
        super().__init__()
        self._recognise = Recognise()

    def deserialize(self, data: bytes) -> bytes:
        return data

    def serialize(self, data: bytes) -> bytes:
        return data

    def forward(self, data: list[bytes]) -> list[bytes]:
        return self._recognise(data)


if __name__ == "__main__":
    server = Server()
    server.append_worker(RecogniseWorker, num=PROCESSES, max_batch_size=BATCH_SIZE, max_wait_time=BATCH_DELAY_MS)
    server.run()
