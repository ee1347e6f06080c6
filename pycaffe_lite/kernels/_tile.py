"""The two micro-kernels: a tile of a matrix product, kept in vector registers for the whole inner loop.

A matrix product does M·N·K multiplications on M·K + K·N numbers, so it can run at the speed of the
multipliers if every number that is loaded is used many times. The innermost loop keeps a small tile of the
result in registers and, per step, loads a few numbers and multiplies each by all it meets:

outer tile (C = A B, vectors along the columns of C)

    per k:  rows x vectors accumulators:      C[i, :] += A[i, k] * B[k, :]
            loads: `vectors` vectors of B, and each of `rows` numbers of A spread over all lanes.
    12 rows x 2 vectors fill 24 of AVX-512's 32 registers; 6 x 2 fill 12 of AVX2's or SSE's 16. Twelve
    independent chains also hide the latency of a multiply-add (4 cycles, two started per cycle).
    The rows of a matrix are shared out evenly (`tile_count`): 50 rows are 5 tiles of 10, none is padded.

dot tile (C = A Bᵀ, vectors along k, which is contiguous in both)

    per step of one vector of k:  C[i, j] += A[i, k..] * B[j, k..]   lane by lane, summed at the end.
    Neither matrix needs rearranging; used where k is long: inner products, gradients of weights.

Each variant is a function of its own in LLVM, chosen by a switch; all sums are kept in the arrays' type.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from pycaffe_lite.kernels._jit import kernel
from pycaffe_lite.kernels._simd import (
    INT64,
    VectorWriter,
    data_pointer,
    item_bytes,
    join_phi,
    llvm_float,
    target,
)

OUTER_VECTORS = 2  # vectors across an outer tile; the last tile of a row may have 1
DOT_COLUMNS = 4


def outer_rows() -> int:
    """Most rows of an outer tile."""
    return 12 if target().registers >= 32 else 6


def dot_rows() -> int:
    """Most rows of a dot tile."""
    return 6 if target().registers >= 32 else 3


def _new_function(module: Any, name: str, argument_types: list[Any]) -> tuple[Any, Any]:
    """A function that several modules may define, all alike: (function, its builder)."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), argument_types), name)
    function.linkage = "linkonce_odr"
    function.attributes.add("noinline")
    return function, ir.IRBuilder(function.append_basic_block("entry"))


def _outer_function(module: Any, dtype: Any, rows: int, vectors: int) -> Any:
    """The LLVM function of `outer_tile` for one tile size."""
    name = f"pycaffe_outer_f{dtype.bitwidth}_{rows}x{vectors}"
    if name in module.globals:
        return module.globals[name]
    scalar = llvm_float(dtype)
    pointer, flag = scalar.as_pointer(), ir.IntType(1)
    signature = [INT64, pointer, pointer, INT64, pointer, INT64, pointer, flag, flag, scalar]
    function, builder = _new_function(module, name, signature)
    depth, a, b, ldb, c, ldc, start, accumulate, activate, slope = function.args
    w = VectorWriter(builder, dtype, target().lanes(item_bytes(dtype)))
    tile = [(i, j) for i in range(rows) for j in range(vectors)]
    c_rows = [w.at(c, builder.mul(ldc, INT64(i))) for i in range(rows)]
    c_at = {(i, j): w.at(c_rows[i], j * w.lanes) for i, j in tile}
    from_c, from_start, loop, end, activated, done = (
        builder.append_basic_block(name) for name in ("from_c", "from_start", "k", "end", "activated", "done")
    )

    builder.cbranch(accumulate, from_c, from_start)
    builder.position_at_end(from_c)
    loaded = {t: w.load(c_at[t]) for t in tile}
    builder.branch(loop)
    builder.position_at_end(from_start)
    splats = [w.splat(builder.load(w.at(start, i))) for i in range(rows)]
    builder.branch(loop)

    builder.position_at_end(loop)
    k, a_k, b_k = builder.phi(INT64), builder.phi(pointer), builder.phi(pointer)
    sums = {t: builder.phi(w.vector) for t in tile}
    b_vectors = [w.load(w.at(b_k, j * w.lanes)) for j in range(vectors)]
    new = {}
    for i in range(rows):
        a_i = w.splat(builder.load(w.at(a_k, i)))
        for j in range(vectors):
            new[i, j] = w.multiply_add(a_i, b_vectors[j], sums[i, j])
    following = ((k, depth, builder.sub(k, INT64(1))), (a_k, a, w.at(a_k, rows)), (b_k, b, w.at(b_k, ldb)))
    for phi, first, later in following:
        join_phi(phi, (first, from_c), (first, from_start), (later, loop))
    for i, j in tile:
        join_phi(sums[i, j], (loaded[i, j], from_c), (splats[i], from_start), (new[i, j], loop))
    builder.cbranch(builder.icmp_signed(">", k, INT64(1)), loop, end)

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
        w.store(results[t], c_at[t])
    builder.ret_void()
    return function


