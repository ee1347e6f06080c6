import numpy as np
import pytest
from layer_check import TEST, TRAIN, build_layer, check_layer

from pycaffe_lite.errors import LayerError


def values(*shape):
    return np.random.default_rng(0).normal(1, 2, size=shape)


def prototxt(fields):
    return f'type: "BatchNorm" batch_norm_param {{ {fields} }}'


def per_channel(x, numbers):
    return np.reshape(numbers, (1, -1, *(1,) * (x.ndim - 2)))


def of_batch(eps=1e-5):
    def compute(bottoms, blobs):
        x = bottoms[0]
        axes = (0, *range(2, x.ndim))
        mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
        return [(x - mean) / np.sqrt(variance + eps)]

    return compute


def stored(eps=1e-5):
    def compute(bottoms, blobs):
        x, (mean, variance, factor) = bottoms[0], blobs
        return [(x - per_channel(x, mean / factor)) / np.sqrt(per_channel(x, variance / factor) + eps)]

    return compute


STATISTICS = [[1.0, -2.0, 0.5], [4.0, 9.0, 0.1], [2.5]]


@pytest.mark.parametrize("shape", [(4, 3), (3, 3, 2), (2, 3, 4, 2), (2, 3, 1, 2, 2)])
@pytest.mark.parametrize(("fields", "eps"), [("", 1e-5), ("eps: 0.5", 0.5)])
def test_batch_statistics(shape, fields, eps):
    check_layer(
        prototxt(fields),
        [values(*shape)],
        of_batch(eps),
        phase=TRAIN,
        in_place=True,
    )


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 4, 2)])
def test_stored_statistics(shape):
    check_layer(
        prototxt("eps: 0.0625"),
        [values(*shape)],
        stored(0.0625),
        phase=TEST,
        blobs=STATISTICS,
        in_place=True,
    )


def test_use_global_stats_counts_more_than_the_phase():
    x = [values(4, 3)]
    check_layer(
        prototxt("use_global_stats: true"),
        x,
        stored(),
        phase=TRAIN,
        blobs=STATISTICS,
    )
    check_layer(prototxt("use_global_stats: false"), x, of_batch(), phase=TEST)


def test_each_batch_enters_the_stored_sums():
    rig = build_layer(prototxt("moving_average_fraction: 0.75"), [values(5, 3, 2)])
    mean, variance, factor = np.zeros(3), np.zeros(3), 0
    for seed in range(3):
        x = np.random.default_rng(seed).normal(seed, 2, size=(5, 3, 2)).astype(np.float32)
        rig.forward([x])
        mean = 0.75 * mean + x.mean((0, 2), dtype=np.float64)
        variance = 0.75 * variance + x.var((0, 2), ddof=1, dtype=np.float64)
        factor = 0.75 * factor + 1
    for blob, right in zip(rig.layer.blobs, (mean, variance, [factor]), strict=True):
        assert np.allclose(blob.data, right, rtol=1e-6)


def test_a_single_value_has_its_variance_uncorrected():
    rig = build_layer('type: "BatchNorm"', [[[3.0, 4.0]]])
    assert rig.forward()[0].tolist() == [[0, 0]]
    assert [blob.data.tolist() for blob in rig.layer.blobs] == [[3, 4], [0, 0], [1]]


def test_fresh_statistics_are_zero():
    rig = build_layer(prototxt("eps: 0.25"), [[[3.0, 4.0]]], phase=TEST)
    assert rig.forward()[0].tolist() == [[6, 8]]
    assert all(not blob.data.any() for blob in rig.layer.blobs)


def test_what_later_layers_write_into_the_top_changes_no_gradient():
    x, dy = values(4, 3, 2), values(3, 4, 2).reshape(4, 3, 2)
    gradients = []
    for in_place in (False, True):
        rig = build_layer('type: "BatchNorm"', [x], in_place=in_place)
        rig.forward([x])
        if in_place:
            rig.top[0].data[...] = 7
        gradients.append(rig.backward([dy])[0][0])
    assert np.array_equal(*gradients)


def test_a_mean_far_from_zero_costs_no_precision():
    x = 1000 + np.random.default_rng(0).normal(size=(16, 2, 100, 70)).astype(np.float32)
    rig, wide = (build_layer('type: "BatchNorm"', [x], dtype=dtype) for dtype in (np.float32, np.float64))
    y = wide.forward()[0]
    assert abs(rig.forward()[0] - y).max() < 2e-6  # a float32 step at 1000 is 6e-5
    assert np.allclose(rig.layer.blobs[1].data, x.var((0, 2, 3), ddof=1, dtype=np.float64), rtol=1e-6)
    dy = np.random.default_rng(1).normal(size=x.shape).astype(np.float32) + y
    (dx,), (right,) = (r.backward([dy])[0] for r in (rig, wide))
    assert abs(dx - right).max() < 1e-6 * abs(right).max()


def test_blobs_stay_out_of_learning():
    layer = build_layer('type: "BatchNorm"', [values(2, 3)]).layer
    assert [spec.lr_mult for spec in layer.layer_param.param] == [0, 0, 0]
    assert layer.param_propagate_down == [False] * 3
    layer = build_layer('type: "BatchNorm" param { lr_mult: 0 decay_mult: 3 }', [values(2, 3)]).layer
    assert [spec.lr_mult for spec in layer.layer_param.param] == [0, 0, 0]
    assert layer.layer_param.param[0].decay_mult == 3


def error_of(params, bottom):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "BatchNorm" {params}', [bottom])
    return str(error.value).removeprefix("layer 'layer' (BatchNorm): ")


def test_what_it_does_not_take():
    assert error_of("param { lr_mult: 0 } param { }", values(2, 3)) == (
        "needs lr_mult 0 for blob 1: statistics are not learnt, got 1"
    )
    assert error_of("", values(3)) == "needs a bottom of at least 2 axes, got bottom shape (3,)"
    assert error_of("", np.ones((0, 3))) == "cannot take the mean of no values, got bottom shape (0, 3)"
    rig = build_layer('type: "BatchNorm"', [values(2, 3)])
    with pytest.raises(LayerError) as error:
        rig.forward([values(2, 4)])
    assert (
        str(error.value) == "layer 'layer' (BatchNorm): needs 3 channels on axis 1, got bottom shape (2, 4)"
    )


def test_stored_statistics_bear_an_empty_batch():
    assert build_layer('type: "BatchNorm"', [np.ones((0, 3))], phase=TEST).forward()[0].shape == (0, 3)
