"""`pycaffe-lite train`: what its flags do to the solver, and what it writes."""

import json
from pathlib import Path

import numpy as np
import pytest

from pycaffe_lite.formats import caffemodel

LEVELS = """
layer {
  name: "extra" type: "InnerProduct" bottom: "data" top: "extra" include { phase: TRAIN RULE }
  inner_product_param { num_output: 1 }
}
"""


def weights_of(path):
    return [blob.data for layer in caffemodel.read(path).layers for blob in layer.blobs]


def layer_names(path):
    return [layer.name for layer in caffemodel.read(path).layers]


def same(one, two):
    return all(np.array_equal(a, b) for a, b in zip(weights_of(one), weights_of(two), strict=True))


def test_results_and_log(folder, run):
    result = run("train", "solver.prototxt")
    assert result.code == 0
    scores = [message.strip() for message in result.messages if "Test net output" in message][-2:]
    assert [score.partition(": ")[2] for score in scores] == result.out
    assert result.messages[0] == "Use CPU."
    assert result.messages[-1] == "Optimization Done."


def test_results_of_an_earlier_test_are_not_the_end_s(folder, edit, run):
    edit("solver.prototxt", "max_iter: 4", "max_iter: 3")
    assert run("train", "solver.prototxt").out == []


def test_resuming_goes_on(folder, edit, run):
    edit("solver.prototxt", "display", "snapshot: 2 display")
    run("train", "solver.prototxt")
    Path("small_iter_4.caffemodel").rename("unbroken.caffemodel")
    result = run("train", "solver.prototxt", "-snapshot", "small_iter_2.solverstate")
    assert result.code == 0
    assert "Resuming from small_iter_2.solverstate" in result.messages
    assert same("small_iter_4.caffemodel", "unbroken.caffemodel")


def test_resuming_from_the_latest(folder, edit, run):
    edit("solver.prototxt", "display", "snapshot: 2 display")
    run("train", "solver.prototxt")
    Path("small_iter_4.caffemodel").write_bytes(b"")
    result = run("train", "solver.prototxt", "--snapshot", "latest")
    assert result.code == 0
    assert "Resuming from small_iter_2.solverstate" in result.messages
    assert (
        "Passing over snapshot 'small_iter_4.solverstate': 'small_iter_4.caffemodel' is empty"
        in result.messages
    )


def test_resuming_drops_the_solvers_weights(folder, edit, run):
    run("train", "solver.prototxt")
    edit("solver.prototxt", "display", 'weights: "none.caffemodel" display', "max_iter: 4", "max_iter: 6")
    result = run("train", "solver.prototxt", "-snapshot", "small_iter_4.solverstate")
    assert result.code == 0


def test_fine_tuning_replaces_the_solvers_weights(folder, edit, run):
    run("train", "solver.prototxt")
    Path("small_iter_4.caffemodel").rename("a.caffemodel")
    edit("solver.prototxt", "display", 'weights: "none.caffemodel" display', "max_iter: 4", "max_iter: 0")
    result = run("train", "solver.prototxt", "-weights", "a.caffemodel")
    assert result.code == 0
    assert [message for message in result.messages if "Finetuning" in message] == [
        "Finetuning from a.caffemodel",
        "Finetuning from a.caffemodel",  # the test net
    ]
    assert same("a.caffemodel", "small_iter_0.caffemodel")


def test_several_weights_are_loaded_in_turn(folder, edit, run):
    run("train", "solver.prototxt")
    Path("small_iter_4.caffemodel").rename("a.caffemodel")
    edit("solver.prototxt", "random_seed: 1", "random_seed: 2")
    run("train", "solver.prototxt")
    Path("small_iter_4.caffemodel").rename("b.caffemodel")
    edit("solver.prototxt", "max_iter: 4", "max_iter: 0")
    run("train", "solver.prototxt", "-weights", "a.caffemodel,b.caffemodel")
    assert same("b.caffemodel", "small_iter_0.caffemodel")
    assert not same("a.caffemodel", "small_iter_0.caffemodel")


