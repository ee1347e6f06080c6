"""The two micro-kernels: a tile of a matrix product, kept in vector registers for the whole inner loop.

A matrix product does M·N·K multiplications on M·K + K·N numbers, so it can run at the speed of the
multipliers if every number that is loaded is used many times. The innermost loop keeps a small tile of the
result in registers and, per step, loads a few numbers and multiplies each by all it meets:

outer tile (C = A B, vectors along the columns of C)

    per k:  C[i, :] += A[i, k] * B[k, :]    rows x 2 vectors of sums; loads: 2 vectors of B, and each of
                                            `rows` numbers of A spread over all lanes.
    12 rows x 2 vectors fill 24 of AVX-512's 32 registers; 6 x 2 fill 12 of AVX2's or SSE's 16. Twelve
    independent sums also hide the latency of a multiply-add (4 cycles, two started per cycle).
    The rows of a matrix are shared out evenly (`tile_count`): 50 rows are 5 tiles of 10, none is padded.

dot tile (C = A Bᵀ, vectors along k)

    per vector of k:  C[i, j] += A[i, k..] * B[j, k..]   lane by lane; the lanes are added up at the end.
    Neither matrix needs rearranging; used where k is long: inner products, gradients of weights.

What makes them fit convolutions without copying the image: vectors are found through small tables. An outer
tile finds row k of B at `taps[k]` from wherever its columns start, and its columns may be 2 vectors or 4 half
vectors that start anywhere (`sites`): pieces of different rows of an image. A dot tile walks the vectors of A
and the vectors, or pairs of half vectors, of B that two tables list.

Each variant is a function of its own. They are compiled once per type, apart from Numba (`tile_table`), and
kernels call them by their addresses: compiled into every kernel that uses them, they would take most of a
cold start. All sums are kept in the arrays' type.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numba.np.numpy_support import from_dtype

from pycaffe_lite.kernels._jit import Array, kernel
from pycaffe_lite.kernels._simd import (
    INT64,
    VectorWriter,
    compiled_module,
    data_pointer,
    item_bytes,
    join_phi,
    llvm_float,
    target,
)

ONE_VECTOR, TWO_VECTORS, FOUR_HALVES = range(3)  # the columns of an outer tile
SHAPES = 3
MOST_SITES = 4  # runs of columns in an outer tile
DOT_COLUMNS = 4
FIRST_DOT = 13 * SHAPES  # in the table: after the outer tiles of up to 12 rows

INT64_POINTER = INT64.as_pointer()
FLAG = ir.IntType(1)


def outer_rows() -> int:
    """Most rows of an outer tile."""
    return 12 if target().registers >= 32 else 6


def dot_rows() -> int:
    """Most rows of a dot tile."""
    return 5 if target().registers >= 32 else 3 if target().fma else 2


def _new_function(module: Any, name: str, argument_types: list[Any]) -> tuple[Any, Any]:
    """A function without a result: (function, its builder)."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), argument_types), name)
    return function, ir.IRBuilder(function.append_basic_block("entry"))


def _writer(builder: Any, dtype: Any) -> VectorWriter:
    return VectorWriter(builder, dtype, target().lanes(item_bytes(dtype)))


