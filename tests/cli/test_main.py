"""The command line as such: spellings, help, exit statuses."""

import errno
import subprocess
import sys

import pytest

from pycaffe_lite import __version__
from pycaffe_lite.cli import main
from pycaffe_lite.cli import test as testing

COMMANDS = list(main.commands)
NO_SUCH_COMMAND = "Error: No such command '{}'. {}Commands: " + f"{', '.join(COMMANDS)}."
MISSING_COMMAND = f"Error: Missing command. Commands: {', '.join(COMMANDS)}."


# ---------------------------------------------------------------------------------------- spellings


@pytest.mark.parametrize(
    "arguments",
    [
        "train solver.prototxt",
        "train -solver solver.prototxt",
        "train -solver=solver.prototxt",
        "train --solver solver.prototxt",
        "train --solver=solver.prototxt",
        "-solver solver.prototxt train",
        "--solver=solver.prototxt train",
        "-gpu 0 train -solver solver.prototxt",
        "-gpu= train -solver solver.prototxt",
        "train -sigint_effect stop solver.prototxt",
        "train --sigint-effect=stop solver.prototxt",
        "-sighup-effect snapshot train solver.prototxt",
        "train -snapshot= -weights= solver.prototxt",
        "train -- solver.prototxt",
    ],
)
def test_every_spelling_trains(folder, run, arguments):
    result = run(*arguments.split(), level=2)
    assert (result.code, result.err) == (0, [])
    assert [line.partition(" = ")[0] for line in result.out] == ["accuracy", "loss"]
    assert (folder / "small_iter_4.caffemodel").exists()


@pytest.mark.parametrize("arguments", ["device_query", "device-query", "-gpu 0 device_query"])
def test_words_of_a_command_are_joined_by_either_sign(run, arguments):
    result = run(*arguments.split(), level=2)
    assert result.code == 0
    assert result.out[0].startswith("Processor: ")


@pytest.mark.parametrize("command", COMMANDS)
def test_there_are_no_one_letter_options(command):
    spellings = [name for option in main.commands[command].params for name in option.opts]
    assert not [name for name in spellings if name.startswith("-") and not name.startswith("--")]


# ----------------------------------------------------------------------------------- help, version


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-help"], ["-h"]])
def test_help(run, arguments):
    result = run(*arguments)
    assert (result.code, result.err) == (0, [])
    assert result.out[0] == "Usage: pycaffe-lite [OPTIONS] COMMAND [ARGS]..."
    begin = result.out.index("Commands:") + 1
    assert [line.split()[0] for line in result.out[begin : begin + len(COMMANDS)]] == COMMANDS
    assert not any(line.endswith("...") for line in result.out[1:])


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["--help", "-help", "-h"])
def test_help_of_each_command(run, command, option):
    result = run(command, option)
    assert (result.code, result.err) == (0, [])
    assert result.out[0].startswith(f"Usage: pycaffe-lite {command}")


@pytest.mark.parametrize("spelling", ["--version", "-version"])
def test_version(run, spelling):
    assert run(spelling) == (0, [f"pycaffe-lite, version {__version__}"], [])


@pytest.mark.parametrize("module", [False, True])
def test_the_checkouts_launcher_and_the_module(program, environment, tmp_path, module):
    program = [sys.executable, "-m", "pycaffe_lite"] if module else program
    done = subprocess.run(
        [*program, "-version"], capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"pycaffe-lite, version {__version__}\n", "")


