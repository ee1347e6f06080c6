import numpy as np
import pytest

from pycaffe_lite.kernels import rows


@pytest.mark.parametrize("columns", [1, rows.COLUMNS, 2 * rows.COLUMNS + 3])
@pytest.mark.parametrize("compiled", [True, False])
def test_rows_are_added_at_their_places(columns, compiled):
    values = np.random.default_rng(0).normal(size=(5, columns))
    table = np.ones((4, columns))
    (rows.add if compiled else rows.add.py_func)(values, np.array([3, 1, 3, 0, 3]), table)
    right = np.stack([values[3], values[1], np.zeros(columns), values[0] + values[2] + values[4]])
    assert np.allclose(table, 1 + right, rtol=1e-14)


def test_no_rows_change_nothing():
    table = np.ones((4, 3))
    rows.add(np.ones((0, 3)), np.zeros(0, np.int64), table)
    assert (table == 1).all()
