"""What commands write; how it looks on a terminal is in test_terminal.py."""

import logging

import click
import pytest

from pycaffe_lite import glog
from pycaffe_lite.cli import output
from pycaffe_lite.cli.output import Column, echo, echo_bars, echo_table, progress_bar, say_mode, start_log

HOSTILE = "a\x1b[2J\nb"


@pytest.mark.parametrize("err", [False, True])
def test_a_line_is_printable(capsys, err):
    echo(HOSTILE, err=err)
    written = capsys.readouterr()
    assert (written.err if err else written.out) == "a\\x1b[2J\\nb\n"
    assert not (written.out if err else written.err)


def test_a_table_in_a_file_is_as_wide_as_it_needs(capsys):
    columns = [Column("layer", "all"), Column("ms", "3.5", is_number=True)]
    echo_table("A title", columns, [(HOSTILE, "1"), ("x" * 100, "2.5")])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0] == "A title"
    assert lines[1].split() == ["layer", "ms"]
    assert [line.split() for line in lines[3:]] == [
        ["a\\x1b[2J\\nb", "1"],
        ["x" * 100, "2.5"],
        ["all", "3.5"],
    ]
    assert len({len(line) for line in lines[3:]}) == 1  # numbers end in one column


def test_bars(capsys):
    echo_bars([("a", 8), ("longer", 4), ("none", 0)])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [["a", "8"], ["longer", "4"], ["none", "0"]]
    lengths = [line.count("█") for line in lines]
    assert lengths[0] // 2 == lengths[1] > 20
    assert lengths[2] == 0
    assert max(map(len, lines)) <= 80


def test_the_log_goes_on_as_long_as_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("GLOG_minloglevel", "0")
    log = logging.getLogger("pycaffe_lite.cli.output")
    with click.Context(click.Command("x")):
        start_log(tmp_path / "a.log")
        log.info("seen")
        log.error("told otherwise", extra=output.FOR_FILES_ONLY)
    log.info("later")
    assert [line.partition("] ")[2] for line in capsys.readouterr().err.splitlines()] == ["seen"]
    kept = (tmp_path / "a.log").read_text()
    assert "] seen\n" in kept
    assert "] told otherwise\n" in kept
    assert "later" not in kept
    assert not glog.has_destination()


@pytest.mark.parametrize(
    ("gpu", "said"),
    [("", ["Use CPU."]), ("0,1", ["There is no GPU support: -gpu 0,1 is ignored", "Use CPU."])],
)
def test_the_mode(caplog, gpu, said):
    caplog.set_level(logging.INFO)
    say_mode(gpu)
    assert caplog.messages == said


def test_no_bar_where_nobody_watches(capsys):
    with progress_bar("counting", 3, "images") as advance:
        advance()
        advance(2)
    assert capsys.readouterr() == ("", "")


def test_results_go_to_stdout_unless_the_log_goes_there(monkeypatch, tmp_path):
    paths = [tmp_path / name for name in ("both", "other", "both")]
    with open(paths[0], "a") as both, open(paths[1], "a") as other, open(paths[2], "a") as same:
        monkeypatch.setattr("sys.stderr", both)
        monkeypatch.setattr("sys.stdout", same)
        with click.Context(click.Command("x")):
            monkeypatch.setenv("GLOG_minloglevel", "0")
            output.start_log()
            assert not output.results_wanted()
            monkeypatch.setattr("sys.stdout", other)
            assert output.results_wanted()
        monkeypatch.setattr("sys.stdout", same)
        with click.Context(click.Command("x")):
            monkeypatch.setenv("GLOG_minloglevel", "1")
            output.start_log()
            assert output.results_wanted()


def test_without_stderr(monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    assert not output.interactive()
