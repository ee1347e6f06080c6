"""A net made of an ONNX model: to be run, written, and compared with the model."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import numpy as np

from pycaffe_lite.errors import FileLookupError, OnnxError
from pycaffe_lite.export.importing.caffe_net import CaffeNet
from pycaffe_lite.export.importing.values import Array, Shape, View
from pycaffe_lite.formats import caffemodel
from pycaffe_lite.formats.atomic import atomic_write, open_regular
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.text_writer import TextWriter

_PIXELS = 64.0  # the deviation of a picture's values


class Place(NamedTuple):
    """Where an input or output of the model is in the net.

    Attributes:
        name: in the model. view: how the model reads the blob. blob: its name.
    """

    name: str
    view: View
    blob: str


class Difference(NamedTuple):
    """How far an output of the net is from the model's.

    Attributes:
        name: of the output. largest: of the differences of single values. value: the largest of the model's.
    """

    name: str
    largest: float
    value: float

    @property
    def relative(self) -> float:
        """The largest difference as a part of the largest value."""
        if self.largest == 0:
            return 0.0
        return self.largest / self.value if self.value > 0 else float("inf")


@dataclass
class ImportedNet:
    """A net of Caffe's layers that computes what an ONNX model computes.

    Attributes:
        name: of the net. layers: Caffe's, and their weights by the layer's name.
        model: the onnx.ModelProto. input_shapes: of the model, by name.
        inputs, outputs: of the model, each with its blob.
    """

    name: str
    layers: CaffeNet
    model: Any
    input_shapes: Mapping[str, Shape]
    inputs: Sequence[Place]
    outputs: Sequence[Place]

    @cached_property
    def message(self) -> caffe_pb2.NetParameter:
        """The net without its weights."""
        return caffe_pb2.NetParameter(name=self.name, layer=self.layers.layers)

    @property
    def prototxt(self) -> str:
        """The net as the text of a prototxt."""
        return TextWriter(self.message, {}).write()

    @cached_property
    def net(self) -> Net:
        """The net, with its weights, ready to run."""
        net = Net.from_proto(self.message, caffe_pb2.TEST)
        for name, arrays in self.layers.weights.items():
            wanted = [blob.shape for blob in net.params[name]]
            if wanted != [values.shape for values in arrays]:
                got = ", ".join(str(values.shape) for values in arrays)
                raise OnnxError(
                    f"the model contradicts itself: layer '{name}' needs weights of the shapes "
                    f"{', '.join(map(str, wanted))}, and has {got}"
                )
            for blob, values in zip(net.params[name], arrays, strict=True):
                blob.data[...] = values
        return net

    def write(self, path: str | os.PathLike[str]) -> tuple[Path, Path]:
        """Writes `path`.prototxt and `path`.caffemodel, each whole or not at all.

        Returns:
            The two paths.

        Raises:
            OnnxError: a file cannot be written, or the layers do not take their weights.
        """
        blobs = [list(self.net.params.get(layer.name, ())) for layer in self.layers.layers]
        base = os.fspath(path)
        prototxt, weights = Path(f"{base}.prototxt"), Path(f"{base}.caffemodel")
        caffemodel.write(weights, self.message, blobs, error=OnnxError)
        with atomic_write(prototxt, error=OnnxError) as file:
            file.write(self.prototxt.encode())
        return prototxt, weights

    def trial_inputs(self) -> Iterator[tuple[str, dict[str, Array]]]:
        """Inputs to compare with the model on, the same each time, with what they are in words.

        Small numbers, then for pictures some as large as those of pixels less their mean.
        """
        yield "random inputs", self.random_inputs()
        if any(len(place.view.shape) == 4 for place in self.inputs):
            yield "random pixels", self.random_inputs(_PIXELS)

    def random_inputs(self, size: float = 1.0) -> dict[str, Array]:
        """Inputs for the model: normal numbers of such a deviation; 0 and 1 where it takes integers."""
        random = np.random.default_rng(0)
        types = {value.name: value.type.tensor_type.elem_type for value in self.model.graph.input}
        arrays: dict[str, Array] = {}
        for place in self.inputs:
            shape = self.input_shapes[place.name]
            dtype = _dtype_of(types[place.name])
            if dtype.kind == "f":
                arrays[place.name] = (size * random.standard_normal(shape)).astype(dtype)
            else:
                arrays[place.name] = random.integers(0, 2, shape).astype(dtype)
        return arrays

    def read_inputs(self, path: Path) -> dict[str, Array]:
        """Inputs from a file: a .npz with an array for each, by name, or a .npy for a model with one.

        Raises:
            FileLookupError: the file is not there. OnnxError: it is damaged, or lacks an input.
        """
        try:
            with open_regular(path, error=OnnxError) as file:
                loaded = np.load(file, allow_pickle=False)
                arrays = dict(loaded) if isinstance(loaded, np.lib.npyio.NpzFile) else {"": loaded}
        except FileLookupError:
            raise
        except (ValueError, EOFError, OSError, BadZipFile) as error:
            raise OnnxError(f"'{path}' is no NumPy file of numbers: {' '.join(str(error).split())}") from None
        if "" in arrays and len(self.inputs) == 1:
            arrays[self.inputs[0].name] = arrays.pop("")
        types = {value.name: value.type.tensor_type.elem_type for value in self.model.graph.input}
        for place in self.inputs:
            if place.name not in arrays:
                raise OnnxError(f"'{path}' has no array for input '{place.name}' of the model")
            if arrays[place.name].dtype.kind not in "fiub":
                raise OnnxError(f"'{path}': the array for input '{place.name}' holds no numbers")
            arrays[place.name] = arrays[place.name].astype(_dtype_of(types[place.name]))
        return {place.name: arrays[place.name] for place in self.inputs}

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """What the net makes of the model's inputs: its outputs, in the model's order of axes.

        Raises:
            OnnxError: an input is missing or has another shape.
        """
        for place in self.inputs:
            shape = self.input_shapes[place.name]
            if place.name not in inputs or inputs[place.name].shape != shape:
                got = inputs[place.name].shape if place.name in inputs else "none"
                raise OnnxError(f"input '{place.name}' has the shape {shape}, got {got}")
            self.net.blobs[place.blob].data[...] = place.view.to_storage(
                np.asarray(inputs[place.name], np.float32)
            ).reshape(self.net.blobs[place.blob].data.shape)
        self.net.forward()
        return {
            place.name: place.view.from_storage(self.net.blobs[place.blob].data) for place in self.outputs
        }

    def differences(self, inputs: Mapping[str, Array]) -> list[Difference]:
        """How far the net is from the model, as ONNX Runtime computes that, for each output.

        Raises:
            OnnxError: ONNX Runtime is missing, or cannot run the model; an input is missing.
        """
        from pycaffe_lite.export.importing.reference import run_model

        theirs = run_model(self.model, self.input_shapes, inputs, [place.name for place in self.outputs])
        ours = self.run(inputs)
        return [_difference(place.name, ours[place.name], theirs[place.name]) for place in self.outputs]


def _dtype_of(kind: int) -> np.dtype:
    from onnx import helper

    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(kind))
    return dtype if dtype.kind in "fiub" else np.dtype(np.float32)


def _difference(name: str, ours: Array, theirs: Array) -> Difference:
    theirs = np.asarray(theirs, np.float64)
    same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    with np.errstate(invalid="ignore"):
        distances = np.where(same, 0, np.abs(ours - theirs))
    largest = float(np.max(np.where(np.isnan(distances), np.inf, distances), initial=0))
    finite = np.abs(theirs[np.isfinite(theirs)])
    return Difference(name, largest, float(np.max(finite, initial=0)))
