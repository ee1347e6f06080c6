"""Convolution3D, NdConvolution, Pooling3D and NdPooling, against loops from their definitions."""

import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

R = np.random.default_rng(0)
FILM = R.normal(size=(2, 2, 4, 5, 4))


def windows(size, kernel, pad, stride, count):
    """The places of each window on an axis, of the axis alone."""
    for p in range(count):
        first = p * stride - pad
        yield [s for s in range(first, first + kernel) if 0 <= s < size], first


def correlated(x, w, b, pad, stride, group=1):
    """Cross-correlation over all axes from 2 on."""
    sizes = [
        (n + 2 * p - k) // s + 1 for n, p, k, s in zip(x.shape[2:], pad, w.shape[2:], stride, strict=True)
    ]
    padded = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in pad)])
    y, C = np.zeros((len(x), len(w), *sizes)), w.shape[1]
    for n, m, *place in np.ndindex(y.shape):
        own = slice(m // (len(w) // group) * C, m // (len(w) // group) * C + C)
        part = tuple(slice(p * s, p * s + k) for p, s, k in zip(place, stride, w.shape[2:], strict=True))
        y[(n, m, *place)] = (padded[(n, own, *part)] * w[m]).sum() + b[m]
    return y


@pytest.mark.parametrize(
    ("text", "pad", "stride"),
    [
        ("kernel_depth: 3 kernel_size: 2", (0, 0, 0), (1, 1, 1)),
        (
            "kernel_depth: 2 kernel_size: 3 pad: 1 temporal_pad: 1 stride: 2 filter_group: 2",
            (1, 1, 1),
            (1, 2, 2),
        ),
        ("kernel_depth: 2 kernel_size: 2 temporal_stride: 2 group: 2", (0, 0, 0), (2, 1, 1)),
    ],
)
def test_convolution_3d(text, pad, stride):
    check_layer(
        f'type: "Convolution3D" convolution3d_param {{ num_output: 4 {text} }}',
        [FILM],
        lambda b, blobs: [correlated(b[0], blobs[0], blobs[1].ravel(), pad, stride)],
    )


def test_blobs_of_convolution_3d():
    text = "num_output: 3 kernel_depth: 3 kernel_size: 2"
    rig = build_layer(f'type: "Convolution3D" convolution3d_param {{ {text} }}', [FILM])
    assert [blob.shape for blob in rig.layer.blobs] == [(3, 2, 3, 2, 2), (1, 1, 1, 1, 3)]
    rig = build_layer(f'type: "Convolution3D" convolution3d_param {{ {text} bias_term: false }}', [FILM])
    assert len(rig.layer.blobs) == 1


def shape(name, sizes):
    return f"{name}_shape {{ " + " ".join(f"dim: {n}" for n in sizes) + " }"


@pytest.mark.parametrize(
    ("x", "kernel", "pad", "stride", "group"),
    [
        (FILM, (3, 2, 2), (0, 1, 0), (1, 2, 1), 1),
        (FILM, (2, 3, 3), (1, 1, 1), (2, 2, 1), 2),
        (FILM[:, :, 0], (2, 3), (0, 1), (1, 1), 1),
        (FILM[:, :, 0, 0], (2,), (1,), (2,), 1),
    ],
)
def test_nd_convolution(x, kernel, pad, stride, group):
    text = " ".join(shape(*own) for own in (("kernel", kernel), ("pad", pad), ("stride", stride)))
    check_layer(
        f'type: "NdConvolution" convolution_param {{ num_output: 4 group: {group} {text} }}',
        [x],
        lambda b, blobs: [correlated(b[0], *blobs, pad, stride, group)],
    )


def test_nd_convolution_leaves_axes_of_one_out():
    text = shape("kernel", (4, 2, 4))
    rig = build_layer(f'type: "NdConvolution" convolution_param {{ num_output: 3 {text} }}', [FILM])
    y = rig.forward()[0]
    assert y.shape == (2, 3, 4)
    (dx,), _ = rig.backward([np.ones(y.shape)])
    assert dx.shape == FILM.shape


def pooled(x, kernel, pad, stride, counts, reduce):
    """reduce(values, area of the window up to the padding's end) for each window."""
    y = np.empty((*x.shape[:2], *counts))
    parts = [list(windows(*own)) for own in zip(x.shape[2:], kernel, pad, stride, counts, strict=True)]
    for n, c, *place in np.ndindex(y.shape):
        own = [part[p] for part, p in zip(parts, place, strict=True)]
        area = np.prod(
            [
                min(first + k, size + p) - first
                for (_, first), k, size, p in zip(own, kernel, x.shape[2:], pad, strict=True)
            ]
        )
        y[(n, c, *place)] = reduce(x[n, c][np.ix_(*(places for places, _ in own))], area)
    return y


@pytest.mark.parametrize(
    ("text", "kernel", "pad", "stride", "counts", "reduce"),
    [
        (
            "kernel_depth: 2 kernel_size: 2 temporal_stride: 2 stride: 2",
            (2, 2, 2), (0, 0, 0), (2, 2, 2), (2, 3, 2), lambda x, _: x.max(),
        ),
        (
            "kernel_depth: 3 kernel_size: 3 stride: 2",
            (3, 3, 3), (0, 0, 0), (1, 2, 2), (2, 2, 2), lambda x, _: x.max(),
        ),
        (
            "pool: AVE kernel_depth: 2 kernel_size: 3 stride: 2 pad: 1",
            (2, 3, 3), (0, 1, 1), (1, 2, 2), (3, 3, 3), lambda x, area: x.sum() / area,
        ),
    ],
)  # fmt: skip
def test_pooling_3d(text, kernel, pad, stride, counts, reduce):
    check_layer(
        f'type: "Pooling3D" pooling3d_param {{ {text} }}',
        [FILM],
        lambda b, _: [pooled(b[0], kernel, pad, stride, counts, reduce)],
    )


def test_all_equal_maxima_have_the_gradient():
    text = "kernel_depth: 1 kernel_size: 2 stride: 2"
    x = np.array([3, 1, 3, 0]).reshape(1, 1, 1, 2, 2)
    rig = build_layer(f'type: "Pooling3D" pooling3d_param {{ {text} }}', [x])
    rig.forward()
    np.testing.assert_array_equal(rig.backward([5.0])[0][0].ravel(), [5, 0, 5, 0])
    rig = build_layer(f'type: "NdPooling" pooling_param {{ {shape("kernel", (1, 2, 2))} }}', [x])
    rig.forward()
    np.testing.assert_array_equal(rig.backward([5.0])[0][0].ravel(), [5, 0, 0, 0])


@pytest.mark.parametrize(
    ("x", "text", "kernel", "pad", "stride", "counts"),
    [
        (
            FILM,
            shape("kernel", (2, 2, 3)) + shape("stride", (2, 2, 1)),
            (2, 2, 3), (0, 0, 0), (2, 2, 1), (2, 3, 2),
        ),
        (
            FILM,
            shape("kernel", (2, 2, 2)) + shape("stride", (3, 3, 3)) + shape("pad", (1, 1, 1)),
            (2, 2, 2), (1, 1, 1), (3, 3, 3), (2, 2, 2),
        ),
        (
            FILM,
            shape("kernel", (1, 1, 1)) + " global_pooling: true",
            (4, 5, 4), (0, 0, 0), (1, 1, 1), (1, 1, 1),
        ),
        (FILM[:, :, 0, 0], shape("kernel", (2,)), (2,), (0,), (1,), (3,)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("pool", ["MAX", "AVE"])
def test_nd_pooling(x, text, kernel, pad, stride, counts, pool):
    def reduce(values, _):
        return values.max() if pool == "MAX" else values.sum() / np.prod(kernel)

    check_layer(
        f'type: "NdPooling" pooling_param {{ pool: {pool} {text} }}',
        [x],
        lambda b, _: [pooled(b[0], kernel, pad, stride, counts, reduce)],
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'type: "Convolution3D" convolution3d_param { num_output: 2 kernel_size: 2 }',
            "needs a kernel and a stride of at least 1 along every axis, got kernel 0x2x2, stride 1x1x1, pad "
            "0x0x0, dilation 1x1x1",
        ),
        (
            'type: "Convolution3D" convolution3d_param { num_output: 3 filter_group: 2 }',
            "needs num_output 3 to be a multiple of filter_group 2",
        ),
        (
            'type: "Convolution3D" convolution3d_param { num_output: 2 kernel_size: 9 kernel_depth: 1 }',
            "output would be empty: bottom shape (2, 2, 4, 5, 4) with kernel 1x9x9, stride 1x1x1, pad 0x0x0, "
            "dilation 1x1x1",
        ),
        (
            'type: "NdConvolution" convolution_param { num_output: 2 kernel_size: 2 }',
            "needs kernel_shape with a size for each of 3 spatial axes, got []",
        ),
        (
            'type: "NdPooling" pooling_param { global_pooling: true }',
            "needs kernel_shape with a size for each of 3 spatial axes, got []",
        ),
        (
            'type: "NdPooling" pooling_param { pool: STOCHASTIC kernel_size: 2 }',
            "pools MAX or AVE, not STOCHASTIC",
        ),
        (
            'type: "Pooling3D" pooling3d_param { kernel_size: 2 kernel_depth: 1 pad: 1 }',
            "takes pad with pool AVE only, got 1",
        ),
        (
            'type: "Pooling3D" pooling3d_param { kernel_size: 2 }',
            "needs sizes of 1 or more, got {'kernel_depth': 0, 'kernel_size': 2, 'temporal_stride': 1, "
            "'stride': 1}",
        ),
    ],
)
def test_errors(text, message):
    with pytest.raises(LayerError) as error:
        build_layer(text, [FILM])
    assert str(error.value).split(": ", 1)[1] == message


def test_fields_of_other_layers_are_said_to_have_no_effect(caplog):
    caplog.set_level("INFO")
    text = f"num_output: 1 {shape('kernel', (2, 2, 2))} kernel_size: 3"
    build_layer(f'type: "NdConvolution" convolution_param {{ {text} }}', [FILM])
    assert caplog.messages == [
        "layer 'layer' (NdConvolution): kernel_size has no effect: NdConvolution reads kernel_shape, "
        "pad_shape and stride_shape"
    ]
