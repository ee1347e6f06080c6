"""Labels: from the floats of a blob to class numbers."""

from pycaffe_lite.kernels._jit import Array, Tasks, take_task, worker_kernel
from pycaffe_lite.kernels._scratch import no_memory


def read(values: Array, classes: int, ignored: int | None, labels: Array, found: Array) -> None:
    """labels[i] = values[i] as a whole number; -1 where it is `ignored`.

    Args:
        values: (count,).
        classes: how many there are.
        ignored: the label that does not count, None if there is none.
        labels: (count,), int32, overwritten; -1, too, where a value is no class.
        found: (2,), int64, overwritten: how many labels are not ignored; the first i whose value is no
            class (not whole, or not from 0 to classes - 1), -1 if there is none.
    """
    _read(no_memory(values.dtype, 1), values, classes, ignored is not None, ignored or 0, labels, found)


@worker_kernel
def _read(
    values: Array, classes: int, ignore: bool, ignored: int, labels: Array, found: Array, tasks: Tasks,
    _memory: Array,
) -> None:  # fmt: skip
    if take_task(tasks, 1) > 0:
        return
    found[0], found[1] = 0, -1
    for i in range(values.size):
        value = values[i]
        labels[i] = -1
        if not (ignore and value == ignored):
            found[0] += 1
            if 0 <= value < classes and int(value) == value:
                labels[i] = int(value)
            elif found[1] < 0:
                found[1] = i
