"""Exports for OpenCV 5, run by it."""

import numpy as np
import pytest
from paths import FIXTURES
from test_golden import keys
from tolerances import assert_golden

from pycaffe_lite.errors import LayerError
from pycaffe_lite.export.onnx.check import runner_for
from pycaffe_lite.export.onnx.model import Export
from pycaffe_lite.net.net import Net

cv2 = pytest.importorskip("cv2")

CAFFE, FORKS = FIXTURES / "golden_layers", FIXTURES / "golden_forks"
# What nets are made of, and what OpenCV computes wrongly unless it is told in another way.
CASES = [
    *("conv_1x1_pad1", "conv_depthwise", "deconv_k4_s2_p1", "deconv_dilation2", "pool_max_pad1"),
    *("pool_ave_pad_overhang", "pool_max_overlap_s1", "lrn_across_default", "lrn_within_larger_than_map"),
    *("batchnorm_test_inplace", "batchnorm_test_batch_stats", "scale_default", "prelu_per_channel"),
    *("tanh_extreme", "lstm_basic", "lstm_static", "rnn_basic", "mvn_default", "ip_negative_axis_transpose"),
    *("eltwise_sum_three_coeff", "slice_axis0", "concat_three_axis2", "softmax_axis0", "argmax_axis1"),
    *("reduction_sum_all", "softmaxloss_default", "sigmoidloss_extreme_weight", "euclidean_2d"),
]
CASES_OF_FORKS = [
    *("detout_ssd_deploy", "detout_keep_top_k", "detout_not_shared", "detout_one_image_empty"),
    *("detout_variance_encoded_corner", "roipool_basic", "psroi_basic", "interp_shrink", "bn_segnet_learn"),
    *("priorbox_ssd300_like", "shuffle_g2", "reorg_stride2", "mish_default", "rpn_proposal_default"),
]


def existing(folder, names):
    """The names of cases, which all have to be there."""
    assert not [name for name in names if not (folder / f"{name}.npz").exists()]
    return [(folder, name) for name in names]


def has_detections(values):
    return values.ndim == 4 and values.shape[3] == 7


@pytest.mark.parametrize(
    ("folder", "name"), [*((CAFFE, n) for n in CASES), *((FORKS, n) for n in CASES_OF_FORKS)]
)
def test_gives_what_was_recorded(folder, name, tmp_path):
    with np.load(folder / f"{name}.npz") as case:
        net = Net(folder / f"{name}.prototxt", int(case["phase"]))
        for layer, i, values in keys(case, "param"):
            net.params[layer][i].data[...] = values
        export = Export(net, target="opencv5")
        export.write(tmp_path / "net.onnx")
        got = runner_for(export, tmp_path / "net.onnx").run({b: v for b, _, v in keys(case, "in")})
        for output, blob in export.output_blobs.items():
            expected = case[f"out:{export.net.graph.blob_names[blob]}"]
            if has_detections(expected):  # OpenCV has no rows for images without any
                expected = expected[:, :, (expected[0, 0, :, 1:] != -1).any(axis=1)]
            assert_golden(got[output], expected.reshape(expected.shape or (1,)), output)


@pytest.mark.parametrize(
    ("folder", "name", "why"),
    [
        (CAFFE, "filter_one", "OpenCV has no operator that keeps rows by a condition"),
        (FORKS, "detout_corner_size", "does not know code_type CORNER_SIZE"),
        (FORKS, "detout_nms_zero", "no nms_threshold of 0"),
        (FORKS, "yolov3out_low_nms", "--output ends the net before it"),
    ],
)
def test_refuses(folder, name, why):
    with pytest.raises(LayerError, match=why):
        Export(Net(folder / f"{name}.prototxt", 1), target="opencv5")
