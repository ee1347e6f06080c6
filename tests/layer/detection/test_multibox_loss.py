import math

import numpy as np
import pytest
from layer_check import build_layer, check_layer
from multibox import (
    ARM_CONF,
    ARM_LOC,
    BOTTOMS,
    CONF,
    EACH,
    LOC,
    PRIOR_BLOB,
    TRUTH,
    VARIANCES,
    C,
    N,
    P,
    reference,
)

from pycaffe_lite.errors import LayerError


def text(options="", more="", code="CENTER_SIZE"):
    return (
        f'type: "MultiBoxLoss" multibox_loss_param {{ num_classes: {C} code_type: {code} {options} }} {more}'
    )


@pytest.mark.parametrize(
    ("options", "more", "numbers"),
    [
        ("", "", {}),
        ("loc_loss_type: L2 loc_weight: 3", "", {"l2": True, "loc_weight": 3}),
        ("conf_loss_type: LOGISTIC", "", {"logistic": True}),
        ("overlap_threshold: 0.2", "", {"threshold": np.float32(0.2)}),
        ("match_type: BIPARTITE", "", {"each": False}),
        ("neg_pos_ratio: 0.5 neg_overlap: 0.1", "", {"ratio": 0.5, "neg_overlap": np.float32(0.1)}),
        ("use_difficult_gt: false", "", {"difficult": False}),
        ("mining_type: NONE", "", {"mining": "NONE"}),
        ("mining_type: HARD_EXAMPLE sample_size: 4", "", {"mining": "HARD_EXAMPLE", "sample": 4}),
        (
            "mining_type: HARD_EXAMPLE overlap_threshold: 0.2",
            "",
            {"mining": "HARD_EXAMPLE", "threshold": np.float32(0.2)},
        ),
        ("", "loss_param { normalization: FULL }", {"divisor": N * P}),
        ("", "loss_param { normalization: BATCH_SIZE }", {"divisor": N}),
        ("", "loss_param { normalization: NONE }", {"divisor": 1}),
        ("", "loss_param { normalize: false }", {"divisor": N}),
        ("share_location: false mining_type: NONE", "", {"shared": False, "mining": "NONE"}),
        (
            "use_prior_for_matching: false overlap_threshold: 0.25",
            "",
            {"by_prediction": True, "threshold": 0.25},
        ),
    ],
)
def test_offsets_and_classes(options, more, numbers):
    bottoms = [EACH if numbers.get("shared") is False else LOC, *BOTTOMS[1:]]
    check_layer(
        text(options, more),
        bottoms,
        lambda bottoms, _: reference(*bottoms, **numbers),
        resized=(),
        threshold=1e-5,
    )


@pytest.mark.parametrize("code", ["CORNER", "CORNER_SIZE"])
def test_other_codes(code):
    check_layer(
        text(code=code),
        BOTTOMS,
        lambda bottoms, _: reference(*bottoms, code=code),
        resized=(),
        threshold=1e-5,
    )


@pytest.mark.parametrize("code", ["CORNER", "CORNER_SIZE", "CENTER_SIZE"])
def test_variances_that_are_in_the_offsets(code):
    """The offsets' errors are divided by them; the gradient, as in the fork, is not."""
    options = "encode_variance_in_target: true"
    check_layer(
        text(options, code=code),
        BOTTOMS,
        lambda bottoms, _: reference(*bottoms, code=code, in_target=True),
        gradients=[1],
        resized=(),
        threshold=1e-5,
    )
    rig = build_layer(text(options, code=code), BOTTOMS, dtype=np.float64)
    rig.forward()
    (dloc, *_), _ = rig.backward([np.array(1.0)])
    for place in np.ndindex(LOC.shape):
        step = np.zeros(LOC.shape)
        step[place] = 1e-6
        high, low = (reference(LOC + s, *BOTTOMS[1:], code=code, in_target=True)[0] for s in (step, -step))
        slope = (high - low) / 2e-6
        assert dloc[place] == pytest.approx(slope * VARIANCES[0, place[1] % 4], abs=1e-6)


