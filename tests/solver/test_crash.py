"""Processes killed, disks full: the last whole snapshot stays, and training goes on to the same end."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_data import write_files
from small_solver import solver

from pycaffe_lite.errors import SnapshotError
from pycaffe_lite.formats import atomic as files
from pycaffe_lite.formats import caffemodel, solverstate
from pycaffe_lite.solver import find_latest_snapshot, get_solver

ZYGOTE = Path(__file__).parent / "crash_zygote.py"


def arrays_of(stem):
    """All weights and histories of a snapshot."""
    layers = caffemodel.read(f"{stem}.caffemodel").layers
    return [blob.data for layer in layers for blob in layer.blobs] + list(
        solverstate.read(f"{stem}.solverstate").history
    )


def test_killed_at_thirty_moments(tmp_path):
    end = 120
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    for folder in (undisturbed, disturbed):
        folder.mkdir()
        write_files(folder, max_iter=end, snapshot=3)
    get_solver(undisturbed / "solver.prototxt").solve()
    command = [sys.executable, str(ZYGOTE), str(disturbed / "solver.prototxt"), f"{disturbed}/s", "30", "1"]
    environment = {**os.environ, "PYCAFFE_LITE_THREADS": "1", "NUMBA_THREADING_LAYER": "workqueue"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["status"], report["killed"]) == (0, 30)
    assert report["half_written"] > 0
    ends = [arrays_of(folder / f"s_iter_{end}") for folder in (undisturbed, disturbed)]
    for one, two in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, two)


LIMITED = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from small_solver import solver
made = solver(f"snapshot_prefix: '{sys.argv[2]}/s'")
made.step(1)
made.snapshot()
made.step(1)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
try:
    made.snapshot()
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize(("limit", "which"), [(100, "caffemodel"), (700, "solverstate")])
def test_a_limit_on_the_size_of_files(tmp_path, limit, which):
    command = [sys.executable, "-c", LIMITED, str(Path(__file__).parent), str(tmp_path), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    assert done.stdout == f"SnapshotError cannot write '{tmp_path}/s_iter_2.{which}': File too large\n"
    assert find_latest_snapshot(f"{tmp_path}/s") == tmp_path / "s_iter_1.solverstate"
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".tmp")]


class FullDisk:
    """Takes the place of `open` for writing: after so many bytes, all told, there is no space left."""

    def __init__(self, room):
        self.room = room

    def __call__(self, path, mode="r", **options):
        file = open(path, mode, **options)  # noqa: SIM115 - its user closes it
        return _File(file, self) if "w" in mode else file


class _File:
    def __init__(self, file, disk):
        self._file, self._disk = file, disk

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def __getattr__(self, name):
        return getattr(self._file, name)

    def write(self, data):
        size = len(bytes(data))
        if size > self._disk.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._disk.room -= size
        return self._file.write(data)


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("ending", ["", ".h5"])
def test_a_disk_that_fills_up_while_a_snapshot_is_written(tmp_path, monkeypatch, ending):
    made = solver(f"snapshot_prefix: '{tmp_path}/s' snapshot_format: {'HDF5' if ending else 'BINARYPROTO'}")
    made.step(1)
    made.snapshot()
    before = files_of(tmp_path)
    needed = sum(map(len, before.values()))
    made.step(1)
    for room in np.linspace(0, needed - 1, 25).astype(int).tolist():
        monkeypatch.setattr(files, "open", FullDisk(room), raising=False)
        with pytest.raises(SnapshotError, match=r"^cannot write '.*': No space left on device$"):
            made.snapshot()
        monkeypatch.undo()
        after = files_of(tmp_path)
        assert {name: after[name] for name in before} == before
        # The new weights may be whole; their state then is not there.
        assert set(after) - set(before) <= {f"s_iter_2.caffemodel{ending}"}
        assert find_latest_snapshot(f"{tmp_path}/s") == tmp_path / f"s_iter_1.solverstate{ending}"
    made.snapshot()
    assert find_latest_snapshot(f"{tmp_path}/s") == tmp_path / f"s_iter_2.solverstate{ending}"


def test_weights_of_a_net_are_not_lost_either(tmp_path, monkeypatch):
    made = solver()
    made.net.save(tmp_path / "w.caffemodel")
    before = (tmp_path / "w.caffemodel").read_bytes()
    monkeypatch.setattr(files, "open", FullDisk(len(before) - 1), raising=False)
    with pytest.raises(Exception, match=r"^cannot write '.*': No space left on device$"):
        made.net.save(tmp_path / "w.caffemodel")
    monkeypatch.undo()
    assert (tmp_path / "w.caffemodel").read_bytes() == before
    assert caffemodel.read(tmp_path / "w.caffemodel").name == "small"
