"""The micro-kernels, written in LLVM IR; `simd.tiles` says what they compute and why they look as they do."""

import itertools
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from pycaffe_lite.kernels.runtime.llvm import CACHE_LINE, INT64, llvm_float, target
from pycaffe_lite.kernels.simd.tables import new_function, vector_writer
from pycaffe_lite.kernels.simd.vectors import VectorWriter, join_phi

ONE_VECTOR, TWO_VECTORS, FOUR_HALVES = range(3)  # the columns of an outer tile
SHAPES = 3
MOST_SITES = 4  # runs of columns in an outer tile
DOT_COLUMNS = 4  # of a dot tile
LINE_VECTORS = 4  # of a line tile at a time
WIDE_PICK = 3  # vectors of columns in the widest pick tile
# Rows of B in a stream tile: rows that are a power of two apart share a set of the L1 cache, which holds 8 to
# 12.
STREAM_ROWS = 8
SLIDE_SIZES = (3, 5)  # kernels of slide tiles: 3x3, 5x5
SLIDE_STRIDES = (1, 2)  # along either axis

INT64_POINTER = INT64.as_pointer()
FLAG = ir.IntType(1)


def outer_arguments(dtype: Any) -> list[Any]:
    """Return the types of depth, a, b, taps, c, ldc, sites, start, accumulate, activate, slope, bypass."""
    pointer = llvm_float(dtype).as_pointer()
    types_of = [INT64, pointer, pointer, INT64_POINTER, pointer, INT64, INT64_POINTER, pointer]
    return [*types_of, FLAG, FLAG, llvm_float(dtype), FLAG]


def dot_arguments(dtype: Any) -> list[Any]:
    """Return the types of the arguments.

    These are columns, whole, rest, a, lda, a_steps, b, taps, b_steps, c, ldc, accumulate, ahead.
    """
    pointer = llvm_float(dtype).as_pointer()
    types_of = [INT64, INT64, INT64, pointer, INT64, INT64_POINTER, pointer, INT64_POINTER, INT64_POINTER]
    return [*types_of, pointer, INT64, FLAG, INT64]


def outer_rows() -> int:
    """Return how many rows the tallest outer tile has."""
    return 12 if target().registers >= 32 else 6


def pick_rows(vectors: int) -> int:
    """Return how many rows the tallest pick tile has: each needs one of x86's 16 registers for pointers."""
    if vectors == WIDE_PICK:
        return 8 if target().registers >= 32 else 4 if target().fma else 3
    return 10 if target().registers >= 32 else 6


def dot_rows() -> int:
    """Return how many rows the tallest dot tile has."""
    return 5 if target().registers >= 32 else 3 if target().fma else 2


