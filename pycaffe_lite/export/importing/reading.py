"""ONNX models from files: checked before anything is made of them, and nothing in them is run."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pycaffe_lite.errors import OnnxError
from pycaffe_lite.export.importing.values import Array, Shape
from pycaffe_lite.extras import missing
from pycaffe_lite.formats import kinds
from pycaffe_lite.formats.atomic import open_regular, read_bytes

try:
    import onnx
    from google.protobuf.message import DecodeError
    from onnx import TensorProto, helper, numpy_helper
except ImportError:  # said by `need_onnx` to those who ask for a model
    onnx = None

# A limit for damaged files: values of one tensor.
MAX_COUNT = 2**31 - 1
_DOMAINS = ("", "ai.onnx")
# Numbers that take less than a byte, each by two or four in one.
_PACKED = ("INT4", "UINT4", "INT2", "UINT2", "FLOAT4E2M1")


def need_onnx() -> None:
    """Raises an error that says how to install the package onnx, if it is not there."""
    if onnx is None:
        raise OnnxError(missing("importing a model", "onnx", "onnx"))


def load(path: str | os.PathLike[str]) -> Any:
    """A model with all its weights in memory.

    Args:
        path: of the .onnx file. Weights in files of their own have to lie in its folder or below.

    Returns:
        An onnx.ModelProto.

    Raises:
        FileLookupError: a file is not there.
        OnnxError: it is damaged or no model; weights lie elsewhere; the package onnx is missing.
    """
    need_onnx()
    data = read_bytes(path, error=OnnxError)
    if not len(data):
        raise OnnxError(f"'{path}' is empty")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data.tobytes())
    except (DecodeError, ValueError) as error:
        raise OnnxError(_no_model(path, data, str(error))) from None
    if not model.graph.node and not model.graph.output:
        raise OnnxError(_no_model(path, data, "it has no graph"))
    _check_texts(model, path)
    for tensor in tensors_of(model):
        if tensor.data_location == TensorProto.EXTERNAL:
            _load_external(tensor, Path(path))
    return model


def _no_model(path: Any, data: npt.NDArray[np.uint8], problem: str) -> str:
    """The message that a file is no ONNX model, with what it is if that can be told."""
    kind = kinds.kind_of(data)
    looks_alike = (kinds.STATE, kinds.BLOB)  # what a model that is cut off may seem to be
    if kind is not None and kind.name != "an ONNX model" and kind not in looks_alike:
        return f"'{path}' is {kind.name}, not an ONNX model"
    return f"'{path}' is damaged or not an ONNX model: {problem}"


def _check_texts(model: Any, path: Any) -> None:
    """Makes sure that names are texts: of bytes that are none, protobuf may make what is no str."""
    graph = model.graph
    named = (*graph.initializer, *graph.input, *graph.output, *model.functions)
    try:
        texts = [
            graph.name,
            *(value.name for value in named),
            *(entry.domain for entry in model.opset_import),
        ]
        for node in graph.node:
            texts += [node.name, node.op_type, node.domain, *node.input, *node.output]
            texts += [attribute.name for attribute in node.attribute]
        is_damaged = any(isinstance(text, bytes) for text in texts)
    except UnicodeDecodeError:
        is_damaged = True
    if is_damaged:
        raise OnnxError(f"'{path}' is damaged: a name in it is no text")


def tensors_of(model: Any) -> Iterator[Any]:
    """All tensors that a model holds: initializers, and attributes of nodes at any depth."""
    for function in model.functions:
        yield from _tensors_of_nodes(function.node)
    yield from _tensors_of_graph(model.graph)


def _tensors_of_graph(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _tensors_of_nodes(graph.node)


def _tensors_of_nodes(nodes: Sequence[Any]) -> Iterator[Any]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            if attribute.HasField("g"):
                yield from _tensors_of_graph(attribute.g)
            for graph in attribute.graphs:
                yield from _tensors_of_graph(graph)


def _load_external(tensor: Any, model: Path) -> None:
    """Reads a tensor's values from the file that it names, which has to lie with the model."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    what = f"'{model}': the values of tensor '{tensor.name}' are in the file '{location}'"
    folder = os.path.realpath(model.parent)
    file = os.path.realpath(os.path.join(folder, location))
    if not location or "\0" in location or os.path.isabs(location) or not file.startswith(folder + os.sep):
        raise OnnxError(f"{what}, which is not in the model's folder: only files there are read")
    try:
        offset = int(entries.get("offset", 0))
        length = int(entries.get("length", _byte_size(tensor)))
    except ValueError:
        raise OnnxError(f"{what}, at a place that is no number") from None
    if offset < 0 or length != _byte_size(tensor):
        shape = tuple(tensor.dims)
        raise OnnxError(f"{what}: {length} bytes at {offset} are no tensor of shape {shape}")
    with open_regular(file, error=OnnxError) as opened:
        size = opened.seek(0, os.SEEK_END)
        if offset + length > size:
            raise OnnxError(
                f"{what}, which has {size} bytes: those from {offset} to {offset + length} are missing"
            )
        opened.seek(offset)
        tensor.raw_data = opened.read(length)
    tensor.ClearField("external_data")
    tensor.ClearField("data_location")


