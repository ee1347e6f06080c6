import numpy as np
import pytest

from pycaffe_lite.kernels import rows


@pytest.mark.parametrize("columns", [1, rows.COLUMNS, 2 * rows.COLUMNS + 3])
def test_rows_are_added_at_their_places(columns):
    values = np.random.default_rng(0).normal(size=(5, columns))
    table = np.ones((4, columns))
    rows.add(values, np.array([3, 1, 3, 0, 3]), table)
    right = np.stack([values[3], values[1], np.zeros(columns), values[0] + values[2] + values[4]])
    assert np.allclose(table, 1 + right, rtol=1e-14)


def test_more_places_than_one_task_has():
    index = np.random.default_rng(0).integers(0, 5 * rows.PLACES, 1000)
    values, table = np.random.default_rng(1).normal(size=(1000, 3)), np.ones((5 * rows.PLACES, 3))
    right = table.copy()
    np.add.at(right, index, values)
    rows.add(values, index, table)
    assert np.allclose(table, right, rtol=1e-13)


def test_no_rows_change_nothing():
    table = np.ones((4, 3))
    rows.add(np.ones((0, 3)), np.zeros(0, np.int64), table)
    assert (table == 1).all()
