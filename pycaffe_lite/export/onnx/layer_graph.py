"""The graph as the converter of one layer sees it: its bottoms, and a vocabulary to write nodes in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pycaffe_lite.blob import Blob
from pycaffe_lite.errors import LayerError
from pycaffe_lite.export.onnx.graph import Array, Graph, Shape, count_of
from pycaffe_lite.layer.base import Layer

FLOAT, INT64, BOOL = 1, 7, 9  # element types, as onnx.TensorProto numbers them
LOWEST = float(np.finfo(np.float32).min)
INT_MAX = 2**63 - 1
_TANH_IS_1 = 20.0  # from where on tanh is 1 in float32

# The operators whose `axes` became an input, and the opset in which they did.
_AXES_AS_INPUT = {"Squeeze": 13, "Unsqueeze": 13, "ReduceSum": 13}
_OTHER_REDUCTIONS = 18


class LayerGraph:
    """The graph, as one layer sees it.

    Nodes are named after the layer: that which makes its first top bears its name, the others' begin with it.

    Args:
        graph: to add to. layer: of whom to speak. bottoms: the names of what it reads.
        bottom_shapes, top_shapes: their shapes, and those of its tops.

    Attributes:
        The same; and x, the first bottom.
    """

    def __init__(
        self,
        graph: Graph,
        layer: Layer[Any],
        bottoms: Sequence[str],
        bottom_shapes: Sequence[Shape],
        top_shapes: Sequence[Shape],
    ) -> None:
        self.graph, self.layer = graph, layer
        self.bottoms, self.bottom_shapes, self.top_shapes = bottoms, bottom_shapes, top_shapes
        self.x = bottoms[0] if bottoms else ""

    @property
    def opset(self) -> int:
        """The version of ONNX's operators."""
        return self.graph.opset

    @property
    def for_opencv(self) -> bool:
        """Whether OpenCV shall run the graph."""
        return self.graph.for_opencv

    def inside(self) -> LayerGraph:
        """A graph of its own, for the body of a loop, whose constants stand outside."""
        return LayerGraph(
            Graph(self.opset, self.graph), self.layer, self.bottoms, self.bottom_shapes, self.top_shapes
        )

    def refuse(self, reason: str) -> LayerError:
        """The error that the layer cannot be exported."""
        return self.layer.error(f"cannot be exported to ONNX: {reason}")

    # ------------------------------------------------------------------- nodes

    def op(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node with one result."""
        name = f"{self.layer.name}/{op_type}"
        return self.graph.add(op_type, inputs, 1, name, **attributes)[0]

    def ops(self, op_type: str, *inputs: str, results: int, **attributes: Any) -> list[str]:
        """Adds a node with several results."""
        name = f"{self.layer.name}/{op_type}"
        return self.graph.add(op_type, inputs, results, name, **attributes)

    def weight(self, values: Blob | Array, name: str) -> str:
        """A constant of the layer, float32, as it lies in memory where it is that already."""
        array = values.data if isinstance(values, Blob) else values
        return self.graph.weight(np.asarray(array, np.float32), f"{self.layer.name}/{name}")

    def floats(self, values: npt.ArrayLike) -> str:
        """A float32 constant."""
        with np.errstate(over="ignore"):
            return self.graph.constant(np.asarray(values, np.float32), f"{self.layer.name}/floats")

    def ints(self, values: npt.ArrayLike) -> str:
        """An int64 constant."""
        return self.graph.constant(np.asarray(values, np.int64), f"{self.layer.name}/ints")

    def named(self, x: str, name: str) -> str:
        """Gives a result the layer's name and one of its own, and returns both as one."""
        result = self.graph.fresh(f"{self.layer.name}/{name}")
        self.graph.rename({x: result})
        return result

    # -------------------------------------------------- operators that changed with the opset

    def _with_axes(self, op_type: str, x: str, axes: Sequence[int], since: int, **attributes: Any) -> str:
        if self.opset >= since:
            return self.op(op_type, x, self.ints(list(axes)), **attributes)
        return self.op(op_type, x, axes=list(axes), **attributes)

    def reduce(self, kind: str, x: str, axes: Sequence[int], *, keep: bool = False) -> str:
        """Reduces axes to one value. kind: Sum, Mean, Max, L1 or SumSquare; keep: the axes, of length 1."""
        op_type = f"Reduce{kind}"
        since = _AXES_AS_INPUT.get(op_type, _OTHER_REDUCTIONS)
        if not axes:  # which would mean all of them
            of_one = {"L1": lambda: self.op("Abs", x), "SumSquare": lambda: self.op("Mul", x, x)}
            return of_one.get(kind, lambda: x)()
        if self.for_opencv and axes[-1] - axes[0] >= len(axes):
            # OpenCV 5.0 is wrong where there are other axes between: the last one goes first.
            inner = self.reduce(kind, x, axes[-1:], keep=True)
            rest = "Sum" if kind in ("L1", "SumSquare") else kind
            outer = self.reduce(rest, inner, axes[:-1], keep=True)
            return outer if keep else self.squeeze(outer, axes)
        return self._with_axes(op_type, x, axes, since, keepdims=int(keep))

    def reduce_all(self, kind: str, x: str, rank: int) -> str:
        """Reduces all axes: to a number without axes, which for OpenCV 5.0 has one of length 1."""
        if not self.for_opencv:
            return self.reduce(kind, x, list(range(rank)))
        return self.op("Reshape", self.reduce(kind, x, list(range(rank)), keep=True), self.ints([1]))

    def squeeze(self, x: str, axes: Sequence[int]) -> str:
        """Takes away axes of length 1."""
        return self._with_axes("Squeeze", x, axes, _AXES_AS_INPUT["Squeeze"]) if axes else x

    def unsqueeze(self, x: str, axes: Sequence[int]) -> str:
        """Inserts axes of length 1."""
        return self._with_axes("Unsqueeze", x, axes, _AXES_AS_INPUT["Unsqueeze"]) if axes else x

    def split(self, x: str, axis: int, sizes: Sequence[int]) -> list[str]:
        """Cuts an axis into pieces."""
        if len(sizes) == 1:
            return [x]
        if self.opset >= 13:
            return self.ops("Split", x, self.ints(list(sizes)), results=len(sizes), axis=axis)
        return self.ops("Split", x, results=len(sizes), axis=axis, split=list(sizes))

    def softmax(self, x: str, axis: int, rank: int) -> str:
        """Softmax over one axis; before opset 13 the operator took it over all that follow as well."""
        if self.opset >= 13 or axis == rank - 1:
            return self.op("Softmax", x, axis=axis)
        power = self.op("Exp", self.op("Sub", x, self.reduce("Max", x, [axis], keep=True)))
        return self.op("Div", power, self.reduce("Sum", power, [axis], keep=True))

    # ----------------------------------------------------------------- shapes

    def reshape(self, x: str, to: Shape, of: Shape | None = None) -> str:
        """Gives values another shape.

        Args:
            x: the values. to: their new shape. of: their present one; None: that of the first bottom.

        Raises:
            LayerError: the new shape has several lengths that are not fixed.
        """
        of = self.bottom_shapes[0] if of is None else of
        if of == to:
            return x
        # 0 stands for the length that there is, -1 for what is left; for no values, a length is really 0.
        is_kept = [i < len(of) and of[i] == n for i, n in enumerate(to)]
        dims = [n if isinstance(n, int) else 0 if kept else -1 for n, kept in zip(to, is_kept, strict=True)]
        if dims.count(-1) > 1 or (0 in to and any(isinstance(n, str) for n in to)):
            raise self.refuse(f"the shape {to} has several lengths that depend on the batch or on the data")
        allow_zero = 1 if 0 in to and self.opset >= 14 else None
        return self.op("Reshape", x, self.ints(dims), allowzero=allow_zero)

    def flatten_from(self, x: str, axis: int, of: Shape | None = None) -> str:
        """The values as a matrix, (all before `axis`, all from it on)."""
        of = self.bottom_shapes[0] if of is None else of
        return self.reshape(x, (count_of(of[:axis]), count_of(of[axis:])), of)

    def shape_vector(self, shape: Shape, like: str, of: Shape) -> str:
        """A shape as an int64 vector; lengths that are not fixed are those of `like` at the same axis.

        Raises:
            LayerError: `like` has no such length there.
        """
        if all(isinstance(n, int) for n in shape):
            return self.ints(list(shape))
        sizes = self.op("Shape", like)
        parts = []
        for i, n in enumerate(shape):
            if isinstance(n, int):
                parts.append(self.ints([n]))
            elif i < len(of) and of[i] == n:
                parts.append(self.op("Gather", sizes, self.ints([i])))
            else:
                raise self.refuse(f"the length of axis {i} of shape {shape} depends on the batch or the data")
        return self.op("Concat", *parts, axis=0)

    def full(self, value: float, shape: Shape, like: str = "", of: Shape = ()) -> str:
        """A value repeated; see `shape_vector`."""
        return self.op("Expand", self.floats(value), self.shape_vector(shape, like, of))

    def slice(
        self,
        x: str,
        starts: Sequence[int],
        ends: Sequence[int],
        axes: Sequence[int],
        steps: Sequence[int] | None = None,
    ) -> str:
        """A part of the values."""
        if not axes:
            return x
        parts = [self.ints(list(part)) for part in (starts, ends, axes)]
        if steps is not None:
            parts.append(self.ints(list(steps)))
        return self.op("Slice", x, *parts)

    def resize(self, x: str, *, scales: str = "", sizes: str = "", **attributes: Any) -> str:
        """`Resize` by scales or to sizes; before opset 13 inputs that are not used had to be there, empty."""
        none = self.floats(np.zeros(0)) if self.opset < 13 else ""
        return self.op("Resize", x, none, scales or none, *([sizes] if sizes else []), **attributes)

    def pad(self, x: str, before: Sequence[int], after: Sequence[int], value: float = 0.0) -> str:
        """Puts a value around; as many numbers of either kind as there are axes."""
        if not any((*before, *after)):
            return x
        pads = self.ints([*before, *after])
        return self.op("Pad", x, pads, *([self.floats(value)] if value else []))

    # ------------------------------------------------------------- arithmetic

    def scaled(self, x: str, factor: float) -> str:
        """A product with a number."""
        return x if factor == 1 else self.op("Mul", x, self.floats(factor))

    def shifted(self, x: str, summand: float) -> str:
        """A sum with a number."""
        return x if summand == 0 else self.op("Add", x, self.floats(summand))

    def sum_of(self, parts: Sequence[str]) -> str:
        """The sum of several, in their order."""
        total = parts[0]
        for part in parts[1:]:
            total = self.op("Add", total, part)
        return total

    def to_float(self, x: str) -> str:
        """Converts to float32, which all blobs are."""
        return self.op("Cast", x, to=FLOAT)

    def to_int(self, x: str) -> str:
        """Converts to int64; fractions are cut off."""
        return self.op("Cast", x, to=INT64)

    def to_bool(self, x: str) -> str:
        """Whether values are not 0."""
        return self.op("Cast", x, to=BOOL)

    def tanh(self, x: str) -> str:
        """`Tanh`, which OpenCV 5.0 has as NaN far from 0."""
        if self.for_opencv:
            x = self.op("Clip", x, self.floats(-_TANH_IS_1), self.floats(_TANH_IS_1))
        return self.op("Tanh", x)

    def softplus(self, x: str) -> str:
        """`Softplus`, which OpenCV 5.0 has as infinite far from 0."""
        if not self.for_opencv:
            return self.op("Softplus", x)
        power = self.op("Exp", self.op("Neg", self.op("Abs", x)))
        return self.op("Add", self.op("Relu", x), self.op("Log", self.shifted(power, 1.0)))

    def leaky(self, x: str, slope: float | None) -> str:
        """A rectified linear unit; none where the slope is None."""
        if slope is None:
            return x
        return self.op("LeakyRelu", x, alpha=float(slope)) if slope else self.op("Relu", x)
