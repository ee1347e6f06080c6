"""The base of the layers that compute each value of their top from one value of their bottom.

A type names a module of `kernels` with the formulas of its two passes, and gives the numbers in them. The
names of a formula's parameters tell which of these numbers, and which of x, y and dy, it takes:

    class ELULayer(ElementwiseLayer[caffe_pb2.ELUParameter]):
        kernels = elu  # forward(x, alpha) gives y, backward(x, y, dy, alpha) gives dx

        def numbers(self) -> Mapping[str, float]:
            return {"alpha": self.param.alpha}

Where such a layer works in place, `backward` gets y for x; or x itself, where the type sets `keeps_input`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType

from pycaffe_lite.blob import Array
from pycaffe_lite.kernels.elementwise import Elementwise
from pycaffe_lite.layer.activation.neuron import NeuronLayer
from pycaffe_lite.layer.base import Blobs, P
from pycaffe_lite.layer.replay import by_kernels


class ElementwiseLayer(NeuronLayer[P]):
    """Each value of the top is a function of the bottom's value at the same place.

    Attributes:
        kernels: the module with the formulas `forward` and `backward`.
    """

    kernels: ModuleType

    def numbers(self) -> Mapping[str, float]:
        """The numbers that the formulas take besides x, y and dy, by name."""
        return {}

    @by_kernels
    def forward(self, bottom: Blobs, top: Blobs) -> None:
        self.keep_input(bottom, top)
        self._start(self.kernels.forward, top[0].data, x=bottom[0].data)

    @by_kernels
    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[0]:
            x, y, dy = self.seen_input(bottom), top[0].data, top[0].diff
            self._start(self.kernels.backward, bottom[0].diff, x=x, y=y, dy=dy)

    def _start(self, kernel: Elementwise, result: Array, **arrays: Array) -> None:
        given = {**self.numbers(), **{name: array.ravel() for name, array in arrays.items()}}
        kernel(*[given[name] for name in kernel.names], result.ravel())
