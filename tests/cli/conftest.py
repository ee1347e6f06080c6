"""A folder with a small net and everything to train it, and the command run in it, in this process."""

import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from pycaffe_lite import get_num_threads, set_num_threads
from pycaffe_lite.cli import main
from pycaffe_lite.data.lmdb_writer import write_lmdb
from pycaffe_lite.proto import caffe_pb2

NET = """
name: "small"
layer {
  name: "data" type: "Data" top: "data" top: "label"
  data_param { source: "db" batch_size: 4 backend: LMDB }
}
layer {
  name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 4 weight_filler { type: "xavier" } }
}
layer {
  name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy"
  include { phase: TEST }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
SOLVER = """
net: "net.prototxt"
base_lr: 0.0001
lr_policy: "fixed"
random_seed: 1
max_iter: 4
display: 2
test_iter: 2
test_interval: 2
snapshot_prefix: "small"
"""


def messages_of(lines):
    """The messages of a log, without glog's prefix.

    Without those of the reading threads too, which come at any moment.
    """
    messages = [line.partition("] ")[2] for line in lines if re.match(r"[IWEF]\d{4} ", line)]
    return [message for message in messages if message != "Restarting data prefetching from start."]


class Result(NamedTuple):
    """What a command left: its exit status and the lines that it wrote."""

    code: int
    out: list[str]
    err: list[str]

    @property
    def messages(self):
        """The log's messages; see `messages_of`."""
        return messages_of(self.err)


def write_images(path, count=12, size=6, labels=4):
    """A database of images of random bytes, its labels 0, 1, ..."""
    random = np.random.default_rng(1)
    datums = [
        caffe_pb2.Datum(channels=1, height=size, width=size, data=random.bytes(size * size), label=i % labels)
        for i in range(count)
    ]
    write_lmdb(Path(path), [(f"{i:08}".encode(), d.SerializeToString()) for i, d in enumerate(datums)])


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "db"
    write_images(path)
    return path


@pytest.fixture
def folder(images, tmp_path, monkeypatch):
    """A working directory with a database `db`, net.prototxt and solver.prototxt."""
    (tmp_path / "db").symlink_to(images)
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def edit(folder):
    """edit(file, old, new): replaces text in one of the folder's files."""

    def edit_file(file, *replacements):
        text = Path(file).read_text()
        for old, new in zip(replacements[::2], replacements[1::2], strict=True):
            assert old in text
            text = text.replace(old, new)
        Path(file).write_text(text)

    return edit_file


@pytest.fixture
def run(capsys, monkeypatch):
    """run(*arguments): what the command answers; its log is left out below `level` (2: errors)."""
    monkeypatch.delenv("GLOG_minloglevel", raising=False)
    threads = get_num_threads()

    def run_command(*arguments, level=0):
        monkeypatch.setenv("GLOG_minloglevel", str(level))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ending:
            main([str(argument) for argument in arguments], prog_name="pycaffe-lite")
        out, err = capsys.readouterr()
        return Result(ending.value.code, out.splitlines(), err.splitlines())

    yield run_command
    set_num_threads(threads)


@pytest.fixture
def fails(run):
    """fails(*arguments): the one line with which the command ends in exit status 1."""

    def run_failing(*arguments):
        result = run(*arguments, level=2)
        assert result.code == 1
        assert not result.out
        (line,) = result.err
        return line

    return run_failing


@pytest.fixture
def misused(run):
    """misused(*arguments): the last line with which the command ends in exit status 2."""

    def run_misused(*arguments):
        result = run(*arguments)
        assert result.code == 2
        assert not result.out
        usage, hint, empty, line = result.err
        assert usage.startswith("Usage: pycaffe-lite")
        assert hint.startswith("Try 'pycaffe-lite")
        assert hint.endswith("--help' for help.")
        assert empty == ""
        return line

    return run_misused


@pytest.fixture
def log_messages():
    """log_messages(lines): the messages of a log; see `messages_of`."""
    return messages_of


@pytest.fixture
def program():
    """The command line of a process that runs the command."""
    return [sys.executable, str(Path(__file__).parents[2] / "cli.py")]


@pytest.fixture
def environment():
    """The environment of such a process: none of the variables that change what it writes."""
    changing = {"GLOG_minloglevel", "FORCE_COLOR", "NO_COLOR", "COLUMNS", "LINES"}
    return {name: value for name, value in os.environ.items() if name not in changing}
