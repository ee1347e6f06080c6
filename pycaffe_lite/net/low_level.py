"""What pycaffe's own Python code, and programs after its example, ask of the compiled net."""

from __future__ import annotations

from collections import OrderedDict

from pycaffe_lite.blob import Blob
from pycaffe_lite.net.graph import Graph


class LowLevel:
    """The names and numbers of a net's layers and blobs, as pycaffe's C++ side gives them.

    Layers and blobs are numbered in the order of their running and making. All lists are fresh ones: changing
    them changes nothing in the net.
    """

    graph: Graph

    @property
    def _layer_names(self) -> list[str]:
        """Names of the layers, in a fresh list."""
        return [node.layer.name for node in self.graph.nodes]

    @property
    def _blob_names(self) -> list[str]:
        """Names of the blobs in the order of their making, in a fresh list."""
        return list(self.graph.blob_names)

    @property
    def _blobs(self) -> list[Blob]:
        """The blobs in the order of their making, in a fresh list."""
        return list(self.graph.blobs)

    @property
    def _blob_loss_weights(self) -> list[float]:
        """The weight of each blob in the loss, in the order of the blobs."""
        return list(self.graph.blob_loss_weights)

    @property
    def _inputs(self) -> list[int]:
        """Indices of the tops of Input layers among the blobs."""
        return list(self.graph.inputs)

    @property
    def _outputs(self) -> list[int]:
        """Indices among the blobs of those that no layer reads."""
        return list(self.graph.outputs)

    def _top_ids(self, layer: int) -> list[int]:
        """Indices among the blobs of a layer's tops."""
        return list(self.graph.nodes[layer].top_ids)

    def _bottom_ids(self, layer: int) -> list[int]:
        """Indices among the blobs of a layer's bottoms."""
        return list(self.graph.nodes[layer].bottom_ids)

    # pycaffe keeps what `blobs`, `inputs` and `outputs` give under these names, which programs read.

    @property
    def _blobs_dict(self) -> OrderedDict[str, Blob]:
        """Blobs by name, in the order of their making, in a fresh dictionary."""
        return OrderedDict(zip(self.graph.blob_names, self.graph.blobs, strict=True))

    @property
    def _input_list(self) -> list[str]:
        """Names of the tops of Input layers, in a fresh list."""
        return [self.graph.blob_names[i] for i in self.graph.inputs]

    @property
    def _output_list(self) -> list[str]:
        """Names of the blobs that no layer reads, in alphabetical order, in a fresh list."""
        return [self.graph.blob_names[i] for i in self.graph.outputs]
