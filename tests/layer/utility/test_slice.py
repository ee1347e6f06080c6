import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError


@pytest.mark.parametrize(
    ("option", "axis", "shape", "cuts", "tops"),
    [
        ("", 1, (2, 6, 3), [2, 4], 3),
        ("axis: 0 slice_point: 2", 0, (5, 3), [2], 2),
        ("axis: -1 slice_point: 1 slice_point: 3", -1, (2, 3, 4), [1, 3], 3),
        ("slice_dim: 1", 1, (2, 4, 2), [2], 2),
        ("slice_dim: 0 slice_point: 1", 0, (3, 2), [1], 2),
        ("slice_point: 4", 1, (2, 4), [4], 2),
    ],
)
def test_cut_along_the_axis(option, axis, shape, cuts, tops):
    names = " ".join(f'top: "{i}"' for i in range(tops))
    check_layer(
        f'type: "Slice" {names} slice_param {{ {option} }}',
        [np.random.default_rng(0).normal(size=shape)],
        lambda bottoms, blobs: np.split(bottoms[0], cuts, axis),
        resized=() if axis == 0 else None,
    )


def test_one_top_shares_the_memory():
    rig = build_layer('type: "Slice"', [np.ones((2, 3))])
    assert np.shares_memory(rig.top[0].data, rig.bottom[0].data)
    assert np.shares_memory(rig.top[0].diff, rig.bottom[0].diff)
    assert rig.forward([np.full((5, 4), 3.0)])[0].tolist() == np.full((5, 4), 3.0).tolist()


@pytest.mark.parametrize(
    ("options", "tops", "message"),
    [
        ("axis: 1 slice_dim: 1", 2, "takes either axis or slice_dim, not both"),
        ("axis: 3", 2, "axis 3 is out of range for a blob of shape (2, 6, 3)"),
        ("slice_dim: 3", 2, "slice_dim 3 is out of range for a bottom of shape (2, 6, 3)"),
        (
            "",
            4,
            "cannot cut the 6 values of axis 1 into 4 equal pieces, got bottom shape (2, 6, 3)",
        ),
        ("slice_point: 2", 3, "needs 2 slice points for its 3 tops, got 1"),
        ("slice_point: 2", 1, "needs 0 slice points for its 1 tops, got 1"),
        (
            "slice_point: 3 slice_point: 2",
            3,
            "needs slice points above 0 that increase, got [3, 2]",
        ),
        ("slice_point: 2 slice_point: 2", 3, "needs slice points above 0 that increase, got [2, 2]"),
        ("slice_point: 0", 2, "needs slice points above 0 that increase, got [0]"),
        (
            "slice_point: 7",
            2,
            "needs slice points within the 6 values of axis 1, got [7] and bottom shape (2, 6, 3)",
        ),
        (
            "axis: 2 slice_point: 1 slice_point: 2 slice_point: 3",
            4,
            "needs slice points within the 3 values of axis 2, got [1, 2, 3] and bottom shape (2, 6, 3)",
        ),
    ],
)
def test_errors(options, tops, message):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "Slice" slice_param {{ {options} }}', [np.ones((2, 6, 3))], tops=tops)
    assert str(error.value) == f"layer 'layer' (Slice): {message}"


def test_in_place_is_refused_for_several_tops():
    with pytest.raises(LayerError) as error:
        build_layer('type: "Slice"', [np.ones((2, 4))], tops=2, in_place=True)
    assert str(error.value) == "layer 'layer' (Slice): does not work in place: give its top a name of its own"
