import numpy as np
import pytest
from layer_check import TEST, TRAIN, build_layer, check_layer
from paths import FIXTURES

from pycaffe_lite import random
from pycaffe_lite.errors import LayerError
from pycaffe_lite.net.net import Net

RECORDED = FIXTURES / "fillers"
X = np.random.default_rng(0).normal(size=(3, 4, 5))


def mask(ratio, count, seed=1):
    stream = random.RandomStream(seed)
    return stream.bernoulli(count, 1 - float(np.float32(ratio)), np.float64)


@pytest.mark.parametrize("ratio", [0, 0.3, 0.5, 0.99])
def test_training_drops_and_scales(ratio):
    def reference(bottoms, blobs):
        m = mask(ratio, bottoms[0].size).reshape(bottoms[0].shape)
        return [bottoms[0] * m / (1 - float(np.float32(ratio)))]

    check_layer(f'type: "Dropout" dropout_param {{ dropout_ratio: {ratio} }}', [X], reference, in_place=True)


def test_testing_copies():
    check_layer('type: "Dropout"', [X], lambda bottoms, blobs: bottoms, phase=TEST, in_place=True)


def test_every_forward_draws_anew():
    rig = build_layer('type: "Dropout"', [np.ones(1000)])
    first = rig.forward()[0]
    rig.layer.forward(rig.bottom, rig.top)
    assert (rig.top[0].data != first).mean() > 0.4
    assert abs((first > 0).mean() - 0.5) < 0.1


@pytest.mark.parametrize("case", ["dropout_30", "dropout_50"])
def test_masks_are_caffes(case):
    with np.load(RECORDED / f"{case}.npz") as recorded:
        for seed in recorded["seeds"]:
            random.set_random_seed(int(seed))
            net = Net(RECORDED / f"{case}.prototxt", TRAIN)
            net.blobs["x"].data[...] = 1
            for k in range(2):
                net.forward()
                assert np.array_equal(net.blobs["y"].data, recorded[f"seed{seed}:forward{k}:y"])


@pytest.mark.parametrize(("ratio", "said"), [(1, "1"), (-0.5, "-0.5"), (1.5, "1.5")])
def test_a_ratio_that_leaves_nothing_is_refused(ratio, said):
    prototxt = f'name: "d" type: "Dropout" dropout_param {{ dropout_ratio: {ratio} }}'
    with pytest.raises(LayerError) as error:
        build_layer(prototxt, [X])
    assert str(error.value) == (f"layer 'd' (Dropout): needs a dropout_ratio from 0 to below 1, got {said}")
    build_layer(prototxt, [X], phase=TEST)


def test_r_fcns_training_drops_without_scaling():
    def reference(bottoms, blobs):
        return [bottoms[0] * mask(0.25, bottoms[0].size).reshape(bottoms[0].shape)]

    options = "dropout_param { dropout_ratio: 0.25 scale_train: false }"
    check_layer(f'type: "Dropout" {options}', [X], reference, in_place=True)


def test_r_fcns_testing_scales():
    options = "dropout_param { dropout_ratio: 0.25 scale_train: false }"
    check_layer(
        f'type: "Dropout" {options}',
        [X],
        lambda bottoms, blobs: [0.75 * bottoms[0]],
        phase=TEST,
        in_place=True,
    )


def test_segnets_testing_samples_as_training():
    def reference(bottoms, blobs):
        return [bottoms[0] * mask(0.25, bottoms[0].size).reshape(bottoms[0].shape) / 0.75]

    options = "dropout_param { dropout_ratio: 0.25 sample_weights_test: true }"
    check_layer(f'type: "Dropout" {options}', [X], reference, phase=TEST, in_place=True)


def test_happynears_training_scales_by_the_root():
    def reference(bottoms, blobs):
        return [bottoms[0] * mask(0.75, bottoms[0].size).reshape(bottoms[0].shape) * 2]

    options = "dropout_param { dropout_ratio: 0.75 sqrt_scale: true }"
    check_layer(f'type: "Dropout" {options}', [X], reference, in_place=True)
