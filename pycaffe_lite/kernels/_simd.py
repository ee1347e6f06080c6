"""Vector instructions for kernels: what the CPU offers, and a small writer of LLVM vector code.

Numba has no vector type, so the innermost loops are written as LLVM instructions by *intrinsics*: functions
that are called from a kernel like any other, but emit their own code (numba.extending.intrinsic). The
vector width and the use of fused multiply-add follow the CPU that Numba compiles for, which
NUMBA_CPU_NAME and NUMBA_CPU_FEATURES may change.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import llvmlite.binding as llvm
from llvmlite import ir
from llvmlite.ir.values import MDValue
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from pycaffe_lite.kernels._cache import load_file, save_file
from pycaffe_lite.kernels._locks import compiler_lock

INT32, INT64 = ir.IntType(32), ir.IntType(64)
CACHE_LINE = 64  # bytes


class Target(NamedTuple):
    """What the CPU that Numba compiles for can do with vectors of floats."""

    vector_bytes: int  # width of a vector register
    registers: int  # how many of them there are
    fma: bool  # whether a*b + c is one instruction (without: a library call per lane)

    def lanes(self, item_bytes: int) -> int:
        """Numbers of item_bytes bytes in a vector register."""
        return self.vector_bytes // item_bytes


@lru_cache(maxsize=1)
def target() -> Target:
    """The CPU that Numba compiles for, found by compiling one 64-byte fused multiply-add for it.

    CPU names and feature lists differ between architectures and LLVM versions; which registers and
    instructions LLVM makes of them is what counts here.
    """
    codegen = cpu_target.target_context.codegen()
    module = ir.Module()
    module.triple = codegen.magic_tuple()[0]
    vector = ir.VectorType(ir.FloatType(), 16)
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [vector.as_pointer()] * 3), "probe")
    builder = ir.IRBuilder(function.append_basic_block())
    fma = ir.Function(module, ir.FunctionType(vector, [vector] * 3), "llvm.fma.v16f32")
    builder.store(builder.call(fma, [builder.load(p) for p in function.args]), function.args[0])
    builder.ret_void()
    assembly = codegen._tm.emit_assembly(llvm.parse_assembly(str(module)))
    fused = re.search(r"\b(vfmadd|fmla|xvmadd|vfmacc)", assembly) is not None
    if "zmm" in assembly:
        return Target(vector_bytes=64, registers=32, fma=fused)
    if "ymm" in assembly:
        return Target(vector_bytes=32, registers=16, fma=fused)
    return Target(vector_bytes=16, registers=16 if "xmm" in assembly else 32, fma=fused)


# By name and content. They own the code, whose addresses are in tables and calls: none may ever go.
_engines: dict[tuple[str, str | None], Any] = {}


def compiled_module(name: str, content: str | None, write: Callable[[], Any]) -> Any:
    """An LLVM module that `write` makes, compiled for the CPU that Numba compiles for: its engine.

    It is made once, whatever the number of threads that ask for it, and stays. The code is kept on disk as
    that of kernels is. LLVM's optimiser is left out: the loops are written as they should run, and unrolled
    ones would spill sums that fill the registers already.

    Args:
        name: of the module. content: a hash of what it is made of, see `_sources`; None: not to be kept.
        write: makes the module.
    """
    key = name, content
    with compiler_lock:
        engine = _engines.get(key)
        if engine is None:
            file = None if content is None else f"{name}-{content[:16]}.o"
            engine = _engines[key] = _compile(file, write)
        return engine


def _compile(file: str | None, write: Callable[[], Any]) -> Any:
    key = cpu_target.target_context.codegen().magic_tuple()
    triple, cpu, features = key
    machine = llvm.Target.from_triple(triple).create_target_machine(
        cpu=cpu, features=features, opt=3, codemodel="jitdefault", jit=True
    )
    code = load_file(file, key)
    if code is None:
        code = machine.emit_object(llvm.parse_assembly(str(write())))
        save_file(file, key, code)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return engine


def item_bytes(dtype: Any) -> int:
    """Size of Numba's float32 or float64."""
    return int(dtype.bitwidth) // 8


def llvm_float(dtype: Any) -> Any:
    """LLVM's type for Numba's float32 or float64."""
    return ir.FloatType() if dtype == types.float32 else ir.DoubleType()