def _outer_function(module: Any, dtype: Any, rows: int, shape: int) -> None:
    """Add the function of `outer_tile` for one tile size."""
    pointer = llvm_float(dtype).as_pointer()
    function, builder = _new_function(module, _outer_name(rows, shape), _outer_arguments(dtype))
    depth, a, b, taps, c, ldc, sites, start, accumulate, activate, slope = function.args
    w = _writer(builder, dtype)
    vectors = 1 if shape == ONE_VECTOR else 2
    tile = [(i, j) for i in range(rows) for j in range(vectors)]
    runs = 2 if shape == FOUR_HALVES else 1  # of columns per vector
    place = [builder.load(builder.gep(sites, [INT64(s)])) for s in range(vectors * runs)]
    b_runs = [w.at(b, offset) for offset in place]
    place = [builder.load(builder.gep(sites, [INT64(MOST_SITES + s)])) for s in range(vectors * runs)]
    c_runs = [w.at(c, offset) for offset in place]
    c_rows = [builder.mul(ldc, INT64(i)) for i in range(rows)]
    c_at = {(i, j): [w.at(run, c_rows[i]) for run in c_runs[j * runs : (j + 1) * runs]] for i, j in tile}
    from_c, from_start, loop, end, activated, done = (
        builder.append_basic_block(name) for name in ("from_c", "from_start", "k", "end", "activated", "done")
    )

    builder.cbranch(accumulate, from_c, from_start)
    builder.position_at_end(from_c)
    loaded = {t: w.load_runs(c_at[t]) for t in tile}
    builder.branch(loop)
    builder.position_at_end(from_start)
    splats = [w.splat(builder.load(w.at(start, i))) for i in range(rows)]
    builder.branch(loop)

    builder.position_at_end(loop)
    k, a_k = builder.phi(INT64), builder.phi(pointer)
    sums = {t: builder.phi(w.vector) for t in tile}
    tap = builder.load(builder.gep(taps, [k]))
    b_vectors = [
        w.load_runs([w.at(run, tap) for run in b_runs[j * runs : (j + 1) * runs]]) for j in range(vectors)
    ]
    new = {}
    for i in range(rows):
        a_i = w.splat(builder.load(w.at(a_k, i)))
        for j in range(vectors):
            new[i, j] = w.multiply_add(a_i, b_vectors[j], sums[i, j])
    following = builder.add(k, INT64(1))
    for phi, first, later in ((k, INT64(0), following), (a_k, a, w.at(a_k, rows))):
        join_phi(phi, (first, from_c), (first, from_start), (later, loop))
    for i, j in tile:
        join_phi(sums[i, j], (loaded[i, j], from_c), (splats[i], from_start), (new[i, j], loop))
    builder.cbranch(builder.icmp_signed("<", following, depth), loop, end)

    builder.position_at_end(end)
    builder.cbranch(activate, activated, done)
    builder.position_at_end(activated)
    slopes = w.splat(slope)
    leaky = {}
    for t in tile:
        positive = builder.fcmp_ordered(">", new[t], w.zero())
        leaky[t] = builder.select(positive, new[t], builder.fmul(slopes, new[t]))
    builder.branch(done)
    builder.position_at_end(done)
    results = {t: join_phi(builder.phi(w.vector), (new[t], end), (leaky[t], activated)) for t in tile}
    for t in tile:
        w.store_runs(results[t], c_at[t])
    builder.ret_void()


