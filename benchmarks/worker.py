"""One measurement in a process of its own: `python -m benchmarks.worker RIVAL WORK THREADS SECONDS`."""

from __future__ import annotations

import importlib
import json
import statistics
import sys
import time

from benchmarks.works import BY_NAME

SIDES = {"ours": "benchmarks.ours", "torch": "benchmarks.torch_side", "onnx": "benchmarks.onnx_side"}
WARM_UP = 3
LEAST_STEPS = 5


def main() -> None:
    """Prints the median milliseconds of a step as JSON; for ours, the machine's peak about it as well."""
    rival, name, threads, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    if rival == "peak":
        from benchmarks import peak

        print(json.dumps({"gflops": peak.measure(threads)}))
        return
    step = importlib.import_module(SIDES[rival]).prepare(BY_NAME[name], threads)
    result = {}
    if rival == "ours":
        from benchmarks import peak

        peak_now = peak.prepare(threads)
        result["peak"] = peak_now() / 2
    for _ in range(WARM_UP):
        step()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < LEAST_STEPS:
        start = time.perf_counter()
        step()
        times.append((time.perf_counter() - start) * 1e3)
    result["ms"] = statistics.median(times)
    if rival == "ours":
        result["peak"] += peak_now() / 2
    print(json.dumps(result))


if __name__ == "__main__":
    main()