class VectorWriter:
    """Writes vector instructions on one element type at a builder's position."""

    def __init__(self, builder: Any, dtype: Any, lanes: int) -> None:
        self.builder, self.lanes = builder, lanes
        self.scalar = llvm_float(dtype)
        self.vector = ir.VectorType(self.scalar, lanes)
        self._bits = dtype.bitwidth
        self._align = self._bits // 8

    def zero(self) -> Any:
        """A vector of zeros."""
        return ir.Constant(self.vector, [0.0] * self.lanes)

    @staticmethod
    def mask(lanes: list[bool]) -> Any:
        """A truth value for each lane."""
        return ir.Constant(ir.VectorType(ir.IntType(1), len(lanes)), [int(lane) for lane in lanes])

    def constant(self, number: float) -> Any:
        """A number in all lanes."""
        return ir.Constant(self.vector, [float(number)] * self.lanes)

    def at(self, pointer: Any, offset: Any) -> Any:
        """Pointer to the element at an offset (an int or an LLVM integer)."""
        return self.builder.gep(pointer, [INT64(offset) if isinstance(offset, int) else offset])

    def load(self, pointer: Any, vector: Any = None) -> Any:
        """A vector (of `lanes` numbers, if not told) from a pointer of any alignment."""
        value = self.builder.load(self.builder.bitcast(pointer, (vector or self.vector).as_pointer()))
        value.align = self._align
        return value

    def load_runs(self, pointers: list[Any]) -> Any:
        """One vector from one pointer, or from the two halves that two pointers give."""
        if len(pointers) == 1:
            return self.load(pointers[0])
        half = ir.VectorType(self.scalar, self.lanes // 2)
        low, high = (self.load(pointer, half) for pointer in pointers)
        return self.shuffle(low, high, list(range(self.lanes)))

    def store_runs(self, value: Any, pointers: list[Any]) -> None:
        """Store a vector at one pointer, or its halves at two."""
        if len(pointers) == 1:
            self.store(value, pointers[0])
            return
        half = self.lanes // 2
        for i, pointer in enumerate(pointers):
            part = self.shuffle(value, value, list(range(i * half, (i + 1) * half)))
            self.store(part, pointer)

    def first_lanes(self, count: Any) -> Any:
        """A mask of the first `count` lanes."""
        index = ir.VectorType(INT64, self.lanes)
        undefined = ir.Constant(index, ir.Undefined)
        first = self.builder.insert_element(undefined, count, INT32(0))
        limit = self.builder.shuffle_vector(first, undefined, self._indices([0] * self.lanes))
        return self.builder.icmp_signed("<", ir.Constant(index, list(range(self.lanes))), limit)

    def lanes_between(self, start: Any, limit: Any) -> Any:
        """A mask of the lanes l with 0 <= start + l < limit."""
        index = ir.VectorType(INT32, self.lanes)
        undefined = ir.Constant(index, ir.Undefined)

        def spread(number: Any) -> Any:
            first = self.builder.insert_element(undefined, self.builder.trunc(number, INT32), INT32(0))
            return self.builder.shuffle_vector(first, undefined, self._indices([0] * self.lanes))

        places = self.builder.add(spread(start), ir.Constant(index, list(range(self.lanes))))
        return self.builder.icmp_unsigned("<", places, spread(limit))

    def load_first(self, pointer: Any, mask: Any) -> Any:
        """The numbers of a mask's lanes from a pointer, zeros in the other lanes."""
        address = self.builder.bitcast(pointer, self.vector.as_pointer())
        name = f"llvm.masked.load.v{self.lanes}f{self._bits}.p0"
        signature = ir.FunctionType(self.vector, [address.type, INT32, mask.type, self.vector])
        load = self._function(name, signature)
        return self.builder.call(load, [address, INT32(self._align), mask, self.zero()])

    def store_first(self, value: Any, pointer: Any, mask: Any) -> None:
        """Store the numbers of a mask's lanes at a pointer."""
        address = self.builder.bitcast(pointer, self.vector.as_pointer())
        name = f"llvm.masked.store.v{self.lanes}f{self._bits}.p0"
        signature = ir.FunctionType(ir.VoidType(), [self.vector, address.type, INT32, mask.type])
        self.builder.call(self._function(name, signature), [value, address, INT32(self._align), mask])

    def store(self, value: Any, pointer: Any) -> None:
        """Store a vector at a pointer of any alignment."""
        self.builder.store(value, self.builder.bitcast(pointer, value.type.as_pointer())).align = self._align

    def are_aligned(self, pointers: list[Any], row: Any) -> Any:
        """Whether vectors at these pointers, and any number of rows after them, are aligned to their size."""
        bits = self.builder.mul(row, INT64(self._align))
        for pointer in pointers:
            bits = self.builder.or_(bits, self.builder.ptrtoint(pointer, INT64))
        beyond = self.builder.and_(bits, INT64(self.lanes * self._align - 1))
        return self.builder.icmp_signed("==", beyond, INT64(0))

    def store_past_caches(self, value: Any, pointer: Any) -> None:
        """Store a vector at a pointer aligned to its size, past the caches: its cache line is not read first.

        Such stores may be seen late by other threads. `_jit.take_task` makes them visible.
        """
        store = self.builder.store(value, self.builder.bitcast(pointer, value.type.as_pointer()))
        store.align = self.lanes * self._align
        store.set_metadata("nontemporal", self.builder.module.add_metadata([INT32(1)]))

    def prefetch(self, pointer: Any, level: int = 1) -> None:
        """Bring a cache line to a cache, L1 or L2, from anywhere: outside all arrays, it does no harm."""
        byte = ir.IntType(8).as_pointer()
        signature = ir.FunctionType(ir.VoidType(), [byte, INT32, INT32, INT32])
        to_read, keep, data = INT32(0), INT32(4 - level), INT32(1)
        prefetch = self._function("llvm.prefetch.p0", signature)
        self.builder.call(prefetch, [self.builder.bitcast(pointer, byte), to_read, keep, data])

    def splat(self, scalar: Any) -> Any:
        """One number in all lanes."""
        undefined = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(undefined, scalar, INT32(0))
        return self.builder.shuffle_vector(first, undefined, self._indices([0] * self.lanes))

    def splat_flag(self, flag: Any) -> Any:
        """One truth value in all lanes."""
        undefined = ir.Constant(ir.VectorType(flag.type, self.lanes), ir.Undefined)
        first = self.builder.insert_element(undefined, flag, INT32(0))
        return self.builder.shuffle_vector(first, undefined, self._indices([0] * self.lanes))

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """Write a * b + c."""
        if not target().fma:
            return self.builder.fadd(self.builder.fmul(a, b), c)
        signature = ir.FunctionType(self.vector, [self.vector] * 3)
        return self.builder.call(self._function(f"llvm.fma.v{self.lanes}f{self._bits}", signature), [a, b, c])

    def _function(self, name: str, signature: Any) -> Any:
        return cgutils.get_or_insert_function(self.builder.module, signature, name)

    def each_vector(self, count: Any, body: Callable[[Any], None], vectors: int = 1) -> None:
        """Write a loop that runs body(i) for i = 0, `vectors` * lanes, .. below count."""
        builder, entry = self.builder, self.builder.basic_block
        loop, done = builder.append_basic_block("vectors"), builder.append_basic_block("done")
        builder.cbranch(builder.icmp_signed(">", count, INT64(0)), loop, done)
        builder.position_at_end(loop)
        i = builder.phi(INT64)
        body(i)
        following = builder.add(i, INT64(vectors * self.lanes))
        join_phi(i, (INT64(0), entry), (following, builder.basic_block))
        leave_loop(builder, builder.cbranch(builder.icmp_signed("<", following, count), loop, done))
        builder.position_at_end(done)

    def sum_lanes_of_four(self, v: list[Any]) -> Any:
        """The four numbers (sum of v[0]'s lanes, .., sum of v[3]'s lanes) as a vector of four.

        Interleaving two vectors and adding the halves leaves their partial sums side by side, in half as
        many lanes each; two such steps bring four vectors into one, which is then folded down to 4 lanes.
        """
        ab, cd = self._interleave_add(v[0], v[1], 1), self._interleave_add(v[2], v[3], 1)
        if self.lanes == 2:
            return self.shuffle(ab, cd, [0, 1, 2, 3])
        sums, lanes = self._interleave_add(ab, cd, 2), self.lanes
        while lanes > 4:
            lanes //= 2
            low = self.shuffle(sums, sums, list(range(lanes)))
            high = self.shuffle(sums, sums, list(range(lanes, 2 * lanes)))
            sums = self.builder.fadd(low, high)
        return sums

    def every_second(self, a: Any, b: Any, first: int = 0) -> Any:
        """The lanes first, first + 2, .. of two vectors, one after the other."""
        return self.shuffle(a, b, list(range(first, 2 * self.lanes, 2)))

    def transpose(self, rows: list[Any]) -> list[Any]:
        """The columns of a square of `lanes` rows: out[i] lane j is rows[j] lane i.

        Interleaving rows i and i + lanes/2 lane by lane, log2(lanes) times over, turns rows to columns.
        """
        half = self.lanes // 2
        low = [lane for i in range(half) for lane in (i, self.lanes + i)]
        high = [lane + half for lane in low]
        for _ in range(self.lanes.bit_length() - 1):
            pairs = [(rows[i], rows[i + half]) for i in range(half)]
            rows = [self.shuffle(a, b, lanes) for a, b in pairs for lanes in (low, high)]
        return rows

    def _interleave_add(self, a: Any, b: Any, unit: int) -> Any:
        """Halves of a and b interleaved in runs of `unit` lanes, and added: low half + high half."""
        half = self.lanes // 2
        low = [run + j for i in range(0, half, unit) for run in (i, self.lanes + i) for j in range(unit)]
        high = [index + half for index in low]
        return self.builder.fadd(self.shuffle(a, b, low), self.shuffle(a, b, high))

    def shuffle(self, a: Any, b: Any, indices: list[int]) -> Any:
        """The lanes of two vectors with these numbers, those of b counted on from a's."""
        return self.builder.shuffle_vector(a, b, self._indices(indices))

    @staticmethod
    def _indices(indices: list[int]) -> Any:
        return ir.Constant(ir.VectorType(INT32, len(indices)), indices)


def join_phi(phi: Any, *incoming: tuple[Any, Any]) -> Any:
    """Give a phi its (value, block) pairs; returns it."""
    for value, block in incoming:
        phi.add_incoming(value, block)
    return phi


@contextmanager
def each_time(builder: Any, count: Any) -> Iterator[Any]:
    """Write a loop over the yielded index < count, which LLVM leaves as it is."""
    with cgutils.for_range(builder, count) as loop:
        yield loop.index
        last = builder.basic_block
    leave_loop(builder, last.terminator)


def leave_loop(builder: Any, branch: Any) -> None:
    """Have LLVM leave a loop as it is, whose last branch this is.

    Most loops over vectors are short: unrolled, as LLVM would have it, they take longer to enter than to run.
    """
    module = builder.module
    as_it_is = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
    marks = MDValue(module, [], str(len(module.metadata)))
    marks.operands = (marks, as_it_is)  # LLVM knows a loop's marks by their pointing at themselves
    branch.set_metadata("llvm.loop", marks)


def data_pointer(context: Any, builder: Any, array_type: Any, array: Any, offset: Any) -> Any:
    """Pointer to element `offset` of a contiguous array, counted in memory order."""
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [offset])


