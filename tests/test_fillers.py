"""Fillers: their rules here; their numbers against real Caffe's nets (data/fillers) at the end."""

import re

import numpy as np
import pytest
from paths import FIXTURES

from pycaffe_lite import fillers, random
from pycaffe_lite.blob import Blob
from pycaffe_lite.errors import NetError
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.random import RandomStream, set_random_seed

GOLDEN = FIXTURES / "fillers"


def filled(shape, seed=1, dtype=np.float32, **fields):
    blob = Blob(shape, dtype)
    fillers.fill(blob, caffe_pb2.FillerParameter(**fields), RandomStream(seed))
    return blob.data


def test_default_is_constant_zero():
    np.testing.assert_array_equal(filled((2, 3)), np.zeros((2, 3), np.float32))


def test_constant_draws_nothing():
    stream = RandomStream(1)
    blob = Blob((2, 2))
    fillers.fill(blob, caffe_pb2.FillerParameter(type="constant", value=0.75), stream)
    np.testing.assert_array_equal(blob.data, np.float32(0.75))
    assert stream.raw() == RandomStream(1).raw()


def test_draws_come_from_the_main_stream():
    blob = Blob((5,))
    set_random_seed(9)
    fillers.fill(blob, caffe_pb2.FillerParameter(type="uniform"))
    np.testing.assert_array_equal(blob.data, RandomStream(9).uniform(5, 0, 1))
    assert random.stream().state() != RandomStream(9).state()


def test_gaussian_is_the_stream_s_normal():
    values = filled((3, 4), type="gaussian", mean=0.5, std=0.1)
    np.testing.assert_array_equal(values, RandomStream(1).normal(12, 0.5, 0.1).reshape(3, 4))


def test_float64_blobs_get_the_float32_values():
    values = filled((3, 4), type="gaussian", std=0.1, dtype=np.float64)
    np.testing.assert_array_equal(values, filled((3, 4), type="gaussian", std=0.1))


def test_sparse_draws_values_then_the_mask():
    values = filled((10, 50), type="gaussian", std=2, sparse=3)
    stream = RandomStream(1)
    dense = stream.normal(500, 0, 2)
    mask = stream.bernoulli(500, np.float32(3) / np.float32(10), np.float32)
    np.testing.assert_array_equal(values.ravel().view(np.uint32), (dense * mask).view(np.uint32))
    assert 0.2 < (values != 0).mean() < 0.4
    assert np.signbit(values[values == 0]).any()


def test_sparse_zero_keeps_nothing():
    np.testing.assert_array_equal(filled((4, 4), type="gaussian", sparse=0), 0)


@pytest.mark.parametrize("shape", [(4, 6, 2), (7,), ()])
def test_rows_of_positive_unitball_sum_to_one(shape):
    values = filled(shape, type="positive_unitball")
    assert (values > 0).all()
    rows = values.reshape(shape[0] if shape else 1, -1)
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("norm", "shape", "n"),
    [
        ("FAN_IN", (50, 20, 5, 5), 500),
        ("FAN_OUT", (50, 20, 5, 5), 1250),
        ("AVERAGE", (50, 20, 5, 5), 875),
        ("AVERAGE", (3, 6), 4.5),
        ("FAN_IN", (200,), 1),
        ("FAN_OUT", (200,), 200),
    ],
)
def test_variance_norm(norm, shape, n):
    count = int(np.prod(shape))
    bound = np.sqrt(np.float32(3) / np.float32(n))
    wanted = RandomStream(1).uniform(count, -bound, bound)
    np.testing.assert_array_equal(filled(shape, type="xavier", variance_norm=norm).ravel(), wanted)
    wanted = RandomStream(1).normal(count, 0, np.sqrt(np.float32(2) / np.float32(n)))
    np.testing.assert_array_equal(filled(shape, type="msra", variance_norm=norm).ravel(), wanted)


