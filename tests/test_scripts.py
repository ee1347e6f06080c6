"""Programs as people write them for pycaffe, whole."""

import importlib
import sys

import numpy as np
from click.testing import CliRunner
from small_data import write_files

import pycaffe_lite as caffe
from pycaffe_lite import layers as L
from pycaffe_lite import params as P
from pycaffe_lite.cli import main
from pycaffe_lite.proto import caffe_pb2


def solver_of(folder, net, **settings):
    """A solver, made as in the example notebooks: its message, written to a file."""
    (folder / "train.prototxt").write_text(str(net))
    message = caffe_pb2.SolverParameter(
        train_net=str(folder / "train.prototxt"), snapshot_prefix=str(folder / "s"), random_seed=1, **settings
    )
    message.lr_policy = message.lr_policy or "fixed"
    (folder / "solver.prototxt").write_text(str(message))
    return caffe.get_solver(str(folder / "solver.prototxt"))


STEPS, SEQUENCES = 6, 16


def lstm(hidden=8):
    n = caffe.NetSpec()
    n.x, n.cont, n.target = L.Input(
        shape=[
            dict(dim=[STEPS, SEQUENCES, 1]),
            dict(dim=[STEPS, SEQUENCES]),
            dict(dim=[STEPS, SEQUENCES, 1]),
        ],
        ntop=3,
    )
    filler = dict(type="uniform", min=-0.3, max=0.3)
    n.lstm = L.LSTM(n.x, n.cont, recurrent_param=dict(num_output=hidden, weight_filler=filler))
    n.score = L.InnerProduct(n.lstm, num_output=1, axis=2, weight_filler=dict(type="xavier"))
    n.loss = L.SigmoidCrossEntropyLoss(n.score, n.target)
    return n


def test_an_lstm_learns_to_remember(tmp_path):
    """The first bit of each sequence, at every later step."""
    random = np.random.RandomState(0)
    # The loss is summed over the steps and divided by their number, as in Caffe: it takes a large rate.
    solver = solver_of(tmp_path, lstm().to_proto(), type="Adam", base_lr=0.02, momentum=0.9)

    def fill(net):
        bits = random.randint(0, 2, (STEPS, SEQUENCES))
        net.blobs["x"].data[...] = 2 * bits[..., None] - 1
        net.blobs["cont"].data[...] = (np.arange(STEPS) > 0)[:, None]
        net.blobs["target"].data[...] = bits[:1, :, None]

    for _ in range(150):
        fill(solver.net)
        solver.step(1)
    errors = 0
    for _ in range(10):
        fill(solver.net)
        solver.net.forward()
        errors += ((solver.net.blobs["score"].data > 0) != solver.net.blobs["target"].data).sum()
    assert errors == 0


def test_the_prototxt_of_the_lstm():
    text = str(lstm().to_proto()).split("layer {")[2]
    assert " ".join(text.split()) == (
        'name: "lstm" type: "LSTM" bottom: "x" bottom: "cont" top: "lstm" recurrent_param { num_output: 8 '
        'weight_filler { type: "uniform" min: -0.3 max: 0.3 } } }'
    )


def test_a_loop_in_python_fine_tunes_as_the_command_does(tmp_path):
    """To the last bit, from random data, with tests in between."""
    solver_file = write_files(tmp_path, max_iter=7, snapshot=0)
    caffe.set_random_seed(3)
    start = tmp_path / "start.caffemodel"
    caffe.Net(str(tmp_path / "net.prototxt"), caffe.TRAIN).save(str(start))
    arguments = ["train", "--solver", str(solver_file), "--weights", str(start)]
    assert CliRunner().invoke(main, arguments).exit_code == 0

    solver = caffe.get_solver(str(solver_file))
    solver.net.copy_from(str(start))
    losses = []
    for _ in range(7):
        solver.step(1)
        losses.append(float(solver.net.blobs["loss"].data))
    solver.net.save(str(tmp_path / "mine.caffemodel"))
    assert (tmp_path / "mine.caffemodel").read_bytes() == (tmp_path / "s_iter_7.caffemodel").read_bytes()
    assert len(set(losses)) == 7


THREADED = """
import queue, threading
import numpy as np
import pycaffe_lite as caffe


class Loader(caffe.Layer):
    def setup(self, bottom, top):
        params = eval(self.param_str)
        self.size, self.queue = params["batch_size"], queue.Queue(maxsize=2)
        self.thread = threading.Thread(target=self.load, daemon=True)
        self.thread.start()

    def load(self):
        for seed in range(1000):
            random = np.random.RandomState(seed)
            x = random.normal(0, 1, (self.size, 4))
            self.queue.put((x, x.sum(1) > 0))

    def reshape(self, bottom, top):
        top[0].reshape(self.size, 4)
        top[1].reshape(self.size)

    def forward(self, bottom, top):
        top[0].data[...], top[1].data[...] = self.queue.get()

    def backward(self, top, propagate_down, bottom):
        pass
"""


