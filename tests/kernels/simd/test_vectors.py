"""Vector instructions: what each of them computes, and what LLVM makes of them."""

import re
from types import SimpleNamespace

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir
from numba.core.registry import cpu_target

from pycaffe_lite.kernels.convolution.winograd.transforms import transform_table
from pycaffe_lite.kernels.runtime.decorators import serial_kernel
from pycaffe_lite.kernels.runtime.llvm import INT64, target
from pycaffe_lite.kernels.runtime.memory import aligned_zeros
from pycaffe_lite.kernels.simd import tables as _table
from pycaffe_lite.kernels.simd.tiles import tile_table
from pycaffe_lite.kernels.simd.vectors import each_time, keep_small, vector_lanes
from tests.kernels.guarded import guarded, guarded_nans, margins_untouched
from tests.kernels.simd.machine_code import run

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


DTYPES = [np.float32, np.float64]
LANES = [2, 4, 8, 16]
both = pytest.mark.parametrize("dtype", DTYPES)
all_lanes = pytest.mark.parametrize("lanes", LANES)


def values(count, dtype):
    """Different numbers between NaNs, not aligned to vectors."""
    return guarded(np.arange(1, count + 1, dtype=dtype))


@both
@all_lanes
def test_vectors_of_any_alignment_are_loaded_and_stored(lanes, dtype):
    x, y = values(3 * lanes, dtype), guarded_nans(3 * lanes, dtype)
    run(lambda w, x, y: w.store(w.load(w.at(x, lanes)), w.at(y, 1)), x, y, lanes=lanes)
    assert np.array_equal(y[1 : 1 + lanes], x[lanes : 2 * lanes])
    assert np.isnan(y[0])
    assert np.isnan(y[1 + lanes :]).all()


@both
@all_lanes
def test_halves_come_from_and_go_to_two_places(lanes, dtype):
    x, y = values(4 * lanes, dtype), guarded_nans(4 * lanes, dtype)

    def body(w, x, y):
        halves = w.load_runs([w.at(x, 1), w.at(x, 2 * lanes)])
        w.store_runs(halves, [w.at(y, lanes), w.at(y, 0)])
        w.store_runs(w.load_runs([x]), [w.at(y, 3 * lanes)])

    run(body, x, y, lanes=lanes)
    half = lanes // 2
    assert np.array_equal(y[lanes : lanes + half], x[1 : 1 + half])
    assert np.array_equal(y[:half], x[2 * lanes : 2 * lanes + half])
    assert np.array_equal(y[3 * lanes :], x[:lanes])
    assert np.isnan(y).sum() == 2 * lanes


