"""How Caffe's command lines are read and errors told, shown by commands of this file alone."""

import click
import pytest
from click.testing import CliRunner

from pycaffe_lite.cli.command import INTERRUPTED, CaffeCommand, CaffeGroup
from pycaffe_lite.errors import DataError, blame

FAILURES = {}


@click.group("tool", cls=CaffeGroup, same={"make-it-text": "make-it"}, meant={"build": "make-it FILE"})
def tool():
    """A group."""


@tool.command("make-it")
@click.option("--sigint-effect", default="stop")
@click.option("--gray/--nogray", default=False)
@click.option("--strict", is_flag=True)
@click.argument("files", nargs=-1)
def make_it(sigint_effect, gray, strict, files):
    if files and files[0] in FAILURES:
        raise FAILURES[files[0]]
    print(sigint_effect, gray, strict, *files)


@tool.command("other")
def other():
    """Does nothing."""


def run(line):
    result = CliRunner().invoke(tool, line.split(), prog_name="tool")
    return result.exit_code, result.output.strip()


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("make-it", "stop False False"),
        ("make_it a b.txt", "stop False False a b.txt"),
        ("make-it -sigint_effect snapshot a", "snapshot False False a"),
        ("make-it --sigint-effect=none", "none False False"),
        ("make-it -sigint_effect=a=b", "a=b False False"),
        ("-sigint_effect none make-it a", "none False False a"),  # gflags takes options before the command
        ("make-it -gray", "stop True False"),
        ("make-it --gray=1 -strict", "stop True True"),
        ("make-it -gray=False", "stop False False"),
        ("make-it -gray -nogray", "stop False False"),
        ("make-it --strict -- -gray", "stop False True -gray"),
        ("make_it_text a", "stop False False a"),
        ("-gray make_it_text a", "stop True False a"),
        ("make-it -logtostderr=1 a", "stop False False a"),
        ("-alsologtostderr make-it --nologtostderr a -- --logtostderr", "stop False False a --logtostderr"),
    ],
)
def test_spellings(line, seen):
    assert run(line) == (0, seen)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("makeit", "No such command 'makeit'. Did you mean 'make-it'? Commands: make-it, other."),
        ("build.bin", "No such command 'build.bin'. Did you mean 'make-it FILE'? Commands: make-it, other."),
        ("other.py", "No such command 'other.py'. Did you mean 'other'? Commands: make-it, other."),
        (
            "make-it -minloglevel 2",
            "No such option '--minloglevel': set the environment variable GLOG_minloglevel.",
        ),
        ("xyz", "No such command 'xyz'. Commands: make-it, other."),
        ("-gray", "Missing command. Commands: make-it, other."),
        ("make-it --sigint_effect --gray", "Option '--sigint_effect' requires an argument."),
        ("make-it -s x", "No such option"),
        ("make-it --gray=perhaps", "does not take a value"),
    ],
)
def test_misuse(line, says):
    code, output = run(line)
    assert code == 2
    assert says in output.splitlines()[-1]


@pytest.mark.parametrize("line", ["", "-help", "--help", "-h"])
def test_help(line):
    code, output = run(line)
    assert code == 0
    assert output.index("make-it") < output.index("other")


def blamed_error():
    error = KeyError("k")
    blame(error, "layer 'l' (Python): Mine.forward")
    return error


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (DataError("no such thing\x1b"), r"Error: no such thing\x1b"),
        (MemoryError("3 GiB"), "Error: not enough memory: 3 GiB; a smaller batch_size needs less"),
        (MemoryError(), "Error: not enough memory; a smaller batch_size needs less"),
        (OSError(28, "No space left on device", "a\nb"), r"Error: No space left on device: 'a\nb'"),
        (OSError(5, "Input/output error"), "Error: Input/output error"),
        (blamed_error(), "Error: layer 'l' (Python): Mine.forward raised KeyError: 'k'"),
        (click.ClickException("said by click"), "Error: said by click"),
    ],
)
def test_what_goes_wrong_is_one_line(monkeypatch, error, says):
    monkeypatch.setitem(FAILURES, "fail", error)
    assert run("make-it fail") == (1, says)


def test_an_error_that_nobody_has_foreseen_is_traced_first(monkeypatch):
    monkeypatch.setitem(FAILURES, "fail", ZeroDivisionError("division by zero"))
    code, output = run("make-it fail")
    lines = output.splitlines()
    assert code == 1
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "Error: ZeroDivisionError: division by zero"


def test_ctrl_c(monkeypatch):
    monkeypatch.setitem(FAILURES, "fail", KeyboardInterrupt())
    assert run("make-it fail") == (INTERRUPTED, "Interrupted.")
    assert isinstance(make_it, CaffeCommand)
