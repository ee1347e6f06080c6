import numpy as np
import pytest
from layer_check import TEST, TRAIN, build_layer, check_layer

from pycaffe_lite.errors import LayerError

X = np.random.default_rng(0).normal(3, 2, (4, 3, 2, 5))
A, B = np.array([1.5, -2.0, 0.5]), np.array([0.25, 0.0, -1.0])
MEAN, VARIANCE = np.array([3.0, 2.0, 4.0]), np.array([4.0, 1.0, 2.0])


def column(values):
    return np.reshape(values, (1, 3, 1, 1))


def norm(options=""):
    return f'type: "BatchNorm" batch_norm_param {{ scale_bias: true {options} }}'


def test_training_takes_the_batchs_statistics():
    def reference(bottoms, blobs):
        x = bottoms[0]
        mean, variance = x.mean((0, 2, 3), keepdims=True), x.var((0, 2, 3), keepdims=True)
        return [column(blobs[3]) * (x - mean) / np.sqrt(variance + 0.5) + column(blobs[4])]

    check_layer(norm("eps: 0.5"), [X], reference, blobs=[MEAN, VARIANCE, [1], A, B], in_place=True)


def test_testing_takes_the_running_ones():
    def reference(bottoms, blobs):
        mean, variance, _, a, b = (column(blob) if np.size(blob) == 3 else blob for blob in blobs)
        return [a * (bottoms[0] - mean) / np.sqrt(variance + np.float64(np.float32(1e-5))) + b]

    check_layer(
        norm("eps: 1e-9 use_global_stats: false"), [X], reference,
        phase=TEST, blobs=[MEAN, VARIANCE, [1], A, B], in_place=True,
    )  # fmt: skip


def test_the_first_two_passes_set_the_running_statistics_and_later_ones_mix():
    rig = build_layer(norm("moving_average_fraction: 0.75 eps: 0.5"), [X], dtype=np.float64)
    wanted = None
    for step in range(4):
        x = X * (step + 1)
        rig.forward([x])
        new = np.array([x.mean((0, 2, 3)), x.var((0, 2, 3)) + 0.5])
        wanted = new if step < 2 else 0.75 * wanted + 0.25 * new
        np.testing.assert_allclose([blob.data for blob in rig.layer.blobs[:2]], wanted, rtol=1e-12)
    assert rig.layer.blobs[2].data.tolist() == [1]
    again = build_layer(norm("moving_average_fraction: 0.75 eps: 0.5"), [X])
    assert again.layer.set_state(rig.layer.state()) == ""
    assert again.layer.passes == 4


def test_first_values_and_a_param_that_is_overwritten():
    fillers = "scale_filler { value: 2 } bias_filler { value: 3 }"
    for options, a, b in ((norm(), 1, 0), (norm().replace("scale_bias: true", fillers), 2, 3)):
        rig = build_layer(options + " param { lr_mult: 7 } param { } param { } param { lr_mult: 7 }", [X])
        assert [blob.data[0] for blob in rig.layer.blobs] == [0, 0, 1, a, b]
        specs = [(spec.lr_mult, spec.decay_mult) for spec in rig.layer.layer_param.param]
        assert specs == [(0, 0)] * 3 + [(1, 1)] * 2


@pytest.mark.parametrize("phase", [TRAIN, TEST])
def test_infinite_running_statistics_do_not_stay(phase):
    """What a pass overwrites does not count, whatever it was."""
    rig = build_layer(norm(), [X], phase=phase)
    rig.layer.blobs[0].data[...] = np.inf
    rig.forward()
    assert np.isfinite(rig.layer.blobs[0].data).all() == (phase == TRAIN)


def test_fields_of_other_forks():
    with pytest.raises(LayerError) as error:
        build_layer(norm("stats_batch_size: 2"), [X])
    assert str(error.value) == (
        "layer 'layer' (BatchNorm): no fork has both NVIDIA's scale and bias and "
        "batch_norm_param.stats_batch_size"
    )
