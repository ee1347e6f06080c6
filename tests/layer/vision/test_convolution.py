import numpy as np
import pytest
from layer_check import build_layer, check_layer
from references import convolution

from pycaffe_lite.errors import LayerError
from pycaffe_lite.kernels.convolution import Epilogue


def values(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def prototxt(fields):
    return f'name: "c" type: "Convolution" convolution_param {{ {fields} }}'


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
            y = convolution(stack, *blobs, **sizes, group=group)
            tops.append(y.reshape(*x.shape[:axis], *y.shape[1:]))
        return tops

    return compute


@pytest.mark.parametrize(
    ("fields", "shape", "options"),
    [
        ("num_output: 3 kernel_size: 3", (2, 2, 5, 6), {}),
        ("num_output: 3 kernel_size: 1", (2, 2, 3, 4), {}),
        ("num_output: 3 kernel_size: 1 stride: 2", (2, 2, 5, 4), {"stride": 2}),
        ("num_output: 2 kernel_size: 3 pad: 1", (2, 3, 4, 5), {"pad": 1}),
        ("num_output: 2 kernel_size: 2 stride: 3 pad: 2", (1, 2, 5, 5), {"stride": 3, "pad": 2}),
        ("num_output: 2 kernel_size: 3 dilation: 2", (1, 2, 6, 7), {"dilation": 2}),
        ("num_output: 2 kernel_size: 3 dilation_h: 1 dilation_w: 2", (1, 2, 6, 7), {"dilation": (1, 2)}),
        ("num_output: 2 kernel_size: 3 hole: 2", (1, 2, 6, 7), {"dilation": 2}),
        ("num_output: 2 kernel_size: 3 hole_h: 2 hole_w: 1", (1, 2, 6, 7), {"dilation": (2, 1)}),
        (
            "num_output: 2 kernel_size: 2 kernel_size: 3 stride: 2 stride: 1 pad: 0 pad: 1 dilation: 1 "
            "dilation: 2",
            (1, 2, 5, 6),
            {"stride": (2, 1), "pad": (0, 1), "dilation": (1, 2)},
        ),
        (
            "num_output: 2 kernel_h: 1 kernel_w: 3 stride_h: 1 stride_w: 2 pad_w: 2",
            (1, 2, 3, 4),
            {"stride": (1, 2), "pad": (0, 2)},
        ),
        ("num_output: 4 kernel_size: 3 group: 2", (2, 4, 4, 4), {"group": 2}),
        ("num_output: 4 kernel_size: 3 group: 4 pad: 1", (1, 4, 4, 4), {"group": 4, "pad": 1}),
        ("num_output: 6 kernel_size: 2 group: 3", (1, 3, 3, 3), {"group": 3}),
        ("num_output: 2 kernel_size: 2 bias_term: false", (1, 2, 3, 3), {}),
        # the quotient is cut off towards 0: an image smaller than the kernel still gives one output
        ("num_output: 2 kernel_size: 3 stride: 2", (1, 2, 2, 3), {"stride": 2}),
    ],
)
@pytest.mark.parametrize("force", ["false", "true"])
def test_two_spatial_axes(fields, shape, options, force):
    check_layer(prototxt(f"{fields} force_nd_im2col: {force}"), [values(*shape)], reference(**options))


@pytest.mark.parametrize(
    ("fields", "shape", "options"),
    [
        ("num_output: 3", (2, 4), {}),
        ("num_output: 3 kernel_size: 3 stride: 2 pad: 1", (2, 2, 7), {"stride": 2, "pad": 1}),
        ("num_output: 2 kernel_size: 2 dilation: 2", (1, 2, 3, 4, 5), {"dilation": 2}),
        (
            "num_output: 2 kernel_size: 2 stride: 1 stride: 2 stride: 1 pad: 0 pad: 1 pad: 1 group: 2",
            (2, 2, 3, 3, 2),
            {"stride": (1, 2, 1), "pad": (0, 1, 1), "group": 2},
        ),
        ("num_output: 2 kernel_size: 2 pad: 1", (1, 1, 2, 1, 2, 2), {"pad": 1}),
    ],
)
def test_other_numbers_of_spatial_axes(fields, shape, options):
    check_layer(prototxt(fields), [values(*shape)], reference(**options))


@pytest.mark.parametrize(("axis", "positive"), [(2, 2), (-3, 2), (0, 0)])
def test_axes_before_the_channels_are_a_batch(axis, positive):
    check_layer(
        prototxt(f"num_output: 3 kernel_size: 2 axis: {axis}"),
        [values(2, 2, 3, 3, 3)],
        reference(axis=positive),
        resized=() if positive == 0 else None,
    )


def test_several_bottoms_share_the_weights():
    check_layer(
        prototxt("num_output: 3 kernel_size: 2"),
        [values(2, 2, 3, 4), values(2, 2, 3, 4, seed=1)],
        reference(),
    )


def test_sizes_beyond_a_tile():
    check_layer(
        prototxt("num_output: 35 kernel_size: 3 pad: 1"),
        [values(3, 17, 13, 21)],
        reference(pad=1),
        gradients=(),
        check_blobs=False,
    )


def test_blobs_and_their_fillers():
    rig = build_layer(
        prototxt(
            "num_output: 4 kernel_h: 2 kernel_w: 3 group: 2 weight_filler { value: 3 } "
            "bias_filler { value: 4 }"
        ),
        [values(1, 6, 5, 5)],
    )
    weight, bias = rig.layer.blobs
    assert weight.shape == (4, 3, 2, 3)
    assert (weight.data == 3).all()
    assert bias.data.tolist() == [4] * 4


def test_blobs_in_the_prototxt_give_the_values():
    text = prototxt("num_output: 1 kernel_size: 1 weight_filler { type: 'xavier' } bias_term: false")
    blob = "blobs { shape { dim: 1 dim: 2 dim: 1 dim: 1 } data: 5 data: 6 }"
    assert build_layer(f"{text} {blob}", [values(1, 2, 3, 3)]).layer.blobs[0].data.ravel().tolist() == [5, 6]
    with pytest.raises(LayerError) as error:
        build_layer(f"{text} {blob}", [values(1, 3, 3, 3)])
    assert str(error.value) == (
        "layer 'c' (Convolution): needs shape (1, 3, 1, 1) for blob 0, got (1, 2, 1, 1) in its prototxt"
    )


@pytest.mark.parametrize(("lr_mult", "changed"), [((0, 1), (False, True)), ((1, 0), (True, False))])
def test_no_gradient_is_computed_where_none_is_wanted(lr_mult, changed):
    specs = " ".join(f"param {{ lr_mult: {m} }}" for m in lr_mult)
    rig = build_layer(f"{prototxt('num_output: 2 kernel_size: 2')} {specs}", [values(1, 2, 3, 3)])
    rig.forward()
    _, diffs = rig.backward([np.ones((1, 2, 2, 2))])
    assert tuple(bool(diff.any()) for diff in diffs) == changed


def test_epilogue():
    rig = build_layer(
        prototxt("num_output: 4 kernel_size: 3"), [values(2, 3, 6, 7)], blobs=[values(4, 3, 3, 3), values(4)]
    )
    plain = rig.forward()[0]
    scale, shift = np.array([1, 2, -1, 0.5], np.float32), np.array([0, 1, 0, -1], np.float32)
    rig.layer.forward_with_epilogue(rig.bottom, rig.top, Epilogue(scale, shift, 0.25))
    right = plain * scale.reshape(-1, 1, 1) + shift.reshape(-1, 1, 1)
    assert np.allclose(rig.top[0].data, np.where(right > 0, right, 0.25 * right), atol=1e-5)


@pytest.mark.parametrize(
    ("fields", "shape", "takes"),
    [
        ("kernel_size: 1", (1, 2, 3, 3), True),
        ("kernel_size: 1", (1, 2, 3), True),
        ("kernel_size: 1", (1, 2, 3, 3, 3), False),
        ("kernel_size: 1 axis: 2", (1, 2, 3, 3), False),
        ("kernel_size: 1 force_nd_im2col: true", (1, 2, 3, 3), False),
    ],
)
def test_which_take_an_epilogue(fields, shape, takes):
    assert build_layer(prototxt(f"num_output: 2 {fields}"), [values(*shape)]).layer.takes_epilogue() == takes


def error_of(fields, *shapes, **options):
    with pytest.raises(LayerError) as error:
        build_layer(prototxt(fields), [values(*shape) for shape in shapes], **options)
    return str(error.value)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("num_output: 2", "needs kernel_size once or once for each of its 2 spatial axes, got it 0 times"),
        (
            "num_output: 2 kernel_size: 1 stride: 1 stride: 1 stride: 1",
            "needs stride once or once for each of its 2 spatial axes, got it 3 times",
        ),
        ("num_output: 2 kernel_size: 2 kernel_h: 2", "needs kernel_size or kernel_h and kernel_w, got both"),
        ("num_output: 2 kernel_size: 2 pad: 1 pad_h: 1", "needs pad or pad_h and pad_w, got both"),
        (
            "num_output: 2 kernel_h: 2",
            "needs a kernel of at least 1 along every spatial axis, got "
            "kernel 2x0, stride 1x1, pad 0x0, dilation 1x1",
        ),
        (
            "num_output: 2 kernel_size: 2 stride_h: 2",
            "needs a stride of at least 1 along every spatial axis, got "
            "kernel 2x2, stride 2x0, pad 0x0, dilation 1x1",
        ),
        (
            "num_output: 2 kernel_size: 2 dilation: 0",
            "needs a dilation of at least 1 along every spatial axis, got "
            "kernel 2x2, stride 1x1, pad 0x0, dilation 0x0",
        ),
        ("kernel_size: 2", "needs num_output of at least 1, got 0"),
        ("num_output: 2 kernel_size: 2 group: 0", "needs group of at least 1, got 0"),
        ("num_output: 3 kernel_size: 2 group: 3", "needs channels to be a multiple of group 3, got 4"),
        ("num_output: 3 kernel_size: 2 group: 2", "needs num_output to be a multiple of group 2, got 3"),
        (
            "num_output: 2 kernel_size: 7 pad: 1",
            "output would be empty: bottom shape (1, 4, 4, 5) with "
            "kernel 7x7, stride 1x1, pad 1x1, dilation 1x1",
        ),
        ("num_output: 2 kernel_size: 2 axis: 4", "axis 4 is out of range for a blob of shape (1, 4, 4, 5)"),
    ],
)
def test_what_is_refused(fields, said):
    assert error_of(fields, (1, 4, 4, 5)) == f"layer 'c' (Convolution): {said}"


