"""Maps of coordinates, compared with where the layers themselves put a pixel."""

import numpy as np
import pytest

from pycaffe_lite.coord_map import (
    AxisMismatchException,
    UndefinedMapException,
    compose,
    conv_params,
    coord_map,
    coord_map_from_to,
    crop,
    crop_params,
    inverse,
)
from pycaffe_lite.net_spec import layers as L


@pytest.fixture
def x():
    return L.Input(input_param={"shape": {"dim": [1, 1, 20, 20]}})


def plain(mapped):
    """A map of numbers."""
    axis, scale, shift = mapped
    return axis, np.ravel(scale).tolist(), np.ravel(shift).tolist()


def conv(bottom, **params):
    return L.Convolution(bottom, convolution_param={"num_output": 1, **params})


@pytest.mark.parametrize(
    ("params", "mapped"),
    [
        ({"kernel_size": 3}, (1, [1], [-1])),
        ({"kernel_size": 3, "pad": 1}, (1, [1], [0])),
        ({"kernel_size": 5, "stride": 2, "pad": 1}, (1, [0.5], [-0.5])),
        ({"kernel_size": 3, "dilation": 2}, (1, [1], [-2])),
        ({"kernel_size": [1, 3], "axis": 2}, (2, [1], [0, -1])),
    ],
)
def test_a_kernel(x, params, mapped):
    """Pixel x lies at the middle of the kernel that begins at stride y - pad."""
    assert plain(coord_map(conv(x, **params).fn)) == mapped


def test_the_way_back_of_a_kernel(x):
    params = {"kernel_size": 5, "stride": 2, "pad": 1}
    up = L.Deconvolution(x, convolution_param={"num_output": 1, **params})
    there, back = coord_map(conv(x, **params).fn), coord_map(up.fn)
    assert plain(back) == (1, [2], [1])
    assert plain(compose(back, there)) == (1, [1], [0])
    assert plain(inverse(there)) == plain(back)


def test_layers_that_move_nothing_and_those_without_a_map(x):
    assert coord_map(L.ReLU(x).fn) == (None, 1, 0)
    with pytest.raises(UndefinedMapException, match="layer type InnerProduct"):
        coord_map(L.InnerProduct(x, num_output=1).fn)


def test_params(x):
    assert plain(coord_map(L.Crop(x, x, crop_param={"axis": 2, "offset": 3}).fn)) == (1, [1], [-3])
    axis, offset = crop_params(L.Crop(x, x).fn)
    assert (axis, offset.tolist()) == (2, [0])
    with pytest.raises(KeyError, match="kernel_size"):
        conv_params(conv(x).fn)
    with pytest.raises(AssertionError, match="not for stride_h"):
        conv_params(conv(x, kernel_size=3, stride_h=2).fn)


def test_composition():
    double, moved = (1, 2, 0), (None, 1, 5)
    assert compose(double, moved) == (1, 2, 10)
    assert compose(moved, double) == (1, 2, 5)
    with pytest.raises(AxisMismatchException, match="from axis 1 on cannot follow one from axis 2 on"):
        compose((1, 1, 0), (2, 1, 0))


def test_maps_between_blobs_with_an_ancestor(x):
    down = L.Pooling(conv(x, kernel_size=3), pooling_param={"kernel_size": 2, "stride": 2})
    assert plain(coord_map_from_to(down, x)) == (1, [2], [1.5])
    assert plain(coord_map_from_to(x, down)) == (1, [0.5], [-0.75])
    assert plain(coord_map_from_to(down, L.Sigmoid(conv(x, kernel_size=1)))) == (1, [2], [1.5])
    other = L.Input(input_param={"shape": {"dim": [1, 1, 5, 5]}})
    with pytest.raises(RuntimeError, match="they are not connected"):
        coord_map_from_to(down, other)


def test_a_crop_that_fits(x):
    small = conv(x, kernel_size=7)
    cropped = crop(x, small)
    assert cropped.fn.type_name == "Crop"
    assert list(cropped.fn.inputs) == [x, small]
    assert cropped.fn.params["crop_param"] == {"axis": 2, "offset": [3]}


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"kernel_size": 1, "stride": 2}, "the scales differ"),
        ({"kernel_size": 1, "pad": 2}, "it would begin outside, at"),
        ({"kernel_size": 2}, "it would begin between pixels, at"),
    ],
)
def test_crops_that_there_are_not(x, params, says):
    with pytest.raises(AssertionError, match=says):
        crop(x, conv(x, **params))
