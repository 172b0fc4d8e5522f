"""What benchmarks/bench_floods.py makes of its figures; no server is started."""

import pytest

from benchmarks.bench_floods import missed

GOOD = {"healthz_p99_ms": 199.9, "events": 20, "events_in_time": 19}


@pytest.mark.parametrize(
    ("row", "promises"),
    [
        ({}, 0),
        ({"healthz_p99_ms": 200.0}, 1),
        ({"events_in_time": 18}, 1),
        ({"events": 0, "events_in_time": 0}, 1),
        ({"healthz_p99_ms": 5000.0, "events_in_time": 0}, 2),
    ],
    ids=["all kept", "a slow server", "late cards", "no cards", "nothing kept"],
)
def test_a_flood_breaks_the_promises_that_its_figures_say(row, promises):
    assert len(missed(GOOD | row)) == promises
