"""Share: which records of a source a net takes that trains together with others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


def _same(number: int) -> int:
    return number


@dataclass(frozen=True)
class Share:
    """One of several equal shares of an endless row of records, its epochs one behind the other.

    Records are dealt out in chunks: of N shares, share k has the chunks k, k + N, k + 2N and so on. In
    training a chunk is one record, as in Caffe, so that N batches in N nets hold the records of one batch N
    times as large. Whoever wants the very batches of a single net has chunks of a batch each.

    Attributes:
        rank: of this share, from 0. count: of the shares.
        by_batch: whether a chunk is a batch.
        agree: gives the number that share 0 has handed in to all shares, so that all shuffle alike; each
            share calls it as often.

    Source: BVLC/caffe src/caffe/layers/data_layer.cpp, Skip
    """

    rank: int = 0
    count: int = 1
    by_batch: bool = False
    agree: Callable[[int], int] = field(default=_same, compare=False)

    def __deepcopy__(self, memo: dict[int, Any]) -> Share:
        # A copied net takes the same share; whoever agrees cannot be copied.
        return self

    def chunk(self, batch_size: int) -> int:
        """Records of a chunk."""
        return batch_size if self.by_batch or self.count == 1 else 1

    def others(self, batch_size: int) -> int:
        """Records of the other shares between two chunks of this one."""
        return (self.count - 1) * self.chunk(batch_size)

    def before(self, batch_size: int) -> int:
        """Records of the other shares before the first chunk of this one."""
        return self.rank * self.chunk(batch_size)


WHOLE = Share()
