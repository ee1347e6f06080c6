import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError


def shuffled(x, groups):
    """By the definition: y[n, j g + i] = x[n, i C/g + j]."""
    y = np.empty_like(x)
    each = x.shape[1] // groups
    for i in range(groups):
        for j in range(each):
            y[:, j * groups + i] = x[:, i * each + j]
    return y


@pytest.mark.parametrize(
    ("groups", "shape"), [(2, (2, 6, 3, 2)), (3, (1, 6)), (1, (2, 4, 3)), (4, (2, 4, 1))]
)
def test_channels_are_dealt_out(groups, shape):
    check_layer(
        f'type: "ShuffleChannel" shuffle_channel_param {{ group: {groups} }}',
        [np.random.default_rng(0).normal(size=shape)],
        lambda bottoms, _: [shuffled(bottoms[0], groups)],
    )


@pytest.mark.parametrize(("groups", "shape"), [(0, (2, 4)), (3, (2, 4)), (1, (2,))])
def test_errors(groups, shape):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "ShuffleChannel" shuffle_channel_param {{ group: {groups} }}', [np.ones(shape)])
    assert str(error.value) == (
        f"layer 'layer' (ShuffleChannel): needs channels that can be dealt out to {groups} groups, "
        f"got shape {shape}"
    )