def write_outer(module: Any, name: str, dtype: Any, rows: int, shape: int) -> None:
    """Add the function of `outer_tile` for one tile size."""
    pointer = llvm_float(dtype).as_pointer()
    function, builder = new_function(module, name, outer_arguments(dtype))
    depth, a, b, taps, c, ldc, sites, start, accumulate, activate, slope, bypass = function.args
    w = vector_writer(builder, dtype)
    vectors = 1 if shape == ONE_VECTOR else 2
    tile = [(i, j) for i in range(rows) for j in range(vectors)]
    runs = 2 if shape == FOUR_HALVES else 1  # of columns per vector
    place = [builder.load(builder.gep(sites, [INT64(s)])) for s in range(vectors * runs)]
    b_runs = [w.at(b, offset) for offset in place]
    place = [builder.load(builder.gep(sites, [INT64(MOST_SITES + s)])) for s in range(vectors * runs)]
    c_runs = [w.at(c, offset) for offset in place]
    c_rows = [builder.mul(ldc, INT64(i)) for i in range(rows)]
    c_at = {(i, j): [w.at(run, c_rows[i]) for run in c_runs[j * runs : (j + 1) * runs]] for i, j in tile}
    loop, end, added, summed, activated, done = (
        builder.append_basic_block(name) for name in ("k", "end", "added", "summed", "activated", "done")
    )

    zero = ir.Constant(llvm_float(dtype), 0)
    firsts = [builder.select(accumulate, zero, builder.load(w.at(start, i))) for i in range(rows)]
    splats = [w.splat(first) for first in firsts]
    with builder.if_then(builder.not_(bypass)):
        for run in itertools.chain(*c_at.values()):  # what is stored at the end may be in no cache yet
            w.prefetch(run)
    started = builder.basic_block
    builder.branch(loop)

    builder.position_at_end(loop)
    k, a_k = builder.phi(INT64), builder.phi(pointer)
    sums = {t: builder.phi(w.vector) for t in tile}
    tap = builder.load(builder.gep(taps, [k]))
    b_vectors = [
        w.load_runs([w.at(run, tap) for run in b_runs[j * runs : (j + 1) * runs]]) for j in range(vectors)
    ]
    if shape != FOUR_HALVES:
        # The columns of the next tile follow in memory, but each row lies in a page of its own, so that the
        # CPU does not prefetch them by itself.
        for run in b_runs:
            w.prefetch(w.at(w.at(run, tap), vectors * w.lanes))
    new = {}
    for i in range(rows):
        a_i = w.splat(builder.load(w.at(a_k, i)))
        for j in range(vectors):
            new[i, j] = w.multiply_add(a_i, b_vectors[j], sums[i, j])
    following = builder.add(k, INT64(1))
    for phi, first, later in ((k, INT64(0), following), (a_k, a, w.at(a_k, rows))):
        join_phi(phi, (first, started), (later, loop))
    for i, j in tile:
        join_phi(sums[i, j], (splats[i], started), (new[i, j], loop))
    builder.cbranch(builder.icmp_signed("<", following, depth), loop, end)

    builder.position_at_end(end)
    builder.cbranch(accumulate, added, summed)
    builder.position_at_end(added)
    # C is added at the end rather than taken as the first value: then the pieces of a deep product are summed
    # apart, which is more exact.
    longer = {t: builder.fadd(w.load_runs(c_at[t]), new[t]) for t in tile}
    builder.branch(summed)
    builder.position_at_end(summed)
    new = {t: join_phi(builder.phi(w.vector), (new[t], end), (longer[t], added)) for t in tile}
    builder.cbranch(activate, activated, done)
    builder.position_at_end(activated)
    slopes = w.splat(slope)
    leaky = {}
    for t in tile:
        positive = builder.fcmp_ordered(">", new[t], w.zero())
        leaky[t] = builder.select(positive, new[t], builder.fmul(slopes, new[t]))
    builder.branch(done)
    builder.position_at_end(done)
    results = {t: join_phi(builder.phi(w.vector), (new[t], summed), (leaky[t], activated)) for t in tile}
    if shape == TWO_VECTORS and 2 * target().vector_bytes >= CACHE_LINE:
        with builder.if_then(builder.and_(bypass, w.are_aligned(c_runs, ldc))):
            for t in tile:
                w.store_nontemporal(results[t], c_at[t][0])
            builder.ret_void()
    for t in tile:
        w.store_runs(results[t], c_at[t])
    builder.ret_void()


