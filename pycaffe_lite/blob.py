"""Blob: an N-dimensional array of values (data) with its gradient (diff)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from pycaffe_lite.errors import ArgumentTypeError, NetError
from pycaffe_lite.kernels import aligned_zeros, lock_of_process

Array = npt.NDArray[np.floating]

MAX_AXES = 32
MAX_COUNT = 2**31 - 1
LEGACY_AXES = ("num", "channels", "height", "width")

_numbers = itertools.count(1)
_first_touch = lock_of_process()


class Changes:
    """A count of how often any blob of a group, those of a net say, has taken another shape or memory."""

    __slots__ = ("number",)

    def __init__(self) -> None:
        self.number = 0


class _Memory:
    """A flat array of fixed capacity, allocated and filled with zeros when it is first touched.

    While `is_clear` is set, its numbers count as zeros, whatever they are, until they are touched.

    Attributes:
        number: tells it from every other memory, even from one that was freed.
        start: the index at which these numbers begin in that memory.
    """

    __slots__ = ("_array", "capacity", "dtype", "is_clear", "number", "start")

    def __init__(self, capacity: int, dtype: np.dtype) -> None:
        self.number, self.start = next(_numbers), 0
        self.capacity = capacity
        self.dtype = dtype
        self.is_clear = True
        self._array: Array | None = None

    @property
    def is_touched(self) -> bool:
        """Whether anybody may hold a view of it."""
        return self._array is not None

    @property
    def array(self) -> Array:
        """The numbers, to be read and written."""
        if self._array is not None and self.is_clear:
            self._array.fill(0)
        return self.to_overwrite()

    def to_overwrite(self) -> Array:
        """The numbers, to be overwritten: they are not zeros yet if `is_clear` was set."""
        self.is_clear = False
        if self._array is None:
            with _first_touch:  # nets in two threads may share weights that neither has touched yet
                if self._array is None:
                    self._array = aligned_zeros(self.capacity, self.dtype)
        return self._array


class _Part(_Memory):
    """A part of another memory, which holds the numbers."""

    __slots__ = ("whole",)

    def __init__(self, whole: _Memory, start: int, capacity: int) -> None:
        super().__init__(capacity, whole.dtype)
        self.whole, self.number, self.start = whole, whole.number, start

    def to_overwrite(self) -> Array:
        """The numbers, a view of the whole memory's."""
        if self._array is None:
            self._array = self.whole.array[self.start : self.start + self.capacity]
        self.is_clear = False
        return self._array


class BlobVec(list["Blob"]):
    """The learnable blobs of a layer, in order."""

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        raise ArgumentTypeError(
            "a layer's blobs stay the ones they are: write into one by params['name'][0].data[...] = values"
        )


