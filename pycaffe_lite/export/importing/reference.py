"""The model itself, run by ONNX Runtime, to compare with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from pycaffe_lite.errors import OnnxError
from pycaffe_lite.export.importing.values import Array, Shape
from pycaffe_lite.extras import missing


def can_run() -> bool:
    """Whether ONNX Runtime is installed."""
    return find_spec("onnxruntime") is not None


def run_model(
    model: Any, shapes: Mapping[str, Shape], inputs: Mapping[str, Array], outputs: Sequence[str]
) -> dict[str, Array]:
    """What ONNX Runtime computes.

    Args:
        model: an onnx.ModelProto. shapes: of its inputs. inputs: by name. outputs: tensors to return.

    Raises:
        OnnxError: ONNX Runtime is missing, or cannot run the model.
    """
    if not can_run():
        raise OnnxError(missing("comparing with the model", "onnxruntime", "onnx"))
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    # As the nodes are written, one by one: rewriting them may change the numbers.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        content = _with_outputs(model, shapes, outputs).SerializeToString()
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        results = session.run(list(outputs), {name: inputs[name] for name in shapes})
    except Exception as error:  # of the library's C++ part, of various classes
        text = " ".join(str(error).split())
        raise OnnxError(f"ONNX Runtime cannot run the model: {text[:500]}") from None
    return dict(zip(outputs, results, strict=True))


def _with_outputs(model: Any, shapes: Mapping[str, Shape], outputs: Sequence[str]) -> Any:
    """The model with its inputs' shapes fixed, and with outputs of our choice."""
    import onnx

    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for value in changed.graph.input:
        if value.name in shapes:
            value.type.tensor_type.shape.Clear()
            for n in shapes[value.name]:
                value.type.tensor_type.shape.dim.add().dim_value = n
    if list(outputs) != [value.name for value in changed.graph.output]:
        del changed.graph.output[:]
        for name in outputs:
            changed.graph.output.add().name = name
    return changed
