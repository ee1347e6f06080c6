"""Layers of forks of which nothing is recorded: FlowNet's, OpenVINO's, happynear's and others'."""

import numpy as np
import pytest
from onnx_runs import check, layer

import pycaffe_lite as caffe
from pycaffe_lite.errors import LayerError

RANDOM = np.random.default_rng(2)
MAP = RANDOM.standard_normal((2, 4, 9, 11))


@pytest.mark.parametrize(
    ("type", "more"),
    [
        ("NegReLU", ""),
        ("NegReLU", "relu_param { negative_slope: 0.2 }"),
        ("Scale", "scale_param { min_value: 0.5 max_value: 0.9 bias_term: true }"),
        ("InnerProduct", "inner_product_param { num_output: 3 normalize: true }"),
        ("ScaleFilter", "scale_filter_param { min_scale: 0.5 max_scale: 2 }"),
        ("ChannelNorm", ""),
        ("GRN", "grn_param { bias: 0.5 }"),
        ("Scatter", ""),
        ("Mean", "mean_param { operation: SUBTRACT value: 3 value: 4 input_scale: 2 output_scale: 0.5 }"),
        ("Mean", "mean_param { operation: ADD value: 3 mean_scale: 7 }"),
        ("Pooling", "pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 avg_include_pad: false }"),
        ("Resample", "resample_param { height: 17 width: 6 type: LINEAR }"),
        ("Resample", "resample_param { height: 5 width: 7 type: CUBIC }"),
        ("Resample", "resample_param { height: 4 width: 20 type: NEAREST }"),
        ("Downsample", "downsample_param { top_height: 4 top_width: 5 }"),
        ("Downsample", "downsample_param { top_height: 9 top_width: 11 }"),
        ("Unpooling", "unpooling_param { unpool: MAX kernel_size: 2 stride: 2 unpool_h: 18 unpool_w: 22 }"),
        ("Unpooling", "unpooling_param { unpool: AVE kernel_size: 3 stride: 2 unpool_h: 18 unpool_w: 25 }"),
        ("Unpooling", "unpooling_param { unpool: TILE kernel_size: 3 stride: 2 unpool_h: 17 unpool_w: 21 }"),
    ],
)
def test_one_bottom(type, more):
    check(layer(type, "x", more), {"x": MAP})


def test_factors_of_a_bottom_within_bounds():
    more = "scale_param { axis: 0 min_value: 0 max_value: 0.5 }"
    check(layer("Scale", "x s", more), {"x": MAP, "s": MAP[..., 0, 0]})


def test_unpooling_by_a_mask():
    mask = np.stack([RANDOM.permutation(400)[:99] for _ in range(8)]).reshape(MAP.shape)
    more = "unpooling_param { unpool: MAX kernel_size: 2 stride: 2 unpool_size: 20 }"
    check(layer("Unpooling", "x m", more), {"x": MAP, "m": mask})


def test_weighted_sum():
    more = "eltwise_param { coeff_blob: true coeff: 1 coeff: -2 }"
    check(layer("Eltwise", "x z a", more), {"x": MAP, "z": MAP[::-1], "a": [[1, 2], [3, 4.5]]})


@pytest.mark.parametrize(
    ("type", "more"),
    [
        ("Correlation", "kernel_size: 1 max_displacement: 3 pad: 3 stride_2: 2"),
        ("Correlation", "kernel_size: 3 max_displacement: 2 pad: 3 stride_1: 2 correlation_type: SUBTRACT"),
        ("Correlation1D", "kernel_size: 1 max_displacement: 3 pad: 3 single_direction: -1"),
        ("Correlation1D", "kernel_size: 3 max_displacement: 2 pad: 1 single_direction: 1"),
    ],
)
def test_correlation(type, more):
    check(layer(type, "a b", f"correlation_param {{ {more} }}"), {"a": MAP, "b": MAP[::-1] + 0.5})


