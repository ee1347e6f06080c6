"""`pycaffe-lite time`: Caffe's lines in the log, a table on stdout."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from paths import ROOT

NUMBER = r"[-+.e\d]+"


def test_caffes_lines(folder, run):
    result = run("time", "-model", "net.prototxt", "-iterations", 2)
    assert result.code == 0
    begin = result.messages.index("Network initialization done.") + 1
    lines = [re.sub(rf"{NUMBER} ms\.", "# ms.", line) for line in result.messages[begin:]]
    assert re.fullmatch(f"Initial loss: {NUMBER}", lines[1])
    del lines[1]
    layers = [
        line
        for name in ("data", "ip", "loss")
        for line in (f"{name:>10}\tforward: # ms.", f"{name:>10}\tbackward: # ms.")
    ]
    assert lines == [
        "Performing Forward",
        "Performing Backward",
        "*** Benchmark begins ***",
        "Testing for 2 iterations.",
        "Iteration: 1 forward-backward time: # ms.",
        "Iteration: 2 forward-backward time: # ms.",
        "Average time per layer: ",
        *layers,
        "Average Forward pass: # ms.",
        "Average Backward pass: # ms.",
        "Average Forward-Backward: # ms.",
        "Total Time: # ms.",
        "*** Benchmark ends ***",
    ]


def test_table(folder, run):
    result = run("time", "net.prototxt", "-iterations", 1, level=2)
    assert (result.code, result.err) == (0, [])
    lines = [line.split() for line in result.out if line.strip()]
    assert lines[0] == ["Milliseconds,", "mean", "of", "1", "iterations"]
    assert lines[1] == ["layer", "type", "top", "forward", "backward", "both", "share"]
    assert [line[:3] for line in lines[3:6]] == [
        ["data", "Data", "4x1x6x6"],
        ["ip", "InnerProduct", "4x4"],
        ["loss", "SoftmaxWithLoss", lines[5][2]],
    ]
    assert lines[6][0] == "all"
    forward, backward, both = (float(word) for word in lines[6][1:4])
    assert forward + backward == pytest.approx(both, abs=0.0011)
    assert sum(float(line[-4]) for line in lines[3:6]) == pytest.approx(forward, abs=0.002)


def test_waiting_for_data(folder, run):
    """Nets without such layers say nothing of it."""
    result = run("time", "net.prototxt", "-iterations", 2, level=2)
    assert re.fullmatch(r"Of each iteration, \d+\.\d{3} ms were spent waiting for data\.", result.out[-1])
    Path("plain.prototxt").write_text(
        'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 } } }'
        'layer { name: "r" type: "ReLU" bottom: "x" top: "r" }'
    )
    assert "waiting" not in "".join(run("time", "plain.prototxt", "-iterations", 1, level=2).out)


@pytest.mark.parametrize(
    ("flags", "accuracy"),
    [([], False), (["-phase", "TRAIN"], False), (["-phase=TEST"], True), (["--phase", "test"], True)],
)
def test_phase(folder, run, flags, accuracy):
    result = run("time", "net.prototxt", "-iterations", 1, *flags)
    assert result.code == 0
    assert ("Creating Layer accuracy" in result.messages) == accuracy


def test_weights_are_optional(folder, run):
    def initial_loss(*flags):
        messages = run("time", "net.prototxt", "-iterations=1", *flags).messages
        return next(message for message in messages if message.startswith("Initial loss: "))

    run("train", "solver.prototxt")
    trained = initial_loss("-weights", "small_iter_4.caffemodel")
    assert initial_loss("--weights=small_iter_4.caffemodel") == trained
    assert initial_loss("-weights=") != trained


def test_table_of_layers_without_tops_and_letters_that_the_terminal_lacks(folder, program, environment):
    text = Path("net.prototxt").read_text().replace('"ip"', '"网络"')
    Path("net.prototxt").write_text(text + 'layer { name: "quiet" type: "Silence" bottom: "accuracy" }')
    command = [*program, "time", "net.prototxt", "-phase", "TEST", "-iterations", "1"]
    environment = {**environment, "PYTHONIOENCODING": "ascii", "GLOG_minloglevel": "2"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\u7f51\\u7edc" in done.stdout
    assert re.search(r"quiet\W+Silence\W+\d", done.stdout)


@pytest.mark.parametrize(("net", "layers"), [("lenet", 7), ("googlenet", 75)])
def test_timeline(run, tmp_path, net, layers):
    """Rectifiers run in their layer's epilogue, and Input layers do nothing."""
    file = tmp_path / "t.json"
    model = f"{ROOT}/models/{net}/{net}.prototxt"
    result = run("time", model, "--iterations", 1, "--phase", "TEST", "--timeline", file, level=2)
    assert (result.code, result.out[-1]) == (0, f"wrote {file}")
    events = json.loads(file.read_text())["traceEvents"]
    names = [event["name"] for event in events if event.get("tid") == 1 and event["ph"] == "X"]
    assert len(names) == layers
    assert names[0].startswith("conv1")
    assert names[-1] == "prob"


@pytest.mark.parametrize("net", ["lenet", "googlenet"])
def test_layers_by_cost(run, net):
    model = f"{ROOT}/models/{net}/{net}.prototxt"
    result = run("time", model, "--iterations", 1, "--phase", "TEST", "--table", level=2)
    assert result.code == 0
    lines = [line.split() for line in result.out if line.strip()]
    assert lines[1] == [
        "layer",
        "type",
        "forward",
        "backward",
        "share",
        "GFLOP/s",
        "GB/s",
        "of",
        "peak",
        "limit",
    ]
    rows = lines[3:-2]
    costs = [float(row[2]) + float(row[3]) for row in rows]
    assert costs == pytest.approx(sorted(costs, reverse=True), abs=0.0021)  # to the digits shown
    assert float(next(row for row in rows if row[1] == "Convolution")[5]) > 0
    assert result.out[-1].startswith("Peak of this machine: ")
