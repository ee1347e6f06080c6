import itertools
import logging
import math

import numpy as np
import pytest
from layer_check import TEST, build_layer, check_layer

from pycaffe_lite.errors import LayerError


def values(*shape):
    return np.random.default_rng(0).permutation(np.prod(shape)).reshape(shape) / 10


def spans(size, bins):
    """Where the windows of one level start along an axis, their length, and the plane's with its padding."""
    kernel = -(-size // bins)
    pad = (kernel * bins - size + 1) // 2
    outputs = -(-(size + 2 * pad - kernel) // kernel) + 1
    if (outputs - 1) * kernel >= size + pad:
        outputs -= 1
    return [(o * kernel - pad, kernel, size + pad) for o in range(outputs)]


def reference(levels, reduce):
    def compute(bottoms, blobs):
        x, rows = bottoms[0], []
        for bins in (2**level for level in range(levels)):
            windows = itertools.product(*(spans(size, bins) for size in x.shape[2:]))
            rows.append(np.stack([reduce(x, *window) for window in windows], 2).reshape(len(x), -1))
        return [np.concatenate(rows, 1)]

    return compute


def under(x, *window):
    return x[(..., *(slice(max(start, 0), start + kernel) for start, kernel, _ in window))]


def maximum(x, *window):
    return under(x, *window).max((2, 3))


def mean(x, *window):
    """Over the area that does not leave the padding."""
    area = math.prod(min(start + kernel, end) - start for start, kernel, end in window)
    return under(x, *window).sum((2, 3)) / area


@pytest.mark.parametrize("size", [(8, 8), (9, 7), (6, 4)])
@pytest.mark.parametrize(("pool", "reduce"), [("MAX", maximum), ("AVE", mean)])
def test_pyramid(size, pool, reduce):
    check_layer(
        f'type: "SPP" spp_param {{ pyramid_height: 3 pool: {pool} }}',
        [values(2, 2, *size)],
        reference(3, reduce),
    )


def test_one_level_keeps_four_axes():
    rig = build_layer('type: "SPP" spp_param { pyramid_height: 1 }', [values(2, 3, 4, 5)])
    assert rig.top[0].shape == (2, 3, 1, 1)
    assert np.array_equal(rig.forward()[0], rig.bottom[0].data.max((2, 3), keepdims=True))


def test_planes_of_another_size_give_as_many_values():
    rig = build_layer('type: "SPP" spp_param { pyramid_height: 2 }', [values(2, 3, 4, 4)])
    assert rig.top[0].shape == (2, 15)
    for size in ((8, 12), (4, 4), (6, 2)):
        x = values(1, 3, *size)
        fresh = build_layer('type: "SPP" spp_param { pyramid_height: 2 }', [x])
        assert np.array_equal(rig.forward([x])[0], fresh.forward()[0])
        assert rig.top[0].shape == (1, 15)


def test_stochastic_pooling_without_padding():
    x = values(1, 2, 4, 4)
    prototxt = 'type: "SPP" spp_param { pyramid_height: 2 pool: STOCHASTIC }'
    (y,) = build_layer(prototxt, [x], phase=TEST).forward()
    assert np.allclose(y[0, :2], (x**2).sum((2, 3)) / x.sum((2, 3)))


def test_engine_is_accepted_with_a_word(caplog, monkeypatch):
    monkeypatch.setattr("pycaffe_lite.layer.engine._said", set())
    with caplog.at_level(logging.WARNING):
        build_layer('type: "SPP" spp_param { pyramid_height: 2 engine: CUDNN }', [values(1, 2, 4, 4)])
    assert caplog.messages == ["layer 'layer' (SPP): engine CUDNN is not available, its own kernels run"]


def error_of(fields, bottom, **options):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "SPP" spp_param {{ {fields} }}', [bottom], **options)
    return str(error.value).removeprefix("layer 'layer' (SPP): ")


def test_what_it_does_not_take():
    x = values(1, 2, 5, 8)
    assert error_of("", x) == "needs a pyramid_height of at least 1, got 0"
    assert error_of("pyramid_height: 3", x) == (
        "needs pad below the kernel's size, got kernel 2x2, stride 2x2, pad 2x0"
    )
    assert error_of("pyramid_height: 2 pool: STOCHASTIC", x) == "takes no pad with pool STOCHASTIC"
    assert error_of("pyramid_height: 2", x, in_place=True) == "cannot work in place"
    for shape in ((2, 3), (1, 2, 0, 3), (1, 1, 1, 1, 1)):
        said = f"needs a bottom of 4 axes with planes that are not empty, got shape {shape}"
        assert error_of("pyramid_height: 2", np.ones(shape)) == said
