"""The base of elementwise layers, shown by a type whose formulas stand here: y = gain x^2."""

from types import SimpleNamespace

import numpy as np
import pytest

from pycaffe_lite.blob import Blob
from pycaffe_lite.layer.activation.elementwise import ElementwiseLayer
from pycaffe_lite.layer.base import LayerContext
from pycaffe_lite.proto import caffe_pb2


class Formula:
    """A formula with the names of its parameters, as `kernels` has them."""

    def __init__(self, compute, *names):
        self.compute = compute
        self.names = names

    def __call__(self, *arguments):
        *given, result = arguments
        assert result.ndim == 1
        result[...] = self.compute(*given)


class Square(ElementwiseLayer):
    kernels = SimpleNamespace(
        forward=Formula(lambda gain, x: gain * x**2, "gain", "x"),
        backward=Formula(lambda x, dy, gain: 2 * gain * x * dy, "x", "dy", "gain"),
    )

    def numbers(self):
        return {"gain": 3, "another": 1}


class SquareOfKept(Square):
    keeps_input = True


class ByResult(Square):
    kernels = SimpleNamespace(
        forward=Square.kernels.forward, backward=Formula(lambda y, dy: y * dy, "y", "dy")
    )


X = np.array([[1, -2], [0.5, 4]], np.float32)
DY = np.array([[1, 1], [2, -1]], np.float32)


def run(kind, in_place=False):
    """The tops' values, and the gradient of the bottom."""
    layer = kind(caffe_pb2.LayerParameter(name="l"), None, LayerContext())
    x = Blob(X.shape)
    y = x if in_place else Blob()
    layer.set_up([x], [y])
    x.data[...] = X
    layer.forward([x], [y])
    values = y.data.copy()
    y.diff[...] = DY
    layer.backward([y], [False], [x])
    assert (y.diff == DY).all()
    layer.backward([y], [True], [x])
    return values, x.diff


def test_a_formula_takes_its_numbers_by_name():
    y, dx = run(Square)
    np.testing.assert_array_equal(y, 3 * X**2)
    np.testing.assert_array_equal(dx, 6 * X * DY)


def test_backward_may_use_the_result():
    assert np.array_equal(run(ByResult)[1], 3 * X**2 * DY)


@pytest.mark.parametrize(("kind", "seen"), [(Square, 3 * X**2), (SquareOfKept, X)])
def test_in_place_backward_sees_the_result_or_the_input_that_was_kept(kind, seen):
    y, dx = run(kind, in_place=True)
    np.testing.assert_array_equal(y, 3 * X**2)
    np.testing.assert_array_equal(dx, 6 * seen * DY)