def test_bottoms_that_are_refused():
    fields = "num_output: 2 kernel_size: 2"
    assert error_of("num_output: 2 kernel_h: 2 kernel_w: 2", (1, 2, 3)) == (
        "layer 'c' (Convolution): takes kernel_h and kernel_w with 2 spatial axes only, got 1; "
        "use kernel_size"
    )
    assert error_of(fields, (1, 2, 3, 3), (1, 2, 3, 4)) == (
        "layer 'c' (Convolution): needs bottoms of one shape, got (1, 2, 3, 3) and (1, 2, 3, 4)"
    )
    assert error_of(fields, (1, 2, 3, 3), in_place=True) == ("layer 'c' (Convolution): cannot work in place")
    rig = build_layer(prototxt(fields), [values(1, 2, 3, 3)])
    for shape in ((1, 3, 3, 3), (1, 2, 3)):
        with pytest.raises(LayerError) as error:
            rig.forward([values(*shape)])
        assert str(error.value) == (
            f"layer 'c' (Convolution): needs 4 axes with 2 channels on axis 1, got bottom shape {shape}"
        )


def test_empty_batch():
    rig = build_layer(prototxt("num_output: 2 kernel_size: 2"), [values(0, 2, 3, 3)])
    assert rig.forward()[0].shape == (0, 2, 2, 2)
    rig.backward([np.zeros((0, 2, 2, 2))])


