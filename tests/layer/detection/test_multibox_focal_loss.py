import math

import numpy as np
import pytest
from layer_check import build_layer, check_layer
from multibox import BOTTOMS, C, reference

from pycaffe_lite.errors import LayerError

TEXT = f'type: "MultiBoxFocalLoss" multibox_loss_param {{ num_classes: {C} code_type: CENTER_SIZE %s }} %s'


def focal(x, label, logistic, alpha=0.25, gamma=2.0):
    p = math.exp(x[label]) / sum(math.exp(v) for v in x)
    return -alpha * (1 - p) ** gamma * math.log(p)


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ("", {}),
        ("focal_loss_param { alpha: 0.75 gamma: 1 }", {"alpha": 0.75, "gamma": 1}),
        ("focal_loss_param { gamma: 0 }", {"gamma": 0}),
    ],
)
def test_easy_boxes_count_less(options, numbers):
    """Without mining, which goes by the plain loss, all boxes count."""
    check_layer(
        TEXT % ("mining_type: NONE", options),
        BOTTOMS,
        lambda bottoms, _: reference(*bottoms, mining="NONE", of_class=lambda *args: focal(*args, **numbers)),
        resized=(),
        threshold=1e-5,
    )


def test_gradient_where_boxes_are_mined():
    check_layer(TEXT % ("", ""), BOTTOMS, resized=(), threshold=1e-5)


def test_a_class_that_is_certain_has_no_gradient():
    bottoms = [BOTTOMS[0], np.tile([1000.0, 0, 0, 0], (2, 9)), *BOTTOMS[2:]]
    rig = build_layer(TEXT % ("mining_type: NONE", ""), bottoms)
    assert np.isfinite(rig.forward()[0])
    (_, dconf, *_), _ = rig.backward([np.array(1.0)], wanted=[0, 1])
    assert np.isfinite(dconf).all()


@pytest.mark.parametrize("options", ["gamma: -1", "alpha: 0", "type: LINEAR", "axis: 2"])
def test_errors(options):
    with pytest.raises(LayerError, match=r"needs gamma of 0 or more|takes no type, and no axis but 1"):
        build_layer(TEXT % ("", f"focal_loss_param {{ {options} }}"), BOTTOMS)
