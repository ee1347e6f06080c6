import numpy as np
import pytest
from layer_check import TEST, TRAIN, build_layer, check_layer
from references import pool

from pycaffe_lite import random
from pycaffe_lite.errors import LayerError

LOWEST = float(np.finfo(np.float32).min)


def distinct(*shape):
    """All values apart from each other by more than any step of a gradient check."""
    x = np.random.default_rng(0).permutation(int(np.prod(shape))).astype(float)
    return x.reshape(shape) / 8 - 3


def maximum(values, area):
    return values.max(initial=LOWEST)


def mean(values, area):
    return values.sum() / area if values.size else 0


def weighted(values, area):
    return (values**2).sum() / values.sum() if values.sum() > 0 else 0


FUNCTIONS = {"MAX": maximum, "AVE": mean, "STOCHASTIC": weighted}

# image, kernel, stride, pad, outputs: by hand, from the rule
GEOMETRIES = [
    ((6, 8), (2, 2), (2, 2), (0, 0), (3, 4)),
    ((7, 5), (3, 3), (2, 2), (0, 0), (3, 2)),
    ((7, 6), (3, 3), (2, 2), (0, 0), (3, 3)),  # rounded up: the last window hangs over
    ((5, 5), (3, 3), (1, 1), (1, 1), (5, 5)),
    ((5, 4), (2, 2), (2, 2), (1, 1), (3, 3)),  # the last column of windows would begin in the padding
    ((4, 9), (3, 2), (1, 3), (2, 1), (6, 4)),
    ((9, 9), (2, 3), (3, 3), (0, 0), (4, 3)),
    ((4, 4), (4, 4), (1, 1), (0, 0), (1, 1)),
    ((1, 2), (2, 2), (2, 2), (0, 0), (1, 1)),  # smaller than the kernel, but no further than the stride
    ((5, 40), (5, 3), (1, 2), (2, 1), (5, 21)),
    ((3, 70), (3, 3), (2, 1), (1, 1), (2, 70)),
]


def pooling(method, kernel, stride, pad, extra=""):
    sizes = {"kernel": kernel, "stride": stride, "pad": pad}
    fields = " ".join(f"{name}_h: {h} {name}_w: {w}" for name, (h, w) in sizes.items())
    return f'name: "p" type: "Pooling" pooling_param {{ pool: {method} {fields} {extra} }}'


@pytest.mark.parametrize("phase", [TRAIN, TEST])
@pytest.mark.parametrize("method", ["MAX", "AVE"])
@pytest.mark.parametrize(("image", "kernel", "stride", "pad", "outputs"), GEOMETRIES)
def test_windows(method, phase, image, kernel, stride, pad, outputs):
    check_layer(
        pooling(method, kernel, stride, pad),
        [distinct(2, 2, *image)],
        lambda bottoms, blobs: [pool(bottoms[0], kernel, stride, pad, outputs, FUNCTIONS[method])],
        phase=phase,
    )


@pytest.mark.parametrize(("size", "kernel", "stride", "ceil", "floor"), [(6, 3, 2, 3, 2), (7, 3, 2, 3, 3)])
def test_round_mode(size, kernel, stride, ceil, floor):
    for mode, outputs in (("CEIL", ceil), ("FLOOR", floor)):
        rig = build_layer(
            pooling("MAX", (kernel,) * 2, (stride,) * 2, (0, 0), f"round_mode: {mode}"),
            [np.zeros((1, 1, size, size))],
        )
        assert rig.top[0].shape == (1, 1, outputs, outputs)


@pytest.mark.parametrize("method", ["MAX", "AVE"])
def test_global(method):
    check_layer(
        f'type: "Pooling" pooling_param {{ pool: {method} global_pooling: true }}',
        [distinct(2, 3, 4, 5)],
        lambda bottoms, blobs: [FUNCTIONS_GLOBAL[method](bottoms[0])],
    )
    rig = build_layer(f'type: "Pooling" pooling_param {{ pool: {method} global_pooling: true }}', [
        distinct(1, 1, 4, 5)])  # fmt: skip
    assert rig.forward([distinct(1, 1, 7, 3)])[0].shape == (1, 1, 1, 1)


FUNCTIONS_GLOBAL = {
    "MAX": lambda x: x.max((2, 3), keepdims=True),
    "AVE": lambda x: x.mean((2, 3), keepdims=True),
}


# ------------------------------------------------------------------------------------------------ indices


