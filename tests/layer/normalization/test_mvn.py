import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError


def values(*shape):
    return np.random.default_rng(0).normal(1, 2, size=shape)


def reference(axes, eps=1e-9, variance=True):
    def compute(bottoms, blobs):
        x = bottoms[0].reshape(bottoms[0].shape + (1,) * (4 - bottoms[0].ndim))
        y = x - x.mean(axes, keepdims=True)
        return [y / (x.std(axes, keepdims=True) + eps) if variance else y]

    return compute


@pytest.mark.parametrize("shape", [(2, 3, 4, 2), (2, 3, 4)])
@pytest.mark.parametrize(
    ("fields", "right"),
    [
        ("", reference((2, 3))),
        ("across_channels: true", reference((1, 2, 3))),
        ("normalize_variance: false", reference((2, 3), variance=False)),
        ("across_channels: true normalize_variance: false", reference((1, 2, 3), variance=False)),
    ],
)
def test_regions(shape, fields, right):
    prototxt = f'type: "MVN" mvn_param {{ {fields} }}'
    check_layer(prototxt, [values(*shape)], right, in_place=len(shape) == 4, threshold=1e-5)


def test_eps_stands_outside_the_root():
    x, dy = values(2, 3, 4, 2), np.random.default_rng(1).normal(size=(2, 3, 4, 2))
    check_layer('type: "MVN" mvn_param { eps: 0.5 }', [x], reference((2, 3), 0.5), gradients=())
    rig = build_layer('type: "MVN" mvn_param { eps: 0.5 }', [x], dtype=np.float64)
    (y,) = rig.forward()
    # Caffe's gradient, which takes eps for part of the deviation.
    mean = dy.mean((2, 3), keepdims=True) + y * (dy * y).mean((2, 3), keepdims=True)
    right = (dy - mean) / (x.std((2, 3), keepdims=True) + 0.5)
    assert np.allclose(rig.backward([dy])[0][0], right, rtol=1e-6, atol=1e-8)


def test_the_top_has_four_axes():
    assert build_layer('type: "MVN"', [values(2, 3)]).top[0].shape == (2, 3, 1, 1)
    rig = build_layer('type: "MVN"', [values(2, 3)], in_place=True)
    assert rig.bottom[0].shape == (2, 3, 1, 1)


def test_a_constant_plane():
    x = np.full((1, 2, 5, 7), 0.1)
    assert not build_layer('type: "MVN"', [x]).forward()[0].any()
    assert np.isnan(build_layer('type: "MVN" mvn_param { eps: 0 }', [x]).forward()[0]).all()


def test_what_it_does_not_take():
    with pytest.raises(LayerError) as error:
        build_layer('type: "MVN"', [np.ones((0, 3, 2, 2))])
    assert str(error.value) == (
        "layer 'layer' (MVN): cannot take the mean of no values, got bottom shape (0, 3, 2, 2)"
    )
    with pytest.raises(LayerError) as error:
        build_layer('type: "MVN"', [np.ones((1, 3, 2, 2, 2))])
    assert str(error.value) == (
        "layer 'layer' (MVN): 'num' needs a blob of at most 4 axes, got shape (1, 3, 2, 2, 2)"
    )
