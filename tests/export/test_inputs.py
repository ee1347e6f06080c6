"""Random inputs that make sense to the layers that read them."""

import numpy as np
import pytest

import pycaffe_lite as caffe
from pycaffe_lite.export.inputs import random_inputs


def inputs_of(layer, shapes):
    text = "".join(
        f'layer {{ name: "{name}" type: "Input" top: "{name}" '
        f"input_param {{ shape {{ dim: {list(shape)} }} }} }}"
        for name, shape in shapes.items()
    )
    return [*random_inputs(caffe.Net.from_text(text + layer, caffe.TEST))]


def first(layer, **shapes):
    _, inputs = inputs_of(layer, shapes)[0]
    net_inputs = {name: values.shape for name, values in inputs.items()}
    assert net_inputs == shapes
    return inputs


def test_sequences_begin():
    layer = (
        'layer { name: "l" type: "LSTM" bottom: "x" bottom: "c" top: "y" recurrent_param { num_output: 2 } }'
    )
    assert first(layer, x=(3, 2, 4), c=(3, 2))["c"].tolist() == [[0, 0], [1, 1], [1, 1]]


def test_indices_and_labels():
    layer = (
        'layer { name: "e" type: "Embed" bottom: "x" top: "y" embed_param { num_output: 2 input_dim: 5 } }'
    )
    assert set(first(layer, x=(50,))["x"]) == {0, 1, 2, 3, 4}
    layer = 'layer { name: "r" type: "BatchReindex" bottom: "x" bottom: "i" top: "y" }'
    assert set(first(layer, x=(3, 2), i=(50,))["i"]) == {0, 1, 2}
    layer = 'layer { name: "l" type: "SoftmaxWithLoss" bottom: "x" bottom: "t" top: "y" }'
    assert not first(layer, x=(3, 1), t=(3,))["t"].any()
    layer = 'layer { name: "f" type: "Filter" bottom: "x" bottom: "s" top: "y" }'
    assert first(layer, x=(3, 1), s=(3,))["s"].tolist() == [1, 0, 1]


def test_regions_lie_in_the_picture():
    layer = (
        'layer { name: "p" type: "Pooling" bottom: "data" top: "m" '
        "pooling_param { kernel_size: 2 stride: 2 } }"
        'layer { name: "r" type: "ROIPooling" bottom: "m" bottom: "r" top: "y" '
        "roi_pooling_param { pooled_h: 2 pooled_w: 2 spatial_scale: 0.5 } }"
    )
    rows = first(layer, data=(1, 3, 20, 30), r=(9, 5))["r"]
    assert not rows[:, 0].any()
    assert (rows[:, 1:3] <= rows[:, 3:]).all()
    assert (rows[:, 3:] <= (29, 19)).all()


def test_the_size_of_the_picture():
    layer = (
        'layer { name: "p" type: "Proposal" bottom: "s" bottom: "d" bottom: "i" top: "y" '
        "proposal_param { feat_stride: 4 base_size: 4 ratio: 1 scale: 1 pre_nms_topn: 9 post_nms_topn: 3 } }"
    )
    assert first(layer, s=(1, 2, 5, 6), d=(1, 4, 5, 6), i=(1, 3))["i"].tolist() == [[5, 6, 1]]


def test_pictures_are_tried_twice():
    layer = 'layer { name: "r" type: "ReLU" bottom: "data" top: "y" }'
    small, large = inputs_of(layer, {"data": (1, 3, 20, 30)})
    assert (small[0], large[0]) == ("random inputs", "random pixels")
    assert small[1]["data"].std() == pytest.approx(1, rel=0.1)
    assert large[1]["data"].std() == pytest.approx(64, rel=0.1)
    assert np.array_equal(inputs_of(layer, {"data": (1, 3, 20, 30)})[1][1]["data"], large[1]["data"])
