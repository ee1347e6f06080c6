import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

R = np.random.default_rng(0)
BOTTOMS = [R.normal(size=(4, 3, 2)) for _ in range(3)]


def loss(a, p, n, margin):
    total = 0.0
    for i in range(len(a)):
        near, far = ((a[i] - p[i]) ** 2).sum(), ((a[i] - n[i]) ** 2).sum()
        total += max(0, margin + near - far)
    return total / (2 * len(a))


@pytest.mark.parametrize(("options", "margin"), [("", 1), ("margin: 4", 4), ("margin: 0", 0)])
def test_an_anchor_nearer_to_its_like(options, margin):
    check_layer(
        f'type: "TripletLoss" triplet_loss_param {{ {options} }}',
        BOTTOMS,
        lambda bottoms, _: [loss(*bottoms, margin)],
    )


def test_rows_that_are_far_enough_apart_have_no_gradient():
    a, p, n = np.zeros((2, 1)), np.zeros((2, 1)), np.array([[9.0], [0.1]])
    rig = build_layer('type: "TripletLoss"', [a, p, n])
    rig.forward()
    diffs, _ = rig.backward([np.array(1.0)])
    assert [bool(diff[0].any()) for diff in diffs] == [False] * 3
    assert diffs[0][1] == pytest.approx(0.05, rel=1e-5)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(2, 3), (2, 3), (2, 4)], "needs bottoms of one shape, got (2, 3) and (2, 4)"),
        ([(2, 3), (2, 4), (2, 3)], "needs bottoms of one shape, got (2, 3) and (2, 4)"),
        ([(2, 3), (2, 3)], "takes exactly 3 bottoms, got 2"),
    ],
)
def test_errors(shapes, message):
    with pytest.raises(LayerError) as error:
        build_layer('type: "TripletLoss"', [np.ones(shape) for shape in shapes])
    assert str(error.value) == f"layer 'layer' (TripletLoss): {message}"
