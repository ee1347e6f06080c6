"""What names compiled code on disk: another module of one name, another closure, an edit."""

import os
import subprocess
import sys

import numpy as np
import pytest
from numba import types

from pycaffe_lite import kernels
from pycaffe_lite.kernels.runtime import sources as _sources
from pycaffe_lite.kernels.runtime.decorators import serial_kernel

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


def test_what_is_no_module_of_the_package():
    for name in ("numpy", "pycaffe_lite.blob", "pycaffe_lite.kernels.nothing", "pycaffe_lite.kernelsx"):
        assert _sources.file_of(name) is None
    assert _sources.source_hash("pycaffe_lite.kernels.nothing") is None
    assert _sources.function_hash(test_what_is_no_module_of_the_package) is None


def test_a_closure_over_something_without_a_hash():
    anything = object()

    def function():
        return anything

    function.__module__ = "pycaffe_lite.kernels.elu"
    assert _sources.function_hash(function) is None


def of_package(function):
    """The function, as if it were in a module of the package."""
    function.__module__ = "pycaffe_lite.kernels.elu"
    return function


def closure_over(value):
    return of_package(lambda: value)


def other_closure_over(value):
    return of_package(lambda: [value])


VALUES = [
    None, 0, 1, 1.0, True, "1", b"1", (1, 2), [1, 2], (1, (2,)), np.float32(1), np.float64(1),
    np.dtype(np.float32), types.float32, types.float64, closure_over(1), closure_over(2),
]  # fmt: skip


def test_values_in_closures_have_hashes_of_their_own():
    hashes = [_sources.function_hash(closure_over(value)) for value in VALUES]
    assert None not in hashes
    assert len(set(hashes)) == len(VALUES)
    assert hashes == [_sources.function_hash(closure_over(value)) for value in VALUES]


def test_values_of_defaults_count():
    def with_default(value):
        return of_package(lambda x=value: x)

    hashes = [_sources.function_hash(with_default(value)) for value in (1, 2)]
    assert len({*hashes, _sources.function_hash(of_package(lambda x: x))}) == 3


def test_parts_without_a_hash():
    for value in (object(), (1, object()), closure_over(object()), {1: 2}):
        assert _sources.function_hash(closure_over(value)) is None


def test_kernels_in_closures_count_as_what_they_are_made_of():
    assert _sources.function_hash(closure_over(serial_kernel(closure_over(1)))) == _sources.function_hash(
        closure_over(closure_over(1))
    )


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """A folder whose files are modules of the package, and nothing remembered of others."""
    monkeypatch.setattr(kernels, "__path__", [*kernels.__path__, str(tmp_path)])
    for cached in (_sources._content, _sources.source_hash):
        cached.cache_clear()
    yield tmp_path
    for cached in (_sources._content, _sources.source_hash):
        cached.cache_clear()


def hash_after(modules, **sources):
    """The hash of module `top` after files were written."""
    for name, text in sources.items():
        (modules / f"{name}.py").write_text(text.replace("PACKAGE", _sources.PACKAGE))
    for cached in (_sources._content, _sources.source_hash):
        cached.cache_clear()
    return _sources.source_hash(f"{_sources.PACKAGE}.top")


@pytest.mark.parametrize(
    "line",
    [
        "from PACKAGE.low import x",
        "from PACKAGE import low",
        "from PACKAGE import elu, low as l",
        "from PACKAGE.low import (\n    x,\n    y,\n)",
        "from PACKAGE import (\n    elu,\n    low,\n)",
        "import PACKAGE.low",
        "def f():\n    from PACKAGE.low import x",
    ],
)
def test_every_kind_of_import_counts(modules, line):
    first = hash_after(modules, top=line, low="x = 1")
    assert first == hash_after(modules, low="x = 1")
    assert first != hash_after(modules, low="x = 2")


def test_imports_of_imports_count_and_may_run_in_circles(modules):
    sources = {"top": "import PACKAGE.middle", "middle": "import PACKAGE.low", "low": "import PACKAGE.top"}
    first = hash_after(modules, **sources)
    assert first is not None
    assert first != hash_after(modules, low="import PACKAGE.top  # edited")


def test_a_source_that_cannot_be_read(modules):
    assert hash_after(modules, top="import PACKAGE.low", low="x = 1") is not None
    (modules / "low.py").unlink()
    assert hash_after(modules) is not None  # no module of the package any more
    (modules / "top.py").unlink()
    assert hash_after(modules) is None


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
