import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

R = np.random.default_rng(0)
X = R.normal(size=(2, 3, 3, 2))
MASK = np.array([R.permutation(30)[:6] for _ in range(6)]).reshape(2, 3, 3, 2).astype(float)
SIZES = "kernel_size: 2 stride: 2 unpool_h: 6 unpool_w: 5"


def spread(x, size, kernel, stride, shares):
    y = np.zeros((*x.shape[:2], *size))
    for p, q in np.ndindex(*x.shape[2:]):
        h, w = p * stride, q * stride
        window = y[:, :, h : h + kernel, w : w + kernel]
        window += x[:, :, p, q, None, None] / (window[0, 0].size if shares else 1)
    return y


def test_put_back_where_a_mask_says():
    def reference(bottoms, _):
        x, mask = (b.reshape(6, 6) for b in bottoms)
        y = np.zeros((6, 30))
        for n, i in np.ndindex(6, 6):
            y[n, int(mask[n, i])] = x[n, i]
        return [y.reshape(2, 3, 6, 5)]

    check_layer(f'type: "Unpooling" unpooling_param {{ {SIZES} }}', [X, MASK], reference)


def test_put_at_the_beginnings_of_windows():
    def reference(bottoms, _):
        y = np.zeros((2, 3, 6, 5))
        y[:, :, ::2, :4:2] = bottoms[0]
        return [y]

    check_layer(f'type: "Unpooling" unpooling_param {{ {SIZES} }}', [X], reference)


@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 2), (3, 1), (4, 3)])
def test_shared_out(kernel, stride):
    options = f"unpool: AVE kernel_size: {kernel} stride: {stride} unpool_h: 7 unpool_w: 5"
    check_layer(
        f'type: "Unpooling" unpooling_param {{ {options} }}',
        [X],
        lambda bottoms, _: [spread(bottoms[0], (7, 5), kernel, stride, True)],
    )


def test_repeated():
    """The fork's gradient is a mean, where the true one is a sum."""
    text = 'type: "Unpooling" unpooling_param { unpool: TILE kernel_size: 3 stride: 2 unpool_size: 6 }'
    check_layer(
        text,
        [X],
        lambda bottoms, _: [spread(bottoms[0], (6, 6), 3, 2, False)],
        gradients=(),
        check_blobs=False,
    )
    rig = build_layer(text, [X])
    rig.forward()
    dy = R.normal(size=(2, 3, 6, 6))
    (dx,), _ = rig.backward([dy])
    right = np.empty(X.shape)
    for p, q in np.ndindex(3, 2):
        right[:, :, p, q] = dy[:, :, 2 * p : 2 * p + 3, 2 * q : 2 * q + 3].mean(axis=(2, 3))
    np.testing.assert_allclose(dx, right, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "bottoms", "message"),
    [
        ("unpool_size: 4", [X], "needs kernel_size, or kernel_h and kernel_w"),
        ("kernel_size: 2", [X], "needs unpool_size, or unpool_h and unpool_w"),
        ("kernel_size: 2 unpool_h: 4", [X], "needs either unpool_size, or unpool_h and unpool_w"),
        ("kernel_size: 2 unpool_size: 0", [X], "needs a unpool of 1 or more, got 0x0"),
        ("kernel_size: 2 unpool_size: 4 pad: 1", [X], "takes no padding"),
        ("kernel_size: 2 unpool_size: 4 unpool: AVE", [X, MASK], "takes a mask only for unpool MAX"),
        ("kernel_size: 2 unpool_size: 4", [X, MASK[:1]], "needs a mask of the shape of its bottom"),
        (
            "kernel_size: 2 unpool_size: 3 stride: 2 unpool: TILE",
            [X],
            "has windows that begin outside of its top: 3 with stride 2, in 3",
        ),
    ],
)
def test_errors(options, bottoms, message):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "Unpooling" unpooling_param {{ {options} }}', bottoms)
    assert message in str(error.value)


def test_a_place_outside_of_the_plane():
    rig = build_layer(f'type: "Unpooling" unpooling_param {{ {SIZES} }}', [X, MASK + 20])
    with pytest.raises(LayerError, match="needs places within its top's planes of 6x5"):
        rig.forward()
