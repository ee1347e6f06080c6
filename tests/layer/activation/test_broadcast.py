import numpy as np
import pytest
from layer_check import build_layer

from pycaffe_lite.blob import Blob
from pycaffe_lite.errors import LayerError, NetError
from pycaffe_lite.layer.activation.broadcast import Fold, covered_shape, fold, lies_over_channels


@pytest.fixture
def layer():
    return build_layer('type: "Bias"', [np.zeros((2, 3))]).layer


X = Blob((2, 3, 4, 5))


@pytest.mark.parametrize(
    ("axis", "num_axes", "shape"),
    [(1, 1, (3,)), (1, 2, (3, 4)), (2, -1, (4, 5)), (-1, 1, (5,)), (0, -1, (2, 3, 4, 5)), (3, 0, ())],
)
def test_axes_covered(layer, axis, num_axes, shape):
    assert covered_shape(layer, X, axis, num_axes) == shape


@pytest.mark.parametrize(
    ("axis", "num_axes", "kind", "says"),
    [
        (1, -2, LayerError, "needs num_axes of at least -1, got -2"),
        (3, 2, LayerError, r"needs 2 axes from axis 3 on, got bottom shape \(2, 3, 4, 5\)"),
        (4, 1, NetError, "axis 4 is out of range"),
    ],
)
def test_axes_that_there_are_not(layer, axis, num_axes, kind, says):
    with pytest.raises(kind, match=says):
        covered_shape(layer, X, axis, num_axes)


@pytest.mark.parametrize(
    ("shape", "axis", "folded"),
    [
        ((3,), 1, (2, 3, 20)),
        ((3, 4), 1, (2, 12, 5)),
        ((4, 5), -2, (6, 20, 1)),
        ((2,), 0, (1, 2, 60)),
        ((2, 3, 4, 5), 0, (1, 120, 1)),
        ((), 3, (1, 1, 120)),  # lies over all, whatever the axis
    ],
)
def test_how_a_part_lies_over_the_whole(layer, shape, axis, folded):
    assert fold(layer, X, Blob(shape), axis) == folded


def test_a_part_that_does_not_fit(layer):
    with pytest.raises(LayerError, match=r"its bias of shape \(4,\) does not fit .* from axis 1 on"):
        fold(layer, X, Blob((4,)), 1)


FOLDS = [Fold(2, 3, 4), Fold(1, 6, 1)]


@pytest.mark.parametrize("folded", FOLDS)
@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("shifted", [True, False])
def test_affine(folded, scaled, shifted):
    numbers = np.random.default_rng(0)
    x = numbers.normal(size=folded).astype(np.float32)
    scale, shift = numbers.normal(size=(2, folded.size)).astype(np.float32)
    y = x.copy() if not (scaled or shifted) else np.empty_like(x)
    folded.affine(x, scale if scaled else None, shift if shifted else None, y)
    column = slice(None), np.newaxis
    right = x * (scale[column] if scaled else 1) + (shift[column] if shifted else 0)
    np.testing.assert_allclose(y, right, rtol=1e-6)


@pytest.mark.parametrize("folded", FOLDS)
def test_sums(folded):
    numbers = np.random.default_rng(0)
    a, b = numbers.normal(size=(2, *folded)).astype(np.float32)
    sum_a, sum_ab = folded.sums(a, b)
    np.testing.assert_allclose(sum_a, a.sum((0, 2)), rtol=1e-5)
    np.testing.assert_allclose(sum_ab, (a * b).sum((0, 2)), rtol=1e-5)
    alone, none = folded.sums(a)
    np.testing.assert_array_equal(alone, sum_a)
    assert none is None


@pytest.mark.parametrize(
    ("fields", "bottoms", "axis", "over"),
    [
        ("", [X.shape], 1, True),
        ("", [X.shape], -3, True),
        ("bias_param { axis: 2 }", [X.shape], 2, False),
        ("bias_param { num_axes: 2 }", [X.shape], 1, False),
        ("", [X.shape, (3,)], 1, False),  # from a bottom: not learnt
    ],
)
def test_one_number_for_each_channel(fields, bottoms, axis, over):
    layer = build_layer(f'type: "Bias" {fields}', [np.zeros(shape) for shape in bottoms]).layer
    assert lies_over_channels(layer, X, axis) is over
