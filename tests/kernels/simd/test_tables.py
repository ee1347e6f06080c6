"""Tables of functions: what is at which index, how it is called, and when it is compiled again."""

import numpy as np
import pytest
from numba import types
from numba.extending import intrinsic

from pycaffe_lite.kernels.runtime.decorators import serial_kernel
from pycaffe_lite.kernels.runtime.llvm import INT64, llvm_float
from pycaffe_lite.kernels.simd import tables as _tables
from pycaffe_lite.kernels.simd.tables import function_table, new_function, passing_on, vector_writer


def arguments(dtype):
    """source, out, count."""
    pointer = llvm_float(dtype).as_pointer()
    return [pointer, pointer, INT64]


def write_power(module, name, dtype, exponent):
    """out[i] = source[i] ** exponent for i < count, in whole vectors."""
    function, builder = new_function(module, name, arguments(dtype))
    source, out, count = function.args
    w = vector_writer(builder, dtype)

    def power(i):
        value = result = w.load(w.at(source, i))
        for _ in range(exponent - 1):
            result = builder.fmul(result, value)
        w.store(result, w.at(out, i))

    w.each_vector(count, power)
    builder.ret_void()


@intrinsic
def call(_context, table, number, x, xo, y, yo, count):
    n = types.intp
    return types.void(table, n, x, n, y, n, n), passing_on(arguments(x.dtype))


@serial_kernel
def apply(table, number, x, xo, y, yo, count):
    call(table, number, x, xo, y, yo, count)


FUNCTIONS = {"square": (2, write_power, (2,)), "cube": (0, write_power, (3,))}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_function_is_at_its_index_and_gets_its_arguments(dtype):
    kind = types.float32 if dtype == np.float32 else types.float64
    table = function_table(f"powers-{kind}", kind, FUNCTIONS, 4)
    assert table.dtype == np.int64
    assert [bool(address) for address in table] == [True, False, True, False]
    x, y = np.arange(100, dtype=dtype), np.zeros(100, dtype)
    apply(table, 2, x, 3, y, 5, 32)
    assert np.array_equal(y[5:37], x[3:35] ** 2)
    assert not y[:5].any()
    apply(table, 0, x, 0, y, 64, 16)
    assert np.array_equal(y[64:80], x[:16] ** 3)
    assert not y[80:].any()


def test_what_a_table_is_made_of_names_its_file(monkeypatch):
    monkeypatch.setattr(write_power, "__module__", "pycaffe_lite.kernels.simd.tables")
    hashes = [
        _tables._content_of({"a": (0, write_power, (2,))}),
        _tables._content_of({"a": (1, write_power, (2,))}),
        _tables._content_of({"a": (0, write_power, (3,))}),
        _tables._content_of({"b": (0, write_power, (2,))}),
        _tables._content_of({"a": (0, write_power, (2,)), "b": (1, write_power, (2,))}),
    ]
    assert None not in hashes
    assert len(set(hashes)) == len(hashes)
    assert hashes[0] == _tables._content_of({"a": (0, write_power, (2,))})


def test_a_table_of_writers_from_elsewhere_is_not_kept():
    assert _tables._content_of(FUNCTIONS) is None
