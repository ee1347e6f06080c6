"""Ctrl-C, SIGTERM and SIGHUP: while training, and as they come to the solver."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from pycaffe_lite.cli.signals import EFFECTS, SignalRequests
from pycaffe_lite.solver import Solver
from pycaffe_lite.solver.action import Action

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="signals of POSIX systems")

# A layer that sends its own process a signal in the forward pass of one iteration, or waits there.
SENDER = """
import os, signal, time
import pycaffe_lite as caffe

class Sender(caffe.Layer):
    def setup(self, bottom, top):
        self.name, self.at, self.times = self.param_str.split()
        self.passes = 0

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data
        if self.phase == caffe.TRAIN and self.passes == int(self.at):
            for _ in range(int(self.times)):
                if self.name == "wait":
                    open("waiting", "w").close()
                    time.sleep(100)
                else:
                    signal.raise_signal(getattr(signal, self.name))
        self.passes += 1

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = top[0].diff
"""
LAYER = """layer { name: "sender" type: "Python" bottom: "data" top: "sent"
        python_param { module: "MODULE" layer: "Sender" param_str: "WHAT" } }
layer {
  name: "ip" type: "InnerProduct" bottom: "sent"
"""


@pytest.fixture
def sending(folder, edit):
    """sending(what): lets the net send signals; what: name, iteration, how often."""

    def make(what):
        module = f"sender_{abs(hash(folder)):x}"
        Path(f"{module}.py").write_text(SENDER)
        layer = LAYER.replace("MODULE", module).replace("WHAT", what)
        edit("net.prototxt", 'layer {\n  name: "ip" type: "InnerProduct" bottom: "data"', layer)
        edit("solver.prototxt", "max_iter: 4", "max_iter: 1000", "test_iter: 2\ntest_interval: 2\n", "")

    return make


def iterations_saved():
    return sorted(int(path.stem.rpartition("_")[2]) for path in Path().glob("*.solverstate"))


# ------------------------------------------------------------------------------------- in this process


def test_ctrl_c_stops_after_the_iteration_and_saves(sending, run):
    sending("SIGINT 6 1")
    result = run("train", "solver.prototxt")
    assert (result.code, result.out) == (0, [])
    assert iterations_saved() == [7]
    assert result.messages[-2:] == ["Optimization stopped early.", "Optimization Done."]


def test_ctrl_c_without_a_snapshot(sending, edit, run):
    sending("SIGINT 6 1")
    edit("solver.prototxt", "display", "snapshot_after_train: false display")
    result = run("train", "solver.prototxt")
    assert result.code == 0
    assert iterations_saved() == []
    assert "Optimization stopped early." in result.messages


def test_ctrl_c_twice_stops_at_once(sending, run):
    sending("SIGINT 6 2")
    result = run("train", "solver.prototxt")
    assert (result.code, result.out, result.err[-1]) == (130, [], "Interrupted.")
    assert iterations_saved() == []


@pytest.mark.parametrize("option", ["-sigint_effect=snapshot", "--sigint-effect=snapshot"])
def test_ctrl_c_may_save_only(sending, edit, run, option):
    sending("SIGINT 3 2")
    edit("solver.prototxt", "max_iter: 1000", "max_iter: 6")
    assert run("train", "solver.prototxt", option).code == 0
    assert iterations_saved() == [4, 6]


def test_ctrl_c_may_do_nothing(sending, edit, run):
    sending("SIGINT 3 5")
    edit("solver.prototxt", "max_iter: 1000", "max_iter: 6")
    assert run("train", "solver.prototxt", "-sigint_effect", "none").code == 0
    assert iterations_saved() == [6]


@pytest.mark.parametrize(
    ("options", "saved"),
    [
        ([], [4, 6]),
        (["-sighup_effect=snapshot"], [4, 6]),
        (["-sighup_effect=none"], [6]),
        (["--sighup-effect", "stop"], [4]),
    ],
)
def test_hangup(sending, edit, run, options, saved):
    sending("SIGHUP 3 1")
    edit("solver.prototxt", "max_iter: 1000", "max_iter: 6")
    assert run("train", "solver.prototxt", *options).code == 0
    assert iterations_saved() == saved


def test_sigterm_stops_after_the_iteration_and_saves(sending, run):
    sending("SIGTERM 6 1")
    result = run("train", "solver.prototxt")
    assert (result.code, result.out) == (143, [])
    assert iterations_saved() == [7]
    assert result.messages[-3:] == [
        "Optimization stopped early.",
        "Optimization Done.",
        "Stopped by SIGTERM.",
    ]


def test_sigterm_does_as_ctrl_c_without_a_snapshot(sending, edit, run):
    sending("SIGTERM 6 1")
    edit("solver.prototxt", "display", "snapshot_after_train: false display")
    assert run("train", "solver.prototxt").code == 143
    assert iterations_saved() == []


def test_sigterm_again_and_again_does_not_hurry(sending, run):
    """As schedulers send it; the effect of Ctrl-C does not matter."""
    sending("SIGTERM 6 5")
    assert run("train", "solver.prototxt", "--sigint-effect", "none").code == 143
    assert iterations_saved() == [7]


def test_training_goes_on_where_sigterm_stopped_it(sending, edit, run):
    sending("SIGTERM 6 1")
    assert run("train", "solver.prototxt", "--log-file", "a.log").code == 143
    edit("solver.prototxt", "max_iter: 1000", "max_iter: 7")
    assert run("train", "solver.prototxt", "--snapshot", "latest", "--exact", "--log-file", "a.log").code == 0
    assert "Stopped by SIGTERM." in Path("a.log").read_text()


def test_sigterm_while_testing(folder, run, monkeypatch):
    plain = Solver.test_all

    def test_all(solver):
        if solver.iter == 2:
            signal.raise_signal(signal.SIGTERM)
        plain(solver)

    monkeypatch.setattr(Solver, "test_all", test_all)
    assert run("train", "solver.prototxt").code == 143
    assert iterations_saved() == [2]


def test_ctrl_c_while_testing(folder, run, monkeypatch):
    plain = Solver.test_all

    def test_all(solver):
        if solver.iter == 2:
            signal.raise_signal(signal.SIGINT)
        plain(solver)

    monkeypatch.setattr(Solver, "test_all", test_all)
    result = run("train", "solver.prototxt")
    assert (result.code, result.out) == (0, [])
    assert iterations_saved() == [2]
    assert "Test interrupted." in result.messages


def test_handlers_are_given_back(sending, run):
    numbers = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    sending("SIGINT 1 2")
    assert run("train", "solver.prototxt").code == 130
    assert [signal.getsignal(number) for number in numbers] == before


def test_ctrl_c_after_sigterm_stops_at_once():
    requests = SignalRequests("stop", "snapshot")
    with requests.handled():
        signal.raise_signal(signal.SIGTERM)
        assert requests.next_action() is Action.STOP
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert requests.terminated


def test_requests_are_served_once_hangups_first():
    requests = SignalRequests("stop", "snapshot")
    with requests.handled():
        assert requests.next_action() is Action.NONE
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGHUP)
        assert requests.stopping
        asked = [requests.next_action() for _ in range(3)]
    assert asked == [Action.SNAPSHOT, Action.STOP, Action.NONE]


def test_effects_are_caffes():
    assert EFFECTS == ["stop", "snapshot", "none"]


# ---------------------------------------------------------------------------------- in another process


@pytest.fixture
def start(folder, program, environment):
    """start(): a training process, its log read up to iteration 0; ended at the end of the test."""
    processes = []

    def start_process():
        process = subprocess.Popen(
            [*program, "train", "-solver", "solver.prototxt"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        processes.append(process)
        for line in process.stderr:
            if re.search(r"Iteration 0, lr", line):
                return process
        raise AssertionError("training did not start")

    yield start_process
    for process in processes:
        process.kill()
        process.wait()


def test_a_process_that_gets_ctrl_c(start, edit, log_messages):
    edit("solver.prototxt", "max_iter: 4", "max_iter: 100000000", "test_iter: 2\ntest_interval: 2\n", "")
    edit("solver.prototxt", "display: 2", "display: 100000")
    process = start()
    process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 60
    while not iterations_saved() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(iterations_saved()) == 1
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "")
    assert len(iterations_saved()) == 2
    assert "Traceback" not in err
    messages = log_messages(err.splitlines())
    assert messages[-2:] == ["Optimization stopped early.", "Optimization Done."]
    last = iterations_saved()[-1]
    assert f"Snapshotting solver state to binary proto file small_iter_{last}.solverstate" in messages


def test_a_process_that_gets_sigterm(start, edit, log_messages):
    edit("solver.prototxt", "max_iter: 4", "max_iter: 100000000", "test_iter: 2\ntest_interval: 2\n", "")
    process = start()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (143, "")
    assert len(iterations_saved()) == 1
    assert "Traceback" not in err
    assert log_messages(err.splitlines())[-1] == "Stopped by SIGTERM."


def test_a_process_that_gets_ctrl_c_twice(start, sending):
    sending("wait 1 1")
    process = start()
    deadline = time.monotonic() + 60
    while not os.path.exists("waiting") and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None  # it finishes the iteration
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.splitlines()[-1]) == (130, "", "Interrupted.")
    assert "Traceback" not in err
    assert iterations_saved() == []
