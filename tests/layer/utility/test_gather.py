import numpy as np
import pytest
from layer_check import build_layer

from pycaffe_lite.errors import LayerError

X = np.arange(24.0).reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("indices: 1 shape: 0", X[1]),
        ("indices: 2 indices: 0 shape: 2 axis: 1", X[:, [2, 0]]),
        ("indices: 0 indices: 3 indices: 1 indices: 1 shape: 2 shape: 2 axis: -1", X[..., [[0, 3], [1, 1]]]),
    ],
)
def test_slices_by_index(options, expected):
    rig = build_layer(f'type: "Gather" gather_param {{ {options} }}', [X])
    np.testing.assert_array_equal(rig.forward()[0], expected, strict=False)
    assert rig.top[0].shape == expected.shape


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("indices: 2 shape: 1", "needs indices below 2, got 2"),
        ("indices: 1 shape: 2", "needs 2 indices for shape (2,), got 1"),
        ("indices: 0 shape: 1 axis: 3", "axis 3 is out of range for a blob of shape (2, 3, 4)"),
    ],
)
def test_errors(options, message):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "Gather" gather_param {{ {options} }}', [X])
    assert str(error.value) == f"layer 'layer' (Gather): {message}"