def _dot_function(module: Any, dtype: Any, rows: int) -> Any:
    """The LLVM function of `dot_tile` for one number of rows."""
    name = f"pycaffe_dot_f{dtype.bitwidth}_{rows}"
    if name in module.globals:
        return module.globals[name]
    pointer = llvm_float(dtype).as_pointer()
    signature = [INT64, INT64, pointer, INT64, pointer, INT64, pointer]
    function, builder = _new_function(module, name, signature)
    columns, depth, a, lda, b, ldb, out = function.args
    w = VectorWriter(builder, dtype, target().lanes(item_bytes(dtype)))
    tile = [(i, j) for i in range(rows) for j in range(DOT_COLUMNS)]
    a_rows = [w.at(a, builder.mul(lda, INT64(i))) for i in range(rows)]
    b_rows = []
    for j in range(DOT_COLUMNS):
        there = builder.icmp_signed("<", INT64(j), columns)
        b_rows.append(builder.select(there, w.at(b, builder.mul(ldb, INT64(j))), b))
    whole = builder.and_(depth, INT64(-w.lanes))

    def step(load: Callable[[Any], Any], sums: dict[Any, Any]) -> dict[Any, Any]:
        a_vectors = [load(row) for row in a_rows]
        new = {}
        for j in range(DOT_COLUMNS):
            b_vector = load(b_rows[j])
            for i in range(rows):
                new[i, j] = w.multiply_add(a_vectors[i], b_vector, sums[i, j])
        return new

    entry = builder.basic_block
    loop, rest, tail, done = (builder.append_basic_block(name) for name in ("k", "rest", "tail", "done"))
    builder.cbranch(builder.icmp_signed(">", whole, INT64(0)), loop, rest)

    builder.position_at_end(loop)
    k = builder.phi(INT64)
    sums = {t: builder.phi(w.vector) for t in tile}
    new = step(lambda row: w.load(w.at(row, k)), sums)
    following = builder.add(k, INT64(w.lanes))
    join_phi(k, (INT64(0), entry), (following, loop))
    for t in tile:
        join_phi(sums[t], (w.zero(), entry), (new[t], loop))
    builder.cbranch(builder.icmp_signed("<", following, whole), loop, rest)

    builder.position_at_end(rest)
    summed = {t: join_phi(builder.phi(w.vector), (w.zero(), entry), (new[t], loop)) for t in tile}
    builder.cbranch(builder.icmp_signed("<", whole, depth), tail, done)
    builder.position_at_end(tail)
    last = step(lambda row: w.load_first(w.at(row, whole), builder.sub(depth, whole)), summed)
    builder.branch(done)

    builder.position_at_end(done)
    total = {t: join_phi(builder.phi(w.vector), (summed[t], rest), (last[t], tail)) for t in tile}
    for i in range(rows):
        four = w.sum_lanes_of_four([total[i, j] for j in range(DOT_COLUMNS)])
        w.store(four, w.at(out, i * DOT_COLUMNS))
    builder.ret_void()
    return function


def _call_variant(builder: Any, choice: Any, variants: dict[int, Any], args: list[Any]) -> None:
    """Call the variant that `choice` names."""
    done = builder.append_basic_block("called")
    switch = builder.switch(choice, done)
    for number, function in variants.items():
        block = builder.append_basic_block("variant")
        switch.add_case(INT64(number), block)
        builder.position_at_end(block)
        builder.call(function, args)
        builder.branch(done)
    builder.position_at_end(done)


@intrinsic
def outer_tile(_context: Any, rows: Any, vectors: Any, depth: Any, a: Any, ao: Any, b: Any, bo: Any,
               ldb: Any, c: Any, co: Any, ldc: Any, start: Any, so: Any, accumulate: Any, activate: Any,
               slope: Any) -> Any:  # fmt: skip
    """C[i, j] = act(first[i, j] + sum over k < depth of A[i, k] B[k, j]), i < rows, j < vectors * lanes.

    Arrays are contiguous, of one type, each followed by the offset of its first element:
    A[i, k] = a[ao + k * rows + i], B[k, j] = b[bo + k * ldb + j], C[i, j] = c[co + i * ldc + j].
    first[i, j] is C[i, j] if `accumulate`, else start[so + i]. act(v) is v unless `activate`, else
    v if v > 0 else slope * v. rows: 1 to max_outer_rows(); vectors: 1 or 2; depth: 1 and more.
    """
    n, flag = types.intp, types.boolean
    signature = types.void(n, n, n, a, n, b, n, n, c, n, n, start, n, flag, flag, a.dtype)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def pointer(position: int) -> Any:
            array_type, array, offset = signature.args[position], args[position], args[position + 1]
            return data_pointer(context, builder, array_type, array, offset)

        variants = {
            i * OUTER_VECTORS + j: _outer_function(builder.module, a.dtype, i, j)
            for i in range(1, outer_rows() + 1)
            for j in range(1, OUTER_VECTORS + 1)
        }
        choice = builder.add(builder.mul(args[0], INT64(OUTER_VECTORS)), args[1])
        flags = [builder.trunc(flag, ir.IntType(1)) for flag in args[13:15]]
        call = [args[2], pointer(3), pointer(5), args[7], pointer(8), args[10], pointer(11), *flags, args[15]]
        _call_variant(builder, choice, variants, call)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def dot_tile(_context: Any, rows: Any, columns: Any, depth: Any, a: Any, ao: Any, lda: Any, b: Any, bo: Any,
             ldb: Any, out: Any) -> Any:  # fmt: skip
    """out[4 i + j] = sum over k < depth of A[i, k] B[j, k] for i < rows, j < columns.

    A[i, k] = a[ao + i * lda + k], B[j, k] = b[bo + j * ldb + k]; contiguous arrays of one type.
    rows: 1 to max_dot_rows(); columns: 1 to 4 (out is written for 4); depth: any.
    """
    n = types.intp
    signature = types.void(n, n, n, a, n, n, b, n, n, out)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        types_of = signature.args
        variants = {i: _dot_function(builder.module, a.dtype, i) for i in range(1, dot_rows() + 1)}
        a_pointer = data_pointer(context, builder, types_of[3], args[3], args[4])
        b_pointer = data_pointer(context, builder, types_of[6], args[6], args[7])
        out_pointer = data_pointer(context, builder, types_of[9], args[9], INT64(0))
        call = [args[1], args[2], a_pointer, args[5], b_pointer, args[8], out_pointer]
        _call_variant(builder, args[0], variants, call)
        return context.get_dummy_value()

    return signature, codegen


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
