"""ONNX files: models in memory, and written without copies of their weights."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from pycaffe_lite.errors import WeightsError
from pycaffe_lite.export.onnx.graph import Array, Graph, Shape, onnx_package
from pycaffe_lite.export.onnx.layer_graph import FLOAT
from pycaffe_lite.formats import wire
from pycaffe_lite.formats.atomic import atomic_write, reason
from pycaffe_lite.formats.wireblob import size_of, write_part

PRODUCER = "pycaffe-lite"
# Protocol buffers read no larger message; beyond it weights go to a file of their own.
LIMIT = 2**31 - 2**20
# Of the file of weights: where each begins, so that it can be mapped into memory.
ALIGNMENT = 4096
# Constants of fewer bytes stay in the model: shapes and the like, which tools read.
_SMALL = 1024
_LONGEST = 100  # letters of a name that a temporary folder's begins with
# Field numbers of ModelProto, GraphProto and TensorProto.
_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9


def _head(graph: Graph, name: str, values: Mapping[str, Shape]) -> tuple[Any, Any]:
    """The model without its graph, and the graph without its constants."""
    onnx = onnx_package()
    helper = onnx.helper

    def infos(shapes: Mapping[str, Shape]) -> list[Any]:
        return [helper.make_tensor_value_info(value, FLOAT, list(shape)) for value, shape in shapes.items()]

    ends = {*graph.inputs, *graph.outputs}
    between = {
        value: shape for value, shape in values.items() if value not in ends and value not in graph.constants
    }
    body = helper.make_graph(
        graph.nodes, name or "net", infos(graph.inputs), infos(graph.outputs), value_info=infos(between)
    )
    versions = [helper.make_opsetid("", graph.opset)]
    head = onnx.ModelProto(
        ir_version=helper.find_min_ir_version_for(versions), producer_name=PRODUCER, opset_import=versions
    )
    return head, body


def _tensor(name: str, array: Array) -> Any:
    """A TensorProto without its values."""
    onnx = onnx_package()
    kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
    return onnx.TensorProto(name=name, dims=array.shape, data_type=kind)


def _as_stored(array: Array) -> Array:
    """An array as its bytes stand in a file: row by row, the least byte first."""
    return array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)


def model_of(graph: Graph, name: str, values: Mapping[str, Shape]) -> Any:
    """The ModelProto, with copies of all constants.

    Args:
        graph: the graph. name: its name. values: name → shape, of what is between inputs and outputs.
    """
    model, body = _head(graph, name, values)
    model.graph.CopyFrom(body)
    for constant, array in graph.constants.items():
        tensor = model.graph.initializer.add()
        tensor.CopyFrom(_tensor(constant, array))
        tensor.raw_data = _as_stored(array).tobytes()
    return model


@contextlib.contextmanager
def moved_when_right(file: Path) -> Iterator[Path]:
    """A place to write a model to, from which it is moved to its own if nothing is raised.

    Args:
        file: the model's own place. What lies beside the other one is moved to beside it.

    Raises:
        WeightsError: the folder is not there, or cannot be written to.
    """
    try:
        with tempfile.TemporaryDirectory(prefix=f".{file.name[:_LONGEST]}.", dir=file.parent) as folder:
            yield Path(folder) / file.name
            # The model last: it names what lies beside it.
            for written in sorted(Path(folder).iterdir(), reverse=True):
                os.replace(written, file.with_name(written.name))
    except OSError as failure:
        raise WeightsError(f"cannot write '{file}': {reason(failure)}") from None


def write_model(file: str | Path, graph: Graph, name: str, values: Mapping[str, Shape]) -> None:
    """Writes the model, whole or not at all, straight from the arrays' memory.

    Where it would be larger than protocol buffers can read, weights go to a second file beside it, of the
    same name and `.data`.

    Args:
        file: its name. graph, name, values: as in `model_of`.

    Raises:
        WeightsError: it cannot be written.
    """
    path = Path(file)
    model, body = _head(graph, name, values)
    arrays = {constant: _as_stored(array) for constant, array in graph.constants.items()}
    total = sum(array.nbytes for array in arrays.values())
    if total + body.ByteSize() > LIMIT:
        beside = path.with_name(f"{path.name}.data")
        with atomic_write(beside, error=WeightsError) as stream:
            fields = list(_write_beside(stream, beside.name, arrays))
    else:
        fields = [_field(_tensor(constant, array), array) for constant, array in arrays.items()]
    head, inner = model.SerializeToString(), body.SerializeToString()
    parts = [part for field in fields for part in field]
    with atomic_write(path, error=WeightsError) as stream:
        write_part(stream, head)
        write_part(stream, wire.length_head(_GRAPH, len(inner) + sum(size_of(part) for part in parts)))
        write_part(stream, inner)
        for part in parts:
            write_part(stream, part)


def _field(tensor: Any, array: Array | None) -> list[bytes | Array]:
    """A TensorProto as the graph's field: the parts to write one after another."""
    head = tensor.SerializeToString()
    if array is None or not array.size:
        return [wire.bytes_field(_INITIALIZER, head)]
    parts: list[bytes | Array] = [head, wire.length_head(_RAW_DATA, array.nbytes), array.reshape(-1)]
    return [wire.length_head(_INITIALIZER, sum(size_of(part) for part in parts)), *parts]


def _write_beside(stream: BinaryIO, name: str, arrays: Mapping[str, Array]) -> Iterator[list[bytes | Array]]:
    """Writes the values of large constants to a file; gives the graph's field of each constant."""
    onnx = onnx_package()
    for constant, array in arrays.items():
        tensor = _tensor(constant, array)
        if array.nbytes < _SMALL:
            yield _field(tensor, array)
            continue
        offset = -(-stream.tell() // ALIGNMENT) * ALIGNMENT
        stream.seek(offset)
        write_part(stream, array.reshape(-1))
        tensor.data_location = onnx.TensorProto.EXTERNAL
        place = {"location": name, "offset": offset, "length": array.nbytes}
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        yield _field(tensor, None)
