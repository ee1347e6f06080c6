import numpy as np
import pytest
from layer_check import TEST, TRAIN, build_layer, check_layer

from pycaffe_lite.errors import LayerError
from pycaffe_lite.layer.normalization.bn import RunningBNLayer, SegNetBNLayer
from pycaffe_lite.layer.registry import type_of
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse

R = np.random.default_rng(0)
X = R.normal(1, 2, size=(3, 2, 2, 3))
SLOPE, BIAS = R.normal(size=(1, 2, 1, 1)), R.normal(size=(1, 2, 1, 1))
MEAN, VARIANCE = R.normal(size=(1, 2, 1, 1)), R.uniform(0.5, 2, size=(1, 2, 1, 1))
BLOBS = [SLOPE, BIAS, MEAN, VARIANCE]
SEGNET = 'type: "BN" bn_param {{ bn_mode: {} }}'


def moments(x):
    return x.mean(axis=(0, 2, 3), keepdims=True), x.var(axis=(0, 2, 3), keepdims=True)


def standardized(x, mean, variance, eps, slope, bias):
    return slope * (x - mean) / np.sqrt(variance + eps) + bias


@pytest.mark.parametrize("phase", [TRAIN, TEST])
def test_segnets_takes_the_batchs_statistics_in_both_phases(phase):
    check_layer(
        SEGNET.format("LEARN"),
        [X],
        lambda bottoms, blobs: [standardized(bottoms[0], *moments(bottoms[0]), 1e-9, *blobs)],
        phase=phase,
        blobs=[SLOPE, BIAS],
        in_place=True,
        adds_to_blob_diffs=False,
        threshold=1e-5,
    )


def test_segnets_inference_only_scales_and_shifts():
    check_layer(
        SEGNET.format("INFERENCE"),
        [X],
        lambda bottoms, blobs: [blobs[0] * bottoms[0] + blobs[1]],
        blobs=[SLOPE, BIAS],
        in_place=True,
        adds_to_blob_diffs=False,
    )


def test_segnets_statistics_as_further_tops():
    rig = build_layer(SEGNET.format("LEARN") + ' top: "y" top: "m" top: "v"', [X])
    for got, expected in zip(rig.forward()[1:], moments(X), strict=True):
        assert got.shape == (1, 2, 1, 1)
        np.testing.assert_allclose(got, expected, rtol=1e-5)


@pytest.mark.parametrize(("phase", "frozen"), [(TEST, "false"), (TEST, "true"), (TRAIN, "true")])
def test_pspnets_running_statistics(phase, frozen):
    check_layer(
        f'type: "BN" bn_param {{ eps: 0.1 frozen: {frozen} }}',
        [X],
        lambda bottoms, blobs: [standardized(bottoms[0], *blobs[2:], np.float32(0.1), *blobs[:2])],
        phase=phase,
        blobs=BLOBS,
        gradients=None if frozen == "true" else (),
        check_blobs=False,
    )


def test_pspnets_batch_statistics():
    check_layer(
        'type: "BN" bn_param { eps: 0.01 }',
        [X],
        lambda bottoms, blobs: [standardized(bottoms[0], *moments(bottoms[0]), np.float32(0.01), *blobs[:2])],
        blobs=BLOBS,
        in_place=True,
        threshold=1e-5,
    )


def test_pspnets_running_statistics_are_averages():
    rig = build_layer('type: "BN" bn_param { momentum: 0.75 }', [X], blobs=BLOBS)
    rig.forward()
    for blob, before, of_batch in zip(rig.layer.blobs[2:], (MEAN, VARIANCE), moments(X), strict=True):
        np.testing.assert_allclose(blob.data, 0.75 * before + 0.25 * of_batch, rtol=1e-5)