def _dot_function(module: Any, dtype: Any, rows: int, halves: bool) -> None:
    """Add the function of `dot_tile` for one number of rows."""
    function, builder = _new_function(module, _dot_name(rows, halves), _dot_arguments(dtype))
    columns, whole, rest, a, lda, a_steps, b, taps, b_steps, c, ldc, accumulate = function.args
    w = _writer(builder, dtype)
    runs = 2 if halves else 1  # per vector of B
    tile = [(i, j) for i in range(rows) for j in range(DOT_COLUMNS)]
    a_rows = [w.at(a, builder.mul(lda, INT64(i))) for i in range(rows)]
    b_rows = []
    for j in range(DOT_COLUMNS):
        # columns that are not there repeat the first one
        column = builder.select(builder.icmp_signed("<", INT64(j), columns), INT64(j), INT64(0))
        b_rows.append(w.at(b, builder.load(builder.gep(taps, [column]))))

    def step(t: Any, load: Callable[[list[Any]], Any], sums: dict[Any, Any]) -> dict[Any, Any]:
        """The sums after the vectors number t of a_steps and b_steps."""
        numbers = [builder.add(builder.mul(t, INT64(runs)), INT64(run)) for run in range(runs)]
        a_place = builder.load(builder.gep(a_steps, [t]))
        b_places = [builder.load(builder.gep(b_steps, [number])) for number in numbers]
        a_vectors = [load([w.at(row, a_place)]) for row in a_rows]
        new = {}
        for j in range(DOT_COLUMNS):
            b_vector = load([w.at(b_rows[j], place) for place in b_places])
            for i in range(rows):
                new[i, j] = w.multiply_add(a_vectors[i], b_vector, sums[i, j])
        return new

    entry = builder.basic_block
    loop, after, tail, done = (builder.append_basic_block(name) for name in ("k", "after", "tail", "done"))
    builder.cbranch(builder.icmp_signed(">", whole, INT64(0)), loop, after)

    builder.position_at_end(loop)
    t = builder.phi(INT64)
    sums = {at: builder.phi(w.vector) for at in tile}
    new = step(t, w.load_runs, sums)
    following = builder.add(t, INT64(1))
    join_phi(t, (INT64(0), entry), (following, loop))
    for at in tile:
        join_phi(sums[at], (w.zero(), entry), (new[at], loop))
    builder.cbranch(builder.icmp_signed("<", following, whole), loop, after)

    builder.position_at_end(after)
    summed = {at: join_phi(builder.phi(w.vector), (w.zero(), entry), (new[at], loop)) for at in tile}
    builder.cbranch(builder.icmp_signed(">", rest, INT64(0)), tail, done)
    builder.position_at_end(tail)
    mask = w.first_lanes(rest)
    last = step(whole, lambda places: w.load_first(places[0], mask), summed)
    builder.branch(done)

    builder.position_at_end(done)
    total = {at: join_phi(builder.phi(w.vector), (summed[at], after), (last[at], tail)) for at in tile}
    for i in range(rows):
        four = w.sum_lanes_of_four([total[i, j] for j in range(DOT_COLUMNS)])
        _add_to_row(builder, w, four, w.at(c, builder.mul(ldc, INT64(i))), columns, accumulate)
    builder.ret_void()


def _add_to_row(builder: Any, w: VectorWriter, four: Any, at: Any, columns: Any, accumulate: Any) -> None:
    """Store the first `columns` of four numbers at a place, or add them to what is there."""
    blocks = [builder.append_basic_block(name) for name in ("full", "add", "set", "part", "next")]
    full, add, put, part, following = blocks
    builder.cbranch(builder.icmp_signed("==", columns, INT64(DOT_COLUMNS)), full, part)
    builder.position_at_end(full)
    builder.cbranch(accumulate, add, put)
    builder.position_at_end(add)
    w.store(builder.fadd(w.load(at, four.type), four), at)
    builder.branch(following)
    builder.position_at_end(put)
    w.store(four, at)
    builder.branch(following)
    builder.position_at_end(part)
    for j in range(DOT_COLUMNS - 1):
        with builder.if_then(builder.icmp_signed("<", INT64(j), columns)):
            place = w.at(at, j)
            value = builder.extract_element(four, ir.IntType(32)(j))
            sums = builder.fadd(builder.load(place), value)
            builder.store(builder.select(accumulate, sums, value), place)
    builder.branch(following)
    builder.position_at_end(following)


def _outer_arguments(dtype: Any) -> list[Any]:
    """depth, a, b, taps, c, ldc, sites, start, accumulate, activate, slope."""
    pointer = llvm_float(dtype).as_pointer()
    types_of = [INT64, pointer, pointer, INT64_POINTER, pointer, INT64, INT64_POINTER, pointer]
    return [*types_of, FLAG, FLAG, llvm_float(dtype)]


