"""What a terminal shows: a progress bar and results; nothing of Caffe's log."""

import fcntl
import io
import logging
import os
import re
import select
import struct
import subprocess
import sys
import termios
import time
from contextlib import redirect_stderr
from pathlib import Path

import click
import pytest
from PIL import Image

from pycaffe_lite.cli import output
from pycaffe_lite.kernels.runtime import cache as _cache

ESCAPES = re.compile(r"\x1b\[[?\d;]*[A-Za-z]")
LOG_LINE = re.compile(r"[IWEF]\d{4} \d\d:")


class Terminal(io.StringIO):
    """A terminal in this process, for stderr."""

    def isatty(self):
        return True

    @property
    def lines(self):
        """What was written, line by line, each redrawing of a bar a line of its own."""
        plain = ESCAPES.sub("", self.getvalue()).replace("\r", "\n")
        return [line.rstrip() for line in plain.split("\n") if line.strip()]


@pytest.fixture
def terminal(monkeypatch):
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return Terminal()


@pytest.fixture
def run(run, terminal):
    """As `run`, with the terminal for stderr: nothing is left in `err`."""

    def run_watched(*arguments):
        with redirect_stderr(terminal):
            return run(*arguments)

    return run_watched


def test_training(folder, terminal, run):
    result = run("train", "solver.prototxt")
    # with a cold cache, the user is told first that kernels are being compiled
    lines = [line for line in terminal.lines if not line.startswith("compiling")]
    assert result.code == 0
    assert lines[0] == "Training small from iteration 0"
    tests = [line for line in lines if ", test:" in line]
    assert [re.sub(r"= \S+", "= #", line) for line in tests] == [
        "iteration 0, test:  accuracy = #  loss = #",
        "iteration 2, test:  accuracy = #  loss = #",
    ]
    assert "iteration 4, saved small_iter_4.solverstate" in lines
    assert re.fullmatch(r"4/4 ━+ loss \S+  lr 0.0001  \d+ images/s 0:00:00 left", lines[-1])
    assert [line.partition(" = ")[0] for line in result.out] == ["accuracy", "loss"]
    assert not any(LOG_LINE.search(line) for line in lines)


def test_converting(folder, terminal, run):
    Image.new("RGB", (4, 4)).save("a.png")
    Path("list.txt").write_text("a.png 0\n" * 5)
    result = run("convert-imageset", "./", "list.txt", "pictures_lmdb")
    assert (result.code, result.out) == (0, ["pictures_lmdb: 5 records"])
    assert re.fullmatch(r"converting ━+ 5/5 \S+ images/s 0:00:00 left", terminal.lines[-1])
    assert not any(LOG_LINE.search(line) for line in terminal.lines)


def test_several_test_nets_are_numbered(folder, edit, terminal, run):
    edit("solver.prototxt", "test_iter: 2", "test_iter: 1 test_iter: 2")
    run("train", "solver.prototxt")
    tests = [line.partition(":")[0] for line in terminal.lines if ", test" in line]
    assert tests == [f"iteration {i}, test net #{k}" for i in (0, 2) for k in (0, 1)]


def test_of_an_output_of_many_values_the_first_are_shown(folder, edit, terminal, run):
    unread = """
    layer { name: "map" type: "DummyData" top: "map" include { phase: TEST }
            dummy_data_param { shape { dim: 21 } data_filler { value: 0.25 } } }
    """
    edit("net.prototxt", 'name: "small"', f'name: "small" {unread}')
    result = run("train", "solver.prototxt")
    tests = [line for line in terminal.lines if ", test:" in line]
    assert tests[0].endswith("  map = 0.25 0.25 0.25 0.25 0.25 ... (21 values)")
    assert result.out[2:] == ["map = 0.25"] * 21


def test_resuming_says_from_where(folder, edit, terminal, run):
    run("train", "solver.prototxt")
    edit("solver.prototxt", "max_iter: 4", "max_iter: 6")
    run("train", "solver.prototxt", "-snapshot", "latest")
    assert "Training small from iteration 4, resumed from small_iter_4.solverstate" in terminal.lines


MORE_LAYERS = """
layer { name: "kept" type: "InnerProduct" bottom: "data" top: "kept" inner_product_param { num_output: 2 } }
layer { name: "NAME" type: "InnerProduct" bottom: "kept" top: "more" inner_product_param { num_output: 2 } }
"""


