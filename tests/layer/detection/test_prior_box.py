import math

import numpy as np
import pytest
from layer_check import build_layer
from paths import FIXTURES

from pycaffe_lite.errors import LayerError
from pycaffe_lite.net.net import Net

MAP, IMAGE = np.zeros((1, 2, 2, 3)), np.zeros((1, 3, 40, 60))


def priors(sizes, height=2, width=3, image=(40, 60), step=None, offset=0.5, clip=False, variance=(0.1,) * 4):
    """The boxes of these sizes about each cell, and their variances."""
    step = step or (image[0] / height, image[1] / width)
    corners = []
    for i in range(height):
        for j in range(width):
            y, x = (i + offset) * step[0], (j + offset) * step[1]
            for w, h in sizes:
                box = [(x - w / 2) / image[1], (y - h / 2) / image[0]]
                box += [(x + w / 2) / image[1], (y + h / 2) / image[0]]
                corners += [min(max(v, 0), 1) for v in box] if clip else box
    return np.reshape([corners, list(variance) * (len(corners) // 4)], (1, 2, -1))


def of_ratio(side, ratio):
    return side * math.sqrt(ratio), side / math.sqrt(ratio)


@pytest.mark.parametrize(
    ("options", "sizes", "more"),
    [
        ("min_size: 10", [(10, 10)], {}),
        ("min_size: 10.7", [(10, 10)], {}),
        ("min_size: 0.5", [(0, 0)], {}),
        ("min_size: 10 max_size: 20.9", [(10, 10), (math.sqrt(200),) * 2], {}),
        ("min_size: 10 aspect_ratio: 2", [(10, 10), of_ratio(10, 2), of_ratio(10, 0.5)], {}),
        ("min_size: 10 aspect_ratio: 2 flip: false", [(10, 10), of_ratio(10, 2)], {}),
        (
            "min_size: 9 aspect_ratio: 1 aspect_ratio: 3 aspect_ratio: 3.0000001",
            [(9, 9), of_ratio(9, 3), of_ratio(9, 1 / 3)],
            {},
        ),
        (
            "min_size: 8 min_size: 12 max_size: 10 max_size: 30 aspect_ratio: 2 flip: false",
            [(8, 8), (math.sqrt(80),) * 2, of_ratio(8, 2), (12, 12), (math.sqrt(360),) * 2, of_ratio(12, 2)],
            {},
        ),
        ("min_size: 50 clip: true", [(50, 50)], {"clip": True}),
        ("min_size: 10 step: 16", [(10, 10)], {"step": (16, 16)}),
        ("min_size: 10 step_h: 16 step_w: 24", [(10, 10)], {"step": (16, 24)}),
        ("min_size: 10 offset: 0", [(10, 10)], {"offset": 0}),
        ("min_size: 10 img_size: 100", [(10, 10)], {"image": (100, 100)}),
        ("min_size: 10 img_h: 100 img_w: 50", [(10, 10)], {"image": (100, 50)}),
        ("min_size: 10 variance: 0.2", [(10, 10)], {"variance": (0.2,) * 4}),
        (
            "min_size: 10 variance: 0.1 variance: 0.2 variance: 0.3 variance: 0.4",
            [(10, 10)],
            {"variance": (0.1, 0.2, 0.3, 0.4)},
        ),
    ],
)
def test_boxes_of_each_cell(options, sizes, more):
    rig = build_layer(f'type: "PriorBox" prior_box_param {{ {options} }}', [MAP, IMAGE])
    assert_boxes(rig.forward()[0], priors(sizes, **more))


def assert_boxes(got, right):
    assert got.shape == right.shape
    np.testing.assert_allclose(got, right, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "name", sorted(path.stem for path in (FIXTURES / "golden_forks").glob("priorbox_*.npz"))
)
def test_the_forks_boxes_bit_for_bit(name):
    net = Net(FIXTURES / "golden_forks" / f"{name}.prototxt", 0)
    net.forward()
    with np.load(FIXTURES / "golden_forks" / f"{name}.npz") as case:
        np.testing.assert_array_equal(net.blobs["y"].data, case["out:y"])


def test_another_size():
    rig = build_layer('type: "PriorBox" prior_box_param { min_size: 10 }', [MAP, IMAGE])
    rig.forward()
    got = rig.forward([np.zeros((2, 1, 4, 5)), np.zeros((2, 3, 30, 50))])[0]
    assert_boxes(got, priors([(10, 10)], 4, 5, (30, 50)))


def test_clustered():
    sizes = [(10.5, 20.25), (3, 4)]
    options = "width: 10.5 height: 20.25 width: 3 height: 4 step: 8"
    rig = build_layer(f'type: "PriorBoxClustered" prior_box_param {{ {options} }}', [MAP, IMAGE])
    assert_boxes(rig.forward()[0], priors(sizes, step=(8, 8)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "needs at least one min_size"),
        ("min_size: 0", "needs min_size above 0, got 0"),
        ("min_size: nan", "needs min_size above 0, got nan"),
        (
            "min_size: 1 width: 2 height: 2",
            "takes min_size, not width and height: those are PriorBoxClustered's",
        ),
        ("min_size: 1 min_size: 2 max_size: 3", "needs no max_size or 2, got 1"),
        ("min_size: 3 max_size: 3", "needs max_size above min_size 3, got 3"),
        ("min_size: 3 aspect_ratio: 0", "needs aspect_ratio above 0, got 0"),
        ("min_size: 3 variance: 1 variance: 1", "needs 1 or 4 variances, got 2"),
        ("min_size: 3 variance: 0", "needs variances above 0, got 0"),
        ("min_size: 3 step: 0", "needs step above 0, got 0"),
        ("min_size: 3 step_h: 2", "needs step, or step_h and step_w, or none of them, got step_h"),
        (
            "min_size: 3 img_size: 2 img_w: 3",
            "needs img_size, or img_h and img_w, or none of them, got img_size and img_w",
        ),
        ("min_size: 3 img_h: 0 img_w: 3", "needs img_h above 0, got 0"),
    ],
)
def test_errors(options, message):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "PriorBox" prior_box_param {{ {options} }}', [MAP, IMAGE])
    assert str(error.value) == f"layer 'layer' (PriorBox): {message}"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("width: 3", "needs as many widths as heights, got 1 and 0"),
        ("", "needs as many widths as heights, got 0 and 0"),
        ("width: 3 height: 0", "needs widths and heights above 0, got 0"),
    ],
)
def test_errors_of_clustered(options, message):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "PriorBoxClustered" prior_box_param {{ {options} }}', [MAP, IMAGE])
    assert str(error.value) == f"layer 'layer' (PriorBoxClustered): {message}"


def test_an_empty_map():
    with pytest.raises(LayerError) as error:
        build_layer('type: "PriorBox" prior_box_param { min_size: 3 }', [np.zeros((1, 2, 0, 3)), IMAGE])
    assert str(error.value) == (
        "layer 'layer' (PriorBox): needs a map and an image with pixels, got shapes (1, 2, 0, 3), "
        "(1, 3, 40, 60)"
    )


def test_it_has_no_gradient():
    rig = build_layer('type: "PriorBox" prior_box_param { min_size: 3 }', [MAP, IMAGE])
    (top,) = rig.forward()
    with pytest.raises(LayerError) as error:
        rig.backward([top], wanted=[0])
    assert str(error.value) == "layer 'layer' (PriorBox): has no gradient"