def _dot_arguments(dtype: Any) -> list[Any]:
    """columns, whole, rest, a, lda, a_steps, b, taps, b_steps, c, ldc, accumulate."""
    pointer = llvm_float(dtype).as_pointer()
    types_of = [INT64, INT64, INT64, pointer, INT64, INT64_POINTER, pointer, INT64_POINTER, INT64_POINTER]
    return [*types_of, pointer, INT64, FLAG]


def _outer_name(rows: int, shape: int) -> str:
    return f"outer_{rows}_{shape}"


def _dot_name(rows: int, halves: int) -> str:
    return f"dot_{rows}_{halves:d}"


_engines: dict[str, Any] = {}  # they own the code that the tables point to


@lru_cache(maxsize=2)
def tile_table(dtype: np.dtype[Any]) -> Array:
    """Addresses of the tiles' functions for one type, as `outer_tile` and `dot_tile` want them."""
    numba_type = from_dtype(dtype)
    outer = [(rows, shape) for rows in range(1, outer_rows() + 1) for shape in range(SHAPES)]
    dot = [(rows, halves) for rows in range(1, dot_rows() + 1) for halves in (False, True)]

    def write() -> Any:
        module = ir.Module()
        for rows, shape in outer:
            _outer_function(module, numba_type, rows, shape)
        for rows, halves in dot:
            _dot_function(module, numba_type, rows, halves)
        return module

    engine = _engines[dtype.char] = compiled_module(f"tiles-{dtype.name}", write)
    table = np.zeros(FIRST_DOT + 2 * (dot_rows() + 1), np.int64)
    for rows, shape in outer:
        table[rows * SHAPES + shape] = engine.get_function_address(_outer_name(rows, shape))
    for rows, halves in dot:
        table[FIRST_DOT + rows * 2 + halves] = engine.get_function_address(_dot_name(rows, halves))
    return table


def _call(builder: Any, table: Any, number: Any, argument_types: list[Any], args: list[Any]) -> None:
    """Call the function whose address is entry `number` of the table."""
    address = builder.load(builder.gep(table, [number]))
    signature = ir.FunctionType(ir.VoidType(), argument_types)
    builder.call(builder.inttoptr(address, signature.as_pointer()), args)


@intrinsic
def _outer(_context: Any, tiles: Any, number: Any, depth: Any, a: Any, ao: Any, b: Any, bo: Any,
           taps: Any, to: Any, c: Any, co: Any, ldc: Any, sites: Any, start: Any, so: Any,
           accumulate: Any, activate: Any, slope: Any) -> Any:  # fmt: skip
    """Call an outer tile's function: arrays with the offsets of their first elements to pointers."""
    n, flag = types.intp, types.boolean
    signature = types.void(tiles, n, n, a, n, b, n, taps, n, c, n, n, sites, start, n, flag, flag, a.dtype)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def pointer(position: int, offset: Any) -> Any:
            return data_pointer(context, builder, signature.args[position], args[position], offset)

        zero = INT64(0)
        call = [
            args[2],
            pointer(3, args[4]),
            pointer(5, args[6]),
            pointer(7, args[8]),
            pointer(9, args[10]),
            args[11],
        ]
        call += [pointer(12, zero), pointer(13, args[14]), *args[15:]]
        _call(builder, pointer(0, zero), args[1], _outer_arguments(a.dtype), call)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _dot(_context: Any, tiles: Any, number: Any, columns: Any, whole: Any, rest: Any, a: Any, ao: Any,
         lda: Any, a_steps: Any, b: Any, bo: Any, taps: Any, to: Any, b_steps: Any, c: Any, co: Any, ldc: Any,
         accumulate: Any) -> Any:  # fmt: skip
    """Call a dot tile's function: arrays with the offsets of their first elements to pointers."""
    n = types.intp
    signature = types.void(
        tiles, n, n, n, n, a, n, n, a_steps, b, n, taps, n, b_steps, c, n, n, types.boolean
    )  # fmt: skip

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def pointer(position: int, offset: Any) -> Any:
            return data_pointer(context, builder, signature.args[position], args[position], offset)

        zero = INT64(0)
        call = [
            *args[2:5],
            pointer(5, args[6]),
            args[7],
            pointer(8, zero),
            pointer(9, args[10]),
            pointer(11, args[12]),
        ]
        call += [pointer(13, zero), pointer(14, args[15]), *args[16:]]
        _call(builder, pointer(0, zero), args[1], _dot_arguments(a.dtype), call)
        return context.get_dummy_value()

    return signature, codegen