def test_second_top_tells_where_the_maxima_are():
    x = distinct(2, 2, 5, 5)
    rig = build_layer(pooling("MAX", (3, 3), (2, 2), (1, 1)) + 'top: "y" top: "i"', [x])
    y, index = rig.forward()
    taken = np.take_along_axis(x.reshape(2, 2, 25), index.reshape(2, 2, -1).astype(int), 2)
    assert np.array_equal(taken, y.reshape(2, 2, -1))
    check_layer(
        pooling("MAX", (3, 3), (2, 2), (1, 1)) + 'top: "y" top: "i"',
        [x],
        lambda bottoms, blobs: [y, index],
    )


@pytest.mark.parametrize("size", [3, 40])
def test_the_first_of_equal_values_counts(size):
    rig = build_layer(
        pooling("MAX", (3, 3), (1, 1), (0, 0)) + 'top: "y" top: "i"', [np.ones((1, 1, size, size))]
    )
    _, index = rig.forward()
    outputs = np.arange(size - 2)
    assert np.array_equal(index[0, 0], outputs[:, None] * size + outputs)


@pytest.mark.parametrize("size", [2, 40])
def test_a_window_of_nan_has_no_maximum_and_takes_no_gradient(size):
    x = np.full((1, 1, size, size), np.nan)
    rig = build_layer(pooling("MAX", (2, 2), (2, 2), (0, 0)) + 'top: "y" top: "i"', [x])
    y, index = rig.forward()
    assert (y == LOWEST).all()
    assert (index == -1).all()
    assert not rig.backward([np.ones_like(y), y])[0][0].any()


@pytest.mark.parametrize("size", [4, 40])
def test_nan_is_no_maximum_beside_numbers(size):
    x = np.zeros((1, 1, size, size))
    x[..., ::2, ::2] = np.nan
    y = build_layer(pooling("MAX", (2, 2), (2, 2), (0, 0)), [x]).forward()[0]
    assert not y.any()


def test_gradient_in_test_phase_without_indices_kept():
    x = distinct(1, 2, 6, 6)
    results = []
    for phase in (TRAIN, TEST):
        rig = build_layer(pooling("MAX", (3, 3), (2, 2), (0, 0)), [x], phase=phase)
        y = rig.forward()[0]
        results.append(rig.backward([np.arange(y.size).reshape(y.shape)])[0][0])
    assert np.array_equal(*results)


def test_gradient_after_a_reshape_without_a_forward_pass():
    x = distinct(1, 2, 8, 8)
    rig = build_layer(pooling("MAX", (2, 2), (2, 2), (0, 0)), [x], phase=TRAIN)
    rig.forward()
    smaller = np.ascontiguousarray(x[:, :, 1:, 1:])  # as many outputs, but the maxima lie elsewhere
    rig.bottom[0].reshape(smaller.shape)
    rig.bottom[0].data[...] = smaller
    rig.layer.reshape(rig.bottom, rig.top)
    dy = np.ones(rig.top[0].shape)
    fresh = build_layer(pooling("MAX", (2, 2), (2, 2), (0, 0)), [smaller], phase=TRAIN)
    fresh.forward()
    assert np.array_equal(rig.backward([dy])[0][0], fresh.backward([dy])[0][0])


# ------------------------------------------------------------------------------- windows outside the image


