import numpy as np
import pytest
from layer_check import build_layer, check_layer

X = np.random.default_rng(0).normal(size=(2, 3, 6, 5))


def means(x, kernel, pad, stride, size):
    y = np.zeros((*x.shape[:2], *size))
    for p, q in np.ndindex(size):
        h, w = p * stride - pad, q * stride - pad
        window = x[:, :, max(h, 0) : h + kernel, max(w, 0) : w + kernel]
        if window.size:
            y[:, :, p, q] = window.mean(axis=(2, 3))
    return y


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ("kernel_size: 3 pad: 1", (3, 1, 1, (6, 5))),
        ("kernel_size: 3 pad: 1 stride: 2", (3, 1, 2, (4, 3))),
        ("kernel_size: 2 stride: 2", (2, 0, 2, (3, 3))),
        ("kernel_size: 5 pad: 4", (5, 4, 1, (10, 9))),
    ],
)
def test_padding_does_not_count(options, numbers):
    text = f'type: "Pooling" pooling_param {{ pool: AVE avg_include_pad: false {options} }}'
    check_layer(text, [X], lambda bottoms, _: [means(bottoms[0], *numbers)])


def test_maxima_have_no_padding_to_leave_out():
    text = 'type: "Pooling" pooling_param { kernel_size: 3 pad: 1 %s }'
    plain, other = (build_layer(text % more, [X]).forward()[0] for more in ("", "avg_include_pad: false"))
    np.testing.assert_array_equal(plain, other)
