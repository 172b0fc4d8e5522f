"""The largest load that something carries, found with few runs."""

from collections.abc import Callable


def largest_passing(
    passes: Callable[[int], bool],
    *,
    start: int,
    most: int,
    max_runs: int,
    suggest: Callable[[], int | None] = lambda: None,
) -> int:
    """Double from `start` until a load fails, then halve the gap between the last good and the first bad one.

    Args:
        passes: runs one load. Loads above one that failed are taken to fail, those below one that passed to pass.
        start: the first load, 1 or more.
        most: the largest load that is tried.
        max_runs: no more calls than this; what was found by then is returned.
        suggest: which load to try next, from what the last one cost; counts where it lies in that gap.

    Returns:
        The largest load that passed; 0 where none did.
    """
    good, bad = 0, most + 1
    load = min(start, most)
    for _ in range(max_runs):
        if passes(load):
            good = load
        else:
            bad = load
        if bad - good <= 1:
            break
        suggested = suggest()
        if suggested is not None and good < suggested < bad:
            load = suggested
        else:
            load = min(2 * good, most) if bad > most else (good + bad) // 2
    return good
