"""Tables of logs: those that Caffe's own script made of the same logs, and what it does not say."""

import pytest
from paths import FIXTURES

from pycaffe_lite.errors import DataError, FileLookupError
from pycaffe_lite.view.parse_log import parse_log, write_tables

LOGS = FIXTURES / "logs"
TABLES = LOGS / "parse_log"
START = "I1231 23:59:50.000000 1 solver.cpp:1] Solving small\n"


def line(text, time="1231 23:59:51.500000"):
    return f"I{time} 1 solver.cpp:1] {text}\n"


@pytest.mark.parametrize(
    "log",
    [
        LOGS / "train.log",
        LOGS / "train_finetune.log",
        LOGS / "train_resume.log",
        TABLES / "two_test_nets.log",
        TABLES / "two_test_nets_other_outputs.log",
    ],
    ids=lambda path: path.stem,
)
def test_the_tables_of_caffes_script(log, tmp_path):
    written = write_tables(log, tmp_path)
    assert [path.name for path in written] == [f"{log.name}.train", f"{log.name}.test"]
    for path in written:
        assert path.read_bytes() == (TABLES / path.name).read_bytes()


@pytest.mark.parametrize("log", ["test.log", "time.log"])
def test_a_log_without_rows_makes_no_table(log, tmp_path):
    assert write_tables(LOGS / log, tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_year_ends(tmp_path):
    log = tmp_path / "a.log"
    log.write_text(
        START
        + line("Iteration 0, loss = 1")
        + line("    Train net output #0: loss = 1 (* 1 = 1 loss)")
        + line("Iteration 1, loss = 1", "0101 00:00:10.000000")
        + line("    Train net output #0: loss = 0.5 (* 1 = 0.5 loss)", "0101 00:00:10.000000")
        + line("Iteration 1, lr = 0.1", "0101 00:00:10.000000")
        + line("Iteration 2, loss = 1", "0101 00:00:20.000000")
        + line("    Train net output #0: loss = 0.25 (* 1 = 0.25 loss)", "0101 00:00:20.000000")
    )
    train, test = parse_log(log)
    assert [row["Seconds"] for row in train] == [1.5, 20.0, 30.0]
    assert [row["LearningRate"] for row in train][2] == 0.1
    assert test == []


def test_what_cannot_be_a_table(tmp_path):
    log = tmp_path / "a.log"
    with pytest.raises(FileLookupError, match="no such file"):
        parse_log(log)
    output = line("Iteration 0") + line("    Train net output #0: loss = 1")
    log.write_text(output)
    with pytest.raises(DataError, match="no line with 'Solving'"):
        parse_log(log)
    more = line("Iteration 1") + line("    Train net output #0: more = 1") + line("Iteration 2")
    log.write_text(START + output + more + line("    Train net output #0: loss = 1"))
    with pytest.raises(DataError, match="at iteration 1 there is an output 'more', which the first row"):
        write_tables(log, tmp_path)
