"""The net that is being made: Caffe's layers one after another, the shapes of their blobs, their weights."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from pycaffe_lite.export.importing.values import Array, Axis, Shape, View, permutation_of
from pycaffe_lite.proto import caffe_pb2

# A transposition is made of slices; of more than so many it is refused.
MOST_SLICES = 1024
MAX_COUNT = 2**31 - 1


class InexpressibleError(Exception):
    """A node that Caffe's layers cannot express: why, and what could be done instead."""

    def __init__(self, why: str, instead: str = "") -> None:
        super().__init__(why)
        self.why, self.instead = why, instead


# What a blob has been made into: blobs by their shape, or by the order in which they have its values.
_Forms = dict[Shape | tuple[Axis, ...], str]


class CaffeNet:
    """Layers of Caffe in the making.

    Attributes:
        layers: so far. weights: of the layers that have any, by the layer's name.
        shapes: of all blobs, by name.
        allowed: types of forks that may be used. avoided: types of Caffe's that may not.
        paddings: blobs that are others with zeros around them: the other, and how many by axis.
    """

    def __init__(self, allowed: Collection[str] = (), avoided: Collection[str] = ()) -> None:
        self.layers: list[caffe_pb2.LayerParameter] = []
        self.weights: dict[str, list[Array]] = {}
        self.shapes: dict[str, Shape] = {}
        self.allowed, self.avoided = frozenset(allowed), frozenset(avoided)
        self._names: set[str] = set()
        self._base = ""
        self._users: dict[str, list[caffe_pb2.LayerParameter]] = {}  # of a blob: who makes and reads it
        self._forms: dict[str, _Forms] = {}  # of a blob
        self._kept: list[tuple[_Forms, Shape | tuple[Axis, ...]]] = []  # entries of these, as they came
        self._kept_as: dict[str, list[tuple[_Forms, Shape | tuple[Axis, ...]]]] = {}  # the same by value
        self.paddings: dict[str, tuple[str, dict[int, tuple[int, int]]]] = {}

    @contextmanager
    def node(self, name: str) -> Iterator[None]:
        """Names the layers that are made meanwhile after a node; one that fails leaves none."""
        first, kept, self._base = len(self.layers), len(self._kept), name
        try:
            yield
        except InexpressibleError:
            for layer in self.layers[first:]:
                self._names.discard(layer.name)
                self.weights.pop(layer.name, None)
                for top in layer.top:
                    del self.shapes[top]
            del self.layers[first:]
            for forms, key in self._kept[kept:]:
                forms.pop(key, None)
            del self._kept[kept:]
            raise
        made = self.layers[first:]
        if len(made) == 1:
            self._rename_layer(made[0], name)

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Names layers after other nodes meanwhile, which are inside the present one."""
        base = self._base
        try:
            yield
        finally:
            self._base = base

    def _rename_layer(self, layer: caffe_pb2.LayerParameter, name: str) -> None:
        if layer.name == name:
            return
        old = layer.name
        self._names.discard(old)
        layer.name = self.free_name(name)
        if old in self.weights:
            self.weights[layer.name] = self.weights.pop(old)

    def free_name(self, name: str) -> str:
        """The name, or with a number behind it if it is taken."""
        free, number = name, 1
        while free in self._names or free in self.shapes:
            number += 1
            free = f"{name}_{number}"
        self._names.add(free)
        return free

    # ------------------------------------------------------------------ layers

    def add(
        self,
        type: str,
        bottoms: Sequence[str],
        shapes: Sequence[Shape],
        *,
        weights: Sequence[Array] = (),
        main: bool = False,
        **fields: Any,
    ) -> list[str]:
        """Adds a layer.

        Args:
            type: of Caffe's. bottoms: names of blobs. shapes: of the tops.
            weights: its learnable blobs. main: whether it bears the name of the node that it is made for.
            fields: of LayerParameter: `convolution_param={"num_output": 2}`.

        Returns:
            The names of the tops.
        """
        for shape in shapes:
            if any(n < 1 for n in shape) or math.prod(shape) > MAX_COUNT:
                raise InexpressibleError(
                    f"a tensor has the shape {shape}: Caffe's blobs hold 1 to 2^31 - 1 values"
                )
        name = self.free_name(self._base if main else f"{self._base}_{type.lower()}")
        tops = [name] if len(shapes) == 1 else [f"{name}_{i}" for i in range(len(shapes))]
        for top, shape in zip(tops, shapes, strict=True):
            self.shapes[top] = tuple(int(n) for n in shape)
        layer = caffe_pb2.LayerParameter(name=name, type=type, bottom=bottoms, top=tops, **fields)
        self.layers.append(layer)
        for blob in {*bottoms, *tops}:
            self._users.setdefault(blob, []).append(layer)
        if weights:
            self.weights[name] = [np.asarray(values, np.float32, order="C") for values in weights]
        return tops

    def one(self, type: str, bottom: str | Sequence[str], shape: Shape, **more: Any) -> str:
        """Adds a layer with one top; returns the top's name."""
        bottoms = [bottom] if isinstance(bottom, str) else bottom
        return self.add(type, bottoms, [shape], **more)[0]

    def rename_blob(self, old: str, new: str) -> None:
        """Gives a blob another name, which no other has."""
        self.shapes[new] = self.shapes.pop(old)
        self._users[new] = self._users.pop(old, [])
        for layer in self._users[new]:
            for names in (layer.bottom, layer.top):
                for i, name in enumerate(names):
                    if name == old:
                        names[i] = new
        if old in self._forms:
            self._forms[new] = self._forms.pop(old)
        self._kept_as[new] = self._kept_as.pop(old, [])
        for forms, key in self._kept_as[new]:
            forms[key] = new
        self.paddings = {
            new if blob == old else blob: (new if source == old else source, widths)
            for blob, (source, widths) in self.paddings.items()
        }

    # ------------------------------------------------------------------ simple layers

    def same(self, view: View, type: str, **fields: Any) -> View:
        """A layer that changes each value on its own: the order does not matter."""
        return view.with_blob(self.one(type, view.blob, self.shapes[view.blob], **fields))

    def power(self, view: View, power: float = 1.0, scale: float = 1.0, shift: float = 0.0) -> View:
        """(shift + scale x)^power."""
        fields = {"power": power, "scale": scale, "shift": shift}
        defaults = {"power": 1.0, "scale": 1.0, "shift": 0.0}
        given = {key: value for key, value in fields.items() if value != defaults[key]}
        return self.same(view, "Power", power_param=given) if given else view

    def eltwise(self, views: Sequence[View], operation: str, coeff: Sequence[float] = ()) -> View:
        """Several tensors of one shape, value by value: SUM, PROD or MAX."""
        views = self.alike(views)
        given: dict[str, Any] = {} if operation == "SUM" else {"operation": operation}
        if coeff:
            given["coeff"] = list(coeff)
        top = self.one(
            "Eltwise", [view.blob for view in views], self.shapes[views[0].blob], eltwise_param=given
        )
        return views[0].with_blob(top)

    def clip(self, view: View, least: float | None, most: float | None) -> View:
        """min(max(x, least), most); None: no limit."""
        if least == 0 and most is None:
            return self.same(view, "ReLU")
        if least == 0 and most == 6 and "ReLU6" in self.allowed:
            return self.same(view, "ReLU6")
        if "Clip" not in self.avoided:
            limit = float(np.finfo(np.float32).max)
            bounds = {"min": -limit if least is None else least, "max": limit if most is None else most}
            return self.same(view, "Clip", clip_param=bounds)
        if least is not None:
            view = self.power(self.same(self.power(view, shift=-least), "ReLU"), shift=least)
        if most is not None:
            view = self.power(self.same(self.power(view, scale=-1, shift=most), "ReLU"), scale=-1, shift=most)
        return view

    def parameter(self, values: Array) -> str:
        """A constant as a blob: a layer of type Parameter, whose weight it is."""
        shape = tuple(values.shape)
        return self.one(
            "Parameter", [], shape, weights=[values], parameter_param={"shape": {"dim": list(shape)}}
        )

    def unpadded(self, view: View) -> tuple[View, dict[int, tuple[int, int]]]:
        """The tensor without the zeros around it, and how many there were by axis."""
        if view.blob not in self.paddings or view != View.of(view.blob, self.shapes[view.blob]):
            return view, {}
        source, widths = self.paddings[view.blob]
        return View.of(source, self.shapes[source]), widths

    def maker(self, blob: str) -> caffe_pb2.LayerParameter:
        """The layer that makes a blob."""
        return next(layer for layer in reversed(self.layers) if blob in layer.top)

    # ------------------------------------------------------------------ orders and shapes

    def reshape(self, blob: str, shape: Sequence[int]) -> str:
        """The blob in another shape; the blob itself if it has that one."""
        old, new = self.shapes[blob], tuple(shape)
        if old == new:
            return blob
        forms = self._forms.setdefault(blob, {})
        if new not in forms:
            rest = math.prod(old[1:])
            if len(old) > 2 and new == (old[0], rest):
                self._keep(forms, new, self.one("Flatten", blob, new))
            else:
                # The batch stays free: 0 takes over its size, -1 leaves it to the rest.
                first = 0 if old and new and old[0] == new[0] else -1
                dims = [first, *new[1:]] if new else []
                top = self.one("Reshape", blob, new, reshape_param={"shape": {"dim": dims}})
                self._keep(forms, new, top)
        return forms[new]

    def _keep(self, forms: _Forms, key: Shape | tuple[Axis, ...], top: str) -> None:
        """Notes a blob that is another in another form, so that nobody makes it again."""
        forms[key] = top
        self._kept.append((forms, key))
        self._kept_as.setdefault(top, []).append((forms, key))

    def as_dims(self, view: View) -> str:
        """The blob of a view, shaped as its `dims`."""
        return self.reshape(view.blob, view.dims)

    def plain(self, view: View) -> str:
        """A blob with the tensor's values in the tensor's order and shape."""
        if view.is_plain:
            return self.reshape(view.blob, view.shape)
        forms = self._forms.setdefault(view.blob, {})
        if view.axes not in forms:
            self._keep(forms, view.axes, self.reshape(self._permuted(view), view.shape))
        return forms[view.axes]

    def plain_view(self, view: View) -> View:
        """The tensor as a blob that is read as it lies."""
        return View.of(self.plain(view), view.shape)

    def alike(self, views: Sequence[View]) -> list[View]:
        """Tensors of one shape whose blobs have one order and one shape."""
        first = views[0]
        if all(view.has_order_of(first) for view in views):
            if len({self.shapes[view.blob] for view in views}) == 1:
                return list(views)
            return [view.with_blob(self.as_dims(view)) for view in views]
        places = [first.place_of(axis) for axis in range(len(first.axes))]
        if None in places:
            return [self.plain_view(view) for view in views]
        # All in the order of the first one's blob, which then needs no change.
        order = sorted(range(len(places)), key=lambda axis: places[axis] or 0)
        back = [order.index(axis) for axis in range(len(order))]
        return [self.plain_view(view.transposed(order)).transposed(back) for view in views]

    def _permuted(self, view: View) -> str:
        """A blob with the values in the tensor's order."""
        dims, order = permutation_of(view)
        if self._is_shuffle(view, dims, order):
            group = next(dims[i] for i, place in enumerate(order) if place != i)
            shape = self.shapes[view.blob]
            return self.one("ShuffleChannel", view.blob, shape, shuffle_channel_param={"group": group})
        if "Permute" in self.allowed:
            places = [view.place_of(axis) for axis in range(len(view.axes))]
            if None not in places:
                dims, order = view.dims, tuple(place or 0 for place in places)
            elif view.shape[0] == 1 == self.shapes[view.blob][0]:  # a batch of one, which may grow
                dims, order = (1, *dims), (0, *(i + 1 for i in order))
            blob = self.reshape(view.blob, dims)
            shape = tuple(dims[i] for i in order)
            return self.one("Permute", blob, shape, permute_param={"order": list(order)})
        return self._swapped(view.blob, list(dims), list(order))

    def _is_shuffle(self, view: View, dims: Shape, order: tuple[int, ...]) -> bool:
        """Whether groups of channels are to be interleaved, and ShuffleChannel may do it."""
        shape = self.shapes[view.blob]
        if "ShuffleChannel" not in self.allowed or len(shape) != 4:
            return False
        groups = [i for i, place in enumerate(order) if place != i]
        if len(groups) != 2 or groups[1] != groups[0] + 1:
            return False
        before = math.prod(dims[: groups[0]])
        return before == shape[0] and dims[groups[0]] * dims[groups[1]] == shape[1]

    def _swapped(self, blob: str, dims: list[int], order: list[int]) -> str:
        """A transposition by Slice, Reshape and Concat: pairs of neighbours change places, one by one."""
        current = list(range(len(dims)))
        total = 0
        while current != order:
            i = next(i for i, place in enumerate(order) if current[i] != place)
            j = current.index(order[i])
            before, a, b, after = (
                math.prod(dims[k] for k in part)
                for part in (current[:i], current[i:j], current[j : j + 1], current[j + 1 :])
            )
            total += min(a, b)
            if total > MOST_SLICES:
                raise InexpressibleError(
                    f"the order {tuple(order)} of the axes of a tensor {tuple(dims)} takes {total} or more "
                    "slices in Caffe's layers",
                    "allow a layer for it (--allow Permute), or end the net before it (--output)",
                )
            blob = self._swap(blob, before, a, b, after)
            current[i : j + 1] = [current[j], *current[i:j]]
        return blob

    def _swap(self, blob: str, before: int, a: int, b: int, after: int) -> str:
        """(before, a, b, after) becomes (before, b, a, after)."""
        blob = self.reshape(blob, (before, a, b, after) if after > 1 else (before, a, b))
        tail = (after,) if after > 1 else ()
        if a <= b:
            parts = self.slices(blob, 1, [1] * a)
            parts = [self.reshape(part, (before, b, 1, *tail)) for part in parts]
            return self.concat(parts, 2)
        parts = self.slices(blob, 2, [1] * b)
        parts = [self.reshape(part, (before, 1, a, *tail)) for part in parts]
        return self.concat(parts, 1)

    def slices(self, blob: str, axis: int, sizes: Sequence[int]) -> list[str]:
        """The blob cut into parts of such sizes along an axis."""
        if len(sizes) == 1:
            return [blob]
        shape = self.shapes[blob]
        points = [sum(sizes[:i]) for i in range(1, len(sizes))]
        shapes = [(*shape[:axis], n, *shape[axis + 1 :]) for n in sizes]
        return self.add("Slice", [blob], shapes, slice_param={"axis": axis, "slice_point": points})

    def part(self, blob: str, axis: int, start: int, end: int) -> str:
        """What lies from `start` up to `end` along an axis."""
        size = self.shapes[blob][axis]
        sizes = [n for n in (start, end - start, size - end) if n]
        return self.slices(blob, axis, sizes)[1 if start else 0]

    def concat(self, blobs: Sequence[str], axis: int) -> str:
        """Blobs one behind another along an axis."""
        if len(blobs) == 1:
            return blobs[0]
        shape = list(self.shapes[blobs[0]])
        shape[axis] = sum(self.shapes[blob][axis] for blob in blobs)
        return self.one("Concat", blobs, tuple(shape), concat_param={"axis": axis})

    def tile(self, view: View, axis: int, tiles: int) -> View:
        """The tensor repeated along an axis."""
        if tiles == 1:
            return view
        place = view.place_of(axis)
        if place is None:
            view, place = self.plain_view(view), axis
        blob = self.as_dims(view)
        shape = list(self.shapes[blob])
        shape[place] *= tiles
        top = self.one("Tile", blob, tuple(shape), tile_param={"axis": place, "tiles": tiles})
        return View(top, view.resized(axis, view.shape[axis] * tiles))

    def expanded(self, view: View, shape: Sequence[int]) -> View:
        """The tensor repeated to a shape, as ONNX broadcasts it."""
        missing = len(shape) - len(view.shape)
        if missing:
            view = view.reshaped((1,) * missing + view.shape) or view
        for axis, size in enumerate(shape):
            if view.shape[axis] != size:
                view = self.tile(view, axis, size)
        return view
