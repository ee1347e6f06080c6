import numpy as np
import pytest
from layer_check import TEST, build_layer, check_layer

from pycaffe_lite.errors import LayerError

X = np.random.default_rng(0).normal(size=(2, 3, 2, 2))
TEXT = 'type: "ScaleFilter" scale_filter_param { min_scale: 0.5 max_scale: 2 }'


def test_channels_times_random_factors():
    rig = build_layer(TEXT, [X])
    (y,) = rig.forward()
    factors = (y / X.astype(np.float32)).reshape(2, 3, 4)
    np.testing.assert_allclose(factors, factors[..., :1].repeat(4, 2), rtol=1e-5)
    assert ((factors > 0.5) & (factors < 2)).all()
    assert len(np.unique(factors[..., 0].round(4))) == 6
    check_layer(TEXT, [X], in_place=True, resized=())


def test_in_test_nothing_changes():
    check_layer(TEXT, [X], lambda bottoms, _: bottoms, phase=TEST, in_place=True)


@pytest.mark.parametrize(
    "options", ["min_scale: 0 max_scale: 1", "min_scale: 1 max_scale: 1", "max_scale: 1"]
)
def test_bounds_that_make_no_sense(options):
    with pytest.raises(LayerError, match="needs min_scale above 0 and max_scale above that"):
        build_layer(f'type: "ScaleFilter" scale_filter_param {{ {options} }}', [X])


def test_other_than_4_axes():
    with pytest.raises(LayerError, match="needs a bottom of 4 axes"):
        build_layer(TEXT, [X[0]])