class Blob:
    """An array of values and its gradient, of one shape and row-major; layers pass blobs to each other.

    `data` and `diff` are C-contiguous views of memory that several blobs may share. The memory is allocated,
    and filled with zeros, at the first touch, so a net can be shaped without the memory to run it. Reshaping
    to no more values than there is room for keeps the memory and the old values, and views taken before stay
    valid. Growing beyond that starts afresh with zeros, for data and diff both, as in Caffe.

    Args:
        shape: lengths of the axes; `()` is a scalar with one value.
        dtype: float32, or float64 for gradient checks. A layer's buffer may have another type.

    Source: BVLC/caffe src/caffe/blob.cpp
    """

    def __init__(self, shape: Sequence[int] = (0,), dtype: npt.DTypeLike = np.float32) -> None:
        self.dtype = np.dtype(dtype)
        self._shape: tuple[int, ...] = ()
        self._count = 0
        self._data = self._diff = _Memory(0, self.dtype)
        self._data_view: Array | None = None
        self._diff_view: Array | None = None
        self._changes = Changes()
        self.reshape(tuple(shape))

    def __dir__(self) -> list[str]:
        """The names that pycaffe's Blob has: what else is public here is for layers and nets."""
        public = ["channels", "count", "data", "diff", "height", "num", "reshape", "shape", "width"]
        return [*(name for name in super().__dir__() if name.startswith("_")), *public]

    def __repr__(self) -> str:
        return f"Blob(shape={self._shape}, dtype={self.dtype})"

    # ------------------------------------------------------------------ shape

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self._shape

    @property
    def count(self) -> int:
        """Number of values."""
        return self._count

    @staticmethod
    def put_diffs_in_a_row(groups: Sequence[Sequence[Blob]], align: int) -> tuple[Array, list[slice]]:
        """Lets the diffs of blobs lie in one array, so that they can be sent in one piece.

        Args:
            groups: blobs of one type; those of a group have one diff together.
            align: where a diff begins: at a multiple of so many values.

        Returns:
            The array, and where each group's diff lies in it. What is between two diffs stays 0.
        """
        starts = [0]
        for group in groups:
            starts.append(-(-(starts[-1] + group[0]._count) // align) * align)
        whole = _Memory(starts[-1], groups[0][0].dtype)
        for group, start in zip(groups, starts, strict=False):
            part = _Part(whole, start, group[0]._count)
            for blob in group:
                blob._diff, blob._diff_view = part, None
                blob._changes.number += 1
        places = [slice(at, at + group[0]._count) for group, at in zip(groups, starts, strict=False)]
        return whole.array, places

    @property
    def shape_string(self) -> str:
        """The shape as Caffe's log writes it: `64 20 24 24 (737280)`."""
        return "".join(f"{n} " for n in self._shape) + f"({self._count})"

    def canonical_axis(self, axis: int) -> int:
        """Turns an axis counted from the end (-1 is the last) into one counted from the start.

        Raises:
            NetError: the blob has no such axis.
        """
        axes = len(self._shape)
        if not -axes <= axis < axes:
            raise NetError(f"axis {axis} is out of range for a blob of shape {self._shape}")
        return axis % axes if axes else 0

    def count_axes(self, start: int, end: int | None = None) -> int:
        """The number of values over the axes from `start` up to, not including, `end`, or up to the last."""
        return math.prod(self._shape[start:end])

    def _legacy(self, axis: int) -> int:
        if len(self._shape) > len(LEGACY_AXES):
            raise NetError(f"'{LEGACY_AXES[axis]}' needs a blob of at most 4 axes, got shape {self._shape}")
        return self._shape[axis] if axis < len(self._shape) else 1

    @property
    def num(self) -> int:
        """The length of axis 0, or 1 if there is none; for blobs of at most 4 axes."""
        return self._legacy(0)

    @property
    def channels(self) -> int:
        """The length of axis 1, or 1 if there is none; for blobs of at most 4 axes."""
        return self._legacy(1)

    @property
    def height(self) -> int:
        """The length of axis 2, or 1 if there is none; for blobs of at most 4 axes."""
        return self._legacy(2)

    @property
    def width(self) -> int:
        """The length of axis 3, or 1 if there is none; for blobs of at most 4 axes."""
        return self._legacy(3)

    def reshape(self, *dims: int | Sequence[int]) -> None:
        """Takes a new shape: `reshape(64, 1, 28, 28)` or `reshape((64, 1, 28, 28))`; a scalar's is `()`.

        Raises:
            NetError: a length is negative, or there are more than 32 axes or more than 2**31 - 1 values.
        """
        if len(dims) == 1 and not isinstance(dims[0], (int, np.integer)):
            if dims[0] == self._shape and self._count:  # so it is before most forwards: worth being quick
                return
            dims = tuple(dims[0])
        shape = tuple(int(n) for n in dims)  # type: ignore[arg-type]
        if shape == self._shape and (self._count or 0 in shape):
            return
        if len(shape) > MAX_AXES:
            raise NetError(f"a blob has at most {MAX_AXES} axes, not {len(shape)}")
        if any(n < 0 for n in shape):
            raise NetError(f"a blob cannot have the shape {shape}: a length is negative")
        count = math.prod(shape)
        if count > MAX_COUNT:
            raise NetError(f"a blob of shape {shape} would hold {count} values, more than {MAX_COUNT}")
        self._shape, self._count = shape, count
        self._changes.number += 1
        if count > self._data.capacity:
            self._data, self._diff = _Memory(count, self.dtype), _Memory(count, self.dtype)
        self._data_view = self._diff_view = None

    def reshape_like(self, other: Blob) -> None:
        """Takes the shape of `other`."""
        self.reshape(other.shape)

    # ----------------------------------------------------------------- values

    def _view(self, memory: _Memory) -> Array:
        return memory.array[: self._count].reshape(self._shape)

    @property
    def data(self) -> Array:
        """The values: a view of the blob's shape; write through it with `data[...] = `."""
        if self._data_view is None:
            self._data_view = self._view(self._data)
        view: Array = self._data_view.view()
        return view

    @property
    def diff(self) -> Array:
        """The gradient of the loss with respect to `data`, of the same shape."""
        if self._diff_view is None or self._diff.is_clear:
            self._make_room_for_diff()
            self._diff_view = self._view(self._diff)
        view: Array = self._diff_view.view()
        return view

    def _make_room_for_diff(self) -> None:
        """Gives the gradient more memory if the data, being shared, has room for more values than it."""
        if self._diff.capacity < self._count:
            self._diff = _Memory(self._count, self.dtype)

    @property
    def is_untouched(self) -> bool:
        """Whether nobody has asked for the data since it was made: it is zeros that take no memory yet."""
        return not self._data.is_touched

    def clear_diff(self) -> None:
        """Makes the diff zero; the zeros may be written as late as at the next use of `diff`.

        Writing them at once, only for a gradient to be added to them, would take a twentieth of the time of
        a large net's training.
        """
        if self._diff.capacity == self._count:
            self._diff.is_clear = True
        else:
            self.diff.fill(0)

    @property
    def diff_is_clear(self) -> bool:
        """Whether nobody has asked for the diff since it was cleared or made."""
        return self._diff.is_clear

    def finish_clearing(self) -> None:
        """Writes the zeros of a diff that `clear_diff` has cleared, unless they are written already."""
        if self._diff.is_clear:
            _ = self.diff

    def diff_to_add(self) -> tuple[Array, bool]:
        """The diff, for a layer that adds a gradient to it, and whether there is anything to add to.

        If there is nothing to add to, the layer has to overwrite all of the diff.
        """
        if not self._diff.is_clear or self._diff.capacity != self._count:
            return self.diff, True
        self._diff.to_overwrite()
        return self.diff, False

    def share_data(self, other: Blob) -> None:
        """Uses the memory of `other`'s data from now on, until a reshape needs more; counts must be equal."""
        self._check_sharing(other)
        if self._data is not other._data:
            self._data, self._data_view = other._data, None
            self._changes.number += 1

    def hold_data(self, parts: Sequence[Blob]) -> bool:
        """Lets the parts' data lie side by side in this blob's data from now on, unless it was touched.

        Touched data stays where it is, since somebody may have kept a view of it. Together, the parts have as
        many values as the blob.

        Returns:
            Whether the parts' data lies there.
        """
        if sum(part._count for part in parts) != self._count:
            shapes = ", ".join(str(part._shape) for part in parts)
            raise NetError(f"a blob of shape {self._shape} cannot hold the data of shapes {shapes}")
        starts = itertools.accumulate((part._count for part in parts), initial=0)
        placed = list(zip(parts, starts, strict=False))
        if all(part._is_part(self, start) for part, start in placed):
            return True
        if any(part._data.is_touched for part in parts):
            self.leave_data(parts)
            return False
        for part, start in placed:
            part._data, part._data_view = _Part(self._data, start, part._count), None
            part._changes.number += 1
        return True

    def _is_part(self, whole: Blob, start: int) -> bool:
        memory = self._data
        return (
            isinstance(memory, _Part)
            and (memory.whole, memory.start, memory.capacity) == (whole._data, start, self._count)
        )  # fmt: skip

    def leave_data(self, parts: Sequence[Blob]) -> None:
        """Ends `hold_data`: the parts keep the memory, and this blob gets other memory."""
        if any(isinstance(part._data, _Part) and part._data.whole is self._data for part in parts):
            self._data, self._data_view = _Memory(self._count, self.dtype), None
            self._changes.number += 1

    def shares_data(self, other: Blob) -> bool:
        """Whether both blobs' data is the same memory."""
        return self._data is other._data

    def share_diff(self, other: Blob) -> None:
        """Uses the memory of `other`'s diff from now on, until a reshape needs more; counts must be equal."""
        self._check_sharing(other)
        other._make_room_for_diff()
        if self._diff is not other._diff:
            self._diff, self._diff_view = other._diff, None
            self._changes.number += 1

    # ---------------------------------------------------------------- changes

    def count_changes_in(self, changes: Changes) -> None:
        """Counts changes of the blob's shape and memory in `changes` from now on."""
        self._changes = changes
        changes.number += 1

    @property
    def memory(self) -> tuple[int, int]:
        """Two numbers that tell the memory of data and of diff from any other memory."""
        return self._data.number, self._diff.number

    @property
    def place(self) -> tuple[tuple[int, ...], int]:
        """The shape, and the index at which the data begins in its memory."""
        return self._shape, self._data.start

    def _check_sharing(self, other: Blob) -> None:
        if self._count != other._count:
            raise NetError(f"blobs of shapes {self._shape} and {other._shape} cannot share memory")
        if self.dtype != other.dtype:
            raise NetError(f"blobs of {self.dtype} and {other.dtype} cannot share memory")
