"""The learnable parameters of a net: which param owns its memory, and the multipliers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from pycaffe_lite.blob import Blob
from pycaffe_lite.errors import LayerError
from pycaffe_lite.layer.base import Layer
from pycaffe_lite.proto import caffe_pb2

_DEFAULT_SPEC = caffe_pb2.ParamSpec()


@dataclass(frozen=True)
class Param:
    """One learnable blob of one layer.

    Attributes:
        blob: the layer's blob. layer: the layer. index: the blob's index in the layer.
        owner: index, among all params, of the one that holds the memory; None if that is this one.
        learnable: index among the learnable params, those that hold their memory.
    """

    blob: Blob
    layer: Layer[Any]
    index: int
    owner: int | None
    learnable: int

    @property
    def display_name(self) -> str:
        """The name given in the prototxt, else the index in its layer."""
        return _spec(self.layer, self.index).name or str(self.index)


def _spec(layer: Layer[Any], index: int) -> caffe_pb2.ParamSpec:
    specs = layer.layer_param.param
    return specs[index] if index < len(specs) else _DEFAULT_SPEC


class ParamTable:
    """All learnable blobs in construction order; params of one name share the first one's memory.

    Attributes:
        params: every param, including those that share another's memory.
        learnable: the owners' blobs, which a solver updates.
        lr_mult, decay_mult: the multipliers of each learnable blob; None if no layer sets it, which counts
            as 1.
    """

    def __init__(self) -> None:
        self.params: list[Param] = []
        self.learnable: list[Blob] = []
        self.lr_mult: list[float | None] = []
        self.decay_mult: list[float | None] = []
        self._by_name: dict[str, int] = {}

    def add_layer(self, layer: Layer[Any]) -> None:
        """Enters the blobs of a layer that has just been set up.

        Raises:
            LayerError: more `param` entries than blobs, or a sharer that does not fit its owner.
        """
        specs = layer.layer_param.param
        if len(specs) > len(layer.blobs):
            raise layer.error(f"has {len(specs)} param entries for {len(layer.blobs)} learnable blobs")
        layer.param_propagate_down = [_spec(layer, i).lr_mult != 0 for i in range(len(layer.blobs))]
        for spec in specs:
            for name in ("lr_mult", "decay_mult"):
                if not math.isfinite(getattr(spec, name)):
                    raise layer.error(f"needs a finite {name}, got {getattr(spec, name):g}")
        for i, blob in enumerate(layer.blobs):
            self._add(layer, i, blob, _spec(layer, i))

    def _add(self, layer: Layer[Any], index: int, blob: Blob, spec: caffe_pb2.ParamSpec) -> None:
        lr_mult = spec.lr_mult if spec.HasField("lr_mult") else None
        decay_mult = spec.decay_mult if spec.HasField("decay_mult") else None
        owner = self._by_name.get(spec.name) if spec.name else None
        if owner is None:
            if spec.name:
                self._by_name[spec.name] = len(self.params)
            self.params.append(Param(blob, layer, index, None, len(self.learnable)))
            self.learnable.append(blob)
            self.lr_mult.append(lr_mult)
            self.decay_mult.append(decay_mult)
            return
        held = self.params[owner]
        self._check_shapes(layer, index, blob, held, spec)
        self.params.append(Param(blob, layer, index, owner, held.learnable))
        for kind, table, value in (
            ("lr_mult", self.lr_mult, lr_mult),
            ("decay_mult", self.decay_mult, decay_mult),
        ):
            set_before = table[held.learnable]
            if value is not None and set_before is not None and value != set_before:
                raise self._mismatch(layer, spec, held, f"{kind} {set_before:g}", f"{kind} {value:g}")
            if value is not None:
                table[held.learnable] = value

    def _check_shapes(
        self, layer: Layer[Any], index: int, blob: Blob, held: Param, spec: caffe_pb2.ParamSpec
    ) -> None:
        if spec.share_mode == caffe_pb2.ParamSpec.PERMISSIVE:
            if blob.count != held.blob.count:
                raise self._mismatch(
                    layer, spec, held, f"{held.blob.count} values", f"{blob.count} for blob {index}"
                )
        elif blob.shape != held.blob.shape:
            raise self._mismatch(
                layer, spec, held, f"shape {held.blob.shape}", f"{blob.shape} for blob {index}"
            )

    @staticmethod
    def _mismatch(
        layer: Layer[Any], spec: caffe_pb2.ParamSpec, held: Param, theirs: str, ours: str
    ) -> LayerError:
        return layer.error(
            f"shares param '{spec.name}' with layer '{held.layer.name}', which has {theirs}, got {ours}"
        )

    def share_memory(self) -> None:
        """Lets every sharer use its owner's data and diff, so that gradients add up."""
        for param in self.params:
            if param.owner is not None:
                param.blob.share_data(self.params[param.owner].blob)
                param.blob.share_diff(self.params[param.owner].blob)
