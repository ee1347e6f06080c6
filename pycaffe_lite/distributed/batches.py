"""Testing a net, and extracting features, by several ranks that compute every N-th batch each."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

from pycaffe_lite.data.share import WHOLE, Share
from pycaffe_lite.distributed.ranks import MpiRanks
from pycaffe_lite.net.batch_shares import why_not_shared
from pycaffe_lite.net.evaluate import Output, Scores, ScoreSum, evaluate, output_scores
from pycaffe_lite.net.features import features
from pycaffe_lite.net.net import Net

log = logging.getLogger(__name__)


def share_of_batches(ranks: MpiRanks) -> Share:
    """The batches that this rank computes."""
    return Share(ranks.rank, ranks.count, by_batch=True, agree=ranks.agree)


def net_for_batches(ranks: MpiRanks, load: Callable[[Share], Net]) -> tuple[Net, int]:
    """A net to compute batches with, and how many ranks do so.

    Where the batches of the net depend on each other, the first rank computes all of them.

    Args:
        ranks: the ranks. load: makes the net from the share that its data layers take.
    """
    net = load(share_of_batches(ranks))
    reason = ranks.agree(why_not_shared(net))
    if not reason:
        return net, ranks.count
    log.warning("rank 0 computes all batches: %s", reason)
    return (load(WHOLE) if ranks.rank == 0 else net), 1


def evaluate_together(
    ranks: MpiRanks, workers: int, net: Net, iterations: int, on_batch: Callable[[int, Scores], object]
) -> ScoreSum:
    """As `net.evaluate.evaluate`; the sums, which are those of one rank to the bit, are on the first.

    Args:
        ranks: the ranks. workers: how many of them compute. net: of this rank. iterations: batches in all.
        on_batch: called on the first rank, in the order of the batches.
    """
    if workers == 1:
        return ScoreSum() if ranks.rank else evaluate(net, iterations, on_batch)
    total = ScoreSum()
    for first in range(0, iterations, ranks.count):
        mine = None
        if first + ranks.rank < iterations:
            loss = net.forward_loss()
            outputs = output_scores(net).outputs
            mine = loss, [Output(o.name, o.values.copy(), o.loss_weight) for o in outputs]
        for index, result in enumerate(ranks.to_first(mine) or [], first):
            if result is not None:
                scores = Scores(result[1])
                on_batch(index, scores)
                total.add(result[0], scores)
    return total


def features_together(
    ranks: MpiRanks, workers: int, net: Net, blobs: Sequence[str], batches: int
) -> Iterator[list[list[bytes]]]:
    """As `net.features.features`, on the first rank; the others yield nothing."""
    if workers == 1:
        if ranks.rank == 0:
            yield from features(net, blobs, batches)
        return
    for first in range(0, batches, ranks.count):
        is_mine = first + ranks.rank < batches
        mine = next(features(net, blobs, 1)) if is_mine else None
        yield from filter(None, ranks.to_first(mine) or [])
