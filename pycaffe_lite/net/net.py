"""Net: a graph of layers that runs forward and backward; pycaffe's class."""

from __future__ import annotations

import logging
import os
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from pycaffe_lite import glog
from pycaffe_lite.blob import Array, Blob, BlobVec
from pycaffe_lite.data.share import WHOLE, Share
from pycaffe_lite.errors import ArgumentError, ArgumentTypeError, InputArrayError, NameLookupError
from pycaffe_lite.kernels import Timeline
from pycaffe_lite.layer.base import Layer
from pycaffe_lite.layer.data.memory_data import MemoryDataLayer
from pycaffe_lite.net import batches
from pycaffe_lite.net import weights as weight_files
from pycaffe_lite.net.arguments import (
    NetArguments,
    input_array,
    names_of,
    net_arguments,
    path_of,
    state_arguments,
)
from pycaffe_lite.net.copying import Copies
from pycaffe_lite.net.debug import DebugInfo
from pycaffe_lite.net.fork_fields import check_fields, settle_batch_norms
from pycaffe_lite.net.fusion import backward_parts, forward_parts
from pycaffe_lite.net.graph import Graph, blobs_of, missing_gradient
from pycaffe_lite.net.joining import join_in_place
from pycaffe_lite.net.low_level import LowLevel
from pycaffe_lite.net.parts import Part
from pycaffe_lite.net.passes import Pass
from pycaffe_lite.net.recordings import Recordings
from pycaffe_lite.net.sharing import ParamTable
from pycaffe_lite.net.splits import insert_splits
from pycaffe_lite.net.state import PlacedLayer, filter_layers
from pycaffe_lite.net.turn import Turn
from pycaffe_lite.printable import Lines
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import Document, parse, read_net, text_of, upgrade_part

log = logging.getLogger(__name__)

StrPath = str | os.PathLike[str]
LayerCallback = Callable[[int], object]


