import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError


@pytest.mark.parametrize(
    ("operation", "function"),
    [
        ("", lambda rows: rows.sum(1)),
        ("operation: SUM", lambda rows: rows.sum(1)),
        ("operation: ASUM", lambda rows: np.abs(rows).sum(1)),
        ("operation: SUMSQ", lambda rows: np.einsum("ij,ij->i", rows, rows)),
        ("operation: MEAN", lambda rows: rows.mean(1)),
    ],
)
@pytest.mark.parametrize(("axis", "kept"), [(None, ()), (2, (2, 3)), (-1, (2, 3, 4))])
@pytest.mark.parametrize("coeff", [None, -1.5])
def test_operations(operation, function, axis, kept, coeff):
    options = operation
    options += "" if axis is None else f" axis: {axis}"
    options += "" if coeff is None else f" coeff: {coeff}"

    def reference(bottoms, blobs):
        rows = bottoms[0].reshape(int(np.prod(kept)), -1)
        return [(coeff or 1.0) * function(rows).reshape(kept)]

    check_layer(
        f'type: "Reduction" reduction_param {{ {options} }}',
        [np.random.default_rng(0).normal(size=(2, 3, 4, 2))],
        reference,
        resized=(),
    )


def test_absolute_sum_has_the_gradient_zero_at_zero():
    rig = build_layer('type: "Reduction" reduction_param { operation: ASUM }', [[0.0, -2.0, 3.0]])
    rig.forward()
    assert rig.backward([3.0])[0][0].tolist() == [0, -3, 3]


def test_sum_of_no_values_is_zero():
    assert build_layer('type: "Reduction" reduction_param { axis: 1 }', [np.ones((2, 0))]).forward()[
        0
    ].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ("axis: 2", (2, 3), "axis 2 is out of range for a blob of shape (2, 3)"),
        ("axis: 1 operation: MEAN", (2, 0), "cannot take the mean of no values, got bottom shape (2, 0)"),
    ],
)
def test_errors(options, shape, message):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "Reduction" reduction_param {{ {options} }}', [np.ones(shape)])
    assert str(error.value) == f"layer 'layer' (Reduction): {message}"
