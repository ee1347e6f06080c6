import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError


def darknets(x, s, reverse):
    """darknet's loop over the bottom's sizes."""
    N, C, H, W = x.shape
    fewer = C // s**2
    shape = (N, C // s**2, H * s, W * s) if reverse else (N, C * s**2, H // s, W // s)
    source, target = x.reshape(N, -1), np.zeros((N, x[0].size))
    for k, j, i in np.ndindex(C, H, W):
        small = i + W * (j + H * k)
        row, column = j * s + k // fewer // s, i * s + k // fewer % s
        big = column + W * s * (row + H * s * (k % fewer))
        if reverse:
            target[:, big] = source[:, small]
        else:
            target[:, small] = source[:, big]
    return target.reshape(shape)


@pytest.mark.parametrize(
    ("options", "shape"),
    [("stride: 2", (2, 4, 4, 6)), ("stride: 3", (1, 9, 3, 6)), ("stride: 2 reverse: true", (2, 8, 3, 2))],
)
def test_in_darknets_order(options, shape):
    x = np.random.default_rng(0).normal(size=shape)
    stride = int(options.split()[1])
    check_layer(
        f'type: "Reorg" reorg_param {{ {options} }}',
        [x],
        lambda bottoms, _: [darknets(bottoms[0], stride, "reverse" in options)],
    )


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ("", (1, 4, 2, 2), "needs reorg_param { stride: ... } of 1 or more"),
        (
            "stride: 2",
            (1, 4, 3, 2),
            "needs channels divisible by 4 and a height and a width divisible by 2, "
            "got bottom shape (1, 4, 3, 2)",
        ),
        (
            "stride: 2 reverse: true",
            (1, 3, 2, 2),
            "needs channels divisible by 4, got bottom shape (1, 3, 2, 2)",
        ),
    ],
)
def test_errors(options, shape, message):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "Reorg" reorg_param {{ {options} }}', [np.ones(shape)])
    assert str(error.value) == f"layer 'layer' (Reorg): {message}"
