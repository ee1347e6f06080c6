"""What shows nets and trainings, on two nets that everybody knows; see also the tests of each command."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from mnist_records import first_records
from paths import ROOT
from PIL import Image
from test_event_files import values_in

from pycaffe_lite.data.lmdb_writer import write_lmdb
from pycaffe_lite.view import speed
from pycaffe_lite.view.dashboard.record import read_record

LENET_SOLVER = """
net: "lenet_train_test.prototxt" base_lr: 0.01 lr_policy: "inv" gamma: 0.0001 power: 0.75 momentum: 0.9
max_iter: 5 display: 2 test_iter: 1 test_interval: 3 random_seed: 1
"""
GOOGLENET_SOLVER = """
train_net: "train.prototxt" base_lr: 0.01 lr_policy: "fixed" momentum: 0.9
max_iter: 5 display: 2 random_seed: 1
"""
DATA = """
layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { dim: 1 dim: 3 dim: 224 dim: 224 } shape { dim: 1 }
  data_filler { type: "uniform" min: -100 max: 100 } data_filler { type: "constant" value: 3 } } }
"""
LOSS = """
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "loss3/classifier" bottom: "label" top: "loss" }
"""


@pytest.fixture(params=["lenet", "googlenet"])
def net(request, tmp_path, monkeypatch):
    """The name of a net, with solver.prototxt and what it needs in the working directory."""
    monkeypatch.chdir(tmp_path)
    # Each look that the page takes at weights and tests is due at once.
    monkeypatch.setattr(speed.Pace, "is_due", lambda pace: True)
    if request.param == "lenet":
        text = Path(ROOT, "models/lenet/lenet_train_test.prototxt").read_text()
        Path("lenet_train_test.prototxt").write_text(text)
        write_lmdb(Path("mnist_train_lmdb"), first_records("t10k", 64))
        write_lmdb(Path("mnist_test_lmdb"), first_records("t10k", 100))
        Path("solver.prototxt").write_text(LENET_SOLVER)
    else:
        text = Path(ROOT, "models/googlenet/googlenet.prototxt").read_text()
        layers = text.split("\nlayer {")
        middle = "".join(f"\nlayer {{{layer}" for layer in layers[2:-1])
        Path("train.prototxt").write_text(DATA + middle + LOSS)
        Path("solver.prototxt").write_text(GOOGLENET_SOLVER)
    return request.param


def test_train_shows_itself(net, run):
    pytest.importorskip("tensorboardX")
    result = run("train", "solver.prototxt", "--dashboard", "--tensorboard", "events", "--timeline", "t.json")
    assert result.code == 0
    record = read_record(Path("solver.run"))
    layers, first, shape, blobs = {
        "lenet": (9, "conv1", (20, 1, 5, 5), 8),
        "googlenet": (143, "conv1/7x7_s2", (64, 3, 7, 7), 116),
    }[net]
    assert len(record.graph.layers) == layers
    assert len(record.look.blobs) == blobs
    assert (record.look.kernels_of, record.look.kernels.shape) == (first, shape)
    assert len(record.lines["train loss"].course.points()) == 5
    events = values_in(Path("events"))
    assert sorted(events["train/loss"]) == [0, 2, 4]
    trace = json.loads(Path("t.json").read_text())["traceEvents"]
    assert {first, "loss"} <= {event.get("args", {}).get("layer", "").split(" ")[0] for event in trace}
    assert {event.get("cat") for event in trace} >= {"forward", "backward", "update"}
    if net == "lenet":
        assert record.tests[0].tested == 100
        assert f"weights/{first}/0" in events


# ---------------------------------------------------------------------------------------- GoogLeNet's logs

LOSSES = {"loss1/loss1": 0.3, "loss2/loss1": 0.3, "loss3/loss3": 1.0}
ACCURACIES = [f"loss{i}/top-{k}" for i in (1, 2, 3) for k in (1, 5)]


def googlenets_log():
    """What Caffe logs of a training of GoogLeNet, which has three losses and six accuracies."""
    prefix = "I1130 10:00:{:02}.000000  1 solver.cpp:1] "
    lines = [prefix.format(0) + "Solving GoogleNet"]
    for i in range(0, 200, 20):
        second = i // 10
        head = prefix.format(second)
        if i % 100 == 0:
            lines.append(f"{head}Iteration {i}, Testing net (#0)")
            for number, name in enumerate(sorted([*LOSSES, *ACCURACIES])):
                weight = f" (* {LOSSES[name]:g} = {LOSSES[name]:g} loss)" if name in LOSSES else ""
                lines.append(f"{head}    Test net output #{number}: {name} = {1 / (number + 2):g}{weight}")
        lines.append(f"{head}Iteration {i}, loss = {7 / (i + 1) + 1:g}")
        for number, (name, weight) in enumerate(LOSSES.items()):
            lines.append(
                f"{head}    Train net output #{number}: {name} = 2 (* {weight:g} = {2 * weight:g} loss)"
            )
        lines.append(f"{head}Iteration {i}, lr = 0.01")
    return "\n".join([*lines, ""])


def test_a_log_of_googlenet(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("g.log").write_text(googlenets_log())
    assert run("plot", "g.log", "g.png").out == ["wrote g.png"]
    picture = np.array(Image.open("g.png").convert("RGB")).reshape(-1, 3)
    assert len(np.unique(picture, axis=0)) > 100
    for chart in (0, 6):
        assert run("plot", "g.log", f"{chart}.png", "--chart", chart).code == 0
    assert run("parse-log", "g.log").out == ["wrote g.log.train", "wrote g.log.test"]
    train = list(csv.DictReader(Path("g.log.train").read_text().splitlines()))
    test = list(csv.DictReader(Path("g.log.test").read_text().splitlines()))
    assert list(train[0]) == ["NumIters", "Seconds", "LearningRate", *LOSSES]
    assert [row["NumIters"] for row in train] == [f"{i}.0" for i in range(0, 200, 20)]
    assert list(test[0])[3:] == sorted([*LOSSES, *ACCURACIES])
    assert float(test[1]["loss1/top-5"]) == pytest.approx(1 / 4, rel=1e-4)
