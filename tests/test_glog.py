"""The log: glog's line format, where it goes, and what happens where it cannot be written."""

import io
import logging
import os
import re
import subprocess
import sys
import threading

import pytest

from pycaffe_lite import PycaffeError, get_solver, glog, init_log, log, set_device
from pycaffe_lite.printable import Lines

LINE = re.compile(r"([IWEF])(\d{4}) (\d\d):(\d\d):(\d\d)\.(\d{6}) +(\d+) (\w+\.py):(\d+)\] (.*)")


@pytest.fixture(autouse=True)
def new_process(monkeypatch):
    """The log as it is at the start, before the test and after it."""
    handlers, level = list(glog.LOGGER.handlers), glog.LOGGER.level
    glog.LOGGER.handlers.clear()
    monkeypatch.setattr(glog, "_destination", glog._Destination())
    yield
    glog.LOGGER.handlers[:] = handlers
    glog.LOGGER.setLevel(level)


def record(message="message", level=logging.INFO, created=None):
    made = logging.LogRecord("pycaffe_lite.x", level, "/some/where.py", 12, message, None, None)
    if created is not None:
        made.created = created
    return made


def test_a_line():
    created = 1_000_000_000.25
    line = glog.GlogFormatter().format(record("loss = 1", created=created))
    severity, day, *clock, micros, thread, file, number, message = LINE.fullmatch(line).groups()
    stamp = logging.Formatter().formatTime(record(created=created), "%m%d %H %M %S").split()
    assert (severity, day, clock) == ("I", stamp[0], stamp[1:])
    assert micros == "250000"
    assert thread == str(threading.get_native_id())
    assert (file, number, message) == ("where.py", "12", "loss = 1")


def test_threads_are_five_wide(monkeypatch):
    monkeypatch.setattr(threading, "get_native_id", lambda: 42)
    assert "    42 where.py:12] message" in glog.GlogFormatter().format(record())


@pytest.mark.parametrize(
    ("level", "letter"),
    [
        (logging.DEBUG, "I"),
        (logging.INFO, "I"),
        (logging.WARNING, "W"),
        (logging.ERROR, "E"),
        (logging.CRITICAL, "F"),
    ],
)
def test_severities(level, letter):
    assert glog.GlogFormatter().format(record(level=level))[0] == letter


def test_a_message_of_several_lines_ends_without_an_empty_one():
    assert glog.GlogFormatter().format(record("a\nb\n")).endswith("] a\nb")


def test_init_log(capsys):
    init_log()
    init_log()
    log("hello")
    glog.LOGGER.debug("no")
    (line,) = capsys.readouterr().err.splitlines()
    match = LINE.fullmatch(line)
    assert (match[1], match[8], match[10]) == ("I", "test_glog.py", "hello")


@pytest.mark.parametrize(("level", "shown"), [(0, "IWE"), (1, "WE"), (2, "E"), (3, ""), (9, ""), (-1, "IWE")])
def test_levels_of_init_log(capsys, level, shown):
    init_log(0)
    init_log(level)
    for write in (glog.LOGGER.info, glog.LOGGER.warning, glog.LOGGER.error):
        write("x")
    assert "".join(line[0] for line in capsys.readouterr().err.splitlines()) == shown


def test_init_log_elsewhere_than_stderr(capsys):
    init_log(0, False)
    log("hello")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("value", "level"),
    [
        (None, logging.INFO),
        ("0", logging.INFO),
        ("1", logging.WARNING),
        ("2", logging.ERROR),
        ("3", logging.CRITICAL),
        ("7", logging.CRITICAL),
        ("x", logging.INFO),
        ("²", logging.INFO),
    ],
)
def test_minimum_level(monkeypatch, value, level):
    if value is None:
        monkeypatch.delenv("GLOG_minloglevel", raising=False)
    else:
        monkeypatch.setenv("GLOG_minloglevel", value)
    assert glog.minimum_level() == level


def test_the_logger_makes_only_records_that_somebody_sees(tmp_path):
    glog.attach(glog.StderrHandler(logging.ERROR))
    assert not glog.LOGGER.isEnabledFor(logging.WARNING)
    file = glog.LogFile(tmp_path / "a.log")
    glog.attach(file)
    assert glog.LOGGER.isEnabledFor(logging.INFO)
    glog.detach(file)
    assert not glog.LOGGER.isEnabledFor(logging.WARNING)