@both
@all_lanes
def test_constants_and_splats(lanes, dtype):
    x, y = values(3, dtype), guarded_nans(4 * lanes, dtype)

    def body(w, x, y):
        spread = w.splat(w.builder.load(w.at(x, 2)))
        every_other = w.mask([lane % 2 == 1 for lane in range(lanes)])
        for i, vector in enumerate([w.zero(), w.constant(2.5), spread]):
            w.store(vector, w.at(y, i * lanes))
        w.store(w.builder.select(every_other, w.constant(1), w.constant(-1)), w.at(y, 3 * lanes))

    run(body, x, y, lanes=lanes)
    rows = y.reshape(4, lanes)
    assert (rows[0] == 0).all()
    assert (rows[1] == 2.5).all()
    assert (rows[2] == 3).all()
    assert rows[3].tolist() == [-1, 1] * (lanes // 2)


@both
@all_lanes
def test_the_first_lanes_are_loaded_and_stored_alone(lanes, dtype):
    for count in range(lanes + 1):
        x, y, z = values(count, dtype), guarded_nans(count, dtype), guarded_nans(lanes, dtype)

        def store_part(w, x, y, count):
            mask = w.first_lanes(count)
            w.store_first(w.load_first(x, mask), y, mask)

        def store_whole(w, x, z, count):
            w.store(w.load_first(x, w.first_lanes(count)), z)

        run(store_part, x, y, count, lanes=lanes)
        assert np.array_equal(y, x)
        assert margins_untouched(y)
        run(store_whole, x, z, count, lanes=lanes)
        assert z.tolist() == [*x.tolist(), *[0] * (lanes - count)]


@all_lanes
@pytest.mark.parametrize("flag", [0, 1])
def test_one_truth_value_in_all_lanes(lanes, flag):
    x, y = values(lanes, np.float32), guarded_nans(lanes, np.float32)

    def body(w, x, y, flag):
        mask = w.splat_flag(w.builder.trunc(flag, ir.IntType(1)))
        w.store(w.builder.select(mask, w.load(x), w.zero()), y)

    run(body, x, y, flag, lanes=lanes)
    assert np.array_equal(y, x * flag)


@all_lanes
@pytest.mark.parametrize(("start", "limit"), [(0, 3), (-1, 5), (-20, 5), (2, 4), (5, 5), (0, 100), (7, 3)])
def test_lanes_between(lanes, start, limit):
    x, y = values(lanes, np.float32), guarded_nans(lanes, np.float32)

    def body(w, x, y, start, limit):
        w.store(w.builder.select(w.lanes_between(start, limit), w.load(x), w.zero()), y)

    run(body, x, y, start, limit, lanes=lanes)
    assert y.tolist() == [x[i] if 0 <= start + i < limit else 0 for i in range(lanes)]


@both
@all_lanes
def test_shuffles(lanes, dtype):
    x, y = values(2 * lanes, dtype), guarded_nans(4 * lanes, dtype)

    def body(w, x, y):
        a, b = w.load(x), w.load(w.at(x, lanes))
        w.store(w.every_second(a, b), y)
        w.store(w.every_second(a, b, 1), w.at(y, lanes))
        w.store(w.shuffle(a, b, [lanes, *range(1, lanes)]), w.at(y, 2 * lanes))
        w.store(w.multiply_add(a, b, w.constant(3)), w.at(y, 3 * lanes))

    run(body, x, y, lanes=lanes)
    rows = y.reshape(4, lanes)
    assert np.array_equal(rows[0], x[::2])
    assert np.array_equal(rows[1], x[1::2])
    assert np.array_equal(rows[2], [x[lanes], *x[1:lanes]])
    assert np.array_equal(rows[3], x[:lanes] * x[lanes:] + 3)


@both
@all_lanes
def test_transposed_squares(lanes, dtype):
    x, y = values(lanes * lanes, dtype), guarded_nans(lanes * lanes, dtype)

    def body(w, x, y):
        for i, column in enumerate(w.transpose([w.load(w.at(x, r * lanes)) for r in range(lanes)])):
            w.store(column, w.at(y, i * lanes))

    run(body, x, y, lanes=lanes)
    assert np.array_equal(y.reshape(lanes, lanes), x.reshape(lanes, lanes).T)


@both
@all_lanes
def test_sums_of_the_lanes_of_four(lanes, dtype):
    x, y = values(4 * lanes, dtype), guarded_nans(4, dtype)
    run(lambda w, x, y: w.store(w.sum_lanes_of_four([w.load(w.at(x, i * lanes)) for i in range(4)]), y),
        x, y, lanes=lanes)  # fmt: skip
    assert np.array_equal(y, x.reshape(4, lanes).sum(1))
    assert margins_untouched(y)


@pytest.mark.parametrize("vectors", [1, 3])
@pytest.mark.parametrize("count", [-1, 0, 1, 4, 5, 12, 13])
def test_a_loop_over_vectors_covers_a_count(count, vectors):
    x, y = values(40, np.float32), guarded(np.zeros(40, np.float32))

    def body(w, x, y, count):
        def double(i):
            for v in range(vectors):
                place = w.at(w.at(y, i), v * 4)
                w.store(w.builder.fadd(w.load(place), w.load(w.at(w.at(x, i), v * 4))), place)

        w.each_vector(count, double, vectors)

    text = run(body, x, y, count, lanes=4)
    step = 4 * vectors
    done = -(-max(count, 0) // step) * step
    assert np.array_equal(y[:done], x[:done])
    assert not y[done:].any()
    assert "llvm.loop.unroll.disable" in text


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_counted_loop(count):
    x, y = values(8, np.float32), guarded(np.zeros(8, np.float32))

    def body(w, x, y, count):
        with each_time(w.builder, count) as i:
            w.builder.store(w.builder.load(w.at(x, i)), w.at(y, i))

    text = run(body, x, y, count, lanes=4)
    assert y.tolist() == [*x[:count], *[0] * (8 - count)]
    assert "llvm.loop.unroll.disable" in text


@both
@pytest.mark.parametrize("offsets", [(0, 0, 0), (1, 0, 0), (0, 3, 0), (0, 0, 1)])
def test_aligned_places(dtype, offsets):
    """offsets: of two pointers and of a row, in numbers."""
    lanes, y = 4, np.zeros(2, dtype)
    x = aligned_zeros(64, dtype)

    def body(w, x, y, a, b, row):
        aligned = w.are_aligned([w.at(x, a), w.at(x, b)], w.builder.add(row, INT64(2 * lanes)))
        w.builder.store(w.builder.uitofp(aligned, w.scalar), y)

    run(body, x, y, *offsets, lanes=lanes)
    assert y[0] == (not any(offsets))


@both
def test_nontemporal_stores_store(dtype):
    lanes = 4
    x, y = values(lanes, dtype), aligned_zeros(3 * lanes, dtype)
    text = run(lambda w, x, y: w.store_nontemporal(w.load(x), w.at(y, lanes)), x, y, lanes=lanes)
    assert y.tolist() == [*[0] * lanes, *x, *[0] * lanes]
    assert "!nontemporal" in text
    assert f"align {lanes * x.itemsize}" in text


@serial_kernel
def lanes_of(x):
    keep_small()
    return vector_lanes(x)


@both
def test_the_lanes_of_an_array(dtype):
    assert lanes_of(np.zeros(1, dtype)) == target().lanes(np.dtype(dtype).itemsize)
    assert all("optsize" in code for code in lanes_of.inspect_llvm().values())