@intrinsic
def vector_lanes(_context: Any, array: Any) -> Any:
    """Numbers of the array's type in a vector register: a constant of the compiled code."""

    def codegen(_context: Any, _builder: Any, _signature: Any, _args: Any) -> Any:
        return INT64(target().lanes(item_bytes(array.dtype)))

    return types.intp(array), codegen


@intrinsic
def keep_small(_context: Any) -> Any:
    """Have LLVM keep the code of the kernel small that says so: no loop is unrolled or written twice.

    For kernels whose time is spent in the functions and vector loops that they call: LLVM would make
    almost three times as much code of the loops around them, of many kernels over again, and no quicker one.
    """

    def codegen(context: Any, builder: Any, _signature: Any, _args: Any) -> Any:
        builder.function.attributes.add("optsize")
        return context.get_dummy_value()

    return types.void(), codegen


def _copying_every(stride: int, source: Any, out: Any) -> tuple[Any, Any]:
    """What makes the intrinsics below, for a stride that is a power of two: signature and code generator."""
    n = types.intp

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        writer = VectorWriter(builder, source.dtype, target().lanes(item_bytes(source.dtype)))
        read = data_pointer(context, builder, signature.args[0], args[0], args[1])
        write = data_pointer(context, builder, signature.args[2], args[2], args[3])

        def copy(i: Any) -> None:
            first = writer.at(read, builder.mul(i, INT64(stride)))
            vectors = [writer.load(writer.at(first, v * writer.lanes)) for v in range(stride)]
            while len(vectors) > 1:  # leave out every second number, until one in `stride` is left
                pairs = zip(vectors[::2], vectors[1::2], strict=True)
                vectors = [writer.every_second(*pair) for pair in pairs]
            writer.store(vectors[0], writer.at(write, i))

        writer.each_vector(args[4], copy)
        return context.get_dummy_value()

    return types.void(source, n, out, n, n), codegen