def write_dot(module: Any, name: str, dtype: Any, rows: int, halves: bool) -> None:
    """Add the function of `dot_tile` for one number of rows."""
    function, builder = new_function(module, name, dot_arguments(dtype))
    columns, whole, rest, a, lda, a_steps, b, taps, b_steps, c, ldc, accumulate, ahead = function.args
    w = vector_writer(builder, dtype)
    runs = 2 if halves else 1  # per vector of B
    tile = [(i, j) for i in range(rows) for j in range(DOT_COLUMNS)]
    a_rows = [w.at(a, builder.mul(lda, INT64(i))) for i in range(rows)]
    b_rows = []
    for j in range(DOT_COLUMNS):
        # columns that are missing repeat the first one
        column = builder.select(builder.icmp_signed("<", INT64(j), columns), INT64(j), INT64(0))
        b_rows.append(w.at(b, builder.load(builder.gep(taps, [column]))))

    def step(t: Any, load: Callable[[list[Any]], Any], sums: dict[Any, Any]) -> dict[Any, Any]:
        """Return the sums with the products of the vectors number t of a_steps and b_steps added."""
        numbers = [builder.add(builder.mul(t, INT64(runs)), INT64(run)) for run in range(runs)]
        a_place = builder.load(builder.gep(a_steps, [t]))
        b_places = [builder.load(builder.gep(b_steps, [number])) for number in numbers]
        with builder.if_then(builder.icmp_signed("!=", ahead, INT64(0))):
            # The columns of the next tile are fetched while these are multiplied, so that memory and
            # multipliers work at the same time.
            for row in b_rows:
                w.prefetch(w.at(row, builder.add(b_places[0], ahead)))
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
    stepped = builder.basic_block
    following = builder.add(t, INT64(1))
    join_phi(t, (INT64(0), entry), (following, stepped))
    for at in tile:
        join_phi(sums[at], (w.zero(), entry), (new[at], stepped))
    builder.cbranch(builder.icmp_signed("<", following, whole), loop, after)

    builder.position_at_end(after)
    summed = {at: join_phi(builder.phi(w.vector), (w.zero(), entry), (new[at], stepped)) for at in tile}
    builder.cbranch(builder.icmp_signed(">", rest, INT64(0)), tail, done)
    builder.position_at_end(tail)
    mask = w.first_lanes(rest)
    last = step(whole, lambda places: w.load_first(places[0], mask), summed)
    tail = builder.basic_block
    builder.branch(done)

    builder.position_at_end(done)
    total = {at: join_phi(builder.phi(w.vector), (summed[at], after), (last[at], tail)) for at in tile}
    for i in range(rows):
        four = w.sum_lanes_of_four([total[i, j] for j in range(DOT_COLUMNS)])
        _add_to_row(builder, w, four, w.at(c, builder.mul(ldc, INT64(i))), columns, accumulate)
    builder.ret_void()


def _add_to_row(builder: Any, w: VectorWriter, four: Any, at: Any, columns: Any, accumulate: Any) -> None:
    """Store the first `columns` of four numbers at a pointer, or add them to what is there."""
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


def pick_arguments(dtype: Any) -> list[Any]:
    """Return the types of the arguments.

    These are depth, a, rows_at, depth_at, b, ldb, c, ldc, accumulate, ahead, following, count.
    """
    pointer = llvm_float(dtype).as_pointer()
    types_of = [INT64, pointer, INT64_POINTER, INT64_POINTER, pointer, INT64, pointer, INT64, FLAG, INT64]
    return [*types_of, pointer, INT64]