@pytest.mark.parametrize(("frozen", "rates"), [("false", [1, 1, 0, 0]), ("true", [0, 0, 0, 0])])
def test_what_no_solver_updates(tmp_path, frozen, rates):
    file = tmp_path / "net.prototxt"
    file.write_text(
        'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }\n'
        f'layer {{ name: "bn" type: "BN" bottom: "x" top: "y" bn_param {{ frozen: {frozen} }} }}\n'
    )
    net = Net(file, TRAIN)
    assert net.params_lr == rates
    assert net.params_weight_decay == rates
    assert [blob.shape for blob in net.params["bn"]] == [(1, 3, 1, 1)] * 4
    assert net.params["bn"][3].data[0, 0, 0, 0] == (1 if frozen == "true" else 0)


def test_the_running_statistics_in_test_have_the_batchs_backward_pass():
    """The fork's backward pass takes μ and v for the batch's, whatever they are."""
    rig = build_layer('type: "BN"', [X], phase=TEST, blobs=BLOBS)
    rig.forward()
    (dx,), (da, db, _, _) = rig.backward([X])
    normal = (X - MEAN) / np.sqrt(VARIANCE + 1e-5)
    right = X - X.mean(axis=(0, 2, 3), keepdims=True)
    right -= normal * (X * normal).mean(axis=(0, 2, 3), keepdims=True)
    np.testing.assert_allclose(dx, SLOPE / np.sqrt(VARIANCE + 1e-5) * right, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(da, (X * normal).sum(axis=(0, 2, 3), keepdims=True), rtol=1e-4)
    np.testing.assert_allclose(db, X.sum(axis=(0, 2, 3), keepdims=True), rtol=1e-5)


def test_a_frozen_layer_does_not_learn():
    rig = build_layer('type: "BN" bn_param { frozen: true }', [X], blobs=BLOBS)
    rig.forward()
    (dx,), blob_diffs = rig.backward([X])
    np.testing.assert_allclose(dx, SLOPE * X / np.sqrt(VARIANCE + 1e-5), rtol=1e-5)
    assert not any(diff.any() for diff in blob_diffs)


@pytest.mark.parametrize("form", ["bn_mode: LEARN", "eps: 0"])
def test_channels_that_do_not_vary_raise_no_warning(form):
    rig = build_layer(f'type: "BN" bn_param {{ {form} }}', [np.ones((2, 3, 2, 2))])
    y = rig.forward()[0]
    (dx,), _ = rig.backward([np.ones(y.shape)])
    assert np.isfinite(y).all() == np.isfinite(dx).all() == ("eps" not in form)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3,), "needs a bottom of at least 2 axes, got bottom shape (3,)"),
        ((0, 2), "cannot take the mean of no values, got bottom shape (0, 2)"),
    ],
)
@pytest.mark.parametrize("form", ["bn_mode: LEARN", "eps: 0.1"])
def test_errors(form, shape, message):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "BN" bn_param {{ {form} }}', [np.ones(shape)])
    assert str(error.value) == f"layer 'layer' (BN): {message}"


def test_another_number_of_channels():
    rig = build_layer('type: "BN"', [X])
    with pytest.raises(LayerError) as error:
        rig.forward([np.ones((3, 4, 2, 3))])
    assert str(error.value) == (
        "layer 'layer' (BN): needs 2 channels on axis 1, got bottom shape (3, 4, 2, 3)"
    )


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("", RunningBNLayer),
        ("bn_param { }", RunningBNLayer),
        ("bn_param { momentum: 0.9 }", RunningBNLayer),
        ("bn_param { slope_filler { value: 1 } }", RunningBNLayer),
        ("bn_param { bn_mode: LEARN }", SegNetBNLayer),
        ("bn_param { scale_filler { value: 1 } }", SegNetBNLayer),
        ("bn_param { shift_filler { value: 1 } }", SegNetBNLayer),
        ("blobs { } blobs { }", SegNetBNLayer),
        ("blobs { } " * 4, RunningBNLayer),
    ],
)
def test_the_forms_are_told_apart(text, form):
    message = parse(f'type: "BN" {text}', caffe_pb2.LayerParameter).message
    assert type_of(message).layer_class is form