@pytest.mark.parametrize(
    ("options", "numbers"),
    [("ignore_cross_boundary_bbox: true", {"inside": True}), ("bp_inside: true", {"bp_inside": True})],
)
def test_priors_that_reach_outside(options, numbers):
    prior = PRIOR_BLOB.copy()
    prior[0, 0] -= 0.06
    check_layer(
        text(options),
        [LOC, CONF, prior, TRUTH],
        lambda bottoms, _: reference(*bottoms, **numbers),
        resized=(),
        threshold=1e-5,
    )


@pytest.mark.parametrize("count", [5, 6])
def test_refinedets_bottoms(count):
    check_layer(
        text("objectness_score: 0.01"),
        [*BOTTOMS, ARM_CONF, ARM_LOC][:count],
        lambda bottoms, _: reference(*bottoms),
        gradients=[0, 1],
        resized=(),
        threshold=1e-5,
    )


@pytest.mark.parametrize("parts", [(True, False), (False, True)])
def test_a_part_that_gets_no_gradient_is_not_in_the_loss(parts):
    words = " ".join(f"propagate_down: {str(part).lower()}" for part in (*parts, False, False))
    rig = build_layer(text(more=words), BOTTOMS)
    np.testing.assert_allclose(rig.forward()[0], reference(*BOTTOMS, parts=parts)[0], rtol=1e-5)


def test_with_two_classes_all_objects_are_of_one():
    rig = build_layer(
        'type: "MultiBoxLoss" multibox_loss_param { num_classes: 2 }', [LOC, CONF[:, : 2 * P], *BOTTOMS[2:]]
    )
    one = TRUTH.copy()
    one[0, 0, :, 1] = np.minimum(one[0, 0, :, 1], 1)
    loss = rig.forward()[0]
    assert rig.forward([LOC, CONF[:, : 2 * P], PRIOR_BLOB, one])[0] == loss
    agnostic = 'type: "MultiBoxLoss" multibox_loss_param { num_classes: 2 map_object_to_agnostic: true }'
    assert build_layer(agnostic, [LOC, CONF[:, : 2 * P], *BOTTOMS[2:]]).forward()[0] == loss


def test_the_number_of_negatives_is_a_float32_product():
    """10 matches times 2.3 are 23 in float32, and 22.999999 otherwise."""
    count = 60
    prior = np.tile([0.1, 0.1, 0.3, 0.3], (count, 1))
    prior[10:] += 0.5
    blob = np.stack([prior.ravel(), np.full(4 * count, 0.1)])[None]
    truth = np.array([[0, 1, 0, 0.1, 0.1, 0.3, 0.3, 0]]).reshape(1, 1, 1, 8)
    rig = build_layer(
        'type: "MultiBoxLoss" multibox_loss_param { num_classes: 2 neg_pos_ratio: 2.3 }',
        [np.zeros((1, 4 * count)), np.zeros((1, 2 * count)), blob, truth],
    )
    np.testing.assert_allclose(rig.forward()[0], (10 + 23) * math.log(2) / 10, rtol=1e-6)


@pytest.mark.parametrize(
    "truth", [np.full((1, 1, 1, 8), -1.0), np.zeros((1, 1, 0, 8)), np.array([[[[0, 1, 0, 5, 5, 6, 6, 0]]]])]
)
def test_nothing_to_find(truth):
    rig = build_layer(text(), [LOC, CONF, PRIOR_BLOB, truth])
    assert rig.forward()[0] == 0
    diffs, _ = rig.backward([np.array(1.0)])
    assert not any(diff.any() for diff in diffs)


def test_ground_truth_of_no_area_is_not_matched():
    flat = TRUTH.copy()
    flat[0, 0, 0, 5:7] = flat[0, 0, 0, 3:5]
    rig = build_layer(text(), [LOC, CONF, PRIOR_BLOB, flat])
    without = TRUTH.copy()
    without[0, 0, 0] = -1
    assert rig.forward()[0] == rig.forward([LOC, CONF, PRIOR_BLOB, without])[0]


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(
    "options", ["", "conf_loss_type: LOGISTIC", "mining_type: HARD_EXAMPLE", "mining_type: NONE"]
)
def test_scores_that_are_not_finite_raise_no_warning(options, value):
    conf = np.full(CONF.shape, value)
    assert not np.isfinite(build_layer(text(options), [LOC, conf, *BOTTOMS[2:]]).forward()[0])


