"""How evenly tasks of known sizes are shared out among threads, for plans that choose how to cut them."""

import heapq
from collections.abc import Sequence

MOST_TASKS = 8  # per thread; more of them even out by themselves
TO_BEGIN = 65536  # products that take about as long as to begin a task


def pieces(whole: int, most: int) -> list[int]:
    """The sizes of the pieces of a whole, of which only the last may be smaller than `most`."""
    return [min(most, whole - start) for start in range(0, whole, most)]


def longest_share(sizes: Sequence[int], threads: int) -> int:
    """When the last thread is done, in the unit of the sizes.

    Tasks are taken as by `runtime.steps.take_task`: each thread has a share of neighbours, and who is done
    with his own takes what the next ones have left.
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
