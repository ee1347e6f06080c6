"""Truncated, random and altered files of every kind: a clear error or a loaded file, nothing else."""

import time
import tracemalloc

import h5py
import numpy as np
import pytest
from paths import FIXTURES

from pycaffe_lite.errors import DataError, SnapshotError, WeightsError
from pycaffe_lite.formats import binaryproto, caffemodel, hdf5, solverstate
from pycaffe_lite.formats.state import SolverState
from pycaffe_lite.proto import caffe_pb2

DATA = FIXTURES
CASES = 100  # of each way of damaging, for each kind of file


def small_model():
    net = caffe_pb2.NetParameter(name="small")
    for i in range(4):
        layer = net.layer.add(name=f"ip{i}", type="InnerProduct", bottom=["x"], top=["y"])
        layer.inner_product_param.num_output = 5
        blob = layer.blobs.add(data=np.arange(20, dtype=np.float32))
        blob.shape.dim.extend([5, 4])
    return net.SerializeToString()


def old_model():
    v1 = caffe_pb2.V1LayerParameter
    blob = caffe_pb2.BlobProto(num=1, channels=1, height=3, width=2, data=range(6))
    layers = [v1(name=f"ip{i}", type=v1.INNER_PRODUCT, bottom=["x"], blobs=[blob]) for i in range(4)]
    return caffe_pb2.NetParameter(layers=layers).SerializeToString()


def small_state(tmp_path, write):
    history = tuple(np.full((3, i), 0.5, np.float32) for i in range(1, 5))
    write(tmp_path / "state", SolverState(12, "a.caffemodel", 1, history, b"resume"))
    return (tmp_path / "state").read_bytes()


def small_h5_model(tmp_path):
    with h5py.File(tmp_path / "model.h5", "w") as file:
        for i in range(3):
            file[f"data/ip{i}/0"] = np.ones((4, 5), np.float32)
    return (tmp_path / "model.h5").read_bytes()


KINDS = {
    "caffemodel": (lambda tmp: small_model(), caffemodel.read, WeightsError),
    "old caffemodel": (lambda tmp: old_model(), caffemodel.read, WeightsError),
    "solverstate": (lambda tmp: small_state(tmp, solverstate.write), solverstate.read, SnapshotError),
    "binaryproto": (
        lambda tmp: (DATA / "db" / "mean.binaryproto").read_bytes(),
        binaryproto.read,
        DataError,
    ),
    "caffemodel.h5": (small_h5_model, hdf5.read_model, WeightsError),
    "solverstate.h5": (lambda tmp: small_state(tmp, hdf5.write_state), hdf5.read_state, SnapshotError),
}


@pytest.fixture(params=KINDS, ids=str)
def kind(request, tmp_path):
    make, read, error = KINDS[request.param]
    path = tmp_path / "damaged"
    whole = make(tmp_path)

    def attempt(data):
        """Reads a damaged file; returns whether it loaded."""
        path.write_bytes(data)
        start = time.perf_counter()
        tracemalloc.start()
        message = ""
        try:
            read(path)
        except error as caught:
            message = str(caught)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2**20 + 50 * len(data)
        assert time.perf_counter() - start < 2
        assert "\n" not in message
        assert not message or f"'{path}'" in message
        return not message

    return whole, attempt


def test_the_whole_file_loads(kind):
    whole, attempt = kind
    assert attempt(whole)


def test_truncated(kind):
    whole, attempt = kind
    for length in np.linspace(0, len(whole) - 1, CASES).astype(int):
        # Between two of its fields, a cut-off message is a shorter message: Caffe's formats cannot tell.
        attempt(whole[:length])
    assert not attempt(whole[: len(whole) // 2 + 1])
    assert not attempt(b"")


def test_random(kind):
    _, attempt = kind
    random = np.random.default_rng(1)
    loaded = [attempt(random.bytes(int(random.integers(1, 400)))) for _ in range(CASES)]
    assert sum(loaded) <= CASES // 50  # two bytes can be a message by chance


def test_flipped_bits(kind):
    whole, attempt = kind
    random = np.random.default_rng(2)
    for _ in range(CASES):
        data = bytearray(whole)
        for _ in range(int(random.integers(1, 4))):
            place = int(random.integers(len(data)))
            data[place] ^= 1 << int(random.integers(8))
        attempt(bytes(data))


def test_overwritten_and_doubled_stretches(kind):
    whole, attempt = kind
    random = np.random.default_rng(3)
    for _ in range(CASES):
        start, end = sorted(random.integers(0, len(whole), 2).tolist())
        end = min(end, start + 64)
        if random.integers(2):
            attempt(whole[:start] + random.bytes(end - start) + whole[end:])
        else:
            attempt(whole[:end] + whole[start:])


def test_zeros(kind):
    _, attempt = kind
    assert not attempt(bytes(5000))