def test_large_scores():
    conf = np.full(CONF.shape, -1000.0)
    assert np.isfinite(build_layer(text("conf_loss_type: LOGISTIC"), [LOC, conf, *BOTTOMS[2:]]).forward()[0])


def test_one_image_after_two():
    rig = build_layer(text(), BOTTOMS)
    rig.forward()
    first = TRUTH[:, :, :3]
    one = [LOC[:1], CONF[:1], PRIOR_BLOB, first]
    assert rig.forward(one)[0] == build_layer(text(), one).forward()[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("num_classes: 0", "needs multibox_loss_param { num_classes: ... } of 1 or more"),
        (
            "num_classes: 4 do_neg_mining: false",
            "do_neg_mining contradicts mining_type: leave it out, it is the old name",
        ),
        ("num_classes: 4 share_location: false", "needs share_location for mining"),
        ("num_classes: 4 neg_pos_ratio: 0", "needs neg_pos_ratio above 0, got 0"),
        (
            "num_classes: 4 map_object_to_agnostic: true",
            "needs num_classes 2 and background_label_id 0 for map_object_to_agnostic, got 4 and 0",
        ),
        ("num_classes: 4 background_label_id: 4", "needs background_label_id from 0 to 3, got 4"),
    ],
)
def test_errors(options, message):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "MultiBoxLoss" multibox_loss_param {{ {options} }}', BOTTOMS)
    assert str(error.value) == f"layer 'layer' (MultiBoxLoss): {message}"


@pytest.mark.parametrize(
    ("index", "shape", "message"),
    [
        (3, (1, 1, 2, 7), "needs ground truth of 8 numbers a row, got shape (1, 1, 2, 7)"),
        (0, (2, 8), "needs 4 offsets for each of 9 prior boxes, 36 values per image, got shape (2, 8)"),
        (4, (2, 9), "needs 2 values for each of 9 prior boxes, got shape (2, 9)"),
        (5, (2, 9), "needs 4 values for each of 9 prior boxes, got shape (2, 9)"),
    ],
)
def test_shapes_that_do_not_fit(index, shape, message):
    bottoms = [*BOTTOMS, ARM_CONF, ARM_LOC]
    bottoms[index] = np.zeros(shape)
    with pytest.raises(LayerError) as error:
        build_layer(text(), bottoms)
    assert str(error.value) == f"layer 'layer' (MultiBoxLoss): {message}"


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (0, 2, "needs ground truth of images 0 to 1, got image 2"),
        (0, -2, "needs ground truth of images 0 to 1, got image -2"),
        (1, 0, "ground truth has class 0, which is the background's"),
        (1, 4, "ground truth has class 4, classes are 0 to 3"),
        (1, -1, "ground truth has class -1, classes are 0 to 3"),
    ],
)
def test_ground_truth_that_makes_no_sense(column, value, message):
    truth = TRUTH.copy()
    truth[0, 0, 0, column] = value
    rig = build_layer(text(), [LOC, CONF, PRIOR_BLOB, truth])
    with pytest.raises(LayerError) as error:
        rig.forward()
    assert str(error.value) == f"layer 'layer' (MultiBoxLoss): {message}"


def test_variances_of_0():
    prior = PRIOR_BLOB.copy()
    prior[0, 1] = 0
    rig = build_layer(text(), [LOC, CONF, prior, TRUTH])
    with pytest.raises(LayerError) as error:
        rig.forward()
    assert str(error.value) == (
        "layer 'layer' (MultiBoxLoss): cannot encode ground truth: it, and prior boxes, need positive "
        "widths, heights and variances"
    )


def test_priors_and_ground_truth_have_no_gradient():
    rig = build_layer(text(), BOTTOMS)
    rig.forward()
    with pytest.raises(LayerError) as error:
        rig.backward([np.array(1.0)], wanted=[0, 3])
    assert str(error.value) == (
        "layer 'layer' (MultiBoxLoss): has no gradient to propagate down to prior boxes or ground truth"
    )
