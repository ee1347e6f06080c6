"""`pycaffe-lite train` on several ranks, as people start it."""

import re
import shutil

import pytest
from ranks_at_work import launcher
from small_data import write_database, write_files

from pycaffe_lite.formats import caffemodel
from pycaffe_lite.solver.snapshot import read_state

pytestmark = pytest.mark.ranks


def end(folder, iteration=12):
    """All weights and history of a snapshot, as bytes."""
    layers = caffemodel.read(folder / f"s_iter_{iteration}.caffemodel").layers
    history = read_state(folder / f"s_iter_{iteration}.solverstate").history
    return [blob.data.tobytes() for layer in layers for blob in layer.blobs], [h.tobytes() for h in history]


def files(folder, name, **values):
    folder = folder / name
    folder.mkdir()
    return write_files(folder, **values)


def test_one_rank_is_training_alone(train, tmp_path):
    """Data, crops, dropout and all: not a bit differs."""
    alone, one = files(tmp_path, "alone"), files(tmp_path, "one")
    assert train(alone, "--no-mpi").returncode == 0
    assert train(one, "--ranks", "1").returncode == 0
    assert end(alone.parent) == end(one.parent)


def test_two_ranks(train, tmp_path):
    """Twice the same bits. Only the first rank writes a log and snapshots; others have files of their own."""
    first, second = files(tmp_path, "first"), files(tmp_path, "second")
    done = train(first, "--ranks", "2", "--log-file", first.parent / "log", "-gpu", "0,1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("loss = ") == 2  # the last results of each test net, once
    assert "There is no GPU support: -gpu 0,1 is ignored" in done.stderr
    log, other = ((first.parent / name).read_text() for name in ("log", "log.rank1"))
    assert re.search(
        r"Training on 2 ranks, on '.*' \(2 ranks\); each runs the prototxt's batch: 20 records", log
    )
    assert "Snapshotting" in log
    assert "Snapshotting" not in other
    assert "Iteration 8, lr = " in other
    # Its own losses stand in the outputs; what is smoothed is the mean over the ranks.
    losses = [re.findall(r"Iteration \d+ .*, loss = (\S+)", text) for text in (log, other)]
    assert losses[0] == losses[1]
    assert train(second, "--ranks", "2").returncode == 0
    assert end(first.parent) == end(second.parent)


def test_split_batch(train, tmp_path):
    solver = files(tmp_path, "split", max_iter=2)
    change(tmp_path / "split" / "net.prototxt", "batch_size: 5", "batch_size: 4")
    done = train(solver, "--ranks", "2", "--batch", "split")
    assert done.returncode == 0, done.stderr
    assert "the prototxt's batch is split: 8 records in an iteration, 4 on each rank" in done.stderr


def test_a_launcher_of_another_mpi(train, tmp_path):
    """Each process sees itself alone."""
    done = train(files(tmp_path, "foreign"), OMPI_COMM_WORLD_RANK="0", OMPI_COMM_WORLD_SIZE="4")
    assert done.returncode == 1
    assert re.match(
        r"Error: the launcher has started 4 ranks \(by OMPI_COMM_WORLD_RANK\), MPI sees 1: the launcher "
        r"is of another MPI than mpi4py's, which is ",
        done.stderr.splitlines()[-1],
    )


# What is other for rank 1, whose folder is another one.
DIFFERENCES = {
    "settings": (
        lambda folder: change(folder / "solver.prototxt", "base_lr: 0.01", "base_lr: 0.5"),
        r"the ranks differ in the solver's settings: rank 1 on host '.*' has 'base_lr: 0.5' in line \d+, "
        r"rank 0 on host '.*' has 'base_lr: 0.01'",
    ),
    "records": (
        lambda folder: (shutil.rmtree(folder / "db"), write_database(folder, records=22)),
        r"the ranks differ in what they read: rank 1 on host '.*' has 'layer 'data': 22 records', "
        r"rank 0 on host '.*' has 'layer 'data': 23 records'",
    ),
}


def change(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize("kind", DIFFERENCES)
def test_ranks_that_differ(train, tmp_path, monkeypatch, kind):
    """They say so before the first iteration, in one message."""
    make, wanted = DIFFERENCES[kind]
    for name in ("rank0", "rank1"):
        solver = files(tmp_path, name)
        for file in solver.parent.glob("*.prototxt"):
            file.write_text(file.read_text().replace(f"{solver.parent}/", ""))
    make(tmp_path / "rank1")
    script = tmp_path / "there.sh"
    script.write_text('#!/bin/sh\ncd "$WHERE/rank$PMI_RANK" && exec "$@"\n')
    script.chmod(0o755)
    mpiexec = " ".join(map(str, launcher(2)))
    done = train("solver.prototxt", "--launch", f"{mpiexec} {script}", WHERE=str(tmp_path))
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, done.stderr
    assert re.search(wanted, errors[0])
    assert "Iteration 0" not in done.stderr
