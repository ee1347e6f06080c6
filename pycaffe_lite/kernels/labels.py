"""Labels: from the floats of a blob to class numbers."""

from pycaffe_lite.kernels._jit import Array, kernel


@kernel
def read(values: Array, classes: int, ignore: bool, ignored: int, labels: Array) -> tuple[int, int]:
    """labels[i] = values[i] as a whole number; -1 where `ignore` is set and it is `ignored`.

    values: (count,). labels: (count,), int32.

    Returns:
        How many labels are not ignored; the first i whose value is no class (not whole, or not from 0 to
        classes - 1), -1 if there is none. After such an i labels are not written.
    """
    counted = 0
    for i in range(values.size):
        value = values[i]
        if ignore and value == ignored:
            labels[i] = -1
        elif 0 <= value < classes and int(value) == value:
            labels[i] = int(value)
            counted += 1
        else:
            return counted, i
    return counted, -1
