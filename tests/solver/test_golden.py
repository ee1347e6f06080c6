"""Twelve iterations of each solver type with various options, against what the real Caffe computed.

The recordings (fixtures/solvers) hold the data fed to each iteration, the weights set at the start, and rate,
loss, weights and history after each iteration. Those of nets with layers of forks (fixtures/forks_solvers)
hold what the forks' own code computed, without the history.
"""

import json
import logging

import numpy as np
import pytest
from paths import FIXTURES

from pycaffe_lite.solver import get_solver

CASES = {
    (folder, name): case
    for folder in ("solvers", "forks_solvers")
    for name, case in json.loads((FIXTURES / folder / "index.json").read_text()).items()
}
ITERATIONS = 12

# Of each array's largest element; the real Caffe with another BLAS differs from itself by 6e-7.
RELATIVE, RATE_RELATIVE = 1e-4, 1e-5


def assert_close(got, want, what, relative=RELATIVE):
    worst = np.abs(np.asarray(got, np.float64) - want).max()
    assert worst <= relative * np.abs(want).max() + 1e-30, f"{what}: off by {worst:g}"


class Recorder:
    """Feeds a solver and notes what it does in each iteration."""

    def __init__(self, solver, golden, feed):
        self.solver, self.golden, self.feed = solver, golden, feed
        self.params = [key for key in golden if key.startswith("param:")]
        self.histories = [key for key in golden if key.startswith("history:")]
        self.rows = []
        if feed == "memory":
            labels = golden["label"].reshape(-1)
            data = golden["data"].reshape(-1, *golden["data"].shape[2:])
            solver.net.set_input_arrays(data, labels)

    def blob(self, key):
        _, layer, index = key.split(":")
        return self.solver.net.params[layer][int(index)].data

    def on_start(self):
        if self.solver.iter:
            self.note()
        if self.feed == "input":
            for name in self.solver.net.inputs:
                blob = self.solver.net.blobs[name]
                blob.data[...] = self.golden[name][self.solver.iter].reshape(blob.shape)

    def on_gradients_ready(self):
        window = self.solver.window
        self.loss = window.losses[(self.solver.iter - window.start) % window.size]

    def note(self):
        """What has become of the iteration just done."""
        row = {key: self.blob(key).copy() for key in self.params}
        row |= {key: self.solver.history[int(key.split(":")[1])].copy() for key in self.histories}
        self.rows.append({"lr": self.solver.rate, "loss": self.loss, **row})


@pytest.mark.parametrize(("folder", "name"), CASES)
def test_every_iteration(folder, name, caplog):
    with np.load(FIXTURES / folder / f"{name}.npz") as file:
        golden = dict(file)
    solver = get_solver(FIXTURES / folder / f"{name}.solver.prototxt")
    recorder = Recorder(solver, golden, CASES[folder, name]["feed"])
    for key in golden:
        if key.startswith("init:"):
            recorder.blob(key)[...] = golden[key]
    assert folder == "forks_solvers" or len(solver.history) == len(recorder.histories)
    solver.add_callback(recorder.on_start, recorder.on_gradients_ready)
    with caplog.at_level(logging.INFO, "pycaffe_lite.solver"):
        solver.step(ITERATIONS)
    recorder.note()
    assert solver.iter == ITERATIONS
    for i, row in enumerate(recorder.rows):
        for key, value in row.items():
            relative = RATE_RELATIVE if key == "lr" else RELATIVE
            assert_close(value, golden[key][i], f"{key} after iteration {i}", relative)
    if folder == "forks_solvers":
        return
    shown = [r.getMessage() for r in caplog.records if " iters), loss = " in r.getMessage()]
    assert [line.split(" (")[0] for line in shown] == [f"Iteration {i}" for i in range(ITERATIONS)]
    for line, loss in zip(shown, golden["display_loss"], strict=True):
        assert float(line.rpartition(" = ")[2]) == pytest.approx(float(loss), rel=2e-5)
