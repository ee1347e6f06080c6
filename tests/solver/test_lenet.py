"""LeNet on MNIST: a hundred iterations, a snapshot of the real Caffe's, and going on from it.

The recordings (data/lenet) are of the real Caffe 1.0, which differs from itself by up to 1.6e-2 of the loss
after 100 iterations when its BLAS changes: ties of max pooling over the black background amplify rounding.
"""

import shutil

import numpy as np
import pytest
from paths import FIXTURES

from pycaffe_lite import TEST, Net
from pycaffe_lite.data.lmdb_writer import write_lmdb
from pycaffe_lite.kernels.runtime.decorators import get_num_threads, set_num_threads
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.solver import get_solver
from tests.mnist_records import first_records

LENET = FIXTURES / "lenet"
GOLDEN = np.load(LENET / "lenet.npz")
RESUMED = np.load(LENET / "lenet_resume.npz")


@pytest.fixture(scope="module")
def databases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mnist")
    write_lmdb(folder / "mnist_train_6400_lmdb", first_records("train", 6400))
    write_lmdb(folder / "mnist_test_1000_lmdb", first_records("t10k", 1000))
    return folder


@pytest.fixture
def folder(databases, tmp_path, monkeypatch):
    """A working directory with LeNet, its databases, and the real Caffe's snapshot after 50 iterations."""
    for path in LENET.iterdir():
        if path.suffix != ".npz":
            shutil.copy(path, tmp_path)
    for path in databases.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def watched(made):
    """Lists that fill with each iteration's loss and rate, and each test's scores by iteration."""
    losses, rates, tests = [], [], {}
    made.add_callback(lambda: None, lambda: losses.append(made.window.losses[0]))
    made.add_callback(lambda: rates.append(made.rate) if losses else None, lambda: None)
    made.after_test.append(lambda _, scores: tests.update({made.iter: [s.value for s in scores]}))
    return losses, rates, tests


def relative(got, want):
    return np.abs(np.asarray(got) - want) / np.abs(want)


def test_the_seed_gives_caffes_initial_weights(folder):
    made = get_solver("lenet.solver.prototxt")
    for key in GOLDEN.files:
        if key.startswith("init:"):
            _, layer, index = key.split(":")
            np.testing.assert_array_equal(made.net.params[layer][int(index)].data, GOLDEN[key])


def test_a_hundred_iterations(folder):
    made = get_solver("lenet.solver.prototxt")
    losses, rates, tests = watched(made)
    made.solve()
    error = relative(losses, GOLDEN["loss"])
    assert error[:10].max() < 1e-4
    assert error[:20].max() < 1e-2
    assert error.max() < 5e-2
    np.testing.assert_allclose([*rates, made.rate], GOLDEN["lr"], rtol=1e-6)
    for iteration, tolerance in ((0, 0), (50, 0.02), (100, 0.01)):
        accuracy, loss = tests[iteration]
        assert abs(accuracy - GOLDEN[f"test_accuracy@{iteration}"].mean()) <= tolerance + 1e-6
        assert relative(loss, GOLDEN[f"test_loss@{iteration}"].mean()) < 0.03
    assert sorted(path.name for path in folder.glob("lenet_iter_100*")) == [
        "lenet_iter_100.caffemodel",
        "lenet_iter_100.solverstate",
    ]
    # Field by field, apart from the values, the file is the one that Caffe wrote for the same run.
    ours, theirs = (
        caffe_pb2.NetParameter.FromString(path.read_bytes())
        for path in (folder / "lenet_iter_100.caffemodel", LENET / "lenet_iter_50.caffemodel")
    )
    for net in (ours, theirs):
        for layer in net.layer:
            for blob in layer.blobs:
                blob.ClearField("data")
    assert ours == theirs


def test_the_weights_are_the_same_bits_for_every_number_of_threads(folder):
    weights = []
    before = get_num_threads()
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            made = get_solver("lenet.solver.prototxt")
            made.step(10)
            weights.append([blob.data.tobytes() for blob in made.net.learnable_params])
    finally:
        set_num_threads(before)
    assert weights[0] == weights[1] == weights[2]


@pytest.mark.parametrize("ending", ["", ".h5"])
def test_the_real_caffes_snapshot_resumes(folder, ending):
    made = get_solver("lenet.solver.prototxt")
    losses, _, tests = watched(made)
    made.restore(f"lenet_iter_50.solverstate{ending}")
    made.step(10)
    error = relative(losses, RESUMED["loss"])
    assert error[0] < 1e-4
    assert error.max() < 2e-2
    accuracy, loss = tests[50]
    assert accuracy == pytest.approx(GOLDEN["test_accuracy@50"].mean(), abs=1e-7)
    assert relative(loss, GOLDEN["test_loss@50"].mean()) < 1e-5


@pytest.mark.parametrize("ending", ["", ".h5"])
def test_the_real_caffes_weights_give_its_results(folder, ending):
    net = Net("lenet.net.prototxt", TEST, weights=f"lenet_iter_50.caffemodel{ending}")
    for accuracy, loss in zip(GOLDEN["test_accuracy@50"], GOLDEN["test_loss@50"], strict=True):
        net.forward()
        assert net.blobs["accuracy"].data == accuracy
        assert relative(net.blobs["loss"].data, loss) < 1e-5
