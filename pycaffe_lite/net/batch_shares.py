"""Which nets may have their batches computed by several processes, each of them some."""

from __future__ import annotations

from typing import Any

from pycaffe_lite.layer.base import Layer
from pycaffe_lite.net.net import Net

# Types without bottoms, and without a share, that give the same in every pass.
_CONSTANT = ("Parameter",)
# Types that write files as they run.
_WRITING = ("HDF5Output",)


def why_not_shared(net: Net) -> str:
    """Why the batches of a net cannot be computed apart from each other, in words; empty if they can.

    Args:
        net: whose data layers that can have taken their share of the batches (`Share.by_batch`).
    """
    reasons = (f"layer '{node.layer.name}' ({node.layer.type}) {why}" for node in net.graph.nodes
               if (why := _why_not(node.layer, bool(node.bottom))))  # fmt: skip
    return next(reasons, "")


def _why_not(layer: Layer[Any], has_bottoms: bool) -> str:
    if layer.takes_share:
        return ""
    if layer.type in _WRITING or layer.layer_param.detection_output_param.HasField("save_output_param"):
        return "writes what it sees to a file"
    if layer.type == "Python":
        return "may depend on the batches before"
    if layer.state() is not None:
        return "keeps something from batch to batch"
    fillers = layer.layer_param.dummy_data_param.data_filler
    if layer.type == "DummyData" and all(filler.type == "constant" for filler in fillers):
        return ""
    return "" if has_bottoms or layer.type in _CONSTANT else "cannot leave batches out"
