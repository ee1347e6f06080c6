"""What is noted of a training, in the file too; and the training, which nobody may disturb."""

import itertools

import numpy as np
import pytest
from watched_solver import HOSTILE, small_solver

from pycaffe_lite.errors import DataError, FileLookupError
from pycaffe_lite.view import speed
from pycaffe_lite.view.dashboard import recorder as recorder_module
from pycaffe_lite.view.dashboard.record import read_record
from pycaffe_lite.view.dashboard.recorder import Recorder


@pytest.fixture
def always(monkeypatch):
    """Looks at the weights in every iteration, and writes the file in every one."""
    monkeypatch.setattr(speed.Pace, "is_due", lambda pace: True)


def prefix(folder):
    return f'snapshot_prefix: "{folder}/run"'


def losses_and_weights(solver):
    losses = []
    solver.before_update.append(losses.append)
    solver.solve()
    return losses, [blob.data.copy() for blob in solver.net.learnable_params]


def test_the_numbers_of_a_training_stay_the_same(tmp_path, always):
    plain = losses_and_weights(small_solver())
    watched = small_solver(prefix(tmp_path))
    Recorder(watched)
    seen = losses_and_weights(watched)
    assert seen[0] == plain[0]
    for one, other in zip(seen[1], plain[1], strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_noted(tmp_path, always):
    solver = small_solver(prefix(tmp_path))
    recorder = Recorder(solver)
    rates = []
    solver.after_update.append(lambda: rates.append(solver.rate))
    losses, _ = losses_and_weights(solver)
    recorder.finish("finished")
    for record in (recorder.record, read_record(tmp_path / "run.run")):
        lines = record.lines
        assert lines["train loss"].course.points().mean.tolist() == losses
        assert lines["lr"].course.points().mean.tolist() == rates
        assert (record.status.rate, record.status.loss) == (rates[-1], solver.smoothed_loss)
        accuracy = lines[f"test {HOSTILE} accuracy"]
        assert (accuracy.panel, accuracy.is_test) == ("output", True)
        assert accuracy.course.points().x.tolist() == [0, 10, 20, 30]
        assert lines["test loss"].panel == "loss"
        assert len(lines[f"ratio {HOSTILE} 0"].course.points()) == 30
        assert record.look.iteration == 29
        assert record.look.kernels.shape == (4, 1, 3, 3)
        assert record.look.kernels_of == HOSTILE
        assert record.tests[0].iteration == 30
        assert record.tests[0].tested == 16
        assert (record.status.state, record.status.is_live, record.status.iteration) == (
            "finished",
            False,
            30,
        )
        assert (record.status.loss, record.status.rate) == (solver.smoothed_loss, rates[-1])
        assert record.graph.layers["1"]["name"] == HOSTILE
        assert "<img" not in record.graph.svg
    again = read_record(tmp_path / "run.run")
    assert again.look.blobs == recorder.record.look.blobs
    assert again.tests[0].mistakes == recorder.record.tests[0].mistakes


def test_a_resumed_run_goes_on_in_its_record(tmp_path):
    solver = small_solver(prefix(tmp_path) + " max_iter: 20 snapshot: 10")
    first = Recorder(solver)
    losses, _ = losses_and_weights(solver)
    first.finish("finished")
    resumed = small_solver(prefix(tmp_path))
    resumed.restore(tmp_path / "run_iter_10.solverstate")
    second = Recorder(resumed)
    assert second.earlier is None
    more, _ = losses_and_weights(resumed)
    points = second.record.lines["train loss"].course.points()
    assert points.x.tolist() == list(range(30))
    assert points.mean.tolist() == losses[:10] + more


def test_the_record_of_an_earlier_run_is_kept(tmp_path):
    Recorder(small_solver(prefix(tmp_path))).finish("stopped")
    second = Recorder(small_solver(prefix(tmp_path)))
    assert second.earlier == tmp_path / "run.run.1"
    assert read_record(second.earlier).status.state == "stopped"


def test_looks_and_files_keep_to_their_share(tmp_path, monkeypatch):
    clock = itertools.count(step=0.1)  # each look at the clock is a tenth of a second later
    monkeypatch.setattr(recorder_module.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(speed.time, "monotonic", lambda: 0.0)
    solver = small_solver(prefix(tmp_path) + " max_iter: 10")
    recorder = Recorder(solver)
    solver.solve()
    assert recorder.record.look.iteration == 0
    assert recorder._look_pace._due == pytest.approx(0.2 / recorder_module.LOOK_SHARE)
    assert recorder._file_pace._due == pytest.approx(recorder_module.FILE_SECONDS, rel=2)


def test_a_disk_that_fails_does_not_end_the_training(tmp_path, always, caplog):
    folder = tmp_path / "gone"
    folder.mkdir()
    solver = small_solver(prefix(folder) + " max_iter: 3 test_interval: 100")
    recorder = Recorder(solver)
    (folder / "run.run").unlink()
    folder.rmdir()
    solver.solve()
    recorder.finish("finished")
    assert "the training goes on without a record of it" in caplog.text
    assert solver.iter == 3


def test_without_a_prefix_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    solver = small_solver("max_iter: 2")
    recorder = Recorder(solver)
    assert recorder.path is None
    solver.solve()
    recorder.finish("finished")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", [b"", b"nothing", b"PK\x03\x04 and so on", "cut", "other"])
def test_a_damaged_record(tmp_path, damage):
    path = tmp_path / "run.run"
    Recorder(small_solver(prefix(tmp_path))).finish("stopped")
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "other":
        np.savez(tmp_path / "other.npz", x=np.zeros(3))
        (tmp_path / "other.npz").rename(path)
    else:
        path.write_bytes(damage)
    with pytest.raises(DataError, match=r"run\.run' is damaged, or not the record of a run"):
        read_record(path)
    with pytest.raises(FileLookupError):
        read_record(tmp_path / "none.run")
