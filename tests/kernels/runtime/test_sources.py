"""What names compiled code on disk: another module of one name, another closure, an edit."""

import os
import subprocess
import sys

import pytest

from pycaffe_lite.kernels.runtime import sources as _sources

RUN = """
import sys
import numpy as np
from pycaffe_lite import kernels
kernels.__path__.append(sys.argv[1])
from pycaffe_lite.kernels.one import forward as one
from pycaffe_lite.kernels.two import forward as two
print(one.total(np.ones(3)), two.total(np.ones(3)), *(f(np.ones(3)) for f in one.scaled))
"""
MODULE = """
from pycaffe_lite.kernels.runtime.decorators import serial_kernel
from pycaffe_lite.kernels.one.factor import FACTOR

@serial_kernel
def total(x):
    return x.sum() * {number} * FACTOR

def scaled_by(factor):
    @serial_kernel
    def scaled(x):
        return x.sum() * factor
    return scaled

scaled = [scaled_by(2.0), scaled_by(5.0)]
"""


@pytest.fixture
def room(tmp_path):
    """Two modules of one name in two folders, with closures, that import a third."""
    for folder, number in (("one", 1), ("two", 10)):
        (tmp_path / "room" / folder).mkdir(parents=True)
        (tmp_path / "room" / folder / "__init__.py").write_text("")
        (tmp_path / "room" / folder / "forward.py").write_text(MODULE.format(number=number))
    (tmp_path / "room" / "one" / "factor.py").write_text("FACTOR = 1.0\n")
    return tmp_path / "room"


def run(room):
    """What a new process prints, and how many files of compiled code there are afterwards."""
    cache = room.parent / "cache"
    environment = {**os.environ, "PYCAFFE_LITE_CACHE_DIR": str(cache), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", RUN, str(room)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split(), len(list(cache.rglob("*.nbc")))


def test_modules_of_one_name_closures_and_edits(room):
    right = ["3.0", "30.0", "6.0", "15.0"]
    assert run(room) == (right, 4)
    assert run(room) == (right, 4)
    # both modules import it
    (room / "one" / "factor.py").write_text("FACTOR = 2.0\n")
    assert run(room) == (["6.0", "60.0", "6.0", "15.0"], 8)
    # nobody imports it
    (room / "two" / "forward.py").write_text(MODULE.format(number=10) + "# a comment\n")
    assert run(room) == (["6.0", "60.0", "6.0", "15.0"], 9)


def test_what_is_no_module_of_the_room():
    for name in ("numpy", "pycaffe_lite.blob", "pycaffe_lite.kernels.nothing", "pycaffe_lite.kernelsx"):
        assert _sources.file_of(name) is None
    assert _sources.source_hash("pycaffe_lite.kernels.nothing") is None
    assert _sources.made_of(test_what_is_no_module_of_the_room) is None


def test_a_closure_over_something_that_cannot_be_told():
    anything = object()

    def function():
        return anything

    function.__module__ = "pycaffe_lite.kernels.elu"
    assert _sources.made_of(function) is None


INNER = """
from pycaffe_lite.kernels.runtime.decorators import kernel, serial_kernel

def scaled_by(factor):
    @kernel
    def scaled(x):
        return x.sum() * factor
    return scaled

double, fivefold = scaled_by(2.0), scaled_by(5.0)

@serial_kernel
def two(x):
    return double(x)

@serial_kernel
def five(x):
    return fivefold(x)

@serial_kernel
def both(x):
    return double(x) + 100 * fivefold(x)
"""


def test_closures_that_different_processes_compiled_are_kept_apart(tmp_path):
    """Each process numbers what it compiles anew, so two closures could get one symbol."""
    (tmp_path / "room").mkdir()
    (tmp_path / "room" / "inner.py").write_text(INNER)
    cache = {"PYCAFFE_LITE_CACHE_DIR": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    results = []
    for name in ("two", "five", "both"):
        code = (
            "import sys, numpy as np; from pycaffe_lite import kernels; "
            f"kernels.__path__.append({str(tmp_path / 'room')!r}); from pycaffe_lite.kernels import inner; "
            f"print(inner.{name}(np.ones(3)))"
        )
        command = [sys.executable, "-c", code]
        done = subprocess.run(
            command, env={**os.environ, **cache}, capture_output=True, text=True, check=True
        )
        results.append(float(done.stdout))
    assert results == [6, 15, 1506]
