"""What Convolution and Deconvolution share: their settings, shapes and choice of kernels."""

import numpy as np
import pytest
from layer_check import build_layer

from pycaffe_lite.errors import LayerError

BOTH = pytest.mark.parametrize("kind", ["Convolution", "Deconvolution"])


def build(kind, fields, *shapes, **options):
    values = [np.ones(shape) for shape in shapes]
    return build_layer(f'name: "l" type: "{kind}" convolution_param {{ {fields} }}', values, **options)


@BOTH
def test_axes_before_the_channels_are_a_batch(kind):
    layer = build(kind, "num_output: 6 kernel_size: 3 axis: 2 group: 2", (2, 5, 4, 7, 8)).layer
    assert (layer.axis, layer.spatial, layer.channels, layer.group, layer.N) == (2, 2, 4, 2, 10)


@pytest.mark.parametrize(
    ("kind", "weights"), [("Convolution", (6, 2, 3, 5)), ("Deconvolution", (4, 3, 3, 5))]
)
def test_weights_and_bias(kind, weights):
    fields = "num_output: 6 kernel_h: 3 kernel_w: 5 group: 2"
    layer = build(
        kind, f"{fields} weight_filler {{ value: 2 }} bias_filler {{ value: 3 }}", (1, 4, 7, 8)
    ).layer
    assert [blob.shape for blob in layer.blobs] == [weights, (6,)]
    assert (layer.weight.data == 2).all()
    assert (layer.bias.data == 3).all()
    assert len(build(kind, f"{fields} bias_term: false", (1, 4, 7, 8)).layer.blobs) == 1


@BOTH
@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ("kernel_size: 2", "needs num_output of at least 1, got 0"),
        ("num_output: 2 kernel_size: 2 group: 0", "needs group of at least 1, got 0"),
        ("num_output: 3 kernel_size: 2 group: 3", "needs channels to be a multiple of group 3, got 4"),
        ("num_output: 3 kernel_size: 2 group: 2", "needs num_output to be a multiple of group 2, got 3"),
        ("num_output: 2 kernel_size: 2 axis: 4", "axis 4 is out of range"),
    ],
)
def test_settings_that_do_not_fit(kind, fields, says):
    with pytest.raises(LayerError, match=rf"^layer 'l' \({kind}\): {says}"):
        build(kind, fields, (1, 4, 4, 5))


@BOTH
def test_bottoms_that_do_not_fit(kind):
    fields = "num_output: 2 kernel_size: 1"
    with pytest.raises(
        LayerError, match=r"needs bottoms of one shape, got \(1, 4, 3, 3\) and \(1, 4, 2, 3\)"
    ):
        build(kind, fields, (1, 4, 3, 3), (1, 4, 2, 3))
    with pytest.raises(LayerError, match="cannot work in place"):
        build(kind, "num_output: 4 kernel_size: 1", (1, 4, 3, 3), in_place=True)
    rig = build(kind, fields, (1, 4, 3, 3))
    for shape in ((1, 5, 3, 3), (1, 4, 3)):
        with pytest.raises(LayerError) as error:
            rig.forward([np.ones(shape)])
        said = f"needs 4 axes with 4 channels on axis 1, got bottom shape {shape}"
        assert str(error.value) == f"layer 'l' ({kind}): {said}"


def test_a_result_without_values():
    with pytest.raises(
        LayerError, match=r"output would be empty: bottom shape \(1, 4, 3, 3\) with kernel 7x7"
    ):
        build("Convolution", "num_output: 2 kernel_size: 7", (1, 4, 3, 3))


@pytest.mark.parametrize(
    ("fields", "shape", "is_plane"),
    [
        ("kernel_size: 1", (1, 2, 4, 5), True),
        ("kernel_size: 1", (1, 2, 5), True),
        ("axis: 3", (1, 2, 4, 5), True),  # no spatial axes: a product
        ("kernel_size: 1", (1, 2, 3, 4, 5), False),
        ("kernel_size: 1 force_nd_im2col: true", (1, 2, 4, 5), False),
        ("kernel_size: 1 pad: 3000 stride: 3000", (1, 2, 4, 5), False),  # too wide to be put into memory
    ],
)
def test_which_kernels_serve(fields, shape, is_plane):
    layer = build("Convolution", f"num_output: 2 {fields}", shape).layer
    assert (layer.plane is not None) is is_plane


@BOTH
def test_either_kernels_give_the_same(kind):
    """One spatial axis is a plane of height 1; two can go through the kernels for any number."""
    x = np.random.default_rng(0).normal(size=(2, 4, 7))
    fields = (
        "num_output: 2 group: 2 {} weight_filler {{ type: 'uniform' min: -1 }} bias_filler {{ value: 1 }}"
    )
    rows = build_layer(
        f"type: '{kind}' convolution_param {{ {fields.format('kernel_size: 3 stride: 2')} }}", [x]
    )
    flat = "kernel_h: 1 kernel_w: 3 stride_h: 1 stride_w: 2 force_nd_im2col: true"
    planes = build_layer(
        f"type: '{kind}' convolution_param {{ {fields.format(flat)} }}", [x[:, :, np.newaxis]]
    )
    (one,), (other,) = rows.forward(), planes.forward()
    np.testing.assert_allclose(one, other[:, :, 0], rtol=1e-5, atol=1e-6)
    dy = np.random.default_rng(1).normal(size=one.shape)
    (dx,), blobs = rows.backward([dy])
    (other_dx,), other_blobs = planes.backward([dy[:, :, np.newaxis]])
    np.testing.assert_allclose(dx, other_dx[:, :, 0], rtol=1e-5, atol=1e-5)
    for got, right in zip(blobs, other_blobs, strict=True):
        np.testing.assert_allclose(got, right.reshape(got.shape), rtol=1e-5, atol=1e-5)
