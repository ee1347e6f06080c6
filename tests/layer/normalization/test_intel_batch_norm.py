import numpy as np
import pytest
from layer_check import TEST, build_layer, check_layer

from pycaffe_lite.errors import LayerError

X = np.random.default_rng(0).normal(3, 2, (4, 3, 2, 5))
A, B = np.array([1.5, -2.0, 0.5]), np.array([0.25, 0.0, -1.0])
SUMS = [np.array([6.0, 4.0, 8.0]), np.array([8.0, 2.0, 4.0]), [2]]


def column(values):
    return np.reshape(values, (1, 3, 1, 1))


def norm(options):
    return f'type: "BatchNorm" batch_norm_param {{ eps: 0.5 {options} }}'


def standardized(x, size=None):
    """x standardised in parts of `size` images, by Python loops over the parts."""
    parts = []
    for part in np.split(x, len(x) // (size or len(x))):
        mean, variance = part.mean((0, 2, 3), keepdims=True), part.var((0, 2, 3), keepdims=True)
        parts.append((part - mean) / np.sqrt(variance + 0.5))
    return np.concatenate(parts)


def test_scale_and_shift():
    check_layer(
        norm("use_weight_bias: true"), [X],
        lambda bottoms, blobs: [column(blobs[3]) * standardized(bottoms[0]) + column(blobs[4])],
        blobs=[*SUMS, A, B], in_place=True,
    )  # fmt: skip


def test_scale_alone():
    check_layer(
        norm("bias_term: false"), [X],
        lambda bottoms, blobs: [column(blobs[3]) * standardized(bottoms[0])],
        blobs=[*SUMS, A],
    )  # fmt: skip


def test_stored_statistics_are_sums_as_in_caffe():
    def reference(bottoms, blobs):
        mean, variance = column(blobs[0]) / blobs[2][0], column(blobs[1]) / blobs[2][0]
        return [column(blobs[3]) * (bottoms[0] - mean) / np.sqrt(variance + 0.5) + column(blobs[4])]

    check_layer(norm("filler { }"), [X], reference, phase=TEST, blobs=[*SUMS, A, B])


@pytest.mark.parametrize("size", [1, 2, 4])
def test_parts_of_a_batch(size):
    check_layer(
        norm(f"stats_batch_size: {size}"), [X],
        lambda bottoms, blobs: [standardized(bottoms[0], size)],
        resized=[], blobs=SUMS, in_place=True,
    )  # fmt: skip


def test_each_part_moves_the_statistics():
    rig = build_layer(norm("stats_batch_size: 2 moving_average_fraction: 0.75"), [X], dtype=np.float64)
    rig.forward()
    mean, variance, factor = np.zeros(3), np.zeros(3), 0.0
    for part in (X[:2], X[2:]):
        mean = 0.75 * mean + part.mean((0, 2, 3))
        variance = 0.75 * variance + part.var((0, 2, 3), ddof=1)
        factor = 0.75 * factor + 1
    for blob, wanted in zip(rig.layer.blobs, (mean, variance, factor), strict=True):
        np.testing.assert_allclose(blob.data, wanted, rtol=1e-12)


def test_a_rectifier():
    check_layer(
        norm("relu: true"), [X],
        lambda bottoms, blobs: [np.maximum(standardized(bottoms[0]), 0)],
        blobs=SUMS, in_place=True,
    )  # fmt: skip


def test_first_values():
    fillers = "filler { value: 2 } bias_filler { value: 3 }"
    for options, a, b in (("use_weight_bias: true", 1, 0), (fillers, 2, 3)):
        blobs = build_layer(norm(options), [X]).layer.blobs
        assert [blob.data[0] for blob in blobs] == [0, 0, 0, a, b]


def test_without_weight_and_bias_it_is_caffes():
    assert len(build_layer(norm("use_weight_bias: false filler { value: 2 }"), [X]).layer.blobs) == 3


def test_parts_that_do_not_divide_the_batch():
    with pytest.raises(LayerError) as error:
        build_layer(norm("stats_batch_size: 3"), [X])
    assert str(error.value) == (
        "layer 'layer' (BatchNorm): needs a batch that stats_batch_size 3 divides, "
        "got bottom shape (4, 3, 2, 5)"
    )


def test_statistics_are_not_learnt():
    with pytest.raises(LayerError) as error:
        build_layer(norm("relu: true") + " param { lr_mult: 1 }", [X])
    assert str(error.value) == (
        "layer 'layer' (BatchNorm): needs lr_mult 0 for blob 0: statistics are not learnt, got 1"
    )


def test_pspnets_field():
    with pytest.raises(LayerError) as error:
        build_layer(norm("relu: true update_global_stats: true"), [X])
    assert str(error.value) == (
        "layer 'layer' (BatchNorm): no fork has both Intel's fields and batch_norm_param.update_global_stats"
    )