@pytest.mark.parametrize(
    ("rule", "flags", "kept"),
    [
        ("min_level: 2", [], False),
        ("min_level: 2", ["-level", "2"], True),
        ("max_level: -1", ["-level=-1"], True),
        ('stage: "more"', [], False),
        ('stage: "more"', ["-stage", "more"], True),
        ('stage: "more" stage: "most"', ["-stage", "more, most"], True),
        ('stage: ""', [], True),  # as in Caffe, an empty flag is one empty stage
        ('not_stage: ""', [], False),
    ],
)
def test_level_and_stages(folder, edit, run, rule, flags, kept):
    Path("net.prototxt").write_text(Path("net.prototxt").read_text() + LEVELS.replace("RULE", rule))
    edit("solver.prototxt", "max_iter: 4", "max_iter: 0")
    assert run("train", "solver.prototxt", *flags).code == 0
    assert ("extra" in layer_names("small_iter_0.caffemodel")) == kept


def test_level_overrules_the_nets_own(folder, edit, run):
    net = Path("net.prototxt").read_text() + LEVELS.replace("RULE", "min_level: 2")
    Path("net.prototxt").write_text("state { level: 2 }" + net)
    edit("solver.prototxt", "max_iter: 4", "max_iter: 0")
    assert run("train", "solver.prototxt").code == 0
    assert "extra" not in layer_names("small_iter_0.caffemodel")


def test_log_file(folder, edit, run, log_messages):
    first = run("train", "solver.prototxt", "--log_file", "a.log")
    assert log_messages(Path("a.log").read_text().splitlines()) == first.messages
    edit("solver.prototxt", "max_iter: 4", "max_iter: 6")
    second = run("train", "solver.prototxt", "--log_file", "a.log", "-snapshot", "latest")
    assert log_messages(Path("a.log").read_text().splitlines()) == first.messages + second.messages
    finished = Path("a.log").read_text()
    third = run("train", "solver.prototxt", "--log_file", "a.log")
    assert log_messages(Path("a.log").read_text().splitlines()) == third.messages
    assert Path("a.log.1").read_text() == finished
    assert third.messages[0] == "The log of an earlier run is kept as a.log.1"


def test_each_earlier_log_is_kept(folder, edit, run):
    edit("solver.prototxt", "max_iter: 4", "max_iter: 0")
    for i in range(4):
        Path("a.log").write_text(f"log of run {i}")
        run("train", "solver.prototxt", "--log_file", "a.log")
    assert [Path(f"a.log.{i}").read_text() for i in (1, 2, 3, 4)] == [f"log of run {i}" for i in range(4)]


def test_a_log_that_is_not_a_file(folder, edit, run):
    edit("solver.prototxt", "max_iter: 4", "max_iter: 0")
    Path("null.log").symlink_to("/dev/null")
    assert run("train", "solver.prototxt", "--log_file", "null.log").code == 0
    assert not list(Path().glob("null.log.*"))


def test_exact(folder, edit, run, fails, misused):
    edit("solver.prototxt", "display", "snapshot: 2 display")
    run("train", "solver.prototxt")
    resume = ("train", "solver.prototxt", "--snapshot", "small_iter_2.solverstate")
    assert run(*resume, "--exact").code == 0
    edit("net.prototxt", 'name: "data"', 'name: "images"')
    lines = [
        "layer 'data' of the train net is gone: its saved state is not used",
        "layer 'data' of test net #0 is gone: its saved state is not used",
        "layer 'images' (Data) of the train net starts afresh: no state of it was saved",
        "layer 'images' (Data) of test net #0 starts afresh: no state of it was saved",
    ]
    told = run(*resume, level=1)
    assert (told.code, told.messages) == (0, lines)
    assert fails(*resume, "-exact") == (
        f"Error: 'small_iter_2.solverstate' cannot be resumed exactly: {'; '.join(lines[:3])}; and 1 more"
    )
    assert misused("train", "solver.prototxt", "--exact") == (
        "Error: --exact says how to resume: give --snapshot too."
    )