def test_bilinear_interpolates():
    values = filled((2, 1, 4, 4), type="bilinear")
    line = np.array([0.25, 0.75, 0.75, 0.25], np.float32)
    np.testing.assert_array_equal(values, np.broadcast_to(np.outer(line, line), (2, 1, 4, 4)))


KNOWN = "bilinear, constant, gaussian, msra, positive_unitball, uniform, xavier"


@pytest.mark.parametrize(
    ("shape", "fields", "message"),
    [
        ((2,), {"type": "xaver"}, f"unknown filler type 'xaver' (known types: {KNOWN})"),
        ((0, 3), {}, "filler 'constant' needs a blob with values, got shape (0, 3)"),
        ((0, 3), {"type": "xavier"}, "filler 'xavier' needs a blob with values, got shape (0, 3)"),
        (
            (2, 3),
            {"type": "xavier", "sparse": 1},
            "filler 'xavier' cannot be sparse: only 'gaussian' takes the field 'sparse'",
        ),
        ((2,), {"type": "gaussian", "std": 0}, "filler 'gaussian' needs std > 0, got 0"),
        ((2,), {"type": "gaussian", "std": -0.5}, "filler 'gaussian' needs std > 0, got -0.5"),
        (
            (2, 3),
            {"type": "gaussian", "sparse": 3},
            "filler 'gaussian' needs sparse between 0 and 2, the first axis of shape (2, 3), got 3",
        ),
        (
            (2, 3),
            {"type": "gaussian", "sparse": -2},
            "filler 'gaussian' needs sparse between 0 and 2, the first axis of shape (2, 3), got -2",
        ),
        ((), {"type": "msra"}, "filler 'msra' needs a blob of at least one axis, got shape ()"),
        (
            (2,),
            {"type": "uniform", "min": 1, "max": 0.5},
            "filler 'uniform' needs finite min <= max, got 1 and 0.5",
        ),
        (
            (2, 3),
            {"type": "bilinear"},
            "filler 'bilinear' needs 4 axes and a square kernel, got shape (2, 3)",
        ),
        (
            (2, 1, 3, 4),
            {"type": "bilinear"},
            "filler 'bilinear' needs 4 axes and a square kernel, got shape (2, 1, 3, 4)",
        ),
    ],
)
def test_what_a_filler_cannot_do(shape, fields, message):
    with pytest.raises(NetError, match=f"^{re.escape(message)}$"):
        filled(shape, **fields)


@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*.prototxt")))
def test_nets_start_as_caffe_s(name):
    """Weights, data of DummyData and masks of Dropout, in the order in which Caffe draws them."""
    golden = np.load(GOLDEN / f"{name}.npz")
    for seed in golden["seeds"]:
        set_random_seed(int(seed))
        net = Net(GOLDEN / f"{name}.prototxt", caffe_pb2.TRAIN)
        compare(net, golden, f"seed{seed}:setup:")
        for step in range(2):
            if name.startswith("dropout"):
                net.blobs["x"].data[...] = 1
            net.forward()
            compare(net, golden, f"seed{seed}:forward{step}:")
        compare(net, golden, f"seed{seed}:param:")


def compare(net, golden, prefix):
    for key in golden.files:
        if key.startswith(prefix):
            name, _, index = key[len(prefix) :].partition(":")
            got = net.params[name][int(index)] if index else net.blobs[name]
            np.testing.assert_array_equal(got.data.view(np.uint32), golden[key].view(np.uint32), key)


def test_intels_scale_of_msra():
    plain, scaled = Blob((4, 3, 5), np.float64), Blob((4, 3, 5), np.float64)
    for blob, scale in ((plain, 1), (scaled, 2)):
        random.set_random_seed(3)
        fillers.fill(blob, caffe_pb2.FillerParameter(type="msra", scale=scale))
    np.testing.assert_allclose(scaled.data, 2 * plain.data, rtol=1e-12)