@pytest.mark.parametrize("opset", [16, 20])
def test_pictures_read_elsewhere(opset):
    flow = RANDOM.uniform(-4, 4, (2, 2, 9, 11))
    check(layer("FlowWarp", "x f"), {"x": MAP, "f": flow}, opset=opset)
    theta = [[0.9, 0.2, 0.1, -0.3, 1.1], [0.5, 0, 0, 0.1, 2]]
    more = "st_param { output_H: 6 output_W: 7 theta_2_3: 0.25 }"
    check(layer("SpatialTransformer", "x t", more), {"x": MAP, "t": theta}, opset=opset)
    with pytest.raises(LayerError, match="it needs GridSample, of opset 16: give --opset 16 or more"):
        check(layer("FlowWarp", "x f"), {"x": MAP, "f": flow})


def test_lstm():
    more = "lstm_param { num_output: 3 }"
    steps = RANDOM.standard_normal((4, 2, 5))
    check(layer("Lstm", "x", more), {"x": steps})
    check(layer("Lstm", "x c", more), {"x": steps, "c": [[0, 1], [1, 1], [1, 0], [1, 1]]})
    more = "lstm_param { num_output: 3 batch_size: 2 }"
    check(layer("LstmJun", "x", more), {"x": steps.reshape(8, 5, 1, 1)})
    with pytest.raises(LayerError, match="without a bottom of indicators"):
        check(layer("Lstm", "x", more), {"x": steps}, target="opencv5")


@pytest.mark.parametrize("merge", ["true", "false"])
def test_symbols(merge):
    best = np.array([[1, 0, 3], [1, 2, 3], [3, 2, 0], [1, 2, 1], [1, 3, 0]])
    scores = RANDOM.uniform(0, 1, (5, 3, 4)) + 2 * np.eye(4)[best]
    goes_on = np.ones((5, 3))
    goes_on[0] = goes_on[3, 1] = 0
    more = f"ctc_decoder_param {{ ctc_merge_repeated: {merge} }}"
    check(layer("CTCGreedyDecoder", "x c", more, tops="y s"), {"x": scores, "c": goes_on})


def test_learning_apart():
    scores, labels = RANDOM.standard_normal((5, 4)), [0, 3, 1, 1, 2]
    check(layer("LabelSpecificAdd", "x l"), {"x": scores, "l": labels})
    check(layer("FocalLoss", "x l", "focal_loss_param { axis: 1 gamma: 1.5 }"), {"x": scores, "l": labels})
    more = "largemargin_inner_product_param { num_output: 4 type: SINGLE }"
    check(layer("LargeMarginInnerProduct", "x l", more), {"x": scores, "l": labels})
    for text in (
        layer("LabelSpecificAdd", "x l"),
        layer("ScaleFilter", "x", "scale_filter_param { min_scale: 0.5 max_scale: 2 }"),
    ):
        with pytest.raises(LayerError, match="export the net's TEST phase"):
            check(text, {"x": scores.reshape(5, 4, 1, 1), "l": labels}, caffe.TRAIN)


@pytest.mark.parametrize("kinds", [1, 2])
def test_detections_without_variances(kinds):
    corners = RANDOM.uniform(0, 0.6, (6, 2))
    priors = np.stack([np.concatenate([corners, corners + 0.3], 1)] * kinds).reshape(1, kinds, 24)
    found = {"l": RANDOM.standard_normal((2, 24)) / 9, "c": RANDOM.uniform(0, 1, (2, 18)), "p": priors}
    more = "num_classes: 3 nms_param { nms_threshold: 0.4 } confidence_threshold: 0.2 keep_top_k: 9 "
    more += "variance_encoded_in_target: true code_type: CENTER_SIZE"
    check(layer("DetectionOutput", "l c p", f"detection_output_param {{ {more} }}"), found)
    regions = np.concatenate([np.zeros((6, 1)), corners * 50, corners * 50 + 20], axis=1)
    more += " normalized: false input_width: 80 input_height: 60"
    found["p"] = np.stack([regions] * kinds).reshape(1, kinds, 30)
    check(layer("DetectionOutput", "l c p", f"detection_output_param {{ {more} }}"), found)