def test_keep(folder, edit, run, misused):
    edit("solver.prototxt", "display", "snapshot: 1 display")
    assert run("train", "solver.prototxt", "--keep", 2).code == 0
    assert sorted(path.name for path in Path().glob("small_iter_*")) == [
        f"small_iter_{n}.{kind}" for n in (3, 4) for kind in ("caffemodel", "solverstate")
    ]
    assert misused("train", "solver.prototxt", "--keep", 0) == (
        "Error: Invalid value for '--keep': 0 is not in the range x>=1."
    )


def test_the_latest_is_the_newest_run_s(folder, edit, run):
    run("train", "solver.prototxt")
    edit("solver.prototxt", "max_iter: 4", "max_iter: 2")
    run("train", "solver.prototxt")
    edit("solver.prototxt", "max_iter: 2", "max_iter: 3")
    result = run("train", "solver.prototxt", "--snapshot", "latest", level=1)
    assert result.messages == [
        "the newest snapshot is 'small_iter_2.solverstate', of iteration 2; 'small_iter_4.solverstate' is "
        "older, but of iteration 4: to go on from that one, name it"
    ]
    assert Path("small_iter_3.solverstate").exists()


def test_layers_that_start_afresh_are_in_the_log(folder, edit, run):
    run("train", "solver.prototxt")
    edit("net.prototxt", 'name: "ip"', 'name: "new"')
    edit("solver.prototxt", "max_iter: 4", "max_iter: 0")
    result = run("train", "solver.prototxt", "--weights", "small_iter_4.caffemodel")
    assert result.messages.count("Layer new is in none of these files and starts afresh") == 1
    assert result.messages.count("'small_iter_4.caffemodel' has no weights for any layer of this net") == 2


def test_log_file_says_why_the_run_ended(folder, run):
    result = run("train", "none.prototxt", "--log_file", "a.log")
    assert result.messages == ["Use CPU."]
    assert result.err[1:] == ["Error: no such file: 'none.prototxt'"]
    last = Path("a.log").read_text().splitlines()[-1]
    assert last[0] == "E"
    assert last.endswith("] no such file: 'none.prototxt'")


def test_log_file_holds_what_a_quiet_stderr_does_not(folder, run):
    result = run("train", "solver.prototxt", "--log_file", "a.log", level=2)
    assert result.err == []
    assert "Optimization Done." in Path("a.log").read_text()


def test_on_nan(folder, edit, run):
    edit("solver.prototxt", "0.0001", "1e38", "max_iter: 4", "max_iter: 3")
    stopped = run("train", "solver.prototxt", level=1)
    warned = run("train", "solver.prototxt", "--on-nan", "warn", level=1)
    ignored = run("train", "solver.prototxt", "--on_nan=ignore", level=1)
    assert (stopped.code, warned.code, ignored.code) == (1, 0, 0)
    assert [f"Error: solver.prototxt: {message}" for message in warned.messages] == stopped.err
    assert ignored.err == []


def test_gpu_mode_of_the_solver(folder, edit, run):
    edit("solver.prototxt", "display", "solver_mode: GPU display")
    result = run("train", "solver.prototxt")
    assert result.code == 0
    assert "solver_mode GPU ignored: CPU only" in result.messages


def test_the_number_of_threads_changes_nothing(folder, run):
    run("train", "solver.prototxt", "--threads", 1)
    Path("small_iter_4.caffemodel").rename("one.caffemodel")
    run("train", "solver.prototxt", "--threads", 3)
    assert same("one.caffemodel", "small_iter_4.caffemodel")


