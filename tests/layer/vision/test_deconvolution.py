import numpy as np
import pytest
from layer_check import build_layer, check_layer
from references import deconvolution

from pycaffe_lite.errors import LayerError


def values(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def prototxt(fields):
    return f'name: "d" type: "Deconvolution" convolution_param {{ {fields} }}'


def reference(stride=1, pad=0, dilation=1, group=1, axis=1):
    def compute(bottoms, blobs):
        tops = []
        for x in bottoms:
            spatial = x.ndim - axis - 1
            stack = x.reshape(-1, *x.shape[axis:])
            sizes = {
                name: np.broadcast_to(size, spatial).tolist()
                for name, size in (("stride", stride), ("pad", pad), ("dilation", dilation))
            }
            y = deconvolution(stack, *blobs, **sizes, group=group)
            tops.append(y.reshape(*x.shape[:axis], *y.shape[1:]))
        return tops

    return compute


@pytest.mark.parametrize(
    ("fields", "shape", "options"),
    [
        ("num_output: 3 kernel_size: 3", (2, 2, 3, 4), {}),
        ("num_output: 2 kernel_size: 4 stride: 2 pad: 1", (2, 3, 3, 2), {"stride": 2, "pad": 1}),
        ("num_output: 2 kernel_size: 2 stride: 3", (1, 2, 3, 3), {"stride": 3}),
        ("num_output: 2 kernel_size: 2 dilation: 3", (1, 2, 2, 3), {"dilation": 3}),
        ("num_output: 4 kernel_size: 3 group: 2", (2, 6, 2, 3), {"group": 2}),
        (
            "num_output: 4 kernel_size: 4 stride: 2 pad: 1 group: 4",
            (1, 4, 3, 3),
            {"stride": 2, "pad": 1, "group": 4},
        ),
        (
            "num_output: 2 kernel_h: 2 kernel_w: 3 stride_h: 1 stride_w: 2 pad_w: 2 bias_term: false",
            (1, 2, 3, 4),
            {"stride": (1, 2), "pad": (0, 2)},
        ),
    ],
)
@pytest.mark.parametrize("force", ["false", "true"])
def test_two_spatial_axes(fields, shape, options, force):
    check_layer(prototxt(f"{fields} force_nd_im2col: {force}"), [values(*shape)], reference(**options))


@pytest.mark.parametrize(
    ("fields", "shape", "options"),
    [
        ("num_output: 3", (2, 4), {}),
        ("num_output: 3 kernel_size: 3 stride: 2 pad: 1", (2, 2, 4), {"stride": 2, "pad": 1}),
        ("num_output: 2 kernel_size: 2 stride: 2", (1, 2, 2, 1, 2), {"stride": 2}),
        ("num_output: 2 kernel_size: 2 axis: 2", (2, 1, 2, 2, 3), {"axis": 2}),
    ],
)
def test_other_numbers_of_spatial_axes(fields, shape, options):
    check_layer(prototxt(fields), [values(*shape)], reference(**options))


def test_several_bottoms_share_the_weights():
    check_layer(
        prototxt("num_output: 3 kernel_size: 2"),
        [values(2, 2, 2, 3), values(2, 2, 2, 3, seed=1)],
        reference(),
    )


def test_weights_have_the_bottoms_channels_first():
    rig = build_layer(prototxt("num_output: 4 kernel_size: 3 group: 2"), [values(1, 6, 2, 2)])
    assert [blob.shape for blob in rig.layer.blobs] == [(6, 2, 3, 3), (4,)]


def test_bilinear_upsampling_keeps_a_constant():
    rig = build_layer(
        prototxt(
            "num_output: 2 kernel_size: 4 stride: 2 pad: 1 group: 2 bias_term: false "
            "weight_filler { type: 'bilinear' }"
        ),
        [np.full((1, 2, 5, 5), 3.0)],
    )
    assert np.allclose(rig.forward()[0][:, :, 1:-1, 1:-1], 3)


def test_what_is_refused():
    with pytest.raises(LayerError) as error:
        build_layer(prototxt("num_output: 2 kernel_size: 2 pad: 1"), [values(1, 4, 1, 5)])
    assert str(error.value) == (
        "layer 'd' (Deconvolution): output would be empty: bottom shape (1, 4, 1, 5) with "
        "kernel 2x2, stride 1x1, pad 1x1, dilation 1x1"
    )
