"""The options for several ranks, without starting any."""

import sys

import pytest

from pycaffe_lite.cli.ranks import without_options


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch):
    for name in ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID", "PMIX_RANK"):
        monkeypatch.delenv(name, raising=False)


def test_wrong_options(run, folder, monkeypatch):
    def said(*options):
        result = run("train", "solver.prototxt", *options)
        assert result.code == (2 if result.err[0].startswith("Usage") else 1)
        return result.err[-1]

    assert said("--mpi") == (
        "Error: --mpi is given, but no launcher has started this process: start it as "
        "'mpiexec -n 4 pycaffe-lite ...', or give --ranks 4"
    )
    assert said("--restarts", "2") == (
        "Error: --restarts is for who starts the ranks: give --ranks or --launch too."
    )
    assert said("--ranks", "2", "--no-mpi") == (
        "Error: --ranks and --launch start ranks of MPI, which --no-mpi forbids."
    )
    assert said("--launch", "srun 'x") == (
        "Error: cannot read the launcher's command 'srun 'x': No closing quotation"
    )
    monkeypatch.setenv("PMI_RANK", "0")
    monkeypatch.setenv("PMI_SIZE", "4")
    assert said("--ranks", "2") == (
        "Error: a launcher has started this rank already (by PMI_RANK): give no --ranks or --launch"
    )


def test_no_mpi_is_imported_without_need(run, folder, monkeypatch):
    """A broken MPI ends the interpreter when it is imported."""
    monkeypatch.setitem(sys.modules, "mpi4py", None)  # importing it raises
    assert run("train", "solver.prototxt").code == 0
    monkeypatch.setenv("PMI_RANK", "0")
    monkeypatch.setenv("PMI_SIZE", "1")
    assert run("train", "solver.prototxt").code == 0
    monkeypatch.setenv("PMI_SIZE", "4")
    assert run("train", "solver.prototxt", "--no-mpi").code == 0
    result = run("train", "solver.prototxt")
    assert result.code == 1
    assert result.err[-1].startswith(
        "Error: training on several ranks needs mpi4py, which is not installed; "
    )


def test_several_gpus_are_explained(run, folder):
    lines = run("train", "solver.prototxt", "-gpu", "0,1,2,3").err
    assert any("There is no GPU support: -gpu 0,1,2,3 is ignored" in line for line in lines)
    wanted = "In Caffe, -gpu 0,1,2,3 trains on 4 GPUs; --ranks 4 does so in 4 processes"
    assert any(wanted in line for line in lines)


def test_arguments_of_ranks():
    given = [
        "train",
        "s.prototxt",
        "-ranks=2",
        "--keep",
        "3",
        "--launch",
        "srun -n 2",
        "--restarts",
        "1",
        "--mpi",
    ]
    assert without_options(given, ("ranks", "launch", "restarts")) == (
        ["train", "s.prototxt", "--keep", "3", "--mpi"]
    )