def test_files_are_found_from_elsewhere(folder, run, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert run("train", folder / "solver.prototxt").code == 0
    assert Path("small_iter_4.caffemodel").exists()


def test_strict(folder, edit, fails, run):
    edit("solver.prototxt", "display", "momentum_of_a_fork: 1 display")
    result = run("train", "solver.prototxt", level=1)
    assert (result.code, result.messages) == (
        0,
        ["solver.prototxt:7: unknown field 'momentum_of_a_fork' in SolverParameter is ignored"],
    )
    assert fails("train", "--strict", "solver.prototxt") == (
        "Error: solver.prototxt:7:1: unknown field 'momentum_of_a_fork' in SolverParameter — "
        '"momentum_of_a_fork: 1 display: 2"'
    )


BN = """
layer { name: "bn" type: "BN" bottom: "ip" top: "bn" bn_param { slope_filler { value: 1 } } }
"""
CTC = """
layer {
  name: "x" type: "Input" top: "x" top: "y"
  input_param { shape { dim: 2 dim: 1 dim: 3 } shape { dim: 1 } }
}
layer {
  name: "ctc" type: "CtcLoss" bottom: "x" bottom: "y" top: "ctc" ctc_loss_param { blank_label: 1 }
}
"""


def add_to_net(*layers):
    file = Path("net.prototxt")
    file.write_text(file.read_text() + "".join(layers))


@pytest.mark.parametrize(
    ("flags", "fork"), [((), "PSPNet"), (("--for", "TSN"), "TSN"), (("-for=tsn",), "TSN")]
)
def test_weights_are_written_for_a_fork(folder, run, flags, fork):
    add_to_net(BN)
    assert run("train", "solver.prototxt", *flags).code == 0
    assert caffemodel.fork_of(caffemodel.read("small_iter_4.caffemodel")) == fork


@pytest.mark.parametrize(
    ("settings", "flags", "message"),
    [
        (
            "snapshot: 2",
            (),
            "Error: solver.prototxt: cannot write snapshots: no fork of Caffe has the fields of both layer "
            "'ctc' (CtcLoss) and layer 'bn' (BN), and one number means different things in different forks: "
            "save the weights as HDF5 (in a solver, snapshot_format: HDF5)",
        ),
        (
            "snapshot_after_train: false",
            ("--for", "PSPNet"),
            "Error: solver.prototxt: cannot write snapshots: layer 'ctc' (CtcLoss): PSPNet's Caffe has no "
            "'ctc_loss_param' in LayerParameter, so this net cannot be written for it; these have: CC5.0, "
            "ChWick, CRNN, jolibrain, warp-ctc",
        ),
    ],
)
def test_a_net_that_no_fork_can_read_is_refused_before_training(
    folder, edit, fails, settings, flags, message
):
    edit("solver.prototxt", "max_iter: 4", f"max_iter: 4 {settings}")
    add_to_net(BN, CTC)
    assert fails("train", "solver.prototxt", *flags) == message
    assert not list(Path().glob("small_iter*"))


def test_an_unknown_fork(folder, misused):
    assert misused("train", "solver.prototxt", "--for", "SSD2").startswith(
        "Error: Invalid value for '--for': unknown fork 'SSD2' (known: SSD, RefineDet, "
    )


def test_event_files(folder, run):
    pytest.importorskip("tensorboardX")
    assert run("train", "solver.prototxt", "--tensorboard", "events").code == 0
    assert run("train", "solver.prototxt", "--tensorboard", "events", "--dashboard").code == 0
    assert len(list(Path("events").iterdir())) >= 1


def test_timeline(folder, edit, run, fails):
    line = fails("train", "solver.prototxt", "--timeline", "none/t.json")
    assert line == "Error: cannot write 'none/t.json': its folder is not there"
    result = run("train", "solver.prototxt", "--timeline", "t.json")
    assert "t.json is not written: more than 4 iterations without a test are needed" in result.messages
    assert not Path("t.json").exists()
    edit("solver.prototxt", "max_iter: 4", "max_iter: 6")
    edit("solver.prototxt", "test_interval: 2", "test_interval: 3")
    result = run("train", "solver.prototxt", "--timeline", "t.json")
    assert "The timeline of iteration 4 is in t.json" in result.messages
    names = {event["name"] for event in json.loads(Path("t.json").read_text())["traceEvents"]}
    assert {"forward", "backward", "update", "ip", "loss"} <= names