def _byte_size(tensor: Any) -> int:
    count = _count(tensor)
    try:
        if TensorProto.DataType.Name(tensor.data_type) in _PACKED:
            return -(-count // 2)
        return count * int(helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)
    except (KeyError, ValueError, TypeError):
        raise OnnxError(f"tensor '{tensor.name}' has the unknown data type {tensor.data_type}") from None


def _count(tensor: Any) -> int:
    if any(n < 0 for n in tensor.dims) or math.prod(tensor.dims) > MAX_COUNT:
        raise OnnxError(f"tensor '{tensor.name}' has the impossible shape {tuple(tensor.dims)}")
    return math.prod(tensor.dims)


def array_of(tensor: Any) -> Array:
    """The values of a tensor; those of 16-bit floats as float32.

    Raises:
        OnnxError: its shape and its values do not fit together, or it holds texts.
    """
    count = _count(tensor)
    if tensor.data_type == TensorProto.STRING:
        raise OnnxError(f"tensor '{tensor.name}' holds texts")
    if tensor.HasField("raw_data") and len(tensor.raw_data) != _byte_size(tensor):
        raise OnnxError(
            f"tensor '{tensor.name}' of shape {tuple(tensor.dims)} holds {len(tensor.raw_data)} bytes"
        )
    try:
        values: Array = numpy_helper.to_array(tensor)
    except Exception as error:  # whatever the library meets in a damaged tensor
        raise OnnxError(f"tensor '{tensor.name}' is damaged: {' '.join(str(error).split())}") from None
    if values.size != count:
        raise OnnxError(f"tensor '{tensor.name}' of shape {tuple(tensor.dims)} holds {values.size} values")
    return widened(values)


def widened(values: Array) -> Array:
    """The values; those of 16 bits and less, some of which are no numbers to NumPy, as float32."""
    is_half = values.dtype.kind == "f" and values.dtype.itemsize == 2
    return values.astype(np.float32) if is_half or values.dtype.kind == "V" else values


def opset_of(model: Any) -> int:
    """The version of the operators that a model uses.

    Raises:
        OnnxError: there is none.
    """
    versions = [entry.version for entry in model.opset_import if entry.domain in _DOMAINS]
    if not versions:
        raise OnnxError("the model does not say which version of ONNX's operators it uses")
    newest = onnx.defs.onnx_opset_version()
    if not 1 <= versions[0] <= newest:
        raise OnnxError(
            f"the model uses version {versions[0]} of ONNX's operators; onnx {onnx.__version__} knows 1 to "
            f"{newest}: a newer one may be needed"
        )
    return int(versions[0])


def flat(model: Any) -> Any:
    """The model without functions of its own: their nodes stand where they were called.

    Raises:
        OnnxError: a function calls itself, or is damaged.
    """
    if not model.functions:
        return model
    from onnx import inliner

    try:
        return inliner.inline_local_functions(model)
    except Exception as error:  # of the library's C++ part
        raise OnnxError(f"the model's functions are damaged: {' '.join(str(error).split())}") from None


def input_shapes(
    graph: Any, constants: Mapping[str, Any], batch: int, given: Mapping[str, Shape]
) -> dict[str, Shape]:
    """The shape of each input; a first axis whose size the model leaves open gets the batch size.

    Args:
        graph: of the model. constants: names of its initializers, which may be listed as inputs, too.
        batch: for open first axes. given: shapes that go before what the model says.

    Raises:
        OnnxError: another axis is open, or a shape is given for an input that there is not.
    """
    shapes: dict[str, Shape] = {}
    for value in graph.input:
        if value.name in constants:
            continue
        shapes[value.name] = given[value.name] if value.name in given else _shape_of(value, batch)
        if any(n < 1 for n in shapes[value.name]) or math.prod(shapes[value.name]) > MAX_COUNT:
            raise OnnxError(f"input '{value.name}' has the impossible shape {shapes[value.name]}")
    if unknown := set(given) - set(shapes):
        name = min(unknown)
        raise OnnxError(f"the model has no input '{name}' (its inputs: {', '.join(shapes) or 'none'})")
    return shapes


def _shape_of(value: Any, batch: int) -> Shape:
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type"):
        raise OnnxError(f"input '{value.name}' is no tensor: Caffe has nothing else")
    if not tensor.HasField("shape"):
        raise OnnxError(
            f"the model does not say what shape input '{value.name}' has: --shape {value.name}=N,C,H,W"
        )
    shape = []
    for i, dim in enumerate(tensor.shape.dim):
        if dim.HasField("dim_value") and dim.dim_value > 0:
            shape.append(int(dim.dim_value))
        elif i == 0:
            shape.append(batch)
        else:
            example = ",".join(
                str(d.dim_value or (batch if j == 0 else "N")) for j, d in enumerate(tensor.shape.dim)
            )
            name = dim.dim_param or "?"
            raise OnnxError(
                f"axis {i} of input '{value.name}' has no fixed size ('{name}'): say it by --shape "
                f"{value.name}={example}"
            )
    return tuple(shape)


def type_of_input(value: Any) -> int:
    """The data type of an input, as ONNX numbers them."""
    return int(value.type.tensor_type.elem_type)