@intrinsic
def copy_every_second(_context: Any, source: Any, at: Any, out: Any, to: Any, count: Any) -> Any:
    """out[to + i] = source[at + 2 i] for i < count; reads and writes whole vectors, as `copy_run`."""
    return _copying_every(2, source, out)


@intrinsic
def copy_every_fourth(_context: Any, source: Any, at: Any, out: Any, to: Any, count: Any) -> Any:
    """out[to + i] = source[at + 4 i] for i < count; reads and writes whole vectors, as `copy_run`."""
    return _copying_every(4, source, out)


@intrinsic
def copy_exact(_context: Any, source: Any, at: Any, out: Any, to: Any, count: Any) -> Any:
    """out[to:to+count] = source[at:at+count]; reads and writes nothing else."""
    n = types.intp
    signature = types.void(source, n, out, n, n)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        writer = VectorWriter(builder, source.dtype, target().lanes(item_bytes(source.dtype)))
        read = data_pointer(context, builder, signature.args[0], args[0], args[1])
        write = data_pointer(context, builder, signature.args[2], args[2], args[3])
        whole = builder.and_(args[4], INT64(-writer.lanes))
        writer.each_vector(
            whole, lambda i: writer.store(writer.load(writer.at(read, i)), writer.at(write, i))
        )
        with builder.if_then(builder.icmp_signed("<", whole, args[4])):
            mask = writer.first_lanes(builder.sub(args[4], whole))
            value = writer.load_first(writer.at(read, whole), mask)
            writer.store_first(value, writer.at(write, whole), mask)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def copy_memory(_context: Any, source: Any, at: Any, out: Any, to: Any, count: Any) -> Any:
    """out[to:to+count] = source[at:at+count] by C's memcpy, which knows best how to copy long runs."""
    signature = types.void(source, types.intp, out, types.intp, types.intp)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        read = data_pointer(context, builder, signature.args[0], args[0], args[1])
        write = data_pointer(context, builder, signature.args[2], args[2], args[3])
        cgutils.raw_memcpy(builder, write, read, args[4], item_bytes(source.dtype))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def zero_run(_context: Any, out: Any, to: Any, count: Any) -> Any:
    """out[to:to+count] = 0, in whole vectors; writes beyond the run as `copy_run` does."""
    signature = types.void(out, types.intp, types.intp)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        writer = VectorWriter(builder, out.dtype, target().lanes(item_bytes(out.dtype)))
        write = data_pointer(context, builder, signature.args[0], args[0], args[1])
        writer.each_vector(args[2], lambda i: writer.store(writer.zero(), writer.at(write, i)))
        return context.get_dummy_value()

    return signature, codegen


