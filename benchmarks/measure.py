"""Timing ways to do one thing, in turn, so that all share the machine's weather."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import jax

Way = Callable[[], Any]


def medians(
    ways: dict[str, Way],
    *,
    times: int = 9,
    at_most: float = 20.0,
    tidy: Way = lambda: None,
) -> dict[str, float]:
    """Median seconds of each way.

    Every round runs all ways, one after the other. A way that has used up its seconds
    (`at_most`, and three runs) sits the others out. `tidy` takes away what a run left,
    in time that is not counted.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        jax.block_until_ready(way())
        tidy()
    for _ in range(times):
        for name, way in ways.items():
            if len(seconds[name]) >= 3 and sum(seconds[name]) > at_most:
                continue
            start = time.perf_counter()
            jax.block_until_ready(way())
            seconds[name].append(time.perf_counter() - start)
            tidy()
    return {name: statistics.median(taken) for name, taken in seconds.items()}
