"""The vectors of the CPU that Numba compiles for, and what LLVM makes of code that is written with them."""

import re
from types import SimpleNamespace

import llvmlite.binding as llvm
import numpy as np
import pytest
from numba.core.registry import cpu_target

from pycaffe_lite.kernels.convolution.winograd.transforms import transform_table
from pycaffe_lite.kernels.runtime.decorators import serial_kernel
from pycaffe_lite.kernels.simd import tables as _table
from pycaffe_lite.kernels.simd.copies import bring_near, copy_lines
from pycaffe_lite.kernels.simd.tiles import tile_table
from tests.kernels.guarded import guarded, guarded_nans, margins_untouched

TRIPLE, CPU, FEATURES = cpu_target.target_context.codegen().magic_tuple()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("table", [tile_table, transform_table], ids=["tiles", "transforms"])
def test_functions_in_tables_call_nothing(table, dtype, monkeypatch):
    """A multiply-add that the CPU does not have would be a library call per lane."""
    modules = []

    def keep_module(_name, _content, write):
        modules.append(str(write()))
        return SimpleNamespace(get_function_address=lambda name: 1)

    monkeypatch.setattr(_table, "compiled_module", keep_module)
    assert table.__wrapped__(np.dtype(dtype)).any()
    machine = llvm.Target.from_triple(TRIPLE).create_target_machine(cpu=CPU, features=FEATURES, opt=3)
    assembly = machine.emit_assembly(llvm.parse_assembly(modules[0]))
    assert len(re.findall(r"\sret", assembly)) > 10
    calls = re.findall(r"\s(?:callq?|bl)\s", assembly)
    assert not calls, f"{len(calls)} calls"


@serial_kernel
def copy(source, at, width, lines, out, to, line, first):
    copy_lines(source, at, width, lines, out, to, line, first)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [1, 7, 16, 33, 60])
@pytest.mark.parametrize("first", [0, 2, 19, 40])
@pytest.mark.parametrize("beyond", [-5, 0, 3, 21])
def test_copied_lines_lie_between_zeros(dtype, width, first, beyond):
    lines, line, room = 3, max(1, first + width + beyond), 16
    source = guarded(np.arange(1, lines * width + 1, dtype=dtype))
    out = guarded_nans(lines * line + room, dtype)
    copy(source, 0, width, lines, out, 0, line, first)
    wanted = np.zeros((lines, first + width + max(beyond, 0)), dtype)
    wanted[:, first : first + width] = source.reshape(lines, width)
    np.testing.assert_array_equal(out[: lines * line].reshape(lines, line), wanted[:, :line])
    assert margins_untouched(out)


@serial_kernel
def look_ahead(x, start, count):
    bring_near(x, start, count)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("start", "count"), [(0, 100), (90, 5000), (1 << 40, 100), (-(1 << 40), 100), (0, 0)]
)
def test_to_look_beyond_an_array_does_no_harm(dtype, start, count):
    x = np.arange(100, dtype=dtype)
    look_ahead(x, start, count)
    assert np.array_equal(x, np.arange(100))
