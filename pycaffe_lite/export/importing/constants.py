"""What a model computes of constants and shapes alone: it becomes part of the net's weights and shapes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pycaffe_lite.export.importing.caffe_net import InexpressibleError
from pycaffe_lite.export.importing.reading import widened
from pycaffe_lite.export.importing.values import Array, Shape

# Values of one constant, and the work of making it, in values of its inputs and outputs.
_MOST_VALUES = 2**28


def shapes_and_types(
    node: Any, opset: int, inputs: Mapping[str, Array | tuple[Shape, int]], ir_version: int
) -> dict[str, tuple[Shape | None, int]]:
    """The shape and the data type of each output of a node; the shape is None where nothing tells it.

    Args:
        node: an onnx.NodeProto. opset: the version of the operators. ir_version: of the model.
        inputs: by name: a constant, or shape and type of what is not.

    Raises:
        InexpressibleError: the node contradicts itself or its inputs.
    """
    import onnx
    from onnx import helper, numpy_helper, shape_inference

    if not onnx.defs.has(node.op_type, opset, node.domain):
        raise InexpressibleError(
            f"version {opset} of ONNX has no such operator",
            "export the model again: its exporter has left what it could not translate",
        )
    types, data = {}, {}
    for name, value in inputs.items():
        if isinstance(value, tuple):
            types[name] = helper.make_tensor_type_proto(value[1], value[0])
        else:
            kind = helper.np_dtype_to_tensor_dtype(value.dtype)
            types[name] = helper.make_tensor_type_proto(kind, value.shape)
            if value.size <= 4096:  # shapes, axes and the like; weights tell no shape by their values
                data[name] = numpy_helper.from_array(np.asarray(value))
    try:
        schema = onnx.defs.get_schema(node.op_type, opset, node.domain)
        found = shape_inference.infer_node_outputs(
            schema, node, types, data, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version
        )
    except Exception as error:  # of the library's C++ part, of various classes
        text = " ".join(str(error).split()).removeprefix("[ShapeInferenceError] ")
        raise InexpressibleError(f"it is wrong: {text[:300]}", "check the model (onnx.checker)") from None
    return {name: _shape_and_type(kind) for name, kind in found.items()}


def _shape_and_type(kind: Any) -> tuple[Shape | None, int]:
    tensor = kind.tensor_type
    dims = tensor.shape.dim
    if not tensor.HasField("shape") or not all(dim.HasField("dim_value") for dim in dims):
        return None, int(tensor.elem_type)
    return tuple(int(dim.dim_value) for dim in dims), int(tensor.elem_type)


def evaluate(
    node: Any, opset: int, inputs: Sequence[Array | None], outputs: Mapping[str, tuple[Shape | None, int]]
) -> list[Array]:
    """What a node makes of constants, computed by ONNX's own definition of it.

    Args:
        node: an onnx.NodeProto. opset: the version of the operators.
        inputs: constants; None for those that are left out. outputs: what is known of the results.

    Raises:
        InexpressibleError: it cannot be computed, or is too large.
    """
    counts = [value.size for value in inputs if value is not None]
    for shape, _ in outputs.values():
        if shape is not None and (any(n < 0 for n in shape) or math.prod(shape) > _MOST_VALUES):
            raise InexpressibleError(f"it makes a constant of shape {shape}, which is too large to be one")
        counts.append(math.prod(shape or ()))
    if node.op_type in ("MatMul", "Gemm", "Einsum", "Conv", "ConvTranspose"):
        counts.append(math.prod(counts))
    if max(counts) > _MOST_VALUES:
        raise InexpressibleError("it makes a constant of others by more work than a constant can need")
    from onnx.reference import ReferenceEvaluator

    given = {name: value for name, value in zip(node.input, inputs, strict=True) if value is not None}
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            results = ReferenceEvaluator(node, opsets={"": opset}).run(None, given)
    except Exception as error:  # whatever NumPy says to a damaged model
        raise InexpressibleError(f"it cannot be computed: {' '.join(str(error).split())[:300]}") from None
    arrays = [widened(np.asarray(result)) for result in results]
    if any(array.dtype.kind not in "fiub" for array in arrays):
        raise InexpressibleError("it makes a constant that holds no numbers")
    return arrays
