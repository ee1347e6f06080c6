import numpy as np
from layer_check import TEST, build_layer

X = np.random.default_rng(0).normal(3, 2, (4, 3, 2, 5))
OPTIONS = "use_global_stats: true update_global_stats: true eps: 0.5 moving_average_fraction: 0.75"


def norm(phase):
    rig = build_layer(
        f'type: "BatchNorm" batch_norm_param {{ {OPTIONS} }}', [X], phase=phase, dtype=np.float64
    )
    for blob, values in zip(rig.layer.blobs, ([6, 4, 8], [8, 2, 4], [2]), strict=True):
        blob.data[...] = values
    return rig


def test_training_standardises_about_the_stored_mean():
    rig = norm(phase=0)
    mean = np.reshape([3.0, 2.0, 4.0], (1, 3, 1, 1))
    square = ((X - mean) ** 2).mean((0, 2, 3))
    deviation = np.sqrt(square + 0.5).reshape(1, 3, 1, 1)
    np.testing.assert_allclose(rig.forward()[0], (X - mean) / deviation, rtol=1e-12)
    dy = np.random.default_rng(1).normal(size=X.shape)
    np.testing.assert_allclose(rig.backward([dy])[0][0], dy / deviation, rtol=1e-12)
    sums = [blob.data for blob in rig.layer.blobs]
    np.testing.assert_allclose(sums[0] / sums[2], mean.ravel(), rtol=1e-12)  # the average stays
    np.testing.assert_allclose(sums[1], 0.75 * np.array([8, 2, 4]) + square * 40 / 39, rtol=1e-12)
    assert sums[2] == 0.75 * 2 + 1


def test_testing_is_caffes():
    rig = norm(TEST)
    mean, variance = np.reshape([3, 2, 4], (1, 3, 1, 1)), np.reshape([4, 1, 2], (1, 3, 1, 1))
    np.testing.assert_allclose(rig.forward()[0], (X - mean) / np.sqrt(variance + 0.5), rtol=1e-12)
    assert rig.layer.blobs[2].data == 2