# ------------------------------------------------------------------------------------------ misuse


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("trian", NO_SUCH_COMMAND.format("trian", "Did you mean 'train'? ")),
        ("device_qurey", NO_SUCH_COMMAND.format("device-qurey", "Did you mean 'device-query'? ")),
        ("serve", NO_SUCH_COMMAND.format("serve", "")),
        ("-gpu 0", MISSING_COMMAND),
        ("train", "Error: Missing the solver's prototxt: give it as the argument or as --solver."),
        ("train -solver=", "Error: Missing the solver's prototxt: give it as the argument or as --solver."),
        ("train a b", "Error: Got unexpected extra argument (b)"),
        ("train a -solver b", "Error: Two solver files are given, 'a' and 'b': give one."),
        ("train -solver", "Error: Option '--solver' requires an argument."),
        ("train -solver -gpu 0", "Error: Option '--solver' requires an argument."),
        (
            "train a -weights b -snapshot c",
            "Error: Give --snapshot to resume or --weights to fine-tune, not both.",
        ),
        (
            "train a -sigint_effect quit",
            "Error: Invalid value for '--sigint-effect': 'quit' is not one of 'stop', 'snapshot', 'none'.",
        ),
        (
            "train a -sighup_effect quit",
            "Error: Invalid value for '--sighup-effect': 'quit' is not one of 'stop', 'snapshot', 'none'.",
        ),
        (
            "train a --on-nan go",
            "Error: Invalid value for '--on-nan': 'go' is not one of 'stop', 'warn', 'ignore'.",
        ),
        ("train a --threads 0", "Error: Invalid value for '--threads': 0 is not in the range 1<=x<=1024."),
        (
            "train a --threads 5000",
            "Error: Invalid value for '--threads': 5000 is not in the range 1<=x<=1024.",
        ),
        ("train a -level x", "Error: Invalid value for '--level': 'x' is not a valid integer."),
        ("test a", "Error: Missing the weights to test: give them as --weights."),
        ("test -weights a", "Error: Missing the model's prototxt: give it as the argument or as --model."),
        (
            "test a -weights b -iterations 0",
            "Error: Invalid value for '--iterations': 0 is not in the range x>=1.",
        ),
        (
            "test a -weights b -iterations -5",
            "Error: Invalid value for '--iterations': -5 is not in the range x>=1.",
        ),
        (
            "test a -weights b -iterations=many",
            "Error: Invalid value for '--iterations': 'many' is not a valid integer range.",
        ),
        ("time", "Error: Missing the model's prototxt: give it as the argument or as --model."),
        ("dataset imagenet", "Error: No such command 'imagenet'. Commands: mnist, cifar10."),
        ("upgrade_net_proto_text", "Error: Missing argument 'IN'."),
        ("draw_net.py a", NO_SUCH_COMMAND.format("draw-net.py", "Did you mean 'draw NET PICTURE'? ")),
        ("help", NO_SUCH_COMMAND.format("help", "Did you mean '--help'? ")),
        ("plot a", "Error: Missing argument 'LOG|FOLDER...'."),
    ],
)
def test_misuse(misused, arguments, line):
    assert misused(*arguments.split()) == line


# Versions of click write these differently.
def test_a_phase_that_there_is_not(misused):
    line = misused("time", "a", "-phase", "VAL")
    assert line.upper() == "ERROR: INVALID VALUE FOR '--PHASE': 'VAL' IS NOT ONE OF 'TRAIN', 'TEST'."


@pytest.mark.parametrize("arguments", ["-s solver.prototxt", "train -s solver.prototxt"])
def test_one_letter_options_are_refused(misused, arguments):
    line = misused(*arguments.split())
    assert line.replace(":", "").replace("'", "").rstrip(".") == "Error No such option -s"


def test_a_slip_in_an_option_is_answered_by_what_is_meant(misused):
    line = misused("train", "-solvr", "a")
    assert line.replace(":", "").replace("'", "").startswith("Error No such option --solvr")
    assert "--solver" in line.partition("--solvr")[2]


# ------------------------------------------------------- errors that no check of ours has foreseen


def raising(error):
    def load_net(*args):
        raise error

    return load_net


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            MemoryError("Unable to allocate 7 GiB for an array with shape (2000000000,)"),
            "Error: not enough memory: Unable to allocate 7 GiB for an array with shape (2000000000,); "
            "a smaller batch_size needs less",
        ),
        (MemoryError(), "Error: not enough memory; a smaller batch_size needs less"),
        (OSError(errno.EIO, "Input/output error", "some/file"), "Error: Input/output error: 'some/file'"),
        (OSError(errno.ENOSPC, "No space left on device"), "Error: No space left on device"),
    ],
)
def test_the_systems_errors_are_one_line(fails, monkeypatch, error, line):
    monkeypatch.setattr(testing, "load_net", raising(error))
    assert fails("test", "a", "-weights", "b") == line


def test_an_error_that_nobody_has_foreseen(run, monkeypatch):
    monkeypatch.setattr(testing, "load_net", raising(KeyError("a\x1b\nb")))
    result = run("test", "a", "-weights", "b", level=2)
    assert (result.code, result.out) == (1, [])
    assert result.err[0] == "Traceback (most recent call last):"
    assert result.err[-2:] == [r"KeyError: 'a\x1b\nb'", r"Error: KeyError: 'a\x1b\nb'"]


def test_ctrl_c_anywhere(run, monkeypatch):
    monkeypatch.setattr(testing, "load_net", raising(KeyboardInterrupt()))
    result = run("test", "a", "-weights", "b", level=2)
    assert (result.code, result.out, result.err) == (130, [], ["Interrupted."])


def test_results_that_nobody_reads_end_the_command(program, environment):
    with subprocess.Popen(
        [*program, "layers"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=120) == 1


def test_a_log_that_nobody_reads_ends_the_command(program, environment, folder):
    with subprocess.Popen(
        [*program, "train", "-solver", "solver.prototxt"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    ) as process:
        process.stderr.readline()
        process.stderr.close()
        assert process.wait(timeout=120) == 1
    assert not (folder / "small_iter_4.caffemodel").exists()