@kernel(inline="always")  # it only numbers the variant: a call of its own would cost more than it does
def outer_tile(
    tiles: Array, rows: int, shape: int, depth: int, a: Array, ao: int, b: Array, bo: int,
    taps: Array, to: int, c: Array, co: int, ldc: int, sites: Array, start: Array, so: int,
    accumulate: bool, activate: bool, slope: float,
) -> None:  # fmt: skip
    """C[i, j] = act(first[i, j] + sum over k < depth of A[i, k] B[k, j]), i < rows.

    The columns are runs: one or two vectors, or four half vectors, as `shape` says; run s of them starts at
    sites[s] in B and at sites[MOST_SITES + s] in C. Arrays are contiguous, each followed by the offset of its
    first element; with l the place in a run,
    A[i, k] = a[ao + k * rows + i], B[k, s l] = b[bo + sites[s] + taps[to + k] + l],
    C[i, s l] = c[co + sites[MOST_SITES + s] + i * ldc + l].
    first[i, j] is C[i, j] if `accumulate`, else start[so + i]. act(v) is v unless `activate`, else
    v if v > 0 else slope * v. tiles: `tile_table`; rows: 1 to max_outer_rows(); depth: 1 and more.
    """
    number = rows * SHAPES + shape
    _outer(
        tiles, number, depth, a, ao, b, bo, taps, to, c, co, ldc, sites, start, so,
        accumulate, activate, slope,
    )  # fmt: skip


@kernel(inline="always")  # as `outer_tile`
def dot_tile(
    tiles: Array, rows: int, columns: int, halves: bool, whole: int, rest: int, a: Array, ao: int, lda: int,
    a_steps: Array, b: Array, bo: int, taps: Array, to: int, b_steps: Array, c: Array, co: int, ldc: int,
    accumulate: bool,
) -> None:  # fmt: skip
    """C[i, j] = (C[i, j] if accumulate else 0) + sum over steps and lanes of A[i, ..] B[j, ..].

    Step t < whole takes a vector of each row of A and of B, at a[ao + i * lda + a_steps[t]] and
    b[bo + taps[to + j] + b_steps[t]]; with `halves` B's two halves, at entries 2 t and 2 t + 1 of b_steps.
    A last step takes the first `rest` lanes (0: none; only without halves) of vector number `whole`.
    C[i, j] = c[co + i * ldc + j]; i < rows (1 to max_dot_rows()), j < columns (1 to 4). tiles: `tile_table`.
    """
    number = FIRST_DOT + rows * 2 + halves
    _dot(
        tiles,
        number,
        columns,
        whole,
        rest,
        a,
        ao,
        lda,
        a_steps,
        b,
        bo,
        taps,
        to,
        b_steps,
        c,
        co,
        ldc,
        accumulate,
    )


@intrinsic
def max_outer_rows(_context: Any) -> Any:
    """Most rows of an outer tile: a constant of the compiled code."""
    return types.intp(), lambda *_: INT64(outer_rows())


@intrinsic
def max_dot_rows(_context: Any) -> Any:
    """Most rows of a dot tile: a constant of the compiled code."""
    return types.intp(), lambda *_: INT64(dot_rows())


@kernel
def tile_count(rows: int, most: int) -> int:
    """The fewest tiles of at most `most` rows; tile t covers rows t*rows//count to (t+1)*rows//count."""
    return (rows + most - 1) // most
