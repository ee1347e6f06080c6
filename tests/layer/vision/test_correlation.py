import itertools

import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

R = np.random.default_rng(0)
A, B = R.normal(size=(2, 3, 5, 6)), R.normal(size=(2, 3, 5, 6))


def correlation(a, b, size=1, far=1, pad=0, stride=1, step=1, subtract=False, moves=None, rows=True):
    """By the definition; moves: the displacements (down, right), in units of `step`."""
    r = far // step
    moves = moves or list(itertools.product(range(-r, r + 1), repeat=2))
    edge_h, far_h = (pad, far) if rows else (0, 0)
    border = r + 9
    a, b = (
        np.pad(v, ((0, 0), (0, 0), (edge_h + border,) * 2, (pad + border,) * 2)).astype(float) for v in (a, b)
    )
    heights = range(border + far_h, a.shape[2] - border - far_h - size + 1, stride)
    widths = range(border + far, a.shape[3] - border - far - size + 1, stride)
    y = np.zeros((len(a), len(moves), len(heights), len(widths)))
    for k, (down, right) in enumerate(moves):
        for (p, h), (q, w) in itertools.product(enumerate(heights), enumerate(widths)):
            own = a[:, :, h : h + size, w : w + size]
            h2, w2 = h + down * step, w + right * step
            other = b[:, :, h2 : h2 + size, w2 : w2 + size]
            y[:, k, p, q] = (np.abs(own - other) if subtract else own * other).mean(axis=(1, 2, 3))
    return y


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ("kernel_size: 1 max_displacement: 1", {}),
        ("kernel_size: 1 max_displacement: 2 pad: 2 stride_2: 2", {"far": 2, "pad": 2, "step": 2}),
        ("kernel_size: 3 max_displacement: 1 pad: 2 stride_1: 2", {"size": 3, "pad": 2, "stride": 2}),
        (
            "kernel_size: 1 max_displacement: 1 pad: 1 correlation_type: SUBTRACT",
            {"pad": 1, "subtract": True},
        ),
    ],
)
def test_patches_against_displaced_ones(options, numbers):
    check_layer(
        f'type: "Correlation" correlation_param {{ {options} }}',
        [A, B],
        lambda bottoms, _: [correlation(*bottoms, **numbers)],
    )


@pytest.mark.parametrize(("direction", "moves"), [(0, range(-2, 3)), (1, range(3)), (-1, range(-3, 0))])
def test_along_the_width_alone(direction, moves):
    options = f"kernel_size: 1 max_displacement: 2 pad: 2 single_direction: {direction}"
    check_layer(
        f'type: "Correlation1D" correlation_param {{ {options} }}',
        [A, B],
        lambda bottoms, _: [
            correlation(*bottoms, far=2, pad=2, rows=False, moves=[(0, right) for right in moves])
        ],
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("max_displacement: 1", "needs kernel_size in correlation_param"),
        ("kernel_size: 1", "needs max_displacement in correlation_param"),
        ("kernel_size: 2 max_displacement: 1", "needs an odd kernel_size, got 2"),
        ("kernel_size: 1 max_displacement: 1 stride_2: 0", "needs strides of at least 1, got 1 and 0"),
        ("kernel_size: 1 max_displacement: 1 single_direction: 1", "single_direction: layers of this type"),
        ("kernel_size: 1 max_displacement: 3", "output would be empty: bottom shape (2, 3, 5, 6)"),
        ("kernel_size: 1 max_displacement: 1 pad: 4000000000", "is too large for planes of 5x6"),
    ],
)
def test_errors(options, message):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "Correlation" correlation_param {{ {options} }}', [A, B])
    assert message in str(error.value)


def test_pictures_of_different_shapes():
    text = "correlation_param { kernel_size: 1 max_displacement: 1 }"
    with pytest.raises(LayerError, match="needs bottoms of one shape"):
        build_layer(f'type: "Correlation" {text}', [A, B[:, :2]])
    with pytest.raises(LayerError, match="needs a single_direction of -1, 0 or 1, got 2"):
        build_layer(f'type: "Correlation1D" {text[:-1]} single_direction: 2 }}', [A, B])
