import pytest
from layer_check import build_layer

from pycaffe_lite.errors import LayerError
from pycaffe_lite.layer.vision.spatial import SpatialWindow, check_padding, spatial_window
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse


@pytest.fixture
def layer():
    return build_layer('name: "l" type: "ReLU"', [[1.0]]).layer


def window_of(layer, fields, axes):
    return spatial_window(layer, parse(fields, caffe_pb2.ConvolutionParameter).message, axes)


@pytest.mark.parametrize(
    ("fields", "axes", "window"),
    [
        ("kernel_size: 3", 2, ((3, 3), (1, 1), (0, 0), (1, 1))),
        ("kernel_size: [3, 5] stride: 2 pad: [0, 1] dilation: 4", 2, ((3, 5), (2, 2), (0, 1), (4, 4))),
        ("kernel_h: 3 kernel_w: 5 stride_h: 1 stride_w: 2", 2, ((3, 5), (1, 2), (0, 0), (1, 1))),
        ("kernel_size: 2 pad_h: 1", 2, ((2, 2), (1, 1), (1, 0), (1, 1))),
        ("kernel_size: [1, 2, 3]", 3, ((1, 2, 3), (1, 1, 1), (0, 0, 0), (1, 1, 1))),
        ("kernel_size: 3", 1, ((3,), (1,), (0,), (1,))),
        ("", 0, ((), (), (), ())),
    ],
)
def test_sizes_given_once_for_each_axis_or_by_height_and_width(layer, fields, axes, window):
    assert window_of(layer, fields, axes) == window


@pytest.mark.parametrize(
    ("fields", "axes", "says"),
    [
        ("", 2, "needs kernel_size once or once for each of its 2 spatial axes, got it 0 times"),
        ("kernel_size: [1, 2]", 3, "once for each of its 3 spatial axes, got it 2 times"),
        ("kernel_size: 3 kernel_h: 3", 2, "needs kernel_size or kernel_h and kernel_w, got both"),
        (
            "kernel_size: 3 stride_h: 1",
            1,
            "takes stride_h and stride_w with 2 spatial axes only, got 1; use stride",
        ),
        (
            "kernel_h: 3",
            2,
            "needs a kernel of at least 1 along every spatial axis, got kernel 3x0, stride 1x1",
        ),
        ("kernel_size: 3 stride: 0", 2, "needs a stride of at least 1"),
        ("kernel_size: 3 dilation: [1, 0]", 2, "needs a dilation of at least 1 .* dilation 1x0"),
    ],
)
def test_sizes_given_otherwise(layer, fields, axes, says):
    with pytest.raises(LayerError, match=rf"^layer 'l' \(ReLU\): .*{says}"):
        window_of(layer, fields, axes)


WINDOW = SpatialWindow(kernel=(3, 2), stride=(2, 1), pad=(1, 0), dilation=(2, 1))


def test_words():
    assert str(WINDOW) == "kernel 3x2, stride 2x1, pad 1x0, dilation 2x1"


def places(n, k, s, p, d):
    """How many places a kernel has on n values with padding on either side, counted one by one."""
    return sum(start + d * (k - 1) + 1 <= n + 2 * p for start in range(0, n + 2 * p, s))


@pytest.mark.parametrize("sizes", [(7, 4), (8, 5), (3, 2), (10, 9)])
def test_sizes_of_results(sizes):
    assert WINDOW.reach() == (5, 2)
    counted = tuple(places(n, *of_axis) for n, of_axis in zip(sizes, zip(*WINDOW, strict=True), strict=True))
    assert WINDOW.output(sizes) == counted


def test_a_kernel_larger_than_its_image_has_a_result_rounded_towards_0():
    """As in C: a quotient between -1 and 0 becomes 0, and Caffe's size is 1."""
    assert WINDOW.output((2, 0)) == (1, -1)
    assert WINDOW._replace(stride=(2, 3)).output((2, 0)) == (1, 1)


def test_a_deconvolution_turns_the_sizes_round():
    for sizes in ((3, 4), (1, 1), (5, 2)):
        assert WINDOW.output(WINDOW.transposed_output(sizes)) == sizes
    assert WINDOW.transposed_output((3, 4)) == (2 * 2 + 5 - 2, 3 + 2)


def test_padding_that_no_net_needs(layer):
    check_padding(layer, 3, (10, 10), (1023, 1023))
    check_padding(layer, 1, (10, 10), (5000, 5000))
    check_padding(layer, 3, (40_000, 40_000), (1024, 1024))  # such an image is too large by itself
    with pytest.raises(LayerError) as error:
        check_padding(layer, 3, (10, 10), (20_000, 20_000))
    assert str(error.value).startswith(
        "layer 'l' (ReLU): pad 20000x20000 is too large for planes of 10x10: padded, they would hold "
        f"{3 * 40_010**2} values, more than "
    )
