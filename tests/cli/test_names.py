"""Names in files, and names of files, that would do something on a terminal; and files that are none."""

import os
from pathlib import Path

import pytest
from paths import FIXTURES

from pycaffe_lite.cli import main
from pycaffe_lite.printable import LINE_LIMIT
from pycaffe_lite.proto import caffe_pb2, prototxt

NAMES = FIXTURES / "names"
# Clears the screen, sets the window's title, begins a line, turns the direction of writing, is no UTF-8.
HOSTILE = "a\033[2J\033]0;pwn\007\nTraceback (most recent call last):\r\u202e[red]\0\x9b31m日本é"
SHOWN = r"a\x1b[2J\x1b]0;pwn\x07\nTraceback (most recent call last):\r\u202e[red]\x00\x9b31m日本é"
LONG = "b" * 5000


def quoted(name):
    """The name in a prototxt."""
    return '"' + "".join(f"\\{byte:03o}" for byte in name.encode()) + '"'


def net(name):
    d, x, y, ip, acc, loss = (quoted(name + end) for end in ("d", "x", "y", "ip", "acc", "loss"))
    return f"""
name: {quoted(name)}
layer {{ name: {d} type: "DummyData" top: {x} top: {y} dummy_data_param {{
  shape {{ dim: 4 dim: 3 }} shape {{ dim: 4 }} data_filler {{ value: 1 }} data_filler {{ value: 0 }} }} }}
layer {{ name: {ip} type: "InnerProduct" bottom: {x} top: {ip} param {{ name: {d} }}
  inner_product_param {{ num_output: 4 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: {acc} type: "Accuracy" bottom: {ip} bottom: {y} top: {acc} }}
layer {{ name: {loss} type: "SoftmaxWithLoss" bottom: {ip} bottom: {y} top: {loss} }}
"""


def solver(more=""):
    return f'net: "net.prototxt" base_lr: 0.01 {more} max_iter: 2 snapshot_prefix: "small"'


WHOLE = 'lr_policy: "fixed" display: 1 test_iter: 1 test_interval: 1 debug_info: true'


@pytest.fixture(params=[HOSTILE, LONG], ids=["hostile", "long"])
def name(request, tmp_path, monkeypatch):
    """A name that stands for all names of net.prototxt and solver.prototxt in the working directory."""
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(net(request.param))
    Path("solver.prototxt").write_text(solver(WHOLE))
    return request.param


@pytest.fixture
def show(capsys, monkeypatch):
    """show(code, *arguments): what a command writes, stdout and stderr, which has to be printable."""
    monkeypatch.delenv("GLOG_minloglevel", raising=False)

    def check(code, *arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as ending:
            main(list(arguments), prog_name="pycaffe-lite")
        out, err = capsys.readouterr()
        assert ending.value.code == code, err[-500:]
        for line in [*out.split("\n"), *err.split("\n")]:
            assert line.replace("\t", "").isprintable()
            assert len(line) <= LINE_LIMIT + 100
            assert not line.startswith("Traceback")
        return out, err

    return check


@pytest.mark.parametrize(
    "arguments",
    [
        "train solver.prototxt --log-file a.log",
        "time net.prototxt -iterations 1",
        "gradcheck net.prototxt --samples 1",
        "upgrade-net net.prototxt new.prototxt",
    ],
)
def test_what_works_is_shown_printable(name, show, arguments):
    out, err = show(0, *arguments.split())
    assert name not in out + err
    if "--log-file" in arguments:
        log = Path("a.log").read_text()
        assert log.replace("\n", "").replace("\t", "").isprintable()
        assert name not in log
    if name == HOSTILE and "upgrade-net" not in arguments:
        assert SHOWN in err


def test_weights_and_results(name, show):
    show(0, "train", "solver.prototxt")
    out, _ = show(0, "test", "net.prototxt", "-weights", "small_iter_2.caffemodel", "-iterations", "1")
    assert len(out.splitlines()) == 2
    weights = caffe_pb2.NetParameter(name=name)
    for end in ("ip", "other"):
        weights.layer.add(name=name + end, type=name).blobs.add(data=[1, 2]).shape.dim.append(2)
    Path("a.caffemodel").write_bytes(weights.SerializeToString())
    _, err = show(1, "test", "net.prototxt", "-weights", "a.caffemodel")
    assert "small" not in err


def test_upgraded_files_hold_the_same_names(name, run):
    result = run("upgrade-net", "net.prototxt", "-")
    assert result.code == 0
    text = "\n".join(result.out)
    Path("new.prototxt").write_text(text)
    assert text.replace("\n", "").isprintable()
    assert prototxt.read_net("new.prototxt").message == prototxt.read_net("net.prototxt").message


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("net", 'layer {{ name: "x" type: {} top: "a" }}'),
        ("net", 'layer {{ name: {} type: "ReLU" bottom: {} top: "a" }}'),
        ("net", 'layer {{ name: "x" type: "Data" top: "a" data_param {{ source: {} backend: LMDB }} }}'),
        ("net", 'layer {{ name: "x" type: "Python" top: "a" python_param {{ module: {} layer: {} }} }}'),
        ("solver", solver("lr_policy: {}")),
        ("solver", solver("type: {}")),
        ("solver", solver("weights: {}")),
        ("solver", "net: {}"),
    ],
)
def test_errors_are_one_printable_line(name, show, file, text):
    Path(f"{file}.prototxt").write_text(
        text.replace("{}", quoted(name)).replace("{{", "{").replace("}}", "}")
    )
    _, err = show(1, "time" if file == "net" else "train", f"{file}.prototxt")
    assert err.splitlines()[-1].startswith("Error: ")
    assert name not in err


