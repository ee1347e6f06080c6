"""Joining without copying: the bottoms of a Concat are computed in the memory of its top."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_lite.layer.fusing import HoldsBottoms, may_fill_tops
from pycaffe_lite.net.graph import Node


def join_in_place(nodes: Sequence[Node]) -> None:
    """Lets the top of each Concat hold its bottoms' data if every blob still has the same values then.

    For this, the bottoms must all be different, each made by a layer that fills its tops and read by no other
    layer (otherwise there would be a Split between them). And only the Concat may write to its top, under any
    of its names. Changing values of the top by hand changes them in the bottoms, too.
    """
    makers: dict[int, Node] = {}
    for node in nodes:
        for blob_id in node.top_ids:
            makers.setdefault(blob_id, node)
    for node in nodes:
        if (
            isinstance(node.layer, HoldsBottoms)
            and 1 < len(node.bottom_ids) == len(set(node.bottom_ids))
            and all(may_fill_tops(makers[blob_id].layer) for blob_id in node.bottom_ids)
            and not _is_overwritten(node, nodes)
        ):
            node.layer.holds_bottoms = True
            node.layer.reshape(node.bottom, node.top)


def _is_overwritten(maker: Node, nodes: Sequence[Node]) -> bool:
    """Whether a layer works in place on the maker's top, or on a blob that shares its data."""
    in_place = (
        blob
        for node in nodes
        for blob_id, blob in zip(node.top_ids, node.top, strict=True)
        if blob_id in node.bottom_ids
    )
    return any(blob.shares_data(maker.top[0]) for blob in in_place)