def _load_rows(writer: VectorWriter, read: Any, row_stride: Any, rows: Any) -> list[Any]:
    """A vector from each of `lanes` rows; from the first row in place of those that are not there."""
    builder, loaded = writer.builder, []
    for r in range(writer.lanes):
        row = builder.select(builder.icmp_signed("<", INT64(r), rows), INT64(r), INT64(0))
        loaded.append(writer.load(writer.at(read, builder.mul(row, row_stride))))
    return loaded


@intrinsic
def transpose_runs(_context: Any, a: Any, at: Any, row_stride: Any, rows: Any, out: Any, to: Any,
                   out_stride: Any) -> Any:  # fmt: skip
    """out[to + k * out_stride + r] = a[at + r * row_stride + k] for r < rows <= lanes, k < lanes.

    Writes whole vectors, in the order of k: the `lanes - rows` numbers after each run get any value.
    """
    n = types.intp
    signature = types.void(a, n, n, n, out, n, n)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        writer = VectorWriter(builder, a.dtype, target().lanes(item_bytes(a.dtype)))
        read = data_pointer(context, builder, signature.args[0], args[0], args[1])
        write = data_pointer(context, builder, signature.args[4], args[4], args[5])
        for k, column in enumerate(writer.transpose(_load_rows(writer, read, args[2], args[3]))):
            writer.store(column, writer.at(write, builder.mul(args[6], INT64(k))))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def transpose_exact(_context: Any, a: Any, at: Any, row_stride: Any, rows: Any, out: Any, to: Any,
                    out_stride: Any, count: Any) -> Any:  # fmt: skip
    """out[to + k * out_stride + r] = a[at + r * row_stride + k] for r < rows <= lanes, k < count <= lanes.

    Writes nothing else; reads whole vectors of a.
    """
    n = types.intp
    signature = types.void(a, n, n, n, out, n, n, n)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        writer = VectorWriter(builder, a.dtype, target().lanes(item_bytes(a.dtype)))
        read = data_pointer(context, builder, signature.args[0], args[0], args[1])
        write = data_pointer(context, builder, signature.args[4], args[4], args[5])
        columns = writer.transpose(_load_rows(writer, read, args[2], args[3]))
        mask = writer.first_lanes(args[3])
        for k, column in enumerate(columns):
            with builder.if_then(builder.icmp_signed("<", INT64(k), args[7])):
                writer.store_first(column, writer.at(write, builder.mul(args[6], INT64(k))), mask)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def copy_run(_context: Any, source: Any, at: Any, out: Any, to: Any, count: Any) -> Any:
    """out[to:to+count] = source[at:at+count], in whole vectors.

    Reads and writes up to a vector beyond the run: both arrays must reach that far, and the caller writes
    what follows in `out` afterwards. Contiguous arrays, offsets in memory order.
    """
    dtype = source.dtype
    signature = types.void(source, types.intp, out, types.intp, types.intp)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        writer = VectorWriter(builder, dtype, target().lanes(item_bytes(dtype)))
        read = data_pointer(context, builder, signature.args[0], args[0], args[1])
        write = data_pointer(context, builder, signature.args[2], args[2], args[3])
        writer.each_vector(
            args[4], lambda i: writer.store(writer.load(writer.at(read, i)), writer.at(write, i))
        )
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def copy_lines(_context: Any, source: Any, at: Any, width: Any, lines: Any, out: Any, to: Any, line: Any,
               first: Any) -> Any:  # fmt: skip
    """out[to + r * line + first + w] = source[at + r * width + w] for r < lines, w < width; 0 beside them.

    A line of `out` has `line` numbers; what does not fit into it is left out. Reads nothing else; writes
    whole vectors, beyond the last line as `copy_run` does beyond a run.
    """
    n = types.intp
    signature = types.void(source, n, n, n, out, n, n, n)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        width, lines, line, first = args[2], args[3], args[6], args[7]
        writer = VectorWriter(builder, source.dtype, target().lanes(item_bytes(source.dtype)))
        read = data_pointer(context, builder, signature.args[0], args[0], args[1])
        write = data_pointer(context, builder, signature.args[4], args[4], args[5])
        last = builder.and_(builder.sub(line, INT64(1)), INT64(-writer.lanes))

        def copy_column(i: Any) -> None:
            # From a line's last vector, which reaches into the next line, to its first.
            u = builder.sub(last, i)
            w = builder.sub(u, first)
            mask = writer.lanes_between(w, width)

            def copy(load: Callable[[Any], Any]) -> None:
                with each_time(builder, lines) as r:
                    value = load(writer.at(read, builder.add(builder.mul(r, width), w)))
                    writer.store(value, writer.at(write, builder.add(builder.mul(r, line), u)))

            begins = builder.icmp_signed(">=", w, INT64(0))
            ends = builder.icmp_signed("<=", builder.add(w, INT64(writer.lanes)), width)
            with builder.if_else(builder.and_(begins, ends)) as (then, otherwise):
                with then:
                    copy(writer.load)
                with otherwise:
                    copy(lambda place: writer.load_first(place, mask))

        writer.each_vector(line, copy_column)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def bring_near(_context: Any, x: Any, start: Any, count: Any) -> Any:
    """Bring the cache lines of x[start : start + count] to the L2 cache; beyond the array it does no harm.

    The CPU foresees by itself what follows in a page, but not the next page, or where results will go.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        writer = VectorWriter(builder, x.dtype, CACHE_LINE // item_bytes(x.dtype))
        first = data_pointer(context, builder, signature.args[0], args[0], args[1])
        writer.each_vector(args[2], lambda i: writer.prefetch(writer.at(first, i), level=2))
        return context.get_dummy_value()

    return types.void(x, types.intp, types.intp), codegen