@pytest.mark.parametrize(("method", "value"), [("MAX", LOWEST), ("AVE", 0), ("STOCHASTIC", 0)])
@pytest.mark.parametrize("width", [6, 60])
def test_windows_wholly_outside_the_image_are_empty(method, value, width):
    x = 1 + np.random.default_rng(0).random((2, 3, 6, width))
    rig = build_layer(pooling(method, (1, 1), (2, 2), (0, 0)), [x])
    y = rig.forward()[0]
    assert y.shape == (2, 3, 4, width // 2 + 1)
    assert (y[:, :, 3, :] == value).all()
    assert (y[:, :, :, -1] == value).all()
    assert np.array_equal(y[:, :, :3, :-1], x[:, :, ::2, ::2].astype(np.float32))
    dx = rig.backward([np.ones_like(y)])[0][0]
    assert dx.sum() == y[:, :, :3, :-1].size


# ---------------------------------------------------------------------------------------------- stochastic


def positive(*shape):
    return np.random.default_rng(0).random(shape) + 0.1


@pytest.mark.parametrize(
    ("image", "kernel", "stride", "outputs"),
    [((6, 6), (2, 2), (2, 2), (3, 3)), ((7, 6), (3, 3), (2, 2), (3, 3))],
)
def test_stochastic_in_test_is_the_weighted_mean(image, kernel, stride, outputs):
    check_layer(
        pooling("STOCHASTIC", kernel, stride, (0, 0)),
        [positive(2, 2, *image)],
        lambda bottoms, blobs: [pool(bottoms[0], kernel, stride, (0, 0), outputs, weighted)],
        phase=TEST,
    )


def test_stochastic_weighted_mean_of_nothing_is_zero():
    rig = build_layer(pooling("STOCHASTIC", (2, 2), (2, 2), (0, 0)), [np.zeros((1, 1, 4, 4))], phase=TEST)
    assert not rig.forward()[0].any()
    assert not rig.backward([np.ones((1, 1, 2, 2))])[0][0].any()


def test_stochastic_in_training_draws_a_value_of_each_window():
    kernel, stride, outputs = (3, 3), (2, 2), (3, 3)

    def reference(bottoms, blobs):
        draws = iter(random.RandomStream(1).uniform(2 * 2 * 9, 0, 1))

        def chosen(values, area):
            sums = np.cumsum(values)
            return values[np.argmax(sums >= next(draws) * sums[-1])]

        return [pool(bottoms[0], kernel, stride, (0, 0), outputs, chosen)]

    check_layer(pooling("STOCHASTIC", kernel, stride, (0, 0)), [positive(2, 2, 7, 7)], reference)


def test_stochastic_draws_in_proportion():
    x = np.zeros((1, 1, 2, 2 * 20_000))
    x[..., 0, ::2] = 1
    x[..., 1, 1::2] = 3
    y = build_layer(pooling("STOCHASTIC", (2, 2), (2, 2), (0, 0)), [x]).forward()[0]
    assert set(np.unique(y)) == {1, 3}
    assert abs((y == 3).mean() - 0.75) < 0.02


# ------------------------------------------------------------------------------------------------- refused


def error_of(fields, shape=(1, 1, 4, 4), **options):
    with pytest.raises(LayerError) as error:
        build_layer(f'name: "p" type: "Pooling" {fields}', [np.zeros(shape)], **options)
    return str(error.value)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("", "needs either kernel_size, or kernel_h and kernel_w"),
        ("kernel_h: 2", "needs either kernel_size, or kernel_h and kernel_w"),
        ("kernel_size: 2 kernel_h: 2 kernel_w: 2", "needs either kernel_size, or kernel_h and kernel_w"),
        ("kernel_size: 2 stride_h: 2", "needs either stride, or stride_h and stride_w"),
        ("kernel_size: 2 pad: 1 pad_h: 1 pad_w: 1", "needs either pad, or pad_h and pad_w"),
        (
            "kernel_size: 0",
            "needs a kernel and a stride of at least 1, got kernel 0x0, stride 1x1, pad 0x0",
        ),
        (
            "kernel_size: 2 stride: 0",
            "needs a kernel and a stride of at least 1, got kernel 2x2, stride 0x0, pad 0x0",
        ),
        (
            "kernel_size: 2 pad: 2",
            "needs pad below the kernel's size, got kernel 2x2, stride 1x1, pad 2x2",
        ),
        ("kernel_size: 2 pad: 1 pool: STOCHASTIC", "takes no pad with pool STOCHASTIC"),
        ("kernel_size: 2 global_pooling: true", "takes no kernel size with global_pooling"),
        ("stride: 2 global_pooling: true", "takes neither pad nor stride with global_pooling"),
        (
            "kernel_size: 6",
            "output would be empty: bottom shape (1, 1, 4, 4) with kernel 6x6, stride 1x1, pad 0x0",
        ),
    ],
)
def test_what_is_refused(fields, said):
    assert error_of(f"pooling_param {{ {fields} }}") == f"layer 'p' (Pooling): {said}"


def test_bottoms_and_tops_that_are_refused():
    fields = "pooling_param { kernel_size: 2 }"
    assert error_of(fields, (1, 4, 4)) == "layer 'p' (Pooling): needs a bottom of 4 axes, got shape (1, 4, 4)"
    assert error_of(fields, in_place=True) == "layer 'p' (Pooling): cannot work in place"
    assert error_of('top: "y" top: "i" pooling_param { kernel_size: 2 pool: AVE }') == (
        "layer 'p' (Pooling): has a second top, the indices of the maxima, with pool MAX only"
    )


def test_empty_batch():
    rig = build_layer(pooling("MAX", (2, 2), (2, 2), (0, 0)), [np.zeros((0, 3, 4, 4))])
    assert rig.forward()[0].shape == (0, 3, 2, 2)
