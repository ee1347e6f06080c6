import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

X = np.random.default_rng(0).normal(size=(2, 3, 4))


@pytest.mark.parametrize("tops", [1, 2, 3, 5])
def test_copies(tops):
    names = " ".join(f'top: "y{i}"' for i in range(tops))
    check_layer(f'type: "Split" {names}', [X], lambda bottoms, blobs: bottoms * tops)


def test_tops_share_the_data_and_not_the_diff():
    rig = build_layer('type: "Split" top: "a" top: "b"', [X])
    rig.bottom[0].data[...] = 5
    assert (rig.top[1].data == 5).all()
    assert not np.shares_memory(rig.top[0].diff, rig.top[1].diff)


def test_tops_follow_a_bottom_that_grows():
    rig = build_layer('type: "Split" top: "a" top: "b"', [X])
    y = rig.forward([np.ones((50, 3, 4))])
    assert y[0].shape == y[1].shape == (50, 3, 4)
    assert (y[0] == 1).all()


def test_in_place_is_refused():
    with pytest.raises(LayerError) as error:
        build_layer('name: "s" type: "Split"', [X], in_place=True)
    assert str(error.value) == "layer 's' (Split): cannot work in place"
