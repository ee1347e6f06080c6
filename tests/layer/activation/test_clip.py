import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError


@pytest.mark.parametrize(("low", "high"), [(-0.5, 0.8), (-2, -0.25), (0.5, 9)])
def test_values_are_held_within_the_interval(low, high):
    x = np.random.default_rng(0).normal(size=(3, 4, 5))
    check_layer(
        f'type: "Clip" clip_param {{ min: {low} max: {high} }}',
        [x],
        lambda bottoms, blobs: [np.clip(bottoms[0], np.float32(low), np.float32(high))],
    )


def test_gradient_passes_at_the_bounds_and_not_beyond():
    rig = build_layer('type: "Clip" clip_param { min: -1 max: 2 }', [[-1.5, -1.0, 0.0, 2.0, 2.5]])
    rig.forward()
    assert rig.backward([np.full(5, 7.0)])[0][0].tolist() == [0, 7, 7, 7, 0]


def test_in_place_the_gradient_passes_everywhere():
    x = [-1.5, 0.0, 2.5]
    rig = build_layer('type: "Clip" clip_param { min: -1 max: 2 }', [x], in_place=True)
    assert rig.forward([x])[0].tolist() == [-1, 0, 2]
    assert rig.backward([np.full(3, 7.0)])[0][0].tolist() == [7, 7, 7]


def test_nan_becomes_the_lower_bound_as_in_caffe():
    assert build_layer('type: "Clip" clip_param { min: -1 max: 2 }', [[np.nan]]).forward()[0] == [-1]


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_bounds_must_be_given(phase):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "Clip" phase: {phase}', [np.ones(3)])
    assert str(error.value) == "layer 'layer' (Clip): needs clip_param { min: ... }, which is not given"
