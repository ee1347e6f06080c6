"""Where data comes from and goes to: the inputs of the graph."""

from __future__ import annotations

from pycaffe_lite.export.onnx.layer_graph import LayerGraph
from pycaffe_lite.export.onnx.registry import converts, refuses
from pycaffe_lite.layer.data.dummy_data import DummyDataLayer
from pycaffe_lite.layer.data.hdf5_output import HDF5OutputLayer
from pycaffe_lite.layer.utility.python import PythonLayer

refuses(
    "it runs Python code, for which a converter can be registered; of Faster R-CNN's, ProposalLayer has one",
    PythonLayer,
)


@converts(DummyDataLayer)
def dummy_data(g: LayerGraph, layer: DummyDataLayer) -> list[str]:
    """Constants; an input of the graph where the values are drawn anew in each pass."""
    return [g.full(filler.value, shape) for filler, shape in zip(layer.fillers, g.top_shapes, strict=True)]


@converts(HDF5OutputLayer)
def hdf5_output(g: LayerGraph, layer: HDF5OutputLayer) -> list[str]:
    """Nothing: an ONNX file writes no other files."""
    return []
