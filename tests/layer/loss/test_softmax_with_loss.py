import logging
import math

import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError


def values(*shape):
    return 2 * np.random.default_rng(0).normal(size=shape)


def labels(*shape, classes=5):
    return np.random.default_rng(1).integers(classes, size=shape)


def reference(axis=1, normalization="VALID", ignore=None):
    def compute(bottoms, blobs):
        x, label = np.moveaxis(bottoms[0], axis, 1), bottoms[1]
        x = x.reshape(x.shape[0], x.shape[1], -1) if axis == 1 else x
        p = np.exp(x - x.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        p, label = p.reshape(len(p), p.shape[1], -1), label.reshape(len(p), -1).astype(int)
        total, valid = 0.0, 0
        for n, i in np.ndindex(*label.shape):
            if label[n, i] != ignore:
                total -= math.log(p[n, label[n, i], i])
                valid += 1
        count = {"FULL": label.size, "VALID": valid, "BATCH_SIZE": len(label), "NONE": 1}[normalization]
        return [np.array(total / max(count, 1))]

    return compute


@pytest.mark.parametrize("normalization", ["FULL", "VALID", "BATCH_SIZE", "NONE"])
@pytest.mark.parametrize("ignore", [None, 2])
def test_normalization(normalization, ignore):
    ignored = "" if ignore is None else f"ignore_label: {ignore}"
    check_layer(
        f'type: "SoftmaxWithLoss" loss_param {{ normalization: {normalization} {ignored} }}',
        [values(3, 5, 2, 3), labels(3, 1, 2, 3)],
        reference(1, normalization, ignore),
    )


@pytest.mark.parametrize(
    ("fields", "meaning"),
    [
        ("normalize: true", "VALID"),
        ("normalize: false", "BATCH_SIZE"),
        ("normalize: false normalization: FULL", "FULL"),
        ("", "VALID"),
    ],
)
def test_old_normalize_counts_where_the_new_field_is_missing(fields, meaning):
    check_layer(
        f'type: "SoftmaxWithLoss" loss_param {{ ignore_label: 1 {fields} }}',
        [values(2, 5, 3), labels(2, 3)],
        reference(1, meaning, 1),
    )


def test_labels_one_per_item():
    check_layer('type: "SoftmaxWithLoss"', [values(4, 5), labels(4)], reference())


def test_loss_weight_scales_the_gradient():
    plain = build_layer('type: "SoftmaxWithLoss"', [values(4, 5), labels(4)])
    heavy = build_layer('type: "SoftmaxWithLoss" loss_weight: 3', [values(4, 5), labels(4)])
    assert plain.layer.loss_weights == [1]
    assert heavy.layer.loss_weights == [3]
    gradients = []
    for rig in (plain, heavy):
        diffs = [top.diff.copy() for top in rig.top]  # as set_up left them
        rig.forward()
        gradients.append(rig.backward(diffs)[0][0])
    assert np.allclose(3 * gradients[0], gradients[1])


def test_classes_on_the_last_axis():
    def compute(bottoms, blobs):
        return reference()([bottoms[0].reshape(6, 5), bottoms[1].reshape(6)], blobs)

    check_layer(
        'type: "SoftmaxWithLoss" softmax_param { axis: -1 }', [values(2, 3, 5), labels(2, 3)], compute
    )


def test_second_top_is_the_softmax():
    rig = build_layer('type: "SoftmaxWithLoss" top: "loss" top: "p"', [values(4, 5), labels(4)])
    loss, p = rig.forward()
    assert rig.layer.loss_weights == [1, 0]
    assert np.allclose(p.sum(1), 1)
    assert np.isclose(loss, -np.log(p[np.arange(4), labels(4)]).mean())


def test_a_probability_of_zero_costs_what_the_least_float_does():
    loss = build_layer('type: "SoftmaxWithLoss"', [[[1000.0, 0.0]], [1]]).forward()[0]
    assert np.isclose(loss, -math.log(np.finfo(np.float32).tiny), rtol=1e-6)


def test_everything_ignored():
    rig = build_layer('type: "SoftmaxWithLoss" loss_param { ignore_label: 0 }', [values(2, 5), np.zeros(2)])
    assert rig.forward()[0] == 0
    assert not rig.backward([1.0], bottom_fill=7)[0][0].any()


def error_of(bottoms, fields=""):
    with pytest.raises(LayerError) as error:
        build_layer(f'name: "loss" type: "SoftmaxWithLoss" {fields}', bottoms).forward()
    return str(error.value)


@pytest.mark.parametrize(
    ("label", "said"), [(5, "5"), (-1, "-1"), (5.5, "5.5"), (np.nan, "nan"), (np.inf, "inf"), (1e20, "1e+20")]
)
def test_label_outside_the_classes(label, said):
    y = labels(2, 1, 3).astype(float)
    y[1, 0, 2] = label
    assert error_of([values(2, 5, 3), y]) == (
        f"layer 'loss' (SoftmaxWithLoss): label {said} at (1, 0, 2) is out of range: 5 classes, 0 to "
        "4; set ignore_label to skip it"
    )


def test_where_a_label_to_ignore_is_set():
    assert error_of([values(1, 5), [254.0]], "loss_param { ignore_label: 255 }").endswith(
        "label 254 at (0,) is out of range: 5 classes, 0 to 4; ignore_label is 255"
    )
    assert "out of range: 1 class, 0; set" in error_of([values(1, 1), [1.0]])


def test_fractions_of_labels_are_cut_off(caplog):
    """As Caffe casts them, and said once; also of the label to ignore."""
    x, fields = values(4, 5), 'name: "loss" type: "SoftmaxWithLoss" loss_param { ignore_label: 255 }'
    with caplog.at_level(logging.WARNING):
        whole = build_layer(fields, [x, [4.0, 0.0, 2.0, 255.0]])
        cut = build_layer(fields, [x, [4.0, -0.5, 2.99, 255.5]])
        assert cut.forward()[0] == whole.forward()[0]
        np.testing.assert_array_equal(cut.backward([1.0])[0][0], whole.backward([1.0])[0][0])
        cut.forward()
    assert caplog.messages == [
        "layer 'loss' (SoftmaxWithLoss): label -0.5 at (1,) is cut to a whole number, as in Caffe; others "
        "like it are not mentioned"
    ]


def test_an_ignored_label_may_be_outside_the_classes():
    check_layer(
        'type: "SoftmaxWithLoss" loss_param { ignore_label: 255 }',
        [values(3, 5), [1, 255, 4]],
        reference(ignore=255),
    )
    check_layer(
        'type: "SoftmaxWithLoss" loss_param { ignore_label: -1 }',
        [values(3, 5), [1, -1, 4]],
        reference(ignore=-1),
    )


def test_bottoms_that_do_not_fit():
    assert error_of([values(4, 5), labels(3)]) == (
        "layer 'loss' (SoftmaxWithLoss): needs bottoms of one batch size, got shapes (4, 5) and (3,)"
    )
    assert error_of([values(4, 5, 2), labels(4)]) == (
        "layer 'loss' (SoftmaxWithLoss): needs 8 labels for scores of shape (4, 5, 2) with the classes on "
        "axis 1, got label shape (4,)"
    )


def test_no_gradient_for_labels():
    rig = build_layer('name: "loss" type: "SoftmaxWithLoss"', [values(4, 5), labels(4)])
    rig.forward()
    with pytest.raises(LayerError) as error:
        rig.backward([1.0], wanted=[0, 1])
    assert str(error.value) == "layer 'loss' (SoftmaxWithLoss): has no gradient for its labels"


@pytest.mark.parametrize("shape", [(4, 5), (2, 5, 3)])
def test_intels_smooth_labels_change_the_gradient_alone(shape):
    x, label = values(*shape), labels(shape[0], *shape[2:])
    smooth, plain = (
        build_layer(f'type: "SoftmaxWithLoss" loss_param {{ {field} }}', [x, label], dtype=np.float64)
        for field in ("label_smoothing: 0.25", "")
    )
    assert smooth.forward()[0] == pytest.approx(plain.forward()[0], rel=1e-12)
    p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    classes = 5 * math.prod(shape[2:])  # the fork counts positions as well
    wanted = np.empty_like(x)
    for n, c, *i in np.ndindex(*shape):
        is_label = label[(n, *i)] == c
        kept = 0.75 + (classes - 1) * 0.25 / classes
        wanted[(n, c, *i)] = (kept * p[(n, c, *i)] - (0.75 if is_label else 0.25 / classes)) / label.size
    np.testing.assert_allclose(smooth.backward([np.array(1.0)])[0][0], wanted, rtol=1e-12)


def test_smooth_labels_of_another_loss():
    with pytest.raises(LayerError) as error:
        build_layer('type: "InfogainLoss" loss_param { label_smoothing: 0.5 }', [values(4, 5), labels(4)])
    assert str(error.value) == (
        "layer 'layer' (InfogainLoss): has no smooth labels: loss_param.label_smoothing is for "
        "SoftmaxWithLoss"
    )
