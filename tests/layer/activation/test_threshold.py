import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError


@pytest.mark.parametrize(("option", "bound"), [("", 0.0), ("threshold: -0.5", -0.5), ("threshold: 2", 2.0)])
def test_one_above_the_threshold(option, bound):
    x = np.random.default_rng(0).normal(size=(3, 4))
    x[0, 0] = bound
    check_layer(
        f'type: "Threshold" threshold_param {{ {option} }}',
        [x],
        lambda bottoms, blobs: [np.where(bottoms[0] <= bound, 0.0, 1.0)],
        gradients=(),
        in_place=True,
    )


def test_gradient_is_refused():
    rig = build_layer('type: "Threshold"', [np.ones(3)])
    rig.backward([np.ones(3)], wanted=[])
    with pytest.raises(LayerError) as error:
        rig.backward([np.ones(3)], wanted=[0])
    assert str(error.value) == "layer 'layer' (Threshold): has no gradient to propagate down to its bottom"
