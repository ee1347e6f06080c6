"""Named tuples of sizes, which kernels get as int64 arrays."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from numba.np.unsafe.ndarray import to_fixed_tuple

from pycaffe_lite.kernels.runtime.decorators import Array, kernel

T = TypeVar("T", bound=NamedTuple)


def reader_of(sizes: type[T]) -> Callable[[Array], T]:
    """A kernel that turns an int64 array into a named tuple, field by field.

    Plans hold such arrays because Python passes an array to a kernel more quickly than a tuple of many
    numbers. What the array holds after the last field is ignored.
    """
    count = len(sizes._fields)

    def read(numbers: Array) -> Any:
        return sizes(*to_fixed_tuple(numbers, count))

    return kernel(read)
