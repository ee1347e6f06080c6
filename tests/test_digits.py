"""models/digits: a net that reads rows of drawn digits, by the commands of its README."""

import runpy
import shutil
import sys

import numpy as np
import pytest
from paths import ROOT

from pycaffe_lite.net.net import Net
from pycaffe_lite.proto.caffe_pb2 import TEST
from pycaffe_lite.solver import get_solver

pytest.importorskip("h5py")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for file in (ROOT / "models" / "digits").iterdir():
        if file.suffix in (".py", ".prototxt"):
            shutil.copy(file, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["draw.py", ".", "64", "100"])
    runpy.run_path("draw.py", run_name="__main__")
    return tmp_path


def test_it_begins_to_learn(folder):
    solver = get_solver("digits_solver.prototxt")
    solver.step(1)
    first = float(solver.net.blobs["loss"].data)
    solver.step(30)
    assert solver.net.blobs["data"].data.shape == (32, 1, 32, 100)
    assert float(solver.net.blobs["loss"].data) < first / 2


def test_what_is_drawn(folder):
    net = Net("digits_train_test.prototxt", TEST)
    net.forward()
    rows, labels = net.blobs["data"].data, net.blobs["label"].data
    assert rows.shape == (100, 1, 32, 100)
    assert labels.shape == (100, 5)
    assert 0 <= rows.min() < 0.1 < 0.9 < rows.max() <= 1
    assert set(np.unique(labels)) == set(range(10))
    assert net.blobs["accuracy"].data == 0
