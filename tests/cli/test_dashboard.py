"""`pycaffe-lite dashboard`, and `train --dashboard`; the page itself: tests/view/dashboard."""

import json
import re
import urllib.request
from pathlib import Path

import pytest

from pycaffe_lite.cli import dashboard
from pycaffe_lite.view.dashboard.record import read_record
from pycaffe_lite.view.dashboard.server import PageServer


def names_at(url):
    with urllib.request.urlopen(f"{url}runs", timeout=10) as answer:
        return [run["name"] for run in json.load(answer)]


@pytest.fixture
def looked_at(monkeypatch):
    """What the pages of the commands showed: the names of their runs, asked at the end of each."""
    seen = []
    close = PageServer.close

    def look_and_close(server):
        seen.append(names_at(server.url))
        close(server)

    monkeypatch.setattr(PageServer, "close", look_and_close)
    monkeypatch.setattr(dashboard, "wait_for_ctrl_c", lambda: None)
    return seen


@pytest.mark.parametrize(
    "arguments",
    [
        ["solver.prototxt", "--dashboard"],
        ["--dashboard", "solver.prototxt"],
        ["-dashboard=0", "-solver=solver.prototxt"],
    ],
)
def test_train_with_a_page(folder, run, looked_at, arguments):
    result = run("train", *arguments)
    assert result.code == 0
    said = [message for message in result.messages if "page" in message]
    assert re.fullmatch(r"The page of this training is at http://127\.0\.0\.1:\d+/", said[0])
    assert said[1] == "The page can be opened again with: pycaffe-lite dashboard small.run"
    assert looked_at == [["small"]]
    record = read_record(Path("small.run"))
    assert (record.status.state, record.status.iteration) == ("finished", 4)
    assert len(record.lines["train loss"].course.points()) == 4
    assert run("dashboard", "small.run").out[0].startswith("The page is at http://127.0.0.1:")


def test_the_record_of_an_earlier_run_and_one_that_goes_on(folder, edit, run, looked_at):
    edit("solver.prototxt", "display", "snapshot: 2 display")
    run("train", "solver.prototxt", "--dashboard", "--log-file", "small.log")
    resumed = run("train", "solver.prototxt", "--dashboard", "-snapshot", "small_iter_2.solverstate")
    assert not any("earlier" in message for message in resumed.messages)
    again = run("train", "solver.prototxt", "--dashboard")
    assert "What an earlier run's page showed is kept as small.run.1" in again.messages
    assert run("dashboard", ".").code == 0
    # The log is that of a run whose record is there.
    assert looked_at == [["small"], ["small"], ["small", "small.run"], ["small", "small.run"]]


def test_a_training_that_fails(folder, edit, fails, looked_at):
    edit("solver.prototxt", "base_lr: 0.0001", "base_lr: 1e38")
    assert "iteration 0: a weight became" in fails("train", "solver.prototxt", "--dashboard")
    assert read_record(Path("small.run")).status.state == "failed"


def test_a_port_in_use(folder, fails):
    server = PageServer([])
    line = fails("train", "solver.prototxt", "--dashboard", server.port)
    assert line == (
        f"Error: cannot show the page at port {server.port}: it is in use; name another port, "
        "or none to get a free one"
    )
    server.close()
    assert not list(folder.glob("*.run*"))


def test_wrong_ports(folder, misused):
    assert misused("train", "solver.prototxt", "--dashboard=x").endswith("'x' is not a valid integer range.")
    assert "70000 is not in the range 0<=x<=65535" in misused("dashboard", "x", "--port", "70000")


def test_what_cannot_be_shown(folder, fails):
    assert fails("dashboard", "none.log") == "Error: no such file: 'none.log'"
    Path("bad.run").write_bytes(b"no record")
    assert fails("dashboard", "bad.run") == "Error: 'bad.run' is damaged, or not the record of a run"
    assert "is the record or the log of a training" in fails("dashboard", "db")
