"""Event files, read back record by record."""

import struct
import sys

import numpy as np
import pytest
from watched_solver import small_solver

from pycaffe_lite.errors import DataError, PycaffeError
from pycaffe_lite.view.event_files import EventWriter

event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")


def events_in(folder):
    """The events of a folder's files: each is a length, its checksum, the message and a checksum."""
    for file in sorted(folder.iterdir()):
        data = file.read_bytes()
        at = 0
        while at < len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            yield event_pb2.Event.FromString(data[at + 12 : at + 12 + length])
            at += length + 16


def values_in(folder):
    """tag → {step: the value, or the histogram}."""
    found = {}
    for event in events_in(folder):
        for value in event.summary.value:
            is_histogram = value.HasField("histo")
            found.setdefault(value.tag, {})[event.step] = value.histo if is_histogram else value.simple_value
    return found


def test_what_is_written(tmp_path):
    solver = small_solver()
    losses, rates, weights = [], [], {}

    def look(loss):
        losses.append(loss)
        weights[solver.iter] = [(blob.data.copy(), blob.diff.copy()) for blob in solver.net.learnable_params]

    solver.before_update.append(look)
    solver.after_update.append(lambda: rates.append(solver.rate))
    tests = {}
    solver.after_test.append(lambda index, scores: tests.update({solver.iter: scores}))
    with EventWriter(solver, tmp_path / "runs" / "one"):
        solver.solve()
    found = values_in(tmp_path / "runs" / "one")
    displays = range(0, 30, 5)
    assert found["train/loss"] == pytest.approx({i: losses[i] for i in displays})
    assert found["lr"] == pytest.approx({i: rates[i] for i in displays})
    assert sorted(found["iterations_per_second"]) == [5, 10, 15, 20, 25]
    assert found["test/loss"] == pytest.approx({i: t.outputs[1].values[0] for i, t in tests.items()})
    assert sorted(tests) == [0, 10, 20, 30]
    names = sorted(tag for tag in found if tag.startswith("weights/"))
    assert len(names) == 4
    assert not any(letter in name for name in names for letter in "<>\x1b ")
    assert "weights/_img_src_x_onerror_alert_1__/0" in names
    for kind, place in (("weights", 0), ("gradients", 1)):
        histograms = found[f"{kind}/_img_src_x_onerror_alert_1__/0"]
        assert sorted(histograms) == [0, 10, 20]
        for step, histogram in histograms.items():
            values = weights[step][0][place]
            assert histogram.num == values.size
            assert (histogram.min, histogram.max) == (values.min(), values.max())
            assert sum(histogram.bucket) == values.size


def test_the_training_stays_the_same(tmp_path):
    plain = small_solver()
    plain.solve()
    written = small_solver()
    with EventWriter(written, tmp_path):
        written.solve()
    for one, other in zip(plain.net.learnable_params, written.net.learnable_params, strict=True):
        np.testing.assert_array_equal(one.data, other.data)


def test_a_resumed_run_takes_the_place_of_what_it_repeats(tmp_path):
    solver = small_solver(f'max_iter: 20 snapshot: 10 snapshot_prefix: "{tmp_path}/s"')
    folder = tmp_path / "events"
    with EventWriter(solver, folder):
        solver.solve()
    resumed = small_solver()
    resumed.restore(tmp_path / "s_iter_10.solverstate")
    with EventWriter(resumed, folder):
        resumed.solve()
    starts = [event.step for event in events_in(folder) if event.HasField("session_log")]
    assert starts == [10]


def test_without_display(tmp_path):
    solver = small_solver("display: 0 max_iter: 101 test_interval: 1000")
    with EventWriter(solver, tmp_path):
        solver.solve()
    assert sorted(values_in(tmp_path)["train/loss"]) == [0, 100]


def test_what_goes_wrong(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot write event files in '.*file/x': Not a directory"):
        EventWriter(small_solver(), tmp_path / "file" / "x")
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(PycaffeError, match=r"needs tensorboardX, which is not installed; .*tensorboard"):
        EventWriter(small_solver(), tmp_path)
