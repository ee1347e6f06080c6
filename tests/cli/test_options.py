import click
import pytest
from click.testing import CliRunner

from pycaffe_lite import get_num_threads, set_num_threads
from pycaffe_lite.cli.options import (
    backend_option,
    gpu_option,
    iterations_option,
    max_pixels_option,
    net_state_options,
    one_of,
    phase_option,
    split_names,
    strict_option,
    threads_option,
)
from pycaffe_lite.data import image


def values_of(option, *arguments):
    """What a command with this option alone is called with."""
    seen = {}
    command = click.command()(option(lambda **given: seen.update(given)))
    result = CliRunner().invoke(command, arguments)
    if result.exit_code:
        raise click.UsageError(result.output)
    return seen


@pytest.mark.parametrize(
    ("option", "arguments", "values"),
    [
        (gpu_option, [], {"gpu": ""}),
        (gpu_option, ["--gpu", "all"], {"gpu": "all"}),
        (iterations_option("what"), [], {"iterations": 50}),
        (phase_option, [], {"phase": "TRAIN"}),
        (phase_option, ["--phase", "test"], {"phase": "TEST"}),
        (net_state_options, [], {"level": 0, "stage": ""}),
        (net_state_options, ["--level", "-2", "--stage", "a,b"], {"level": -2, "stage": "a,b"}),
        (strict_option, ["--strict"], {"strict": True}),
        (backend_option("lmdb"), [], {"backend": "lmdb"}),
        (backend_option(None), [], {"backend": None}),
        (backend_option(None), ["--backend", "LevelDB"], {"backend": "leveldb"}),
    ],
)
def test_values(option, arguments, values):
    assert values_of(option, *arguments) == values


@pytest.mark.parametrize(
    ("option", "arguments"),
    [
        (iterations_option("what"), ["--iterations", "0"]),
        (phase_option, ["--phase", "RUN"]),
        (threads_option, ["--threads", "0"]),
        (max_pixels_option, ["--max-pixels", "0"]),
        (backend_option("lmdb"), ["--backend", "rocksdb"]),
    ],
)
def test_values_that_cannot_be(option, arguments):
    with pytest.raises(click.UsageError, match=f"Invalid value for '{arguments[0]}'"):
        values_of(option, *arguments)


def test_threads_are_set_and_not_passed_on():
    before = get_num_threads()
    try:
        assert values_of(threads_option, "--threads", "3") == {}
        assert get_num_threads() == 3
        assert values_of(threads_option) == {}
        assert get_num_threads() == 3
    finally:
        set_num_threads(before)


def test_the_limit_of_pixels_is_set(monkeypatch):
    set_to = []
    monkeypatch.setattr(image, "set_max_pixels", set_to.append)
    assert values_of(max_pixels_option, "--max-pixels", "100") == {}
    assert values_of(max_pixels_option) == {}
    assert set_to == [100]


def test_names_are_split_as_caffe_does():
    assert split_names("a, b ,c") == ["a", "b", "c"]
    assert split_names("") == [""]


def test_a_file_is_named_once():
    assert one_of("a", None, "net") == one_of("", "a", "net") == "a"
    with pytest.raises(click.UsageError, match="Two net files are given, 'b' and 'a': give one"):
        one_of("a", "b", "net")
    with pytest.raises(click.UsageError, match=r"Missing the net's prototxt: .* or as --net"):
        one_of(None, "", "net")
