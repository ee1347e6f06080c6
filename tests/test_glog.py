"""The log: glog's line format, where it goes, and what happens where it cannot be written."""

import io
import logging
import re
import sys
import threading

import pytest

from pycaffe_lite import PycaffeError, glog, init_log, log

LINE = re.compile(r"([IWEF])(\d{4}) (\d\d):(\d\d):(\d\d)\.(\d{6}) +(\d+) (\w+\.py):(\d+)\] (.*)")


@pytest.fixture(autouse=True)
def no_handlers():
    """No handler of another test, and none for the next."""
    yield
    for handler in list(glog.LOGGER.handlers):
        glog.detach(handler)


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