def test_log_file(tmp_path):
    path = tmp_path / "a.log"
    for text, append in (("one", False), ("two", True), ("three", False)):
        file = glog.LogFile(path, append=append)
        glog.attach(file)
        glog.LOGGER.info("%s", text)
        glog.LOGGER.debug("no")
        glog.detach(file)
        if text == "two":
            assert [line.rpartition("] ")[2] for line in path.read_text().splitlines()] == ["one", "two"]
    assert [line.rpartition("] ")[2] for line in path.read_text().splitlines()] == ["three"]


def test_log_file_takes_names_that_are_no_utf_8(tmp_path):
    file = glog.LogFile(tmp_path / "a.log")
    glog.attach(file)
    glog.LOGGER.info("reading %s", b"caf\xe9.prototxt".decode(errors="surrogateescape"))
    glog.detach(file)
    assert (tmp_path / "a.log").read_text().endswith("] reading caf\\xe9.prototxt\n")


def test_log_file_that_cannot_be_made(tmp_path):
    with pytest.raises(PycaffeError) as error:
        glog.LogFile(tmp_path / "logs" / "a.log")
    path = tmp_path / "logs" / "a.log"
    assert str(error.value) == f"cannot write the log to '{path}': No such file or directory"


class FailingStream(io.StringIO):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def write(self, text):
        raise self.error


def test_a_pipe_that_nobody_reads_ends_the_program(monkeypatch):
    monkeypatch.setattr(sys, "stderr", FailingStream(BrokenPipeError()))
    glog.attach(glog.StderrHandler())
    with pytest.raises(BrokenPipeError):
        glog.LOGGER.info("x")


def test_a_terminal_that_has_gone_ends_nothing(monkeypatch):
    monkeypatch.setattr(sys, "stderr", FailingStream(OSError(5, "Input/output error")))
    glog.attach(glog.StderrHandler())
    glog.LOGGER.info("x")


def test_a_full_disk_is_said_once(tmp_path, capsys):
    glog.attach(glog.StderrHandler())
    file = glog.LogFile(tmp_path / "a.log")
    glog.attach(file)
    file.stream.close()
    file.stream = FailingStream(OSError(28, "No space left on device"))
    glog.LOGGER.info("one")
    glog.LOGGER.info("two")
    said = [line.rpartition("] ")[2] for line in capsys.readouterr().err.splitlines()]
    assert said == ["one", f"cannot write the log to '{tmp_path / 'a.log'}': No space left on device", "two"]


@pytest.mark.parametrize("make", [glog.StderrHandler, lambda: glog.LogFile("a.log")])
def test_a_mistake_in_a_message_is_shown(tmp_path, monkeypatch, capsys, make):
    monkeypatch.chdir(tmp_path)
    handler = make()
    mistaken = record("%d")
    mistaken.args = ("no number",)
    handler.handle(mistaken)
    handler.close()
    assert "TypeError" in capsys.readouterr().err


# ------------------------------------------------------------------------------- names from files


HOSTILE = "a\033[2J\nE1121 Traceback \u202e"
SHOWN = r"a\x1b[2J\nE1121 Traceback \u202e"


def test_names_are_printable(tmp_path, caplog):
    """Also for the handlers that the program has on the root logger, as pytest's own is."""
    caplog.set_level(logging.INFO)
    file = glog.LogFile(tmp_path / "a.log")
    glog.attach(file)
    logger = logging.getLogger("pycaffe_lite.net.some")
    logger.info("layer %s: %d of %g, %s", HOSTILE, 3, 0.5, [HOSTILE])
    logger.info("%(name)s", {"name": HOSTILE})
    logger.info("x" * 3000)
    glog.detach(file)
    expected = [f"layer {SHOWN}: 3 of 0.5, {[HOSTILE]}", SHOWN]
    assert caplog.messages[:2] == expected
    lines = (tmp_path / "a.log").read_text().splitlines()
    assert [line.partition("] ")[2] for line in lines[:2]] == expected
    assert len(lines) == 3
    assert len(lines[2]) < 600