def write_pick(module: Any, name: str, dtype: Any, rows: int, vectors: int) -> None:
    """Add the function of `pick_tile` for one tile size."""
    pointer = llvm_float(dtype).as_pointer()
    function, builder = new_function(module, name, pick_arguments(dtype))
    depth, a, rows_at, depth_at, b, ldb, c, ldc, accumulate, ahead, following_b, count = function.args
    w = vector_writer(builder, dtype)
    tile = [(i, j) for i in range(rows) for j in range(vectors)]
    a_rows = [w.at(a, builder.load(builder.gep(rows_at, [INT64(i)]))) for i in range(rows)]
    c_at = {(i, j): w.at(w.at(c, builder.mul(ldc, INT64(i))), j * w.lanes) for i, j in tile}
    entry = builder.basic_block
    line, step, line_done, done = (
        builder.append_basic_block(name) for name in ("line", "k", "line_done", "done")
    )
    builder.branch(line)

    builder.position_at_end(
        line
    )  # as many steps as a vector has lanes: a cache line of each row, or a part of one
    first, b_first, b_to_come = builder.phi(INT64), builder.phi(pointer), builder.phi(pointer)
    before = {t: builder.phi(w.vector) for t in tile}
    with builder.if_then(builder.icmp_signed("!=", ahead, INT64(0))):
        place = builder.add(builder.load(builder.gep(depth_at, [first])), ahead)
        for row in a_rows:
            w.prefetch(w.at(row, place))
    with cgutils.for_range(builder, count) as loop:
        w.prefetch(w.at(b_to_come, builder.mul(loop.index, INT64(w.lanes))), level=2)
    beyond = builder.add(first, INT64(w.lanes))
    beyond = builder.select(builder.icmp_signed("<", beyond, depth), beyond, depth)
    looked_ahead = builder.basic_block
    builder.branch(step)

    builder.position_at_end(step)
    k, b_k = builder.phi(INT64), builder.phi(pointer)
    sums = {t: builder.phi(w.vector) for t in tile}
    place = builder.load(builder.gep(depth_at, [k]))
    b_vectors = [w.load(w.at(b_k, j * w.lanes)) for j in range(vectors)]
    new = {}
    for i in range(rows):
        a_i = w.splat(builder.load(w.at(a_rows[i], place)))
        for j in range(vectors):
            new[i, j] = w.multiply_add(a_i, b_vectors[j], sums[i, j])
    following, b_next = builder.add(k, INT64(1)), w.at(b_k, ldb)
    for phi, start, later in ((k, first, following), (b_k, b_first, b_next)):
        join_phi(phi, (start, looked_ahead), (later, step))
    for t in tile:
        join_phi(sums[t], (before[t], looked_ahead), (new[t], step))
    builder.cbranch(builder.icmp_signed("<", following, beyond), step, line_done)

    builder.position_at_end(line_done)
    b_later = w.at(b_to_come, builder.mul(count, INT64(w.lanes)))
    steps = (first, INT64(0), following), (b_first, b, b_next), (b_to_come, following_b, b_later)
    for phi, start, later in steps:
        join_phi(phi, (start, entry), (later, line_done))
    for t in tile:
        join_phi(before[t], (w.zero(), entry), (new[t], line_done))
    builder.cbranch(builder.icmp_signed("<", following, depth), line, done)

    builder.position_at_end(done)
    # C is added at the end rather than taken as the first value: then the pieces of a deep product are summed
    # apart, which is more exact.
    with builder.if_else(accumulate) as (then, otherwise):
        with then:
            for t in tile:
                w.store(builder.fadd(w.load(c_at[t]), new[t]), c_at[t])
        with otherwise:
            for t in tile:
                w.store(new[t], c_at[t])
    builder.ret_void()


def stream_arguments(dtype: Any) -> list[Any]:
    """Return the types of columns, rows, a, b, ldb, c."""
    pointer = llvm_float(dtype).as_pointer()
    return [INT64, INT64, pointer, pointer, INT64, pointer]


