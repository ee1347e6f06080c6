"""The CPU that code is compiled for, and modules that are compiled apart from Numba."""

import ctypes
import os
import subprocess
import sys

import pytest
from llvmlite import ir
from numba import types
from numba.core.registry import cpu_target

from pycaffe_lite.kernels.runtime import llvm as _llvm
from pycaffe_lite.kernels.runtime.llvm import INT64, Target, compiled_module, item_bytes, llvm_float

TRIPLE = cpu_target.target_context.codegen().magic_tuple()[0]


@pytest.mark.skipif(not TRIPLE.startswith("x86_64"), reason="CPUs of the x86-64 family")
@pytest.mark.parametrize(
    ("cpu", "features", "vectors"),
    [
        ("x86-64", "", (16, 16, False)),
        ("x86-64-v3", "", (32, 16, True)),
        ("x86-64-v4", "-prefer-256-bit", (64, 32, True)),
    ],
)
def test_target_follows_the_cpu_that_numba_is_told(cpu, features, vectors):
    code = "from pycaffe_lite.kernels.runtime.llvm import target; print(tuple(target()))"
    environment = {**os.environ, "NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": features}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(vectors)


def test_lanes_and_sizes():
    wide = Target(vector_bytes=64, registers=32, fma=True)
    assert (wide.lanes(4), wide.lanes(8)) == (16, 8)
    assert (item_bytes(types.float32), item_bytes(types.float64)) == (4, 8)
    assert (llvm_float(types.float32), llvm_float(types.float64)) == (ir.FloatType(), ir.DoubleType())


@pytest.fixture
def disk(monkeypatch):
    """What is on disk by name, and no module that was compiled before."""
    files = {}
    monkeypatch.setattr(_llvm, "_engines", {})
    monkeypatch.setattr(_llvm, "load_file", lambda name, target: files.get(name))
    monkeypatch.setattr(_llvm, "save_file", lambda name, target, code: files.update({name: code}))
    yield files
    _KEPT.extend(_llvm._engines.values())


_KEPT = []  # engines whose code may still be called


def seven():
    """A module with a function that returns 7."""
    module = ir.Module()
    module.triple = TRIPLE
    function = ir.Function(module, ir.FunctionType(INT64, []), "seven")
    ir.IRBuilder(function.append_basic_block()).ret(INT64(7))
    return module


def fails():
    raise AssertionError("it has been compiled already")


def call(engine):
    return ctypes.CFUNCTYPE(ctypes.c_int64)(engine.get_function_address("seven"))()


def test_a_module_is_compiled_once_and_kept(disk, monkeypatch):
    engine = compiled_module("sevens", "a" * 40, seven)
    assert call(engine) == 7
    assert compiled_module("sevens", "a" * 40, fails) is engine
    assert list(disk) == ["sevens-aaaaaaaaaaaaaaaa.o"]
    _KEPT.append(engine)
    monkeypatch.setattr(_llvm, "_engines", {})  # as in a new process
    assert call(compiled_module("sevens", "a" * 40, fails)) == 7


def test_other_content_is_another_module(disk):
    first = compiled_module("sevens", "a" * 40, seven)
    assert compiled_module("sevens", "b" * 40, seven) is not first
    assert compiled_module("other", "a" * 40, seven) is not first
    assert len(disk) == 3


def test_a_module_without_a_hash_is_not_kept_on_disk(monkeypatch):
    """A name of None is what tells the cache so."""
    names = []
    monkeypatch.setattr(_llvm, "_engines", {})
    monkeypatch.setattr(_llvm, "load_file", lambda name, target: names.append(name))
    monkeypatch.setattr(_llvm, "save_file", lambda name, target, code: names.append(name))
    engine = compiled_module("sevens", None, seven)
    _KEPT.append(engine)
    assert call(engine) == 7
    assert names == [None, None]