def test_texts_of_several_lines_stay_so(tmp_path):
    file = glog.LogFile(tmp_path / "a.log")
    glog.attach(file)
    glog.LOGGER.info("net %s:\n%s", HOSTILE, Lines(f"name: 1\n{chr(27)}[2J\n"))
    glog.detach(file)
    assert (tmp_path / "a.log").read_text().partition("] ")[2] == f"net {SHOWN}:\nname: 1\n\\x1b[2J\n"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_log_file_that_is_a_pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(PycaffeError) as error:
        glog.LogFile(path)
    assert str(error.value) == f"cannot write the log to '{path}': nobody reads this pipe"
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    file = glog.LogFile(path)
    glog.attach(file)
    glog.LOGGER.info("hello")
    glog.detach(file)
    assert os.read(reader, 1000).endswith(b"] hello\n")
    os.close(reader)


# ---------------------------------------------------------------------------- unasked, from Python

NET = """
layer { name: "d" type: "DummyData" top: "x" top: "t" dummy_data_param { shape { dim: 4 dim: 3 } } }
layer { name: "l" type: "EuclideanLoss" bottom: "x" bottom: "t" top: "loss" }
"""
SOLVER = (
    'net: "n.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 2 display: 1 snapshot_after_train: false'
)


@pytest.fixture
def program(tmp_path, monkeypatch, capsys):
    """program(set_up, between): what a program writes to stderr that trains a net.

    It sets up logging first, and does more between making the solver and training. Each line is severity and
    message.
    """
    monkeypatch.delenv("GLOG_minloglevel", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "n.prototxt").write_text(NET)
    (tmp_path / "s.prototxt").write_text(SOLVER)

    def run(set_up=lambda: None, between=lambda: None):
        monkeypatch.setattr(logging.getLogger(), "handlers", [])  # without pytest's
        set_up()
        solver = get_solver("s.prototxt")
        between()
        solver.step(1)
        lines = capsys.readouterr().err.splitlines()
        return [f"{match[1]} {match[10]}" for line in lines if (match := LINE.fullmatch(line))]

    yield run
    logging.disable(logging.NOTSET)


def test_the_log_goes_to_stderr_unasked(program):
    lines = program()
    assert "I Creating Layer l" in lines
    assert lines[-1] == "I Iteration 0, lr = 0.01"
    assert len(program()) == len(lines)  # not twice


def test_minimum_level_holds_unasked(program, monkeypatch):
    monkeypatch.setenv("GLOG_minloglevel", "2")
    assert program() == []


@pytest.mark.parametrize(
    "set_up",
    [
        lambda: logging.getLogger().addHandler(logging.NullHandler()),
        lambda: logging.getLogger("pycaffe_lite").addHandler(logging.NullHandler()),
        lambda: logging.getLogger("pycaffe_lite").setLevel(logging.WARNING),
        lambda: logging.getLogger("pycaffe_lite").setLevel(logging.CRITICAL),
        lambda: logging.disable(logging.WARNING),
        lambda: init_log(2),
        lambda: init_log(0, False),
    ],
)
def test_a_program_that_has_set_up_logging_gets_what_it_says(program, set_up):
    assert program(set_up) == []


def test_a_program_that_sets_up_logging_later(program):
    stream = io.StringIO()

    def set_up():
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        logging.getLogger().addHandler(handler)

    lines = program(between=set_up)
    assert lines[-1] == "I Solver scaffolding done."
    assert glog.LOGGER.level == logging.NOTSET
    assert stream.getvalue() == ""  # the root logger's level is WARNING
    logging.getLogger("pycaffe_lite.net").warning("look: %s", HOSTILE)
    assert stream.getvalue() == f"WARNING look: {SHOWN}\n"


def test_a_level_that_the_program_gives_holds(program):
    lines = program(
        lambda: logging.getLogger("pycaffe_lite").setLevel(logging.WARNING), lambda: set_device(0)
    )
    assert lines == ["W There is no GPU support: set_device(0) is ignored"]


def test_what_a_program_logs_keeps_its_lines(capsys):
    init_log()
    log("one\ntwo \033[2J")
    assert capsys.readouterr().err.partition("] ")[2] == "one\ntwo \\x1b[2J\n"


def test_importing_says_nothing():
    done = subprocess.run([sys.executable, "-c", "import pycaffe_lite"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