def test_fine_tuning_says_what_becomes_of_each_layer(folder, edit, terminal, run):
    edit("solver.prototxt", "max_iter: 4", "max_iter: 0")
    net = Path("net.prototxt").read_text()
    Path("net.prototxt").write_text(net + MORE_LAYERS.replace("NAME", "before"))
    run("train", "solver.prototxt")
    Path("net.prototxt").write_text(net + MORE_LAYERS.replace("NAME", "after"))
    terminal.seek(0)
    terminal.truncate()
    run("train", "solver.prototxt", "--weights", "small_iter_0.caffemodel")
    first = next(i for i, line in enumerate(terminal.lines) if line.startswith("Weights"))
    assert terminal.lines[first : first + 3] == [
        "Weights from small_iter_0.caffemodel: ip, kept",
        "  ignored, as the net has no such layers: before",
        "  in no file, so they start afresh: after",
    ]


def test_names_of_many_layers_are_cut(folder, edit, terminal, run):
    edit("solver.prototxt", "max_iter: 4", "max_iter: 0")
    layer = MORE_LAYERS.splitlines()[1].replace("kept", "ip%d")
    with Path("net.prototxt").open("a") as net:
        net.writelines(layer % (i, i) for i in range(30))
    run("train", "solver.prototxt")
    run("train", "solver.prototxt", "--weights", "small_iter_0.caffemodel")
    (line,) = [line for line in terminal.lines if line.startswith("Weights")]
    assert line.endswith(", ip18, and 11 more")


def test_an_earlier_log_that_is_kept_is_said(folder, edit, terminal, run):
    edit("solver.prototxt", "max_iter: 4", "max_iter: 0")
    Path("a.log").write_text("of an earlier run")
    run("train", "solver.prototxt", "--log-file", "a.log")
    assert terminal.lines[0] == "The log of an earlier run is kept as a.log.1"


def test_warnings_are_shown_once_without_prefix(folder, edit, terminal, run):
    edit("solver.prototxt", "display", "fork_field: 1 display")
    run("train", "solver.prototxt", "-gpu", "0")
    lines = terminal.lines
    assert lines[0] == "There is no GPU support: -gpu 0 is ignored"
    assert lines[1] == "solver.prototxt:7: unknown field 'fork_field' in SolverParameter is ignored"
    assert sum("fork_field" in line for line in lines) == 1


def test_errors_are_shown_once(folder, terminal, run):
    result = run("train", "none.prototxt", "--log-file", "a.log")
    assert result.code == 1
    assert terminal.lines == ["Error: no such file: 'none.prototxt'"]
    assert Path("a.log").read_text().endswith("] no such file: 'none.prototxt'\n")


def test_the_log_file_is_caffes(folder, terminal, run, log_messages):
    run("train", "solver.prototxt", "--log-file", "a.log")
    messages = log_messages(Path("a.log").read_text().splitlines())
    assert messages[0] == "Use CPU."
    assert messages[-1] == "Optimization Done."
    assert not any("Use CPU" in line for line in terminal.lines)


def test_testing(folder, terminal, run):
    run("train", "solver.prototxt")
    terminal.seek(0)
    terminal.truncate()
    result = run("test", "net.prototxt", "-weights", "small_iter_4.caffemodel", "-iterations", 3)
    assert [line.partition(" = ")[0] for line in result.out] == ["accuracy", "loss"]
    assert not [line for line in terminal.lines if not line.startswith("testing")]


def test_timing(folder, terminal, run):
    result = run("time", "net.prototxt", "-iterations", 3)
    assert result.out[0].strip() == "Milliseconds, mean of 3 iterations"
    assert not [line for line in terminal.lines if not line.startswith("timing")]


def test_bars_move(terminal, monkeypatch):
    monkeypatch.setattr(output, "REFRESH_SECONDS", 0.0)
    with redirect_stderr(terminal), output.progress_bar("counting", 3) as advance:
        for _ in range(3):
            advance()
    shown = [re.search(r"^counting .* (\d/3) ", line)[1] for line in terminal.lines]
    assert [shown[0], shown[-1]] == ["0/3", "3/3"]
    assert set(shown) >= {"1/3", "2/3"}


