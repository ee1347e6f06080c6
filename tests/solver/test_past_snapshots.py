"""The snapshots in a folder: which is the latest, and which go when only so many are kept."""

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
from small_solver import solver

from pycaffe_lite.errors import ArgumentError, SnapshotError
from pycaffe_lite.formats import hdf5, solverstate
from pycaffe_lite.solver import continuation, find_latest_snapshot

ENDINGS = pytest.mark.parametrize("ending", ["", ".h5"])


def snapshots(folder, *iterations, name="s", text="", resume=None, **options):
    """A run that saves at these iterations."""
    made = solver(f"snapshot_prefix: '{folder}/{name}' {text}", **options)
    if resume is not None:
        made.restore(folder / f"{name}_iter_{resume}.solverstate")
    for n in iterations:
        made.step(n - made.iter)
        made.snapshot()
    return made


def latest(folder, name="s"):
    """The name of the latest snapshot's state."""
    path = find_latest_snapshot(f"{folder}/{name}")
    return path and path.name


def saved(folder, name="s"):
    """The iterations of which there is a state, and those of which there are weights."""
    return tuple(
        sorted(int(path.name.split("_")[2].split(".")[0]) for path in folder.glob(f"{name}_iter_*.{kind}*"))
        for kind in ("solverstate", "caffemodel")
    )


def without_time(path, modified=None):
    """Makes a state one of Caffe's, which does not say when it was written."""
    state = solverstate.read(path)
    solverstate.write(path, replace(state, resume=None))
    if modified is not None:
        os.utime(path, (modified, modified))


# ------------------------------------------------------------------------------------------------- latest


def test_the_latest_snapshot(tmp_path):
    assert latest(tmp_path) is None
    assert latest(tmp_path / "no") is None
    snapshots(tmp_path, 2, 9, 10)
    (tmp_path / "s_iter_50.solverstate.tmp").touch()
    (tmp_path / "other_iter_70.solverstate").touch()
    assert latest(tmp_path) == "s_iter_10.solverstate"


@ENDINGS
def test_the_newest_run_counts_not_the_highest_iteration(tmp_path, ending, caplog):
    text = f"snapshot_format: {'HDF5' if ending else 'BINARYPROTO'}"
    snapshots(tmp_path, 10, text=text)
    snapshots(tmp_path, 2, 4, text=text)
    for i, path in enumerate(sorted(tmp_path.iterdir())):  # as copying may leave them
        os.utime(path, (1e9 - i, 1e9 - i))
    assert latest(tmp_path) == f"s_iter_4.solverstate{ending}"
    assert caplog.messages == [
        f"the newest snapshot is '{tmp_path}/s_iter_4.solverstate{ending}', of iteration 4; "
        f"'{tmp_path}/s_iter_10.solverstate{ending}' is older, but of iteration 10: "
        "to go on from that one, name it"
    ]


def test_a_run_that_went_back(tmp_path):
    snapshots(tmp_path, 2, 4, 6)
    snapshots(tmp_path, 3, resume=2)
    assert latest(tmp_path) == "s_iter_3.solverstate"


def test_a_clock_that_is_put_back(tmp_path, monkeypatch):
    made = snapshots(tmp_path, 2)
    monkeypatch.setattr(time, "time_ns", lambda: 1)
    made.step(1)
    made.snapshot()
    snapshots(tmp_path, 4, resume=3)
    assert latest(tmp_path) == "s_iter_4.solverstate"


def test_states_that_do_not_say_their_time_go_by_their_files(tmp_path, caplog):
    snapshots(tmp_path, 3, 5, 8)
    for n, modified in [(3, 5000), (5, 5500), (8, 4000)]:
        without_time(tmp_path / f"s_iter_{n}.solverstate", modified)
    assert latest(tmp_path) == "s_iter_5.solverstate"
    assert caplog.messages == [
        f"'{tmp_path}/s_iter_5.solverstate' does not say when it was written: "
        "it is taken for the newest by the time of the file",
        f"the newest snapshot is '{tmp_path}/s_iter_5.solverstate', of iteration 5; "
        f"'{tmp_path}/s_iter_8.solverstate' is older, but of iteration 8: to go on from that one, name it",
    ]
    snapshots(tmp_path, 2)  # says it
    assert latest(tmp_path) == "s_iter_2.solverstate"


