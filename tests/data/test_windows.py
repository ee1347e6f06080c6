import numpy as np
import pytest

from pycaffe_lite.data.windows import Cutting, Place, place

NONE = np.zeros((3, 1, 1), np.float32)


def cutting(size=12, pad=0, square=False):
    return Cutting(size, pad, square, True, 1.0, NONE)


def test_a_window_as_it_is():
    assert place((3, 4, 10, 9), (50, 60), cutting(), False) == Place(3, 4, 10, 9, 12, 12, 0, 0)


def test_context_inside_the_picture():
    """12 / (12 − 2 · 3) = 2: twice the size about the centre."""
    assert place((20, 20, 29, 29), (99, 99), cutting(pad=3), False) == Place(15, 15, 35, 35, 12, 12, 0, 0)


def test_square():
    p = place((20, 20, 29, 23), (99, 99), cutting(square=True), False)
    assert (p.x1, p.y1, p.x2, p.y2) == (20, 17, 30, 27)


@pytest.mark.parametrize("mirrored", [False, True])
def test_what_hangs_over_is_left_out(mirrored):
    """On the left when the item is not mirrored; then what hangs over on the right counts."""
    p = place((0, 0, 9, 9), (99, 12), cutting(pad=3), mirrored)
    assert (p.x1, p.y1, p.x2, p.y2) == (0, 0, 11, 15)
    assert p.row == round(5 * 12 / 21)
    assert p.column == round((4 if mirrored else 5) * 12 / 21)
    assert p.row + p.height <= 12
    assert p.column + p.width <= 12


def test_halves_are_rounded_away_from_zero():
    p = place((0, 0, 2, 2), (99, 99), cutting(size=6, square=True), False)
    assert (p.x1, p.x2) == (0, 3)
    p = place((0, 0, 1, 1), (99, 99), cutting(size=6, pad=2), False)  # −2 to 4, without halves
    assert (p.x1, p.x2, p.column) == (0, 4, 2)


def test_the_mean_is_centred_by_its_width():
    mean = np.arange(3 * 20 * 16, dtype=np.float32).reshape(3, 20, 16)
    part = Cutting(12, 0, False, False, 1.0, mean).mean_at(1, 2, 5, 4)
    np.testing.assert_array_equal(part, mean[:, 3:8, 4:8])