def write_stream(module: Any, name: str, dtype: Any, depth: int) -> None:
    """Add the function of `stream_tile` for one number of rows of B."""
    function, builder = new_function(module, name, stream_arguments(dtype))
    columns, rows, a, b, ldb, c = function.args
    w = vector_writer(builder, dtype)
    b_rows = [w.at(b, builder.mul(ldb, INT64(k))) for k in range(depth)]
    next_rows = builder.mul(ldb, INT64(depth))
    panel = 2 * w.lanes

    def add_panel(first: Any, load: Callable[[Any, int], Any]) -> None:
        """Write the code for two vectors of columns, for all rows.

        load(place, v): loads vector v of the two at a pointer.
        """
        places = [[w.at(w.at(row, first), v * w.lanes) for v in range(2)] for row in b_rows]
        b_vectors = [[load(place, v) for v, place in enumerate(pair)] for pair in places]
        for pair in places:
            for place in pair:
                # into L2: rows of B share a set of the L1 cache, which cannot hold both these and the next
                w.prefetch(w.at(place, next_rows), level=2)
        c_first = w.at(c, builder.mul(first, rows))
        entry, loop = builder.basic_block, builder.append_basic_block("row")
        done = builder.append_basic_block("rows_done")
        builder.branch(loop)
        builder.position_at_end(loop)
        i, a_i, c_i = builder.phi(INT64), builder.phi(a.type), builder.phi(c.type)
        c_at = [w.at(c_i, v * w.lanes) for v in range(2)]
        totals = [w.zero() for _ in c_at]
        for k in range(depth):
            factor = w.splat(builder.load(w.at(a_i, k)))
            totals = [w.multiply_add(factor, b_vectors[k][v], totals[v]) for v in range(2)]
        for total, at in zip(totals, c_at, strict=True):
            w.store(builder.fadd(w.load(at), total), at)
        following = builder.add(i, INT64(1))
        steps = (i, INT64(0), following), (a_i, a, w.at(a_i, depth)), (c_i, c_first, w.at(c_i, panel))
        for phi, start, later in steps:
            join_phi(phi, (start, entry), (later, loop))
        builder.cbranch(builder.icmp_signed("<", following, rows), loop, done)
        builder.position_at_end(done)

    whole = builder.and_(columns, INT64(-panel))
    w.each_vector(whole, lambda first: add_panel(first, lambda place, _: w.load(place)), vectors=2)
    with builder.if_then(builder.icmp_signed("<", whole, columns)):
        left = builder.sub(columns, whole)
        masks = [w.first_lanes(builder.sub(left, INT64(v * w.lanes))) for v in range(2)]
        add_panel(whole, lambda place, v: w.load_first(place, masks[v]))
    builder.ret_void()


def line_arguments(dtype: Any) -> list[Any]:
    """Return the types of sites, count, depth, a, b, taps, c, start, activate, slope."""
    scalar = llvm_float(dtype)
    pointer = scalar.as_pointer()
    return [INT64_POINTER, INT64, INT64, pointer, pointer, INT64_POINTER, pointer, scalar, FLAG, scalar]


def write_line(module: Any, name: str, dtype: Any) -> None:
    """Add the function of `line_tile`, which sums LINE_VECTORS vectors at a time over all taps."""
    function, builder = new_function(module, name, line_arguments(dtype))
    sites, count, depth, a, b, taps, c, start, activate, slope = function.args
    w = vector_writer(builder, dtype)
    entry = builder.basic_block
    group, loop, end = (builder.append_basic_block(name) for name in ("group", "k", "end"))
    builder.branch(group)

    builder.position_at_end(group)
    first = builder.phi(INT64)
    b_at, c_at, lanes = [], [], []
    for v in range(LINE_VECTORS):
        site = builder.gep(sites, [builder.mul(builder.add(first, INT64(v)), INT64(3))])
        places = [builder.load(builder.gep(site, [INT64(i)])) for i in range(3)]
        b_at.append(w.at(b, places[0]))
        c_at.append(w.at(c, places[1]))
        lanes.append(places[2])
    starts = w.splat(start)
    builder.branch(loop)

    builder.position_at_end(loop)
    k = builder.phi(INT64)
    sums = [builder.phi(w.vector) for _ in range(LINE_VECTORS)]
    factor, tap = w.splat(builder.load(w.at(a, k))), builder.load(builder.gep(taps, [k]))
    new = [w.multiply_add(factor, w.load(w.at(b_at[v], tap)), sums[v]) for v in range(LINE_VECTORS)]
    following = builder.add(k, INT64(1))
    join_phi(k, (INT64(0), group), (following, loop))
    for v in range(LINE_VECTORS):
        join_phi(sums[v], (starts, group), (new[v], loop))
    builder.cbranch(builder.icmp_signed("<", following, depth), loop, end)

    builder.position_at_end(end)
    slopes = w.splat(slope)
    for v in range(LINE_VECTORS):
        kept = builder.or_(builder.fcmp_ordered(">", new[v], w.zero()), w.splat_flag(builder.not_(activate)))
        value = builder.select(kept, new[v], builder.fmul(slopes, new[v]))
        with builder.if_else(builder.icmp_signed("==", lanes[v], INT64(w.lanes))) as (whole, part):
            with whole:
                w.store(value, c_at[v])
            with part:
                w.store_first(value, c_at[v], w.first_lanes(lanes[v]))
    next_first = builder.add(first, INT64(LINE_VECTORS))
    done = builder.append_basic_block("done")
    join_phi(first, (INT64(0), entry), (next_first, builder.basic_block))
    builder.cbranch(builder.icmp_signed("<", next_first, count), group, done)
    builder.position_at_end(done)
    builder.ret_void()


