"""How evenly threads share tasks of known sizes, for plans that choose how to cut the work."""

import heapq
from collections.abc import Sequence

MOST_TASKS = 8  # per thread; more tasks than these balance the load by themselves
TO_BEGIN = 65536  # products that take about as long as beginning a task


def pieces(whole: int, most: int) -> list[int]:
    """The sizes of the pieces of a whole, of which only the last may be smaller than `most`."""
    return [min(most, whole - start) for start in range(0, whole, most)]


def longest_share(sizes: Sequence[int], threads: int) -> int:
    """The time at which the last thread finishes, in the unit of the sizes.

    Threads take tasks as `runtime.steps.take_task` hands them out: each starts with a share of neighbouring
    tasks and, when that is done, takes what the threads after it have left.
    """
    shares = [
        list(range(thread * len(sizes) // threads, (thread + 1) * len(sizes) // threads))
        for thread in range(threads)
    ]
    free_at = [(0, thread) for thread in range(threads)]
    end = 0
    while free_at:
        now, thread = heapq.heappop(free_at)
        left = next((share for i in range(threads) if (share := shares[(thread + i) % threads])), None)
        if left:
            end = max(end, now + sizes[left[0]])
            heapq.heappush(free_at, (now + sizes[left.pop(0)], thread))
    return end
