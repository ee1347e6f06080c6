import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError


def arrays(*shapes):
    numbers = np.random.default_rng(0)
    return [numbers.normal(size=shape) for shape in shapes]


@pytest.mark.parametrize(
    ("option", "axis", "shapes"),
    [
        ("", 1, [(2, 3, 2), (2, 1, 2)]),
        ("axis: 0", 0, [(1, 3), (3, 3)]),
        ("axis: 2", 2, [(2, 2, 1, 3), (2, 2, 2, 3), (2, 2, 4, 3)]),
        ("axis: -1", -1, [(2, 3, 2), (2, 3, 5)]),
        ("concat_dim: 0", 0, [(1, 3), (3, 3)]),
        ("axis: 0", 0, [(0, 3), (2, 3)]),
    ],
)
def test_joined_along_the_axis(option, axis, shapes):
    check_layer(
        f'type: "Concat" concat_param {{ {option} }}',
        arrays(*shapes),
        lambda bottoms, blobs: [np.concatenate(bottoms, axis)],
    )


def test_one_bottom_shares_its_memory():
    rig = build_layer('type: "Concat"', arrays((2, 3)))
    assert np.shares_memory(rig.top[0].data, rig.bottom[0].data)
    assert np.shares_memory(rig.top[0].diff, rig.bottom[0].diff)
    x = arrays((5, 4))
    assert np.array_equal(rig.forward(x)[0], x[0].astype(np.float32))
    assert rig.backward([np.full((5, 4), 2.0)])[0][0].tolist() == np.full((5, 4), 2.0).tolist()


@pytest.mark.parametrize(
    ("options", "shapes", "message"),
    [
        ("axis: 1 concat_dim: 1", [(2, 3), (2, 3)], "takes either axis or concat_dim, not both"),
        ("axis: 2", [(2, 3), (2, 3)], "axis 2 is out of range for a blob of shape (2, 3)"),
        ("axis: -3", [(2, 3), (2, 3)], "axis -3 is out of range for a blob of shape (2, 3)"),
        ("concat_dim: 2", [(2, 3), (2, 3)], "concat_dim 2 is out of range for a bottom of shape (2, 3)"),
        (
            "",
            [(2, 3, 4), (2, 9, 4), (2, 3, 5)],
            "needs bottoms that are equal in all axes but 1, "
            "got (2, 3, 4) for bottom 0 and (2, 3, 5) for bottom 2",
        ),
        (
            "",
            [(2, 3), (2, 3, 1)],
            "needs bottoms that are equal in all axes but 1, "
            "got (2, 3) for bottom 0 and (2, 3, 1) for bottom 1",
        ),
        (
            "",
            [(2, 3), (2,)],
            "needs bottoms that are equal in all axes but 1, got (2, 3) for bottom 0 and (2,) for bottom 1",
        ),
    ],
)
def test_errors(options, shapes, message):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "Concat" concat_param {{ {options} }}', arrays(*shapes))
    assert str(error.value) == f"layer 'layer' (Concat): {message}"


def test_in_place_is_refused_for_several_bottoms():
    with pytest.raises(LayerError) as error:
        build_layer('type: "Concat"', arrays((2, 3), (2, 3)), in_place=True)
    assert (
        str(error.value) == "layer 'layer' (Concat): does not work in place: give its top a name of its own"
    )
