import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError
from pycaffe_lite.layer.loss import smooth_l1_loss
from pycaffe_lite.layer.registry import type_of
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse

R = np.random.default_rng(0)
SHAPE = (2, 3, 2, 2)
A, B = R.normal(size=SHAPE) * 2, R.normal(size=SHAPE)
INSIDE, OUTSIDE = R.uniform(0.5, 1.5, size=SHAPE), R.uniform(0.5, 1.5, size=SHAPE)
ONES = R.integers(0, 2, size=SHAPE).astype(float)


def loss_of(d, sigma=1.0):
    """The smooth L1 loss of each difference."""
    return np.array(
        [sigma**2 * v * v / 2 if abs(v) < 1 / sigma**2 else abs(v) - 1 / (2 * sigma**2) for v in np.ravel(d)]
    ).reshape(np.shape(d))


def test_ssds():
    check_layer(
        'type: "SmoothL1Loss"', [A, B], lambda bottoms, _: [loss_of(bottoms[0] - bottoms[1]).sum() / 2]
    )


@pytest.mark.parametrize("sigma", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("bottoms", [[A, B], [A, B, INSIDE, OUTSIDE]])
def test_faster_rcnns(sigma, bottoms):
    def reference(bottoms, _):
        a, b, inside, outside = [*bottoms, 1, 1][:4]
        return [(outside * loss_of(inside * (a - b), sigma)).sum() / 2]

    check_layer(
        f'type: "SmoothL1Loss" loss_weight: 1 smooth_l1_loss_param {{ sigma: {sigma} }}',
        bottoms,
        reference,
        gradients=[0, 1],
    )


@pytest.mark.parametrize("type_name", ["SmoothL1Loss", "SmoothL1LossOHEM"])
@pytest.mark.parametrize("bottoms", [[A, B], [A, B, ONES]])
@pytest.mark.parametrize(
    ("options", "divisor"),
    [
        ("", 8),
        ("normalization: VALID", 8),
        ("normalization: FULL", 8),
        ("normalization: BATCH_SIZE", 2),
        ("normalization: NONE", 1),
        ("normalization: PRE_FIXED pre_fixed_normalizer: 5", 5),
        ("normalize: true", 8),
        ("normalize: false", 2),
    ],
)
def test_rfcns(type_name, bottoms, options, divisor):
    """Weights of 0 and 1, for which the fork's gradient is the true one."""

    def reference(bottoms, _):
        a, b, weight = [*bottoms, 1][:3]
        losses = loss_of(weight * (a - b))
        return [losses.sum() / divisor, losses.sum(axis=1, keepdims=True)]

    check_layer(
        f'type: "{type_name}" top: "l" top: "each" loss_weight: 1 loss_weight: 0 loss_param {{ {options} }}',
        bottoms,
        reference,
        gradients=[0, 1],
        resized=(),
    )


def test_rfcns_gradient_has_other_weights_only_once():
    rig = build_layer('type: "SmoothL1LossOHEM" loss_weight: 1', [A, B, 3 * np.ones(SHAPE)])
    rig.forward()
    (da, db, _), _ = rig.backward([np.array(2.0)])
    np.testing.assert_allclose(da, 2 / 8 * np.clip(3 * (A - B), -1, 1), rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(db, -da)


def test_l1():
    check_layer('type: "L1Loss"', [A, B], lambda bottoms, _: [np.abs(bottoms[0] - bottoms[1]).sum() / 2])


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ('bottom: "a" bottom: "b" top: "l"', smooth_l1_loss.SmoothL1LossLayer),
        ('bottom: "a" bottom: "b"', smooth_l1_loss.SmoothL1LossLayer),
        (
            'bottom: "a" bottom: "b" top: "l" smooth_l1_loss_param { sigma: 3 }',
            smooth_l1_loss.RegionSmoothL1LossLayer,
        ),
        (
            'bottom: "a" bottom: "b" bottom: "i" bottom: "o" top: "l"',
            smooth_l1_loss.RegionSmoothL1LossLayer,
        ),
        ('bottom: "a" bottom: "b" bottom: "w" top: "l"', smooth_l1_loss.PlaceSmoothL1LossLayer),
        ('bottom: "a" bottom: "b" top: "l" top: "each"', smooth_l1_loss.PlaceSmoothL1LossLayer),
        (
            'bottom: "a" bottom: "b" top: "l" loss_param { normalization: FULL }',
            smooth_l1_loss.PlaceSmoothL1LossLayer,
        ),
    ],
)
def test_the_forms_are_told_apart(text, form):
    message = parse(f'type: "SmoothL1Loss" {text}', caffe_pb2.LayerParameter).message
    assert type_of(message).layer_class is form


@pytest.mark.parametrize(
    ("text", "weighs"),
    [
        ('type: "SmoothL1Loss"', 1),
        ('type: "SmoothL1Loss" smooth_l1_loss_param { }', 0),
        ('type: "SmoothL1LossOHEM"', 0),
        ('type: "L1Loss"', 1),
    ],
)
def test_which_have_a_loss_weight_by_default(text, weighs):
    assert build_layer(text, [A, B]).layer.loss_weights == [weighs]


@pytest.mark.parametrize(
    ("text", "shapes", "message"),
    [
        ("", [(2, 3), (2, 4)], "needs bottoms of one shape, got (2, 3) and (2, 4)"),
        ("", [(2, 3), (3, 2)], "needs bottoms of one batch size, got shapes (2, 3) and (3, 2)"),
        ("", [(0, 3), (0, 3)], "cannot take the mean of no records, got bottom shape (0, 3)"),
        ("", [(2, 3), (2, 3), (2, 3), (2, 1)], "needs bottoms of one shape, got (2, 3) and (2, 1)"),
        (
            "smooth_l1_loss_param { }",
            [(2, 3)] * 3,
            "takes both inside and outside weights, or neither, got 3 bottoms",
        ),
        ("smooth_l1_loss_param { sigma: 0 }", [(2, 3)] * 2, "needs a finite sigma above 0, got 0"),
        ("smooth_l1_loss_param { sigma: inf }", [(2, 3)] * 2, "needs a finite sigma above 0, got inf"),
        ("smooth_l1_loss_param { sigma: nan }", [(2, 3)] * 2, "needs a finite sigma above 0, got nan"),
        ("", [(2, 3)] * 5, "takes at most 4 bottoms, got 5"),
        ('top: "a" top: "b" top: "c" loss_param { }', [(2, 3)] * 2, "takes at most 2 tops, got 3"),
    ],
)
def test_errors(text, shapes, message):
    names = " ".join(f'bottom: "b{i}"' for i in range(len(shapes)))
    if len(shapes) == 5:
        names += " smooth_l1_loss_param { }"
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "SmoothL1Loss" {names} {text}', [np.ones(shape) for shape in shapes])
    assert str(error.value) == f"layer 'layer' (SmoothL1Loss): {message}"


def test_weights_have_no_gradient():
    rig = build_layer(
        'type: "SmoothL1Loss" bottom: "a" bottom: "b" bottom: "i" bottom: "o"', [A, B, INSIDE, OUTSIDE]
    )
    rig.forward()
    with pytest.raises(LayerError) as error:
        rig.backward([np.array(1.0)], wanted=[0, 2])
    assert str(error.value) == ("layer 'layer' (SmoothL1Loss): has no gradient to propagate down to weights")