class Net(Copies, LowLevel):
    """A net in one phase, ready to run.

    `Net(file, phase)` reads a prototxt and fills the weights as it says. `weights` names one or more weight
    files, separated by commas, whose values replace these. The order of all arguments is
    `Net(file, phase, level, stages, weights)`. The older form `Net(file, weights_file, phase)` works too,
    also with the phase as a keyword; every form needs the phase.

    A net is for one thread at a time. If several threads ask it for passes, these run one after another, but
    each overwrites the blobs that the caller of the last one may still be reading. See
    docs/threads-and-processes.md.

    Args:
        network_file: a net prototxt.
        phase: `TRAIN` or `TEST`.
        level: the net's level, which include and exclude rules ask for.
        stages: a list of the net's stages, which these rules ask for as well.
        weights: .caffemodel or .caffemodel.h5 files.
        dtype: float32, or float64 for gradient checks.
        strict: a field that the schema does not know is an error.

    Attributes:
        blobs: name → Blob, in the order in which they are made. params: layer name → its learnable blobs.
        layers: the layers in order. layer_dict: the same by name.
        inputs: names of the blobs that the caller fills. outputs: names of those that no layer reads, in
            alphabetical order.
        graph: the layers as a graph, each with its bottoms and tops (`net.graph.Graph`).
        followers: the nets that share this net's weights whenever a file is loaded into it: a solver's test
            nets.

    Raises:
        ArgumentError: the phase is missing, or an argument is of the wrong kind.
        FileLookupError: a file is missing. PrototxtError: the prototxt cannot be read.
        NetError: the layers do not fit together. WeightsError: the weights do not fit.

    Source: BVLC/caffe src/caffe/net.cpp, python/caffe/pycaffe.py
    """

    @overload
    def __init__(
        self,
        network_file: StrPath,
        phase: int,
        level: int = 0,
        stages: Iterable[str] | None = None,
        weights: StrPath | None = None,
        *,
        dtype: npt.DTypeLike = np.float32,
        strict: bool = False,
    ) -> None: ...

    @overload
    def __init__(
        self,
        network_file: StrPath,
        weights: StrPath,
        /,
        phase: int,
        *,
        dtype: npt.DTypeLike = np.float32,
        strict: bool = False,
    ) -> None: ...

    def __init__(
        self,
        network_file: Any,
        *rest: Any,
        phase: Any = None,
        level: Any = None,
        stages: Any = None,
        weights: Any = None,
        dtype: npt.DTypeLike = np.float32,
        strict: bool = False,
    ) -> None:
        given = net_arguments(network_file, phase, rest, level, stages, weights)
        self._build_as(read_net(given.file, strict=strict), given, dtype)

    def _build_as(
        self, document: Document[caffe_pb2.NetParameter], given: NetArguments, dtype: npt.DTypeLike
    ) -> None:
        state = document.message.state
        state.phase = given.phase
        state.level = given.level
        state.stage.extend(given.stages)
        self._build(document, np.dtype(dtype))
        for file in given.weights:
            self.copy_from(file)

    @classmethod
    def from_proto(
        cls,
        message: caffe_pb2.NetParameter,
        phase: int,
        level: int = 0,
        stages: Iterable[str] | None = None,
        weights: StrPath | None = None,
        *,
        dtype: npt.DTypeLike = np.float32,
    ) -> Net:
        """A net from its message, which stays as it is: what `NetSpec.to_proto` gives, say.

        Args:
            message: of any format that a prototxt may have. The others: as in `Net`.

        Raises:
            PrototxtError: it makes no sense in its own format; and as `Net`.
        """
        given = state_arguments("a message", phase, level, stages, weights)
        if not isinstance(message, caffe_pb2.NetParameter):
            raise ArgumentTypeError(f"from_proto takes a NetParameter, got {type(message).__name__}")
        copy = caffe_pb2.NetParameter()
        copy.CopyFrom(message)
        net = cls.__new__(cls)
        net._build_as(upgrade_part(Document(copy)), given, dtype)
        return net

    @classmethod
    def from_text(
        cls,
        text: str,
        phase: int,
        level: int = 0,
        stages: Iterable[str] | None = None,
        weights: StrPath | None = None,
        *,
        dtype: npt.DTypeLike = np.float32,
        strict: bool = False,
    ) -> Net:
        """A net from the text of a prototxt.

        Args:
            text: as it would stand in a file. The others: as in `Net`.

        Raises:
            PrototxtError: the text cannot be read; and as `Net`.
        """
        given = state_arguments("a text", phase, level, stages, weights)
        net = cls.__new__(cls)
        net._build_as(upgrade_part(parse(text, caffe_pb2.NetParameter, strict=strict)), given, dtype)
        return net

    @classmethod
    def from_document(
        cls,
        document: Document[caffe_pb2.NetParameter],
        *,
        dtype: npt.DTypeLike = np.float32,
        share: Share = WHOLE,
    ) -> Net:
        """Makes a net from a prototxt that has been read, in the state that its message gives.

        Args:
            document: the prototxt. dtype: as in `Net`.
            share: which records its data layers take, where several nets share out the work.
        """
        net = cls.__new__(cls)
        net._build(document, np.dtype(dtype), share)
        return net

    def _build(
        self, document: Document[caffe_pb2.NetParameter], dtype: np.dtype, share: Share = WHOLE
    ) -> None:
        if dtype not in (np.float32, np.float64):
            raise ArgumentError(f"a net's dtype is float32 or float64, not {dtype}")
        glog.open_log()
        param = document.message
        placed = [PlacedLayer(layer, document.where(("layer", i))) for i, layer in enumerate(param.layer)]
        layers = filter_layers(placed, param.state)
        kept = {id(layer) for layer in layers}
        indices = [i for i, layer in enumerate(placed) if id(layer) in kept]
        check_fields(document, indices)
        settle_batch_norms(param, indices)
        self.name: str = param.name
        self.phase: int = param.state.phase
        self.state = param.state
        self.dtype = dtype
        if log.isEnabledFor(logging.INFO):
            log.info("Initializing net from parameters: \n%s", Lines(_text_of(param, layers)))
        self._file = document.path
        folder = document.path.parent if document.path else None
        self.graph = Graph(
            insert_splits(layers),
            param.state,
            left_out=[layer for layer in placed if id(layer) not in kept],
            dtype=dtype,
            folder=folder,
            force_backward=param.force_backward,
            share=share,
        )
        join_in_place(self.graph.nodes)
        self._turn = Turn()
        nodes, self._changes = self.graph.nodes, self.graph.changes
        self._recordings = recordings = Recordings(blobs_of(nodes), self._changes)
        self._forward_at = -1  # the blobs' changes when the last whole forward pass was over
        forward: list[Part] = [*forward_parts(nodes)]
        backward: list[Part] = [*backward_parts(nodes)]
        self._parts = [*forward, *backward]
        self._forward_pass = Pass(forward, recordings)
        self._backward_pass = Pass(backward, recordings, self.learnable_params)
        self._backward_parts = backward
        self._both_passes = Pass(self._parts, recordings, self.learnable_params)
        self._before_forward: list[LayerCallback] = []
        self._after_forward: list[LayerCallback] = []
        self._before_backward: list[LayerCallback] = []
        self._after_backward: list[LayerCallback] = []
        self.followers: weakref.WeakSet[Net] = weakref.WeakSet()
        self._debug = DebugInfo(self.graph)
        self.debug_info: bool = param.debug_info
        self._has_warned = False  # whether it has warned of a backward pass without gradients
        self._check_names()
        log.info("Network initialization done.")

    def _check_names(self) -> None:
        seen: set[str] = set()
        for name in self.layer_names:
            if name in seen:
                log.warning("layer name '%s' is used more than once: lookups by name give the last", name)
            seen.add(name)

    @property
    def file(self) -> Path | None:
        """The prototxt that it was read from; None where it was none."""
        return self._file

    # ------------------------------------------------------------------ parts
    # Two threads that ask for one of these for the first time may get two dictionaries, which are equal.

    @property
    def layers(self) -> list[Layer[Any]]:
        """The layers in the order in which they run, including Split layers."""
        return [node.layer for node in self.graph.nodes]

    @cached_property
    def layer_names(self) -> list[str]:
        """Names of the layers in order."""
        return [node.layer.name for node in self.graph.nodes]

    @cached_property
    def layer_dict(self) -> OrderedDict[str, Layer[Any]]:
        """Layers by name; the last layer of a name that is used twice."""
        return OrderedDict((node.layer.name, node.layer) for node in self.graph.nodes)

    @cached_property
    def blobs(self) -> OrderedDict[str, Blob]:
        """Blobs by name, in the order in which they are made."""
        return OrderedDict(zip(self.graph.blob_names, self.graph.blobs, strict=True))

    @cached_property
    def blob_loss_weights(self) -> OrderedDict[str, float]:
        """The weight of each blob in the loss, by name."""
        return OrderedDict(zip(self.graph.blob_names, self.graph.blob_loss_weights, strict=True))

    @cached_property
    def params(self) -> OrderedDict[str, BlobVec]:
        """The learnable blobs of each layer that has any, by the layer's name."""
        return OrderedDict((n.layer.name, n.layer.blobs) for n in self.graph.nodes if n.layer.blobs)

    @cached_property
    def inputs(self) -> list[str]:
        """Names of the blobs that the caller fills: the tops of Input layers."""
        return [self.graph.blob_names[i] for i in self.graph.inputs]

    @cached_property
    def outputs(self) -> list[str]:
        """Names of the blobs that no layer reads, in alphabetical order."""
        return [self.graph.blob_names[i] for i in self.graph.outputs]

    @cached_property
    def top_names(self) -> OrderedDict[str, list[str]]:
        """The names of each layer's tops."""
        names = self.graph.blob_names
        return OrderedDict((n.layer.name, [names[i] for i in n.top_ids]) for n in self.graph.nodes)

    @cached_property
    def bottom_names(self) -> OrderedDict[str, list[str]]:
        """The names of each layer's bottoms."""
        names = self.graph.blob_names
        return OrderedDict((n.layer.name, [names[i] for i in n.bottom_ids]) for n in self.graph.nodes)

    @property
    def param_table(self) -> ParamTable:
        """All learnable blobs with their owners and multipliers."""
        return self.graph.params

    @property
    def learnable_params(self) -> list[Blob]:
        """The blobs that a solver updates: each shared one once, in construction order."""
        return self.graph.params.learnable

    @cached_property
    def params_lr(self) -> list[float]:
        """lr_mult of each learnable param."""
        return [1.0 if m is None else m for m in self.graph.params.lr_mult]

    @cached_property
    def params_weight_decay(self) -> list[float]:
        """decay_mult of each learnable param."""
        return [1.0 if m is None else m for m in self.graph.params.decay_mult]

    # ----------------------------------------------------------------- running

    def _forward(self, start: int, end: int) -> float:
        """Runs layers `start` to `end`, both included; returns their part of the loss."""
        whole = start == 0 and end == len(self.graph.nodes) - 1
        if whole and not (self.debug_info or self._before_forward or self._after_forward):
            loss = self._forward_pass.run()
            self._forward_at = self._changes.number
            return loss
        loss = 0.0
        for i in range(start, end + 1):
            for callback in self._before_forward:
                callback(i)
            node = self.graph.nodes[i]
            node.reshape()
            node.layer.forward(node.bottom, node.top)
            loss += node.layer.loss(node.top)
            if self.debug_info:
                self._debug.after_forward(i)
            for callback in self._after_forward:
                callback(i)
        if whole:
            self._forward_at = self._changes.number
        return loss

    def _backward(self, start: int, end: int) -> None:
        """Runs layers `start` down to `end`, both included, backward."""
        whole = start == len(self.graph.nodes) - 1 and end == 0
        # What layers keep for a backward pass has to come from a forward pass with these shapes.
        fits = self._forward_at == self._changes.number
        if whole and fits and not (self.debug_info or self._before_backward or self._after_backward):
            self._backward_pass.run()
            return
        for i in range(start, end - 1, -1):
            for callback in self._before_backward:
                callback(i)
            node = self.graph.nodes[i]
            if node.need_backward:
                node.layer.backward(node.top, node.bottom_need_backward, node.bottom)
                if self.debug_info:
                    self._debug.after_backward(i)
            for callback in self._after_backward:
                callback(i)
        if self.debug_info:
            self._debug.after_all()

    @contextmanager
    def timed_by(self, timeline: Timeline) -> Iterator[None]:
        """Tells a timeline of each part of a pass that is not replayed, for as long as a block runs."""
        for part in self._parts:
            vars(part)["run"] = partial(_run_in_span, timeline, part)
        try:
            yield
        finally:
            for part in self._parts:
                del vars(part)["run"]

    @property
    def is_watched(self) -> bool:
        """Whether anybody looks at the blobs between two layers: a callback, or debug_info."""
        callbacks = self._before_forward, self._after_forward, self._before_backward, self._after_backward
        return self.debug_info or any(callbacks)

    def forward_loss(self) -> float:
        """Runs all layers forward and returns the loss."""
        with self._turn.lock:
            return self._forward(0, len(self.graph.nodes) - 1)

    def forward_backward(self) -> float:
        """Runs all layers forward and backward; returns the loss.

        Raises:
            LayerError: a loss got a label that is no class. Gradients may already have been added to.
        """
        last = len(self.graph.nodes) - 1
        with self._turn.lock:
            if not self.is_watched:
                loss = self._both_passes.run()
                self._forward_at = self._changes.number
                return loss
            loss = self._forward(0, last)
            self._backward(last, 0)
            return loss

    def gradients_by_part(self) -> list[list[int]]:
        """For each part of the backward pass, in order, which learnable params' gradients it completes."""
        owners = {id(param.blob): param.learnable for param in self.graph.params.params}
        last: dict[int, int] = {}
        for number, part in enumerate(self._backward_parts):
            for node in part.nodes:
                layer = node.layer
                for blob, wanted in zip(layer.blobs, layer.param_propagate_down, strict=True):
                    if wanted:
                        last[owners[id(blob)]] = number
        return [[k for k, at in last.items() if at == number] for number in range(len(self._backward_parts))]

    def forward_backward_calling(self, calls: Mapping[int, Callable[[], object]]) -> Callable[[], float]:
        """What `forward_backward` does, made so that it calls functions on its way.

        Args:
            calls: the functions, by the number of backward parts that have run then.
        """
        first = len(self._parts) - len(self._backward_parts)
        at = {first + number: function for number, function in calls.items()}
        both = Pass(self._parts, self._recordings, self.learnable_params, at)

        def run() -> float:
            with self._turn.lock:
                loss = both.run()
                self._forward_at = self._changes.number
                return loss

        return run

    def forward(
        self,
        blobs: Iterable[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **inputs: npt.ArrayLike,
    ) -> dict[str, Array]:
        """Runs the net, or the layers from `start` to `end`, forward.

        Args:
            blobs: names of blobs to return besides the outputs.
            start: name of the first layer to run. end: of the last one, included.
            inputs: an array for each input blob, by name; either all or none must be given. The first axis
                must have the blob's length.

        Returns:
            Name → data of the outputs (or of the tops of `end`) and of `blobs`: live views.

        Raises:
            ArgumentError: no such layer, or inputs that are not the net's.
            NameLookupError: no such blob.
        """
        more = names_of(blobs, "blobs")
        first = 0 if start is None else self._layer_index(start)
        last = len(self.graph.nodes) - 1 if end is None else self._layer_index(end)
        names = [*(self.outputs if end is None else self.top_names[end]), *more]
        with self._turn.lock:
            if inputs:
                self._check_keys("input", inputs, self.inputs)
                for name, value in inputs.items():
                    self.blobs[name].data[...] = self._checked(name, value)
            self._forward(first, last)
            return {name: self._blob(name).data for name in names}

    def backward(
        self,
        diffs: Iterable[str] | None = None,
        start: str | None = None,
        end: str | None = None,
        **output_diffs: npt.ArrayLike,
    ) -> dict[str, Array]:
        """Runs the net, or the layers from `start` down to `end`, backward.

        Args:
            diffs: names of blobs whose diff to return besides the inputs'.
            start: name of the first layer to run (the highest). end: of the last one, included.
            output_diffs: an array for each output blob, by name; if none is given, the present diffs count,
                which for losses are their weights.

        Returns:
            Name → diff of the inputs (or of the bottoms of `end`) and of `diffs`: live views.

        Raises:
            ArgumentError: no such layer, or diffs that are not the net's outputs.
            NameLookupError: no such blob.
        """
        more = names_of(diffs, "diffs")
        first = len(self.graph.nodes) - 1 if start is None else self._layer_index(start)
        last = 0 if end is None else self._layer_index(end)
        names = [*(self.inputs if end is None else self.bottom_names[end]), *more]
        with self._turn.lock:
            if output_diffs:
                self._check_keys("output", output_diffs, self.outputs)
                for name, value in output_diffs.items():
                    self.blobs[name].diff[...] = self._checked(name, value)
            if not self._has_warned:
                self._warn_without_gradient(first, last, more or (names if output_diffs else []))
            self._backward(first, last)
            return {name: self._blob(name).diff for name in names}

    def forward_all(self, blobs: Iterable[str] | None = None, **inputs: npt.ArrayLike) -> dict[str, Array]:
        """Runs the net on any number of items, batch after batch, the last one filled up with zeros.

        Args:
            blobs: names of blobs to return besides the outputs.
            inputs: the items for each input blob, by name, along the first axis. A batch has as many as the
                net's first blob.

        Returns:
            Name → data for all items, in fresh arrays.

        Raises:
            ArgumentError: as in `forward`; no items, or not as many for each input.
            ArgumentTypeError: an output has no value for each item, as a loss.
        """
        with self._turn.lock:
            return batches.forward_all(self, names_of(blobs, "blobs"), _arrays(inputs))

    def forward_backward_all(
        self, blobs: Iterable[str] | None = None, diffs: Iterable[str] | None = None, **arrays: npt.ArrayLike
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """Runs the net forward and backward on any number of items, batch after batch.

        The gradients of learnable params add up.

        Args:
            blobs, diffs: names of blobs whose data, or diff, to return besides the outputs' and inputs'.
            arrays: for each input blob the items, and for each output blob their diffs, by name; see
                `forward_all`.

        Returns:
            Name → data, and name → diff, for all items, in fresh arrays.

        Raises:
            ArgumentError, ArgumentTypeError: as in `forward_all`.
        """
        more = names_of(blobs, "blobs"), names_of(diffs, "diffs")
        with self._turn.lock:
            return batches.forward_backward_all(self, *more, _arrays(arrays))

    def _batch(self, items: Mapping[str, npt.NDArray[Any]]) -> Iterator[dict[str, npt.NDArray[Any]]]:
        """Cuts arrays into batches, as `forward_all` does."""
        return batches.batches(self, items)

    def _warn_without_gradient(self, first: int, last: int, wanted: Sequence[str]) -> None:
        """Warns, once, of a backward pass that computes no gradient, or none of those asked for."""
        if what := missing_gradient(self.graph, self.graph.nodes[last : first + 1], wanted):
            self._has_warned = True
            log.warning("%s: %s", self._file or self.name or "net", what)

    def _layer_index(self, name: str) -> int:
        if name not in self.layer_dict:
            raise ArgumentError(f"no layer '{name}' in net '{self.name}'")
        return len(self.layer_names) - 1 - self.layer_names[::-1].index(name)

    def _blob(self, name: str) -> Blob:
        if name not in self.blobs:
            raise NameLookupError(f"no blob '{name}' in net '{self.name}'")
        return self.blobs[name]

    @staticmethod
    def _check_keys(kind: str, given: Mapping[str, object], wanted: Sequence[str]) -> None:
        if set(given) != set(wanted):
            raise ArgumentError(
                f"the {kind} arguments are {', '.join(sorted(given))}, but the net's {kind}s are "
                f"{', '.join(wanted) or 'none'}"
            )

    def _checked(self, name: str, value: npt.ArrayLike) -> npt.NDArray[Any]:
        array, blob = np.asarray(value), self.blobs[name]
        if blob.shape and (not array.ndim or array.shape[0] != blob.shape[0]):
            raise ArgumentError(
                f"blob '{name}' has shape {blob.shape}, got an array of shape {array.shape}; "
                "reshape the blob first for another batch size"
            )
        try:
            return np.broadcast_to(array, blob.shape)
        except ValueError:
            raise ArgumentError(
                f"blob '{name}' has shape {blob.shape}, an array of shape {array.shape} does not fit it"
            ) from None

    def reshape(self) -> None:
        """Shapes all layers to the present shapes of the inputs."""
        with self._turn.lock:
            for node in self.graph.nodes:
                node.reshape()

    def set_input_arrays(self, data: Array, labels: Array) -> None:
        """Hands arrays to the first layer, a MemoryData layer, which reads its batches from them from now on.

        They are used as they are: what is written into them later counts.

        Args:
            data: contiguous, float32, (M, C, H, W) with the layer's C, H and W; M is a multiple of
                its batch_size.
            labels: the same, (M,) or (M, 1, 1, 1).

        Raises:
            InputArrayError: the first layer is of another type, or the arrays do not fit it.
        """
        first = self._memory_data("set_input_arrays")
        input_array(data, "data", (4,))
        input_array(labels, "labels", (1, 4))
        with self._turn.lock:
            try:
                first.reset(data, labels)
            except ArgumentError as error:
                raise InputArrayError(str(error)) from None

    def add_datum_vector(self, datums: Sequence[caffe_pb2.Datum]) -> None:
        """Hands Datum messages to the first layer, a MemoryData layer, which applies its transform_param.

        Args:
            datums: a multiple of the layer's batch_size; transformed, they have its channels, height and
                width. More can be added when a forward pass has reached the last of them.

        Raises:
            InputArrayError: the first layer is of another type.
            ArgumentError: the messages do not fit it, or it has items that were added before and have not
                been used yet.
        """
        first = self._memory_data("add_datum_vector")
        with self._turn.lock:
            first.add_datum_vector(datums)

    def add_mat_vector(self, pictures: Sequence[npt.NDArray[np.uint8]], labels: Sequence[int]) -> None:
        """As `add_datum_vector`, with pictures, (H, W, C) each, blue first, as OpenCV has them."""
        first = self._memory_data("add_mat_vector")
        with self._turn.lock:
            first.add_mat_vector(pictures, labels)

    def _memory_data(self, method: str) -> MemoryDataLayer:
        """The first layer, for a method that needs it to be a MemoryData layer."""
        first = self.layers[0] if self.layers else None
        if not isinstance(first, MemoryDataLayer):
            kind = f"layer '{first.name}' ({first.type})" if first else "nothing"
            raise InputArrayError(
                f"{method} needs a net that begins with a MemoryData layer, not with {kind}"
            )
        return first

    _set_input_arrays = set_input_arrays

    def clear_param_diffs(self) -> None:
        """Sets the gradients of all learnable params to zero, which arrays taken before show as well."""
        for blob in self.learnable_params:
            blob.clear_diff()
            blob.finish_clearing()

    def before_forward(self, callback: LayerCallback) -> None:
        """Calls `callback(layer_index)` before each layer's forward."""
        self._before_forward.append(callback)

    def after_forward(self, callback: LayerCallback) -> None:
        """Calls `callback(layer_index)` after each layer's forward."""
        self._after_forward.append(callback)

    def before_backward(self, callback: LayerCallback) -> None:
        """Calls `callback(layer_index)` before each layer's backward, even if that has nothing to do."""
        self._before_backward.append(callback)

    def after_backward(self, callback: LayerCallback) -> None:
        """Calls `callback(layer_index)` after each layer's backward, even if that had nothing to do."""
        self._after_backward.append(callback)

    # ----------------------------------------------------------------- weights

    def copy_from(self, file: StrPath) -> None:
        """Loads the weights of layers with the same name from a .caffemodel or .caffemodel.h5 file.

        If this is a solver's train net, the solver's test nets share these weights from then on.

        Raises:
            FileLookupError: the file is missing.
            WeightsError: it cannot be read, or a blob has another shape than the net's.
        """
        weight_files.copy_from(self, Path(path_of(file, "a weights file")))

    def save(self, file: StrPath, *, write_diff: bool = False, fork: str | None = None) -> None:
        """Writes the net with its weights as a .caffemodel, whole or not at all.

        Args:
            file: its name. write_diff: whether to write the gradients too.
            fork: the fork of Caffe that shall read it, `SSD` or `SegNet` say, if the net has fields that only
                forks have; None: the first fork that has all of them.

        Raises:
            WeightsError: no fork has all fields of the net, or the one that was asked for lacks one.
        """
        path = Path(path_of(file, "the file to save to"))
        weight_files.save(self, path, write_diff=write_diff, fork=fork)

    def save_hdf5(self, file: StrPath, *, write_diff: bool = False) -> None:
        """Writes the weights as Caffe's HDF5 file, whole or not at all; needs h5py."""
        weight_files.save_hdf5(self, Path(path_of(file, "the file to save to")), write_diff=write_diff)

    def load_hdf5(self, file: StrPath) -> None:
        """Loads the weights of Caffe's HDF5 file; needs h5py."""
        weight_files.copy_from_hdf5(self, Path(path_of(file, "a weights file")))

    def share_with(self, other: Net) -> None:
        """Uses the learnable data, but not the diffs, of `other`'s layers of the same names from now on.

        Raises:
            WeightsError: a layer of the same name has other blobs.
        """
        if not isinstance(other, Net):
            raise ArgumentTypeError(
                f"share_with takes a Net, got {type(other).__name__}; copy_from reads a file"
            )
        with self._turn.lock:
            weight_files.share(self, other)

    def to_proto(self) -> caffe_pb2.NetParameter:
        """The net's message as built: with Split layers, and without the values of blobs."""
        param = caffe_pb2.NetParameter(name=self.name)
        for node in self.graph.nodes:
            layer = param.layer.add()
            layer.CopyFrom(node.layer.layer_param)
            layer.ClearField("blobs")
        return param


def _run_in_span(timeline: Timeline, part: Part) -> float:
    with timeline.span(part.what):
        return type(part).run(part)


def _arrays(values: Mapping[str, npt.ArrayLike]) -> dict[str, npt.NDArray[Any]]:
    return {name: np.asarray(value) for name, value in values.items()}


def _text_of(param: caffe_pb2.NetParameter, layers: Sequence[PlacedLayer]) -> str:
    """The net's text, for the log, with the layers that its state keeps."""
    shown = caffe_pb2.NetParameter()
    shown.CopyFrom(param)
    shown.ClearField("layer")
    for layer, _ in layers:
        shown.layer.add().CopyFrom(layer)
        shown.layer[-1].ClearField("blobs")
    return text_of(shown)
