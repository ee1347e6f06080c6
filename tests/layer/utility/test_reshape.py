import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError


def option(dims, more=""):
    return f'type: "Reshape" reshape_param {{ shape {{ {" ".join(f"dim: {n}" for n in dims)} }} {more} }}'


@pytest.mark.parametrize(
    ("dims", "more", "bottom", "top"),
    [
        ([4, 4], "", (2, 8), (4, 4)),
        ([0, -1, 5], "", (2, 3, 4, 5), (2, 12, 5)),
        ([-1], "", (2, 3, 4), (24,)),
        ([1], "axis: 1 num_axes: 0", (2, 8), (2, 1, 8)),
        ([2, 3], "num_axes: 1", (6, 5), (2, 3, 5)),
        ([0, 20], "axis: 1", (2, 3, 4, 5), (2, 3, 20)),
        ([1, 1], "axis: -1 num_axes: 0", (2, 8), (2, 8, 1, 1)),
        ([2, -1], "axis: -2", (2, 8), (2, 2, 4)),
        ([-1], "axis: 1 num_axes: 2", (3, 2, 5), (3, 10)),
        ([-1], "axis: -4 num_axes: 2", (3, 2, 5), (6, 5)),
        ([], "axis: 1 num_axes: 1", (3, 1, 5), (3, 5)),
        ([], "", (1, 1), ()),
        ([0, 0], "", (0, 3), (0, 3)),
        ([3, -1], "", (0, 3), (3, 0)),
    ],
)
def test_new_axes(dims, more, bottom, top):
    check_layer(
        option(dims, more),
        [np.random.default_rng(0).normal(size=bottom)],
        lambda bottoms, blobs: [bottoms[0].reshape(top)],
        resized=(),
    )


def test_memory_is_shared_also_after_growing():
    rig = build_layer(option([0, 2, 2]), [np.ones((2, 4))])
    for items in (2, 7):
        assert rig.forward([np.ones((items, 4))])[0].shape == (items, 2, 2)
        assert np.shares_memory(rig.top[0].data, rig.bottom[0].data)
        assert np.shares_memory(rig.top[0].diff, rig.bottom[0].diff)


@pytest.mark.parametrize(
    ("dims", "more", "message"),
    [
        ([-1, -1], "", "needs dims of 0 or more, of which one may be -1 instead, got [-1, -1]"),
        ([-2], "", "needs dims of 0 or more, of which one may be -1 instead, got [-2]"),
        ([1], "num_axes: -2", "needs num_axes of 0 or more, or -1 for all, got -2"),
        ([1], "axis: 4", "axis 4 is out of range for a bottom of shape (2, 3, 4)"),
        ([1], "axis: -5", "axis -5 is out of range for a bottom of shape (2, 3, 4)"),
        (
            [1],
            "axis: 2 num_axes: 2",
            "axis 2 and num_axes 2 are out of range for a bottom of shape (2, 3, 4)",
        ),
        ([2, 3, 4, 0], "", "dim 3 is 0, but a bottom of shape (2, 3, 4) has no axis 3"),
        (
            [5, -1],
            "",
            "cannot find dim 1: the other dims make 5 values, "
            "which do not divide the 24 of bottom shape (2, 3, 4)",
        ),
        (
            [5, 5],
            "",
            "needs a shape of as many values as the bottom's (2, 3, 4) has, 24, got (5, 5), 25",
        ),
        (
            [7],
            "axis: 1 num_axes: 1",
            "needs a shape of as many values as the bottom's (2, 3, 4) has, 24, got (2, 7, 4), 56",
        ),
    ],
)
def test_errors(dims, more, message):
    with pytest.raises(LayerError) as error:
        build_layer(option(dims, more), [np.ones((2, 3, 4))])
    assert str(error.value) == f"layer 'layer' (Reshape): {message}"


def test_unknown_length_of_no_values():
    with pytest.raises(LayerError) as error:
        build_layer(option([0, -1]), [np.ones((0, 3))])
    assert str(error.value) == (
        "layer 'layer' (Reshape): cannot find dim 1: the other dims make 0 values, "
        "which do not divide the 0 of bottom shape (0, 3)"
    )


def test_in_place_is_refused():
    with pytest.raises(LayerError) as error:
        build_layer(option([-1]), [np.ones((2, 3))], in_place=True)
    assert (
        str(error.value) == "layer 'layer' (Reshape): does not work in place: give its top a name of its own"
    )
