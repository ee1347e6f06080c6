import numpy as np
import pytest
from layer_check import build_layer, check_layer
from references import windows

from pycaffe_lite.errors import LayerError


def values(*shape):
    return np.random.default_rng(0).normal(size=shape)


def reference(kernel, outputs, stride=1, pad=0, dilation=1, axis=1):
    def compute(bottoms, blobs):
        x = bottoms[0].reshape(-1, *bottoms[0].shape[axis:])
        sizes = [np.broadcast_to(size, len(kernel)).tolist() for size in (stride, pad, dilation)]
        columns = [taken for _, taken in windows(x, kernel, *sizes, outputs)]
        y = np.stack(columns, axis=2)  # (N, C, offsets, *outputs)
        return [y.reshape(*bottoms[0].shape[:axis], -1, *outputs)]

    return compute


@pytest.mark.parametrize(
    ("fields", "shape", "options"),
    [
        ("kernel_size: 2", (2, 2, 3, 4), {"kernel": (2, 2), "outputs": (2, 3)}),
        (
            "kernel_h: 3 kernel_w: 2 stride: 2 pad: 1",
            (1, 2, 4, 5),
            {"kernel": (3, 2), "outputs": (2, 3), "stride": 2, "pad": 1},
        ),
        ("kernel_size: 2 dilation: 2", (1, 2, 3, 4), {"kernel": (2, 2), "outputs": (1, 2), "dilation": 2}),
        ("kernel_size: 3", (2, 2, 5), {"kernel": (3,), "outputs": (3,)}),
        ("kernel_size: 2", (1, 2, 2, 3, 2), {"kernel": (2, 2, 2), "outputs": (1, 2, 1)}),
        ("kernel_size: 2 axis: 2", (2, 1, 2, 2, 3), {"kernel": (2, 2), "outputs": (1, 2), "axis": 2}),
    ],
)
def test_patches(fields, shape, options):
    check_layer(f'type: "Im2col" convolution_param {{ {fields} }}', [values(*shape)], reference(**options))


def error_of(fields, shape):
    with pytest.raises(LayerError) as error:
        build_layer(f'name: "i" type: "Im2col" convolution_param {{ {fields} }}', [values(*shape)])
    return str(error.value)


def test_what_is_refused():
    assert error_of("kernel_size: 2", (2, 3)) == (
        "layer 'i' (Im2col): needs a spatial axis after axis 1, got bottom shape (2, 3)"
    )
    assert error_of("kernel_size: 3", (1, 2, 2, 4)) == (
        "layer 'i' (Im2col): output would be empty: bottom shape (1, 2, 2, 4) with "
        "kernel 3x3, stride 1x1, pad 0x0, dilation 1x1"
    )
    rig = build_layer('name: "i" type: "Im2col" convolution_param { kernel_size: 2 }', [values(1, 2, 3, 3)])
    with pytest.raises(LayerError) as error:
        rig.forward([values(1, 2, 3)])
    assert str(error.value) == "layer 'i' (Im2col): needs 4 axes, got bottom shape (1, 2, 3)"
    with pytest.raises(LayerError) as error:
        build_layer(
            'type: "Im2col" convolution_param { kernel_size: 2 }', [values(1, 2, 3, 3)], in_place=True
        )
    assert str(error.value) == (
        "layer 'layer' (Im2col): does not work in place: give its top a name of its own"
    )
