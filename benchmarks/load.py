"""A closed-loop load generator: so many clients, each sending its next photo when the last one is answered."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import aiohttp


@dataclass
class LoadResult:
    """Result of one run. ``latencies_s`` are those of the requests answered with 200."""

    clients: int
    seconds: float
    latencies_s: list[float] = field(default_factory=list)
    failures: int = 0

    @property
    def per_second(self) -> float:
        return len(self.latencies_s) / self.seconds

    def percentile_ms(self, percent: float) -> float:
        """Latency that ``percent`` of the good answers kept, nearest rank, in milliseconds."""
        ordered = sorted(self.latencies_s)
        return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


async def run_load(
    url: str,
    bodies: Sequence[bytes],
    *,
    clients: int,
    seconds: float,
    warm_up_s: float,
    content_type: str = "image/jpeg",
) -> LoadResult:
    """Load ``url`` with ``bodies`` for ``warm_up_s`` unmeasured and then ``seconds`` measured seconds."""
    result = LoadResult(clients=clients, seconds=seconds)
    upcoming = itertools.cycle(bodies)
    start = time.perf_counter() + warm_up_s
    end = start + seconds

    async def client(session: aiohttp.ClientSession) -> None:
        while time.perf_counter() < end:
            sent = time.perf_counter()
            async with session.post(url, data=next(upcoming), headers={"Content-Type": content_type}) as answer:
                await answer.read()
            answered = time.perf_counter()
            if start <= answered < end:
                if answer.status == 200:
                    result.latencies_s.append(answered - sent)
                else:
                    result.failures += 1

    connector = aiohttp.TCPConnector(limit=clients)
    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(client(session) for _ in range(clients)))
    return result