def test_a_states_weights(name, show):
    state = caffe_pb2.SolverState(iter=1, learned_net=name)
    Path("a.solverstate").write_bytes(state.SerializeToString())
    _, err = show(1, "train", "solver.prototxt", "-snapshot", "a.solverstate")
    assert err.splitlines()[-1].startswith("Error: ")


@pytest.mark.parametrize("file", sorted(path.name for path in NAMES.iterdir()))
def test_cases(show, file):
    _, err = show(0 if "log" in file else 1, "time", str(NAMES / file), "-iterations", "1")
    assert r"a\nTraceback" in err or r"a\x1b[2J" in err


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        (1, ["time", HOSTILE]),
        (1, ["train", HOSTILE, "-log_file", f"{HOSTILE}/x"]),
        (1, ["test", HOSTILE, "-weights", HOSTILE]),
        (1, ["plot", HOSTILE, HOSTILE]),
        (1, ["upgrade-net", HOSTILE, HOSTILE]),
        (2, [HOSTILE]),
        (2, ["layers", HOSTILE]),
        (2, ["dataset", HOSTILE]),
        (2, ["time", "x", "-phase", HOSTILE]),
        (2, ["time", "x", "-level", HOSTILE]),
        (2, ["time", "x", f"--{LONG}"]),
        (2, ["time", HOSTILE, "-model", HOSTILE]),
    ],
)
def test_arguments_are_shown_printable(show, code, arguments):
    _, err = show(code, *(argument.replace("\0", "") for argument in arguments))
    assert err.splitlines()[-1].startswith("Error: ")


def test_letters_of_all_scripts_stay(tmp_path, monkeypatch, show):
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(net("层_été_слой_🙂").replace("xavier", "нет"))
    _, err = show(1, "time", "net.prototxt")
    assert "layer '层_été_слой_🙂ip' (InnerProduct): unknown filler type 'нет'" in err


# ---------------------------------------------------------------------------- files that are none


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
@pytest.mark.parametrize(("path", "kind"), [("pipe", "pipe"), ("/dev/zero", "device")])
@pytest.mark.parametrize(
    "arguments",
    [
        "train {}",
        "time {}",
        "gradcheck {}",
        "upgrade-net {} new",
        "upgrade-solver {} new",
        "test net.prototxt -weights {}",
        "train solver.prototxt -weights {}",
        "train solver.prototxt -snapshot {}",
        "train a_solver.prototxt",
        "time infogain.prototxt",
        "time mean.prototxt",
    ],
)
def test_devices_and_pipes_are_refused(folder, fails, arguments, path, kind):
    os.mkfifo("pipe")
    Path("a_solver.prototxt").write_text(f'net: "{path}" base_lr: 1 lr_policy: "fixed"')
    Path("infogain.prototxt").write_text(
        'layer { name: "d" type: "DummyData" top: "x" top: "y" '
        "dummy_data_param { shape { dim: 2 dim: 2 } shape { dim: 2 } } } "
        'layer { name: "x" type: "InfogainLoss" bottom: "x" bottom: "y" top: "l" '
        f'infogain_loss_param {{ source: "{path}" }} }}'
    )
    mean = f'transform_param {{ mean_file: "{path}" }} data_param'
    Path("mean.prototxt").write_text(Path("net.prototxt").read_text().replace("data_param", mean))
    line = fails(*arguments.format(path).split())
    assert line.endswith(f"cannot read '{path}': it is a {kind}, not a file")