def test_a_python_data_layer_with_a_thread(tmp_path, monkeypatch):
    (tmp_path / "threaded_loader.py").write_text(THREADED)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    n = caffe.NetSpec()
    n.data, n.label = L.Python(
        module="threaded_loader", layer="Loader", ntop=2, param_str=str(dict(batch_size=32))
    )
    n.score = L.InnerProduct(n.data, num_output=2, weight_filler=dict(type="xavier"))
    n.loss = L.SoftmaxWithLoss(n.score, n.label)
    n.accuracy = L.Accuracy(n.score, n.label)
    solver = solver_of(tmp_path, n.to_proto(), base_lr=0.3, momentum=0.9)
    solver.step(50)
    sys.modules.pop("threaded_loader")
    assert np.mean([solver.net.forward()["accuracy"] for _ in range(5)]) > 0.95


def test_siamese_nets_share_weights_and_learn(tmp_path):
    def branch(n, name, data):
        shared = [dict(name="w"), dict(name="b")]
        n[name] = L.InnerProduct(data, num_output=2, param=shared, weight_filler=dict(type="xavier"))
        return n[name]

    n = caffe.NetSpec()
    shapes = [dict(dim=[8, 3]), dict(dim=[8, 3]), dict(dim=[8])]
    n.a, n.b, n.same = L.Input(shape=shapes, ntop=3)
    n.loss = L.ContrastiveLoss(branch(n, "feat", n.a), branch(n, "feat_p", n.b), n.same, margin=1)
    solver = solver_of(tmp_path, n.to_proto(), base_lr=0.05, momentum=0.9)
    net, random = solver.net, np.random.RandomState(0)
    kinds = np.eye(3)
    losses = []
    for _ in range(150):
        a, b = random.randint(0, 3, (2, 8))
        net.blobs["a"].data[...], net.blobs["b"].data[...] = kinds[a], kinds[b]
        net.blobs["same"].data[...] = a == b
        solver.step(1)
        losses.append(float(net.blobs["loss"].data))
    assert np.mean(losses[-20:]) < 0.1 * np.mean(losses[:10])
    assert np.shares_memory(net.params["feat"][0].data, net.params["feat_p"][0].data)
    # To be used, the net needs one branch only: what the notebook does with forward_all.
    deploy = caffe.NetSpec()
    deploy.a = L.Input(shape=dict(dim=[4, 3]))
    deploy.feat = L.InnerProduct(deploy.a, num_output=2)
    net.save(str(tmp_path / "w.caffemodel"))
    one = caffe.Net.from_proto(deploy.to_proto(), caffe.TEST, weights=tmp_path / "w.caffemodel")
    features = one.forward_all(a=kinds[[0, 0, 1, 1, 2]])["feat"]
    assert features.shape == (5, 2)
    assert np.array_equal(features[0], features[1])


def test_logistic_regression_from_hdf5(tmp_path):
    import h5py

    random = np.random.RandomState(0)
    x = random.normal(0, 1, (100, 4)).astype(np.float32)
    with h5py.File(tmp_path / "train.h5", "w") as file:
        file["data"], file["label"] = x, (x @ [1, -2, 3, 0] > 0).astype(np.float32)
    (tmp_path / "train.txt").write_text(f"{tmp_path / 'train.h5'}\n")
    n = caffe.NetSpec()
    n.data, n.label = L.HDF5Data(batch_size=10, source=str(tmp_path / "train.txt"), ntop=2)
    n.ip1 = L.InnerProduct(n.data, num_output=2, weight_filler=dict(type="xavier"))
    n.accuracy = L.Accuracy(n.ip1, n.label)
    n.loss = L.SoftmaxWithLoss(n.ip1, n.label)
    solver = solver_of(tmp_path, n.to_proto(), base_lr=0.5, momentum=0.9)
    solver.step(100)
    assert np.mean([solver.net.forward()["accuracy"] for _ in range(10)]) > 0.95


def test_a_test_in_the_loop_on_the_batch_that_is_there(tmp_path):
    """`start=` runs a net without its data layer, as in the notebook on LeNet."""
    solver = caffe.get_solver(str(write_files(tmp_path, snapshot=0)))
    test = solver.test_nets[0]
    solver.step(1)  # tests first, which reads
    test.forward()
    data = test.blobs["data"].data.copy()
    seen = []
    for _ in range(2):
        solver.step(1)
        test.forward(start="drop")
        assert np.array_equal(test.blobs["data"].data, data)
        seen.append(test.blobs["score"].data.copy())
    assert not np.array_equal(*seen)
    assert P.Data.LMDB == caffe_pb2.DataParameter.LMDB