@pytest.mark.parametrize("slope", [0, 0.25])
@pytest.mark.parametrize("more", ["", "force_nd_im2col: true"])
def test_intels_rectifier(slope, more):
    plain = reference()

    def rectified(bottoms, blobs):
        return [np.where(y > 0, y, slope * y) for y in plain(bottoms, blobs)]

    fields = f"num_output: 3 kernel_size: 3 relu: true negative_slope: {slope} {more}"
    check_layer(prototxt(fields), [values(2, 2, 5, 6)], rectified, blobs=[values(3, 2, 3, 3), values(3)])


def test_a_rectifier_with_a_slope_below_zero():
    with pytest.raises(LayerError) as error:
        build_layer(
            prototxt("num_output: 3 kernel_size: 3 relu: true negative_slope: -1"), [values(2, 2, 5, 6)]
        )
    assert str(error.value) == "layer 'c' (Convolution): needs a negative_slope of at least 0, got -1"


def test_a_dilation_for_one_axis_alone():
    with pytest.raises(LayerError) as error:
        build_layer(prototxt("num_output: 3 kernel_size: 3 dilation_h: 2"), [values(2, 2, 5, 6)])
    assert str(error.value) == (
        "layer 'c' (Convolution): needs a dilation of at least 1 along every spatial axis, got kernel 3x3, "
        "stride 1x1, pad 0x0, dilation 2x0"
    )