def slide_arguments(dtype: Any) -> list[Any]:
    """Return the types of lines, a, b, line, taps, c, ldc, count, start, slope."""
    scalar = llvm_float(dtype)
    pointer = scalar.as_pointer()
    return [INT64, pointer, pointer, INT64, INT64_POINTER, pointer, INT64, INT64, scalar, scalar]


def write_slide(module: Any, name: str, dtype: Any, size: int, stride: int) -> None:
    """Add the function of `slide_tile` for one size of kernel and one stride of its lines.

    A line of b is loaded once and added to all lines of results that read it. Each step of the loop takes
    `stride` lines, which are the last ones that its line of results needs.
    """
    function, builder = new_function(module, name, slide_arguments(dtype))
    lines, a, b, line, taps, c, ldc, count, start, slope = function.args
    w = vector_writer(builder, dtype)
    places = [builder.load(builder.gep(taps, [INT64(j)])) for j in range(size)]
    factors = [w.splat(builder.load(w.at(a, k))) for k in range(size * size)]
    starts, slopes, mask = w.splat(start), w.splat(slope), w.first_lanes(count)

    def add_line(u: int, at: Any, sums: dict[int, Any]) -> None:
        """Write code that adds the line of b at a pointer to all results that read it.

        u: the number of the line, counted from the first one that the results sums[0] read.
        """
        vectors = [w.load(w.at(at, place)) for place in places]
        for p in range(u // stride + 1):
            i = u - p * stride
            if i >= size:
                continue
            for j in range(size):
                sums[p] = w.multiply_add(factors[i * size + j], vectors[j], sums.get(p, starts))

    entry = builder.basic_block
    sums: dict[int, Any] = {}
    at = b
    for u in range(size - stride):
        add_line(u, at, sums)
        at = w.at(at, line)
    loop, whole, part, following, done = (
        builder.append_basic_block(name) for name in ("line", "whole", "part", "following", "done")
    )
    builder.branch(loop)

    builder.position_at_end(loop)
    left, b_at, c_at = builder.phi(INT64), builder.phi(b.type), builder.phi(c.type)
    running = {p: builder.phi(w.vector) for p in sums}
    new, b_next = dict(running), b_at
    for u in range(size - stride, size):
        add_line(u, b_next, new)
        b_next = w.at(b_next, line)
    positive = builder.fcmp_ordered(">", new[0], w.zero())
    value = builder.select(positive, new[0], builder.fmul(slopes, new[0]))
    builder.cbranch(builder.icmp_signed("==", count, INT64(w.lanes)), whole, part)
    builder.position_at_end(whole)
    w.store(value, c_at)
    builder.branch(following)
    builder.position_at_end(part)
    w.store_first(value, c_at, mask)
    builder.branch(following)

    builder.position_at_end(following)
    fewer = builder.sub(left, INT64(1))
    join_phi(left, (lines, entry), (fewer, following))
    join_phi(b_at, (at, entry), (b_next, following))
    join_phi(c_at, (c, entry), (w.at(c_at, ldc), following))
    for p, total in running.items():
        join_phi(total, (sums[p], entry), (new[p + 1], following))
    builder.cbranch(builder.icmp_signed(">", fewer, INT64(0)), loop, done)
    builder.position_at_end(done)
    builder.ret_void()


def spread_arguments(dtype: Any) -> list[Any]:
    """Return the types of lines, x, width, out, line, run, first."""
    pointer = llvm_float(dtype).as_pointer()
    return [INT64, pointer, INT64, pointer, INT64, INT64, INT64]


def write_spread(module: Any, name: str, dtype: Any, stride: int) -> None:
    """Add the function of `spread_tile` for one number of runs per line."""
    function, builder = new_function(module, name, spread_arguments(dtype))
    lines, x, width, out, line, run, first = function.args
    w = vector_writer(builder, dtype)
    piece = INT64(stride * w.lanes)
    last = builder.sub(width, piece)

    def put(vectors: list[Any], to: Any, i: Any) -> None:
        """Write code that stores the piece of a line that starts at the line's pixel i."""
        u = builder.add(first, i)
        if stride == 1:
            w.store(vectors[0], w.at(to, u))
            return
        for parity in (0, 1):
            place = builder.add(u, INT64(parity))
            of_run = builder.mul(builder.and_(place, INT64(1)), run)
            at = w.at(to, builder.add(of_run, builder.ashr(place, INT64(1))))
            w.store(w.every_second(vectors[0], vectors[1], parity), at)

    def each_line(body: Callable[[Any, Any], None]) -> None:
        """Write a loop that runs body(pointer into x, pointer into out) for each line, and the return."""
        entry, loop = builder.basic_block, builder.append_basic_block("line")
        done = builder.append_basic_block("done")
        builder.branch(loop)
        builder.position_at_end(loop)
        left, at, to = (builder.phi(value.type) for value in (lines, x, out))
        body(at, to)
        fewer = builder.sub(left, INT64(1))
        following = builder.basic_block
        steps = ((left, lines, fewer), (at, x, w.at(at, width)), (to, out, w.at(to, line)))
        for phi, start, later in steps:
            join_phi(phi, (start, entry), (later, following))
        builder.cbranch(builder.icmp_signed(">", fewer, INT64(0)), loop, done)
        builder.position_at_end(done)
        builder.ret_void()

    def copy_long(at: Any, to: Any) -> None:
        def copy(number: Any) -> None:
            i = builder.mul(number, INT64(stride))
            i = builder.select(builder.icmp_signed("<", i, last), i, last)
            put([w.load(w.at(w.at(at, i), v * w.lanes)) for v in range(stride)], to, i)

        w.each_vector(builder.sdiv(builder.add(width, INT64(stride - 1)), INT64(stride)), copy)

    def copy_short(there: int) -> None:
        """Write the loop over lines of up to `there` vectors."""
        mask = w.first_lanes(builder.sub(width, INT64((there - 1) * w.lanes)))
        zeros = [w.zero()] * (stride - there)

        def copy(at: Any, to: Any) -> None:
            whole = [w.load(w.at(at, v * w.lanes)) for v in range(there - 1)]
            rest = w.load_first(w.at(at, (there - 1) * w.lanes), mask)
            put([*whole, rest, *zeros], to, INT64(0))

        each_line(copy)

    for there in range(1, stride + 1):
        short, longer = builder.append_basic_block("short"), builder.append_basic_block("longer")
        builder.cbranch(builder.icmp_signed("<=", width, INT64(there * w.lanes)), short, longer)
        builder.position_at_end(short)
        copy_short(there)
        builder.position_at_end(longer)
    each_line(copy_long)
