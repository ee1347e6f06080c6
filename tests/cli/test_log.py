"""Our log beside the real Caffe's of the same runs, and through the rules of Caffe's own parsers.

`data/logs` holds the stderr of Caffe 1.0 in a folder with LeNet's prototxts (data/lenet) and databases of the
first 6400 training and the first 1000 test images of MNIST:

    train           caffe train -solver lenet.solver.prototxt
    train_resume    caffe train -solver lenet.solver.prototxt -snapshot lenet_iter_50.solverstate
    train_finetune  caffe train -solver lenet.solver.prototxt -weights lenet_iter_50.caffemodel
    test            caffe test -model lenet.net.prototxt -weights lenet_iter_100.caffemodel -iterations 10
    time            caffe time -model lenet.net.prototxt -iterations 5

Its glog was a new one, which writes the year.
"""

import datetime
import math
import re
import shutil

import pytest
from paths import FIXTURES

from pycaffe_lite.data.lmdb_writer import write_lmdb
from pycaffe_lite.solver.curves import read_curves
from tests.mnist_records import first_records

DATA = FIXTURES
COMMANDS = {
    "train": "train -solver lenet.solver.prototxt",
    "train_resume": "train -solver lenet.solver.prototxt -snapshot lenet_iter_50.solverstate",
    "train_finetune": "train -solver lenet.solver.prototxt -weights lenet_iter_50.caffemodel",
    "test": "test -model lenet.net.prototxt -weights lenet_iter_50.caffemodel -iterations 10",
    "time": "time -model lenet.net.prototxt -iterations 5",
}
PREFIX = re.compile(r"([IWEF])(?:\d{4})?(\d{4}) (\d\d:\d\d:\d\d\.\d{6}) +(\d+) (\S+:\d+)\] (.*)")


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """The path of our log of each of the runs; see `log_of`."""
    folder = tmp_path_factory.mktemp("logs")
    write_lmdb(folder / "mnist_train_6400_lmdb", first_records("train", 6400))
    write_lmdb(folder / "mnist_test_1000_lmdb", first_records("t10k", 1000))
    for path in (DATA / "lenet").iterdir():
        if path.suffix != ".npz":
            shutil.copy(path, folder)
    return folder


@pytest.fixture
def log_of(logs, run, monkeypatch):
    """log_of(name): the path of our log of a run, made when it is first asked for."""

    def log(name):
        path = logs / f"{name}.log"
        if not path.exists():
            monkeypatch.chdir(logs)
            result = run(*COMMANDS[name].split())
            assert result.code == 0
            path.write_text("".join(f"{line}\n" for line in result.err))
        return path

    return log


def messages(path):
    """Messages of a log, severity before each, and lines without a prefix as they are."""
    for line in path.read_text().splitlines():
        match = PREFIX.fullmatch(line)
        yield f"{match[1]} {match[6]}" if match else line


def comparable(lines):
    """The lines without what differs from run to run and what differs on purpose.

    Results (behind '='), speeds and times are masked. On purpose
    - we open a database when its layer is set up, Caffe when the layer is made, which it says in between;
    - our softmax loss needs no softmax layer inside, which Caffe says it creates;
    - we say that kernels are compiled.
    When reading starts anew is said by a thread of its own, at any moment.
    """
    kept = []
    for line in lines:
        if re.match("I (Opened lmdb|Restarting data prefetching|compiling kernels)", line):
            continue
        if line == "I Setting up loss" and kept[-1] == "I Creating layer loss":
            kept.pop()
        line = re.sub(r" = \S+", " = #", line)
        line = re.sub(r"\(\S+ iter/s, \S+s/", "(# iter/s, #s/", line)
        line = re.sub(r"\S+ ms\.", "# ms.", line)
        line = re.sub(r"(Loss|Initial loss): \S+", r"\1: #", line)
        kept.append(line)
    return kept


@pytest.mark.parametrize("name", COMMANDS)
def test_messages_are_caffes(log_of, name):
    ours, caffes = log_of(name), DATA / "logs" / f"{name}.log"
    assert comparable(messages(ours)) == comparable(messages(caffes))


@pytest.mark.parametrize("name", COMMANDS)
def test_databases_are_said(log_of, name):
    ours, caffes = log_of(name), DATA / "logs" / f"{name}.log"
    said = [[message for message in messages(path) if "Opened" in message] for path in (ours, caffes)]
    assert said[0] == said[1]