def test_files_that_were_copied_together_go_by_iteration(tmp_path):
    snapshots(tmp_path, 7, 8, 9, 10)
    for n, modified in [(7, 5000), (10, 5001), (9, 5030), (8, 5080)]:
        without_time(tmp_path / f"s_iter_{n}.solverstate", modified)
    assert latest(tmp_path) == "s_iter_10.solverstate"


def damage_state(folder):
    path = folder / "s_iter_3.solverstate"
    path.write_bytes(path.read_bytes()[:60])


def damage_model(folder):
    path = folder / "s_iter_3.caffemodel"
    path.write_bytes(path.read_bytes()[:60])


def remove_model(folder):
    (folder / "s_iter_3.caffemodel").unlink()


def another_runs_model(folder):
    (folder / "s_iter_3.caffemodel").write_bytes((folder / "s_iter_2.caffemodel").read_bytes())


def nul_in_the_model_s_name(folder):
    path = folder / "s_iter_3.solverstate"
    solverstate.write(path, replace(solverstate.read(path), learned_net="s\0x"))


@pytest.mark.parametrize(
    "damage", [damage_state, damage_model, remove_model, another_runs_model, nul_in_the_model_s_name]
)
def test_the_latest_snapshot_is_a_whole_one(tmp_path, damage, caplog):
    snapshots(tmp_path, 2, 3)
    damage(tmp_path)
    assert latest(tmp_path) == "s_iter_2.solverstate"
    (line,) = caplog.messages
    assert line.startswith(f"Passing over snapshot '{tmp_path}/s_iter_3.solverstate': ")


def vanishing(path):
    """A name that is there when the folder is read and gone when it is looked at."""
    path.symlink_to("nowhere")


@ENDINGS
@pytest.mark.parametrize("iteration", [1, 9])
@pytest.mark.parametrize(
    "make",
    [
        vanishing,
        lambda path: path.symlink_to(path),
        lambda path: path.symlink_to("/dev/zero"),
        os.mkfifo,
        os.mkdir,
        lambda path: path.write_text("<html>"),
        lambda path: path.touch(),
    ],
    ids=["dangling link", "looping link", "device", "fifo", "folder", "text", "empty"],
)
def test_a_name_that_is_not_a_snapshot_hides_no_other(tmp_path, make, iteration, ending, caplog):
    snapshots(tmp_path, 2, 3)
    make(tmp_path / f"s_iter_{iteration}.solverstate{ending}")
    assert latest(tmp_path) == "s_iter_3.solverstate"
    assert [line.partition(": ")[0] for line in caplog.messages] == [
        f"Passing over snapshot '{tmp_path}/s_iter_{iteration}.solverstate{ending}'"
    ]


@pytest.mark.parametrize(("prefix", "problem"), [("", "need a snapshot_prefix"), ("a\0b", "a NUL byte")])
def test_prefixes_that_name_no_files(prefix, problem):
    with pytest.raises(SnapshotError, match=problem):
        find_latest_snapshot(prefix)


# --------------------------------------------------------------------------------------------------- keep


@ENDINGS
def test_older_snapshots_of_the_run_go(tmp_path, ending, caplog):
    with caplog.at_level("INFO", "pycaffe_lite.solver.past_snapshots"):
        text = f"snapshot: 2 max_iter: 9 snapshot_format: {'HDF5' if ending else 'BINARYPROTO'}"
        solver(f"snapshot_prefix: '{tmp_path}/s' {text}", keep=2).solve()
    assert saved(tmp_path) == ([8, 9], [8, 9])
    assert caplog.messages == [
        f"Removed the earlier snapshot '{tmp_path}/s_iter_{n}.solverstate{ending}'" for n in (2, 4, 6)
    ]


def test_a_resumed_run_is_the_same_run(tmp_path):
    snapshots(tmp_path, 2, 4)
    snapshots(tmp_path, 6, 8, resume=4, keep=3)
    assert saved(tmp_path) == ([4, 6, 8], [4, 6, 8])


def test_another_run_s_snapshots_stay(tmp_path):
    snapshots(tmp_path, 1, 5)
    snapshots(tmp_path, 2, name="s_iter_2")
    snapshots(tmp_path, 3)
    without_time(tmp_path / "s_iter_3.solverstate")  # Caffe's
    snapshots(tmp_path, 2, 4, 6, keep=1)
    assert saved(tmp_path) == ([1, 2, 3, 5, 6], [1, 2, 3, 5, 6])