@pytest.mark.parametrize("kind", ["dumb", "unknown"])
def test_a_terminal_that_cannot_move_its_cursor_gets_the_log(folder, terminal, run, monkeypatch, kind):
    monkeypatch.setenv("TERM", kind)
    run("train", "solver.prototxt")
    assert LOG_LINE.match(terminal.lines[0])
    assert LOG_LINE.match(terminal.lines[-1])


def test_the_user_is_told_that_kernels_are_compiled(terminal, monkeypatch, tmp_path):
    monkeypatch.setattr(_cache, "_announced", False)
    monkeypatch.setenv("PYCAFFE_LITE_CACHE_DIR", str(tmp_path))
    log = tmp_path / "a.log"
    with redirect_stderr(terminal), click.Context(click.Command("x")):
        output.start_log(log)
        logging.getLogger("pycaffe_lite.net").info("nothing to tell")
        for name in ("a", "b"):
            _cache._announce_compilation(name, tmp_path / "build" / name)
    (line,) = terminal.lines
    assert line.startswith("compiling kernels")
    assert str(tmp_path) in line
    assert log.read_text().count("] compiling kernels") == 1


# -------------------------------------------------------------------------------- a real pseudo-terminal


# Makes its stdin the terminal that sends it Ctrl-C, and becomes the program.
TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Screen:
    """A process on a pseudo-terminal of 80 columns."""

    def __init__(self, command, environment):
        self.text = ""
        self.terminal, end = os.openpty()
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-c", TAKE_TERMINAL, *command],
            stdin=end,
            stdout=end,
            stderr=end,
            start_new_session=True,
            env={**environment, "TERM": "xterm"},
        )
        os.close(end)

    def read(self, until=None, seconds=100.0):
        """Reads until a pattern has come, or to the end."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if until and re.search(until, self.text):
                return
            if not select.select([self.terminal], [], [], 0.1)[0]:
                continue
            try:
                data = os.read(self.terminal, 65536)
            except OSError:  # the process has ended
                data = b""
            if not data:
                if until:
                    raise AssertionError(f"{until} has not come: {self.text[-1000:]}")
                return
            self.text += ESCAPES.sub("", data.decode())
        raise AssertionError(f"{until or 'the end'} has not come: {self.text[-1000:]}")

    def press(self, key):
        os.write(self.terminal, key)

    def close(self):
        os.close(self.terminal)
        self.process.kill()
        self.process.wait()


@pytest.fixture
def screen_of(program, environment):
    """screen_of(*arguments): the command on a pseudo-terminal."""
    screens = []

    def start(*arguments):
        screens.append(Screen([*program, *arguments], environment))
        return screens[-1]

    yield start
    for screen in screens:
        screen.close()


def test_a_run_on_a_terminal(folder, edit, screen_of):
    edit("solver.prototxt", "max_iter: 4", "max_iter: 1000000", "test_interval: 2", "test_interval: 500000")
    screen = screen_of("train", "solver.prototxt")
    screen.read(until=r"loss \S+  lr 0.0001  \d+ images/s \S+ left")
    screen.press(b"\x03")
    screen.read()
    assert screen.process.wait(30) == 0
    assert re.search(r"iteration 0, test:  accuracy = \S+  loss = \S+\r\n", screen.text)
    saved = re.search(r"iteration (\d+), saved small_iter_(\d+)\.solverstate *\r\n", screen.text)
    assert saved[1] == saved[2]
    assert re.search(rf"images/s \S+ left\s+Stopped after iteration {saved[1]}\.\r\n", screen.text)
    assert not LOG_LINE.search(screen.text)
    assert "Creating Layer" not in screen.text
    assert "Traceback" not in screen.text


def test_ctrl_c_before_training_begins(folder, edit, screen_of):
    module = """layer { name: "wait" type: "Python" bottom: "data" top: "wait"
                    python_param { module: "waiting_layer" layer: "Waiting" } }"""
    Path("waiting_layer.py").write_text(
        "import time\nimport pycaffe_lite\nclass Waiting(pycaffe_lite.Layer):\n"
        "    def setup(self, bottom, top):\n        print('waiting', flush=True)\n        time.sleep(100)\n"
    )
    Path("net.prototxt").write_text(Path("net.prototxt").read_text() + module)
    screen = screen_of("time", "net.prototxt")
    screen.read(until="waiting")
    screen.press(b"\x03")
    screen.read()
    assert screen.process.wait(30) == 130
    assert screen.text.endswith("Interrupted.\r\n")
    assert "Traceback" not in screen.text