def test_every_prefix_has_month_and_day_only(log_of):
    today = datetime.date.today()
    days = {f"{day:%m%d}" for day in (today, today - datetime.timedelta(1))}
    for line in log_of("train").read_text().splitlines():
        if line[5:6] == " " and line[:1] in "IWEF":
            assert re.match(r"[IWEF]\d{4} \d\d:\d\d:\d\d\.\d{6} {1,6}\d+ [a-z_]+\.py:\d+\] ", line)
            assert line[1:5] in days


# --------------------------------------- Caffe's parsers, written anew from the description of their rules


NUMBER = r"([\d.eE+-]+)"


class Table:
    """Rows of one phase: iteration, seconds, rate, then the net's outputs."""

    def __init__(self):
        self.rows = []
        self.open_row = {}

    def add(self, iteration, seconds, rate, name, value):
        if self.open_row.get("NumIters") != iteration:
            if self.open_row:
                self.rows.append(self.open_row)
            self.open_row = {"NumIters": iteration, "Seconds": seconds, "LearningRate": rate}
        self.open_row[name] = value
        if self.rows and len(self.open_row) == len(self.rows[0]):
            self.rows.append(self.open_row)
            self.open_row = {}


def time_of(line, year):
    """The time that a line's prefix says: month and day in its first word, the time of day in its second."""
    day, clock = line.split()[:2]
    return datetime.datetime.strptime(f"{year} {day[1:]} {clock}", "%Y %m%d %H:%M:%S.%f")


def parse_log(lines, year):
    """The rules of parse_log.py: rows of the train and of the test table."""
    start = time_of(next(line for line in lines if "Solving" in line), year)
    tables = {"Train": Table(), "Test": Table()}
    iteration, rate = None, math.nan
    for line in lines:
        if found := re.search(r"Iteration (\d+)", line):
            iteration = int(found[1])
        if iteration is None:
            continue
        try:
            seconds = (time_of(line, year) - start).total_seconds()
        except ValueError:
            continue
        if found := re.search(rf"lr = {NUMBER}", line):
            rate = float(found[1])
        for phase, table in tables.items():
            if found := re.search(rf"{phase} net output #\d+: (\S+) = {NUMBER}", line):
                table.add(iteration, seconds, rate, found[1], float(found[2]))
    for table in tables.values():
        if len(table.rows) > 1 and math.isnan(table.rows[0]["LearningRate"]):
            table.rows[0]["LearningRate"] = table.rows[1]["LearningRate"]
    return tables["Train"].rows, tables["Test"].rows


def parse_log_sh(lines):
    """The rules of parse_log.sh, which counts words: training losses, rates, test accuracies and losses."""
    words = [(line, line.split()) for line in lines]
    return (
        [float(line.split("=")[1]) for line, _ in words if ", loss = " in line],
        [float(w[8]) for line, w in words if ", lr = " in line],
        [float(w[10]) for line, w in words if "Test net output #0" in line],
        [float(w[10]) for line, w in words if "Test net output #1" in line],
    )


@pytest.fixture
def both(log_of):
    """Lines of our log and of the real Caffe's, this without the year that its new glog wrote."""
    caffes = (DATA / "logs" / "train.log").read_text()
    return log_of("train").read_text().splitlines(), re.sub(r"(?m)^([IWEF])\d{4}", r"\1", caffes).splitlines()


def test_parse_log(both):
    for table, caffes in zip(*(parse_log(lines, 2000) for lines in both), strict=True):
        assert [row["NumIters"] for row in table] == [row["NumIters"] for row in caffes]
        assert [list(row) for row in table] == [list(row) for row in caffes]
        rates = [row["LearningRate"] for row in table]
        assert rates == pytest.approx([row["LearningRate"] for row in caffes], rel=2e-6)
        assert [row["loss"] for row in table] == pytest.approx([row["loss"] for row in caffes], rel=0.05)
        seconds = [row["Seconds"] for row in table]
        assert sorted(seconds) == seconds
        assert seconds[0] >= 0
    assert [row["NumIters"] for row in table] == [0, 50, 100]


def test_parse_log_sh(both):
    for ours, caffes in zip(*(parse_log_sh(lines) for lines in both), strict=True):
        assert ours == pytest.approx(caffes, rel=0.05)
        assert len(ours) >= 3


def test_our_reader_reads_both(log_of):
    ours, caffes = (read_curves(path) for path in (log_of("train"), DATA / "logs" / "train.log"))
    for mine, theirs in zip(
        [ours.lr, *ours.train, *ours.test], [caffes.lr, *caffes.train, *caffes.test], strict=True
    ):
        for one, other in ((mine.name, theirs.name), (mine.number, theirs.number), (mine.net, theirs.net)):
            assert one == other
        assert mine.iterations.tolist() == theirs.iterations.tolist()
        assert mine.seconds.min() > 0
