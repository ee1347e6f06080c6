"""Labels: class numbers from the floats of a blob."""

import numpy as np

from pycaffe_lite.kernels.runtime.decorators import Array, Tasks, take_task, worker_kernel
from pycaffe_lite.kernels.runtime.scratch import no_memory


def read(values: Array, classes: int, ignored: int | None, labels: Array, found: Array) -> None:
    """labels[i] = values[i] without its fraction, as Caffe casts it; -1 if that is `ignored`.

    Args:
        values: (count,).
        classes: how many there are.
        ignored: the label that does not count; None if all labels do.
        labels: (count,), int32, overwritten. A value that is not a class gives -1, too.
        found: (3,), int64, overwritten: how many labels are not ignored; the first i whose value is not a
            class (without its fraction, it is not from 0 to classes - 1); the first i whose value is a class
            or ignored, and has a fraction. Where there is no such i, -1.
    """
    _read(no_memory(values.dtype, 1), values, classes, ignored is not None, ignored or 0, labels, found)


@worker_kernel
def _read(
    values: Array, classes: int, ignore: bool, ignored: int, labels: Array, found: Array, tasks: Tasks,
    _memory: Array,
) -> None:  # fmt: skip
    if take_task(tasks, 1) > 0:
        return
    found[0], found[1], found[2] = 0, -1, -1
    for i in range(values.size):
        whole = np.trunc(values[i])
        labels[i] = -1
        if ignore and whole == ignored:
            right = True
        else:
            found[0] += 1
            right = 0 <= whole < classes
            if right:
                labels[i] = int(whole)
        if not right and found[1] < 0:
            found[1] = i
        if right and whole != values[i] and found[2] < 0:
            found[2] = i
