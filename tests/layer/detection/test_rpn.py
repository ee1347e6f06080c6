"""Faster R-CNN's Python layers; test_golden_forks.py has their values."""

import numpy as np
import pytest
from layer_check import TEST, TRAIN, build_layer
from paths import FIXTURES

from pycaffe_lite import rcnn_cfg
from pycaffe_lite.errors import ArgumentError, LayerError
from pycaffe_lite.layer.detection.anchors import anchors_of, offsets
from pycaffe_lite.layer.detection.rcnn_config import RcnnConfig

PARTS = dict(np.load(FIXTURES / "rpn_parts.npz"))
R = np.random.default_rng(0)
H, W = 4, 5
SCORES, DELTAS, INFO = R.random((1, 18, H, W)), R.normal(size=(1, 36, H, W)) / 4, [[64, 80, 1.0]]
TRUTH = np.array([[10, 12, 40, 43, 1], [30, 5, 75, 60, 2.0]])
MODULES = {
    "Proposal": "proposal_layer",
    "AnchorTarget": "anchor_target_layer",
    "ProposalTarget": "proposal_target_layer",
}
REGIONS = np.column_stack([np.zeros(60), R.uniform(0, 30, (60, 2)), R.uniform(35, 79, (60, 2))])


def layer(name, bottoms, options="'feat_stride': 16", phase=TEST, tops=None):
    names = f'module: "rpn.{MODULES[name]}" layer: "{name}Layer"'
    text = f'type: "Python" python_param {{ {names} param_str: "{options}" }}'
    return build_layer(text, bottoms, phase=phase, tops=tops)


def anchor_target(options="'feat_stride': 16, 'scales': [1, 2]", truth=TRUTH, info=INFO):
    return layer("AnchorTarget", [SCORES[:, :12], truth, info, np.zeros((1, 3, 2, 2))], options, TRAIN, 4)


def proposal_target(options="'num_classes': 3", regions=REGIONS, truth=TRUTH):
    return layer("ProposalTarget", [regions, truth], options, TRAIN, 5)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("default", {}),
        ("scales_2_4_8", {"scales": (2, 4, 8)}),
        ("base8_ratios", {"base_size": 8, "ratios": (0.5, 1, 1.5, 3), "scales": (4, 6)}),
        ("base32", {"base_size": 32, "ratios": (1,), "scales": (1, 3)}),
    ],
)
def test_anchors(name, options):
    np.testing.assert_array_equal(anchors_of(**options), PARTS[f"anchors:{name}"])


def test_offsets():
    np.testing.assert_allclose(offsets(PARTS["boxes"], PARTS["gt"]), PARTS["transform"])


def test_shapes_before_the_first_pass():
    rig = layer("Proposal", [SCORES, DELTAS, INFO], tops=2)
    assert [blob.shape for blob in rig.top] == [(1, 5), (1, 1, 1, 1)]
    assert [blob.shape for blob in anchor_target().top] == [(1, 1, 6 * H, W)] + [(1, 24, H, W)] * 3
    assert [blob.shape for blob in proposal_target().top] == [(1, 5), (1, 1)] + [(1, 12)] * 3


def test_proposals_have_falling_scores_and_overlap_little():
    rois, scores = layer("Proposal", [SCORES, DELTAS, INFO], tops=2).forward()
    assert len(rois) == len(scores) > 3
    assert (np.diff(scores[:, 0]) <= 0).all()
    assert (rois[:, 0] == 0).all()
    assert (rois[:, 1:] >= 0).all()
    assert (rois[:, 1:] <= [79, 63, 79, 63]).all()
    assert (rois[:, 3:] - rois[:, 1:3] + 1 >= 16).all()


def test_values_of_the_configuration(monkeypatch):
    rig = layer("Proposal", [SCORES, DELTAS, INFO])
    count = len(rig.forward()[0])
    monkeypatch.setattr(rcnn_cfg.TEST, "RPN_POST_NMS_TOP_N", count - 2)
    assert len(rig.forward()[0]) == count - 2
    monkeypatch.setattr(rcnn_cfg.TEST, "RPN_POST_NMS_TOP_N", 0)
    assert len(rig.forward()[0]) == count
    options = "'feat_stride': 16, 'RPN_POST_NMS_TOP_N': 2"
    assert len(layer("Proposal", [SCORES, DELTAS, INFO], options).forward()[0]) == 2
    assert len(layer("Proposal", [SCORES, DELTAS, INFO], options, TRAIN).forward()[0]) == 2


def test_configuration_takes_over_what_a_file_holds():
    config = RcnnConfig()
    config.update({"TRAIN": {"RPN_BATCHSIZE": 64}, "TEST": {"RPN_MIN_SIZE": 8}})
    assert (config.TRAIN.RPN_BATCHSIZE, config.TEST.RPN_MIN_SIZE, config.TRAIN.RPN_MIN_SIZE) == (64, 8, 16)
    with pytest.raises(ArgumentError) as error:
        config.update({"TEST": {"RPN_BATCHSIZE": 64}})
    assert str(error.value) == (
        "the configuration has no 'RPN_BATCHSIZE'; it has RPN_PRE_NMS_TOP_N, RPN_POST_NMS_TOP_N, "
        "RPN_NMS_THRESH, RPN_MIN_SIZE"
    )
    with pytest.raises(ArgumentError) as error:
        config.update({"VALIDATE": {}})
    assert str(error.value) == "the configuration has the parts TRAIN and TEST, got 'VALIDATE'"


