"""An exported file against the net: run by ONNX Runtime, or by OpenCV, on the same inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from pycaffe_lite.errors import ArgumentError, LayerError, WeightsError
from pycaffe_lite.export.compare import Difference, are_detections, compared_scores, output_difference
from pycaffe_lite.export.inputs import checked_inputs, random_inputs
from pycaffe_lite.export.onnx.graph import Array
from pycaffe_lite.export.onnx.model import Export
from pycaffe_lite.export.onnx.shapes import BATCH
from pycaffe_lite.extras import missing
from pycaffe_lite.kernels import get_num_threads

_OPENCV = 5
GIVEN = "the given inputs"

Arrays = dict[str, Array]


class Runner(Protocol):
    """A program that has loaded an exported file.

    Attributes:
        name: of the program, with its version.
    """

    name: str

    def run(self, inputs: Mapping[str, Array]) -> Arrays:
        """The outputs for these inputs, by name."""


class _OnnxRuntime:
    def __init__(self, file: Path) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise ArgumentError(missing("checking an export", "onnxruntime", "onnx")) from None
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = get_num_threads()
        # The file is run a few times: packing its weights would take longer than that, and as much memory.
        options.add_session_config_entry("session.disable_prepacking", "1")
        self.name = f"ONNX Runtime {onnxruntime.__version__}"
        try:
            self._session = onnxruntime.InferenceSession(
                str(file), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise WeightsError(f"{self.name} cannot load the exported file: {error}") from None
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, inputs: Mapping[str, Array]) -> Arrays:
        try:
            return dict(zip(self._outputs, self._session.run(None, dict(inputs)), strict=True))
        except Exception as error:
            raise WeightsError(f"{self.name} cannot run the exported file: {error}") from None


class _OpenCV:
    def __init__(self, file: Path, outputs: list[str]) -> None:
        try:
            import cv2
        except ImportError:
            raise ArgumentError("checking an export for OpenCV needs OpenCV 5: it is not installed") from None
        if int(cv2.__version__.split(".")[0]) < _OPENCV:
            raise ArgumentError(f"checking an export for OpenCV needs OpenCV 5, not {cv2.__version__}")
        self.name = f"OpenCV {cv2.__version__}"
        self._error: type[Exception] = cv2.error
        self._outputs = outputs
        try:
            self._net: Any = cv2.dnn.readNetFromONNX(str(file))
        except cv2.error as error:
            raise WeightsError(f"{self.name} cannot load the exported file: {error}") from None

    def run(self, inputs: Mapping[str, Array]) -> Arrays:
        try:
            for name, values in inputs.items():
                self._net.setInput(values, name)
            results = self._net.forward(self._outputs)
        except self._error as error:
            raise WeightsError(f"{self.name} cannot run the exported file: {error}") from None
        return {name: _without_room(values) for name, values in zip(self._outputs, results, strict=True)}


def _without_room(values: Array) -> Array:
    """An output without the rows of zeros that OpenCV puts behind detections, (1, 1, M, 7)."""
    if not are_detections(values):
        return np.array(values)
    used = np.flatnonzero(values[0, 0].any(axis=1))
    return np.array(values[:, :, : used.max(initial=-1) + 1])


def runner_for(export: Export, file: Path) -> Runner:
    """What an export is for, with the file loaded.

    Raises:
        ArgumentError: it is not installed. WeightsError: it cannot load the file.
    """
    if export.target == "opencv5":
        return _OpenCV(file, list(export.output_blobs))
    return _OnnxRuntime(file)


class Case(NamedTuple):
    """A pass of the net.

    Attributes:
        what: the inputs are, in words. inputs, outputs: by name.
        scores: of outputs that are places of largest values, what was compared.
    """

    what: str
    inputs: Arrays
    outputs: Arrays
    scores: Arrays


def cases(export: Export, given: Mapping[str, Array] | None = None) -> list[Case]:
    """Runs the net on random inputs, and on those of the user.

    Args:
        export: whose net. given: inputs by name; None for none.

    Raises:
        DataError: the given inputs are not the net's.
        ArgumentError: there are none, and the net does not take random ones.
    """
    free = [name for name in export.net.inputs if BATCH in export.graph.inputs[name]]
    all_inputs = [*random_inputs(export.net, more=free)]
    if given is not None:
        all_inputs.append((GIVEN, checked_inputs(export.net, given)))
    found, problem = [], ""
    for what, inputs in all_inputs:
        try:
            outputs = export.run(inputs)
        except LayerError as error:
            if what == GIVEN:
                raise
            problem = f"{what} do not suit the net: {error}; give some by --input"
            continue
        of_blobs = compared_scores(export.net)
        scores = {name: of_blobs[i] for name, i in export.output_blobs.items() if i in of_blobs}
        found.append(Case(what, inputs, outputs, scores))
    if not found:
        raise ArgumentError(problem)
    return found


def differences(export: Export, runner: Runner, expected: Sequence[Case]) -> list[Difference]:
    """Runs the file, pass by pass, and compares all outputs with the net's.

    Args:
        export: what was written. runner: of the file. expected: what the net gives.

    Raises:
        WeightsError: the file cannot be run.
    """
    found: list[Difference] = []
    carried: Arrays = {}
    for what, inputs, outputs, scores in expected:
        got = runner.run({**inputs, **carried})
        carried = export.carried_over(got)
        if export.target == "opencv5":
            outputs = {name: _as_opencv_has_it(values) for name, values in outputs.items()}
        for name, values in outputs.items():
            found.append(output_difference(what, name, got.get(name), values, scores.get(name)))
    return found


def _as_opencv_has_it(values: Array) -> Array:
    """Detections without Caffe's rows of -1, which stand for none; a number with an axis."""
    if not are_detections(values):
        return values.reshape(values.shape or (1,))
    return values[:, :, (values[0, 0, :, 1:] != -1).any(axis=1)]