def test_what_one_fine_tunes_or_resumes_from_stays(tmp_path):
    snapshots(tmp_path, 1)
    without_time(tmp_path / "s_iter_1.solverstate")
    snapshots(tmp_path, 3, 5, resume=1, keep=1)
    assert saved(tmp_path) == ([1, 5], [1, 5])
    snapshots(tmp_path, 7, 8, text=f"weights: '{tmp_path}/s_iter_5.caffemodel'", keep=1)
    assert saved(tmp_path) == ([1, 5, 8], [1, 5, 8])


def test_snapshots_of_an_attempt_that_was_given_up_stay(tmp_path):
    snapshots(tmp_path, 2, 4, 6, 8)
    snapshots(tmp_path, 5, 7, resume=4, keep=2)
    assert saved(tmp_path) == ([5, 6, 7, 8], [5, 6, 7, 8])
    snapshots(tmp_path, 9, resume=5, keep=1)
    assert saved(tmp_path) == ([6, 7, 8, 9], [6, 7, 8, 9])


def test_saving_one_iteration_again_keeps_the_run_together(tmp_path):
    snapshots(tmp_path, 2, 4)
    snapshots(tmp_path, 4, resume=4, keep=2)
    snapshots(tmp_path, 4, 6, resume=4, keep=2)
    assert saved(tmp_path) == ([4, 6], [4, 6])


def test_nothing_goes_before_newer_ones_are_whole(tmp_path):
    snapshots(tmp_path, 2, 4, 6)
    os.truncate(tmp_path / "s_iter_4.caffemodel", 50)
    (tmp_path / "s_iter_6.caffemodel").unlink()
    made = snapshots(tmp_path, 2, 4, 6)
    os.truncate(tmp_path / "s_iter_4.caffemodel", 50)
    (tmp_path / "s_iter_6.caffemodel").unlink()
    made.keep = 2
    made.step(1)
    made.snapshot()
    assert saved(tmp_path) == ([2, 4, 6, 7], [2, 4, 7])
    made.step(1)
    made.snapshot()
    assert saved(tmp_path) == ([7, 8], [4, 7, 8])  # weights that are not the run's are not removed


def test_weights_that_another_run_has_overwritten_stay(tmp_path):
    made = snapshots(tmp_path, 2, keep=1)
    shutil.copy(tmp_path / "s_iter_2.caffemodel", tmp_path / "other")
    other = (tmp_path / "other").read_bytes()[:-1] + b"?"
    (tmp_path / "s_iter_2.caffemodel").write_bytes(other)
    made.step(1)
    made.snapshot()
    assert saved(tmp_path) == ([3], [2, 3])


def test_a_snapshot_that_cannot_be_removed_is_said(tmp_path, monkeypatch, caplog):
    made = snapshots(tmp_path, 2, keep=1)

    def refuse(self, missing_ok=False):
        raise PermissionError(13, "Permission denied", str(self))

    made.step(1)
    monkeypatch.setattr(Path, "unlink", refuse)
    made.snapshot()
    monkeypatch.undo()
    assert saved(tmp_path) == ([2, 3], [2, 3])
    assert caplog.messages == [
        f"Cannot remove the earlier snapshot '{tmp_path}/s_iter_2.solverstate': Permission denied"
    ]


def test_all_are_kept_unless_told_otherwise(tmp_path):
    snapshots(tmp_path, 1, 2, 3)
    assert saved(tmp_path) == ([1, 2, 3], [1, 2, 3])
    with pytest.raises(ArgumentError, match="a solver keeps at least 1 snapshot, not 0"):
        solver(keep=0)


def test_run_and_time_are_in_the_state(tmp_path):
    made = snapshots(tmp_path, 1)
    first = continuation.decode(solverstate.read(tmp_path / "s_iter_1.solverstate").resume)
    assert (replace(first.lineage, iter=1), first.solver_type) == (made.lineage, "SGD")
    assert abs(first.lineage.time / 1e9 - time.time()) < 60
    resumed = snapshots(tmp_path, 2, resume=1, text="snapshot_format: HDF5")
    second = continuation.decode(hdf5.read_state(tmp_path / "s_iter_2.solverstate.h5").resume)
    assert second.lineage.run == first.lineage.run == resumed.lineage.run
    assert second.lineage.time > second.lineage.previous == first.lineage.time