def test_labels_of_anchors():
    np.random.seed(0)
    labels, targets, inside, outside = anchor_target(
        "'feat_stride': 16, 'scales': [1, 2], 'RPN_BATCHSIZE': 12"
    ).forward()
    labels = labels.reshape(6, H, W)
    assert 1 <= (labels == 1).sum() <= 6
    assert (labels >= 0).sum() <= 12
    shaped = [values.reshape(6, 4, H, W) for values in (targets, inside, outside)]
    np.testing.assert_array_equal(shaped[1], np.repeat((labels == 1)[:, None], 4, axis=1))
    np.testing.assert_allclose(shaped[2], np.repeat((labels >= 0)[:, None], 4, axis=1) / (labels >= 0).sum())
    assert not shaped[0][1, :, 0, 0].any()  # an anchor that reaches outside


def test_background_after_objects():
    both = "'feat_stride': 16, 'scales': [1, 2], 'RPN_NEGATIVE_OVERLAP': 2, 'RPN_BATCHSIZE': 1000"
    labels = anchor_target(both).forward()[0]
    assert {-1, 0, 1} == set(labels.ravel())
    assert {-1, 0} == set(anchor_target(f"{both}, 'RPN_CLOBBER_POSITIVES': true").forward()[0].ravel())


def test_regions_with_objects_and_without():
    np.random.seed(0)
    rois, labels, targets, inside, outside = proposal_target("'num_classes': 3, 'BATCH_SIZE': 16").forward()
    assert len(rois) == len(labels) == 16
    objects = labels > 0
    assert (np.diff(objects.astype(int)) <= 0).all()
    assert 0 < objects.sum() <= 4
    by_class = inside.reshape(16, 3, 4)
    for own, label, weights in zip(targets.reshape(16, 3, 4), labels.astype(int), by_class, strict=True):
        assert (weights == ((np.arange(3) == label) & (label > 0))[:, None]).all()
        assert own[weights == 0].any() == False  # noqa: E712
    np.testing.assert_array_equal(outside, inside > 0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: layer("Proposal", [SCORES, DELTAS, INFO], "'scales': [8]"),
            "ProposalLayer.setup: needs 'feat_stride' in param_str, got \"'scales': [8]\"",
        ),
        (
            lambda: layer("Proposal", [SCORES, DELTAS, INFO], "16"),
            "ProposalLayer.setup: needs names with values, \"'feat_stride': 16\" for example, in param_str "
            "'16'",
        ),
        (
            lambda: layer("Proposal", [SCORES[:, :4], DELTAS, INFO]),
            "ProposalLayer.forward: needs scores of one picture, (1, 18, H, W) for 9 anchors, got "
            "(1, 4, 4, 5)",
        ),
        (
            lambda: layer("Proposal", [SCORES, DELTAS[:, :9], INFO]),
            "ProposalLayer.forward: needs offsets of shape (1, 36, 4, 5), got (1, 9, 4, 5)",
        ),
        (
            lambda: anchor_target(truth=np.zeros((0, 5))),
            "AnchorTargetLayer.forward: needs ground truth of one box at least: leave out pictures "
            "without an object",
        ),
        (
            lambda: anchor_target(truth=TRUTH[:, :4]),
            "AnchorTargetLayer.forward: needs ground truth of 5 numbers a row, x1 y1 x2 y2 class, got shape "
            "(2, 4)",
        ),
        (
            lambda: anchor_target(info=[[8, 8, 1]]),
            "AnchorTargetLayer.forward: no anchor lies in a picture of 8 x 8: 'scales' are too large",
        ),
        (
            lambda: anchor_target("'feat_stride': 16, 'scales': [1, 2], 'RPN_POSITIVE_WEIGHT': 1"),
            "AnchorTargetLayer.forward: needs RPN_POSITIVE_WEIGHT between 0 and 1, or below 0, got 1",
        ),
        (
            lambda: proposal_target("'num_classes': 2"),
            "ProposalTargetLayer.forward: needs classes below num_classes 2, got 2",
        ),
        (
            lambda: proposal_target(regions=REGIONS + np.eye(60, 5)),
            "ProposalTargetLayer.forward: needs regions of one picture, image 0",
        ),
    ],
)
def test_errors(make, message):
    with pytest.raises(LayerError) as error:
        make().forward()
    assert str(error.value) == f"layer 'layer' (Python): {message}"


def test_other_anchors_than_the_forks_are_built_and_not_run(caplog):
    scores = np.zeros((1, 24, H, W), np.float32)
    made = build_layer(
        'type: "Python" python_param { module: "rpn.anchor_target_layer" layer: "AnchorTargetLayer" '
        "param_str: \"'feat_stride': 16\" }",
        [scores, TRUTH, INFO, np.zeros((1, 3, 2, 2))],
        phase=TRAIN,
        tops=4,
    )
    problem = f"needs scores of one picture, (1, 18, H, W) for 9 anchors, got (1, 24, {H}, {W})"
    assert f"layer 'layer' (Python): {problem}; it cannot run" in caplog.messages
    assert [blob.shape for blob in made.top] == [(1, 1, 12 * H, W)] + 3 * [(1, 48, H, W)]
    with pytest.raises(LayerError) as error:
        made.forward()
    assert str(error.value) == f"layer 'layer' (Python): AnchorTargetLayer.forward: {problem}"
