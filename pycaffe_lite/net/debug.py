"""debug_info: the mean absolute value of each blob, logged as layers run."""

from __future__ import annotations

import logging
import math

import numpy as np

from pycaffe_lite.blob import Array, Blob
from pycaffe_lite.net.graph import Graph

log = logging.getLogger(__name__)


def _mean_abs(values: Array) -> float:
    return float(np.abs(values).mean(dtype=np.float64)) if values.size else 0.0


class DebugInfo:
    """Logs the mean absolute values of what a graph's layers computed, in Caffe's words.

    Source: BVLC/caffe src/caffe/net.cpp, ForwardDebugInfo and BackwardDebugInfo
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def after_forward(self, index: int) -> None:
        """Logs the mean |data| of a layer's tops and params."""
        node = self._graph.nodes[index]
        name = node.layer.name
        for blob, blob_id in zip(node.top, node.top_ids, strict=True):
            top = self._graph.blob_names[blob_id]
            log.info("    [Forward] Layer %s, top blob %s data: %g", name, top, _mean_abs(blob.data))
        for param in self._graph.params.params:
            if param.layer is node.layer:
                mean = _mean_abs(param.blob.data)
                log.info("    [Forward] Layer %s, param blob %s data: %g", name, param.display_name, mean)

    def after_backward(self, index: int) -> None:
        """Logs the mean |diff| of a layer's bottoms and params."""
        node = self._graph.nodes[index]
        name = node.layer.name
        for blob, blob_id, wanted in zip(
            node.bottom, node.bottom_ids, node.bottom_need_backward, strict=True
        ):
            if wanted:
                bottom = self._graph.blob_names[blob_id]
                log.info(
                    "    [Backward] Layer %s, bottom blob %s diff: %g", name, bottom, _mean_abs(blob.diff)
                )
        for i, blob in enumerate(node.layer.blobs):
            if node.layer.param_propagate_down[i]:
                log.info("    [Backward] Layer %s, param blob %d diff: %g", name, i, _mean_abs(blob.diff))

    def after_all(self) -> None:
        """Logs the norms of all learnable params, at the level that Caffe uses for it (ERROR)."""
        blobs = self._graph.params.learnable
        log.error(
            "    [Backward] All net params (data, diff): L1 norm = (%g, %g); L2 norm = (%g, %g)",
            *(_l1(blobs, part) for part in ("data", "diff")),
            *(_l2(blobs, part) for part in ("data", "diff")),
        )


def _l1(blobs: list[Blob], part: str) -> float:
    return sum(float(np.abs(getattr(blob, part)).sum(dtype=np.float64)) for blob in blobs)


def _l2(blobs: list[Blob], part: str) -> float:
    return math.sqrt(sum(float(np.square(getattr(blob, part), dtype=np.float64).sum()) for blob in blobs))
