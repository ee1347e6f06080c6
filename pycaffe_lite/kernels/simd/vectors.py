"""Vector instructions for kernels, as a small writer of LLVM vector code.

Numba has no vector type, so the innermost loops are written as LLVM instructions by *intrinsics*: functions
that kernels call like any other, but that emit their own code (numba.extending.intrinsic). The vector width
and the use of fused multiply-add follow the CPU that Numba compiles for, which NUMBA_CPU_NAME and
NUMBA_CPU_FEATURES may change.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from llvmlite.ir.values import MDValue
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from pycaffe_lite.kernels.runtime.llvm import (
    INT32,
    INT64,
    item_bytes,
    llvm_float,
    target,
)


class VectorWriter:
    """Writes vector instructions for one element type at a builder's position.

    Args:
        builder: where the instructions are written.
        dtype: Numba's float32 or float64.
        lanes: numbers in a vector.
    """

    def __init__(self, builder: Any, dtype: Any, lanes: int) -> None:
        self.builder, self.lanes = builder, lanes
        self.scalar = llvm_float(dtype)
        self.vector = ir.VectorType(self.scalar, lanes)
        self._bits = dtype.bitwidth
        self._align = self._bits // 8

    def zero(self) -> Any:
        """Return a vector of zeros."""
        return ir.Constant(self.vector, [0.0] * self.lanes)

    @staticmethod
    def mask(lanes: list[bool]) -> Any:
        """Return a constant mask with a truth value for each lane."""
        return ir.Constant(ir.VectorType(ir.IntType(1), len(lanes)), [int(lane) for lane in lanes])

    def constant(self, number: float) -> Any:
        """Return a constant vector with a number in all lanes."""
        return ir.Constant(self.vector, [float(number)] * self.lanes)

    def at(self, pointer: Any, offset: Any) -> Any:
        """Return a pointer to the element at an offset (an int or an LLVM integer)."""
        return self.builder.gep(pointer, [INT64(offset) if isinstance(offset, int) else offset])

    def load(self, pointer: Any, vector: Any = None) -> Any:
        """Load a vector from a pointer of any alignment. vector: its type, `lanes` numbers by default."""
        value = self.builder.load(self.builder.bitcast(pointer, (vector or self.vector).as_pointer()))
        value.align = self._align
        return value

    def load_runs(self, pointers: list[Any]) -> Any:
        """Load a vector from one pointer, or its two halves from two pointers."""
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
        """Return a mask of the first `count` lanes."""
        index = ir.VectorType(INT64, self.lanes)
        undefined = ir.Constant(index, ir.Undefined)
        first = self.builder.insert_element(undefined, count, INT32(0))
        limit = self.builder.shuffle_vector(first, undefined, self._indices([0] * self.lanes))
        return self.builder.icmp_signed("<", ir.Constant(index, list(range(self.lanes))), limit)

    def lanes_between(self, start: Any, limit: Any) -> Any:
        """Return a mask of the lanes l with 0 <= start + l < limit."""
        index = ir.VectorType(INT32, self.lanes)
        undefined = ir.Constant(index, ir.Undefined)

        def spread(number: Any) -> Any:
            first = self.builder.insert_element(undefined, self.builder.trunc(number, INT32), INT32(0))
            return self.builder.shuffle_vector(first, undefined, self._indices([0] * self.lanes))

        places = self.builder.add(spread(start), ir.Constant(index, list(range(self.lanes))))
        return self.builder.icmp_unsigned("<", places, spread(limit))

    def load_first(self, pointer: Any, mask: Any) -> Any:
        """Load the lanes of a mask from a pointer, with zeros in the other lanes."""
        address = self.builder.bitcast(pointer, self.vector.as_pointer())
        name = f"llvm.masked.load.v{self.lanes}f{self._bits}.p0"
        signature = ir.FunctionType(self.vector, [address.type, INT32, mask.type, self.vector])
        load = self._function(name, signature)
        return self.builder.call(load, [address, INT32(self._align), mask, self.zero()])

    def store_first(self, value: Any, pointer: Any, mask: Any) -> None:
        """Store the lanes of a mask at a pointer, and nothing in the other places."""
        address = self.builder.bitcast(pointer, self.vector.as_pointer())
        name = f"llvm.masked.store.v{self.lanes}f{self._bits}.p0"
        signature = ir.FunctionType(ir.VoidType(), [self.vector, address.type, INT32, mask.type])
        self.builder.call(self._function(name, signature), [value, address, INT32(self._align), mask])

    def store(self, value: Any, pointer: Any) -> None:
        """Store a vector at a pointer of any alignment."""
        self.builder.store(value, self.builder.bitcast(pointer, value.type.as_pointer())).align = self._align

    def are_aligned(self, pointers: list[Any], row: Any) -> Any:
        """Write a test whether vectors at these pointers, and in all rows below them, are aligned."""
        bits = self.builder.mul(row, INT64(self._align))
        for pointer in pointers:
            bits = self.builder.or_(bits, self.builder.ptrtoint(pointer, INT64))
        beyond = self.builder.and_(bits, INT64(self.lanes * self._align - 1))
        return self.builder.icmp_signed("==", beyond, INT64(0))

    def store_nontemporal(self, value: Any, pointer: Any) -> None:
        """Store a vector without reading its cache line first, at a pointer that is aligned to its size.

        Other threads may see such non-temporal stores late: `runtime.steps.take_task` makes them visible.
        """
        store = self.builder.store(value, self.builder.bitcast(pointer, value.type.as_pointer()))
        store.align = self.lanes * self._align
        store.set_metadata("nontemporal", self.builder.module.add_metadata([INT32(1)]))

    def prefetch(self, pointer: Any, level: int = 1) -> None:
        """Prefetch a cache line into L1 or L2. Any address will do, also one outside all arrays."""
        byte = ir.IntType(8).as_pointer()
        signature = ir.FunctionType(ir.VoidType(), [byte, INT32, INT32, INT32])
        to_read, keep, data = INT32(0), INT32(4 - level), INT32(1)
        prefetch = self._function("llvm.prefetch.p0", signature)
        self.builder.call(prefetch, [self.builder.bitcast(pointer, byte), to_read, keep, data])

    def splat(self, scalar: Any) -> Any:
        """Return a vector with one number in all lanes."""
        undefined = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(undefined, scalar, INT32(0))
        return self.builder.shuffle_vector(first, undefined, self._indices([0] * self.lanes))

    def splat_flag(self, flag: Any) -> Any:
        """Return a mask with one truth value in all lanes."""
        undefined = ir.Constant(ir.VectorType(flag.type, self.lanes), ir.Undefined)
        first = self.builder.insert_element(undefined, flag, INT32(0))
        return self.builder.shuffle_vector(first, undefined, self._indices([0] * self.lanes))

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """Write a * b + c, as one instruction if the CPU has one."""
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
        forbid_unrolling(builder, builder.cbranch(builder.icmp_signed("<", following, count), loop, done))
        builder.position_at_end(done)

    def sum_lanes_of_four(self, v: list[Any]) -> Any:
        """Return the sums of the lanes of v[0], .., v[3] as a vector of four.

        To interleave two vectors and add the halves leaves their partial sums side by side, in half as many
        lanes each. Two such steps bring four vectors into one, which is then folded down to 4 lanes.
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
        """Return the lanes first, first + 2, .. of two vectors, those of a before those of b."""
        return self.shuffle(a, b, list(range(first, 2 * self.lanes, 2)))

    def transpose(self, rows: list[Any]) -> list[Any]:
        """Return the columns of a square of `lanes` rows: lane j of out[i] is lane i of rows[j].

        To interleave rows i and i + lanes/2 lane by lane, log2(lanes) times over, turns rows into columns.
        """
        half = self.lanes // 2
        low = [lane for i in range(half) for lane in (i, self.lanes + i)]
        high = [lane + half for lane in low]
        for _ in range(self.lanes.bit_length() - 1):
            pairs = [(rows[i], rows[i + half]) for i in range(half)]
            rows = [self.shuffle(a, b, lanes) for a, b in pairs for lanes in (low, high)]
        return rows

    def _interleave_add(self, a: Any, b: Any, unit: int) -> Any:
        """Interleave a and b in runs of `unit` lanes, and add the low half and the high half."""
        half = self.lanes // 2
        low = [run + j for i in range(0, half, unit) for run in (i, self.lanes + i) for j in range(unit)]
        high = [index + half for index in low]
        return self.builder.fadd(self.shuffle(a, b, low), self.shuffle(a, b, high))

    def shuffle(self, a: Any, b: Any, indices: list[int]) -> Any:
        """Return the lanes with these numbers of two vectors; those of b are numbered after those of a."""
        return self.builder.shuffle_vector(a, b, self._indices(indices))

    @staticmethod
    def _indices(indices: list[int]) -> Any:
        return ir.Constant(ir.VectorType(INT32, len(indices)), indices)


def join_phi(phi: Any, *incoming: tuple[Any, Any]) -> Any:
    """Add (value, block) pairs to a phi; return the phi."""
    for value, block in incoming:
        phi.add_incoming(value, block)
    return phi


@contextmanager
def each_time(builder: Any, count: Any) -> Iterator[Any]:
    """Write a loop over the yielded index < count, which LLVM must not unroll."""
    with cgutils.for_range(builder, count) as loop:
        yield loop.index
        last = builder.basic_block
    forbid_unrolling(builder, last.terminator)


def forbid_unrolling(builder: Any, branch: Any) -> None:
    """Have LLVM not unroll the loop whose last branch this is.

    Most loops over vectors are short. Unrolled, as LLVM prefers them, they take longer to enter than to run.
    """
    module = builder.module
    disable = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
    marks = MDValue(module, [], str(len(module.metadata)))
    marks.operands = (marks, disable)  # LLVM requires that a loop's metadata point to themselves
    branch.set_metadata("llvm.loop", marks)


def data_pointer(context: Any, builder: Any, array_type: Any, array: Any, offset: Any) -> Any:
    """Return a pointer to element `offset` of a contiguous array, counted in memory order."""
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [offset])


@intrinsic
def vector_lanes(_context: Any, array: Any) -> Any:
    """Return how many numbers of the array's type a vector register holds, as a compiled-in constant."""

    def codegen(_context: Any, _builder: Any, _signature: Any, _args: Any) -> Any:
        return INT64(target().lanes(item_bytes(array.dtype)))

    return types.intp(array), codegen


@intrinsic
def keep_small(_context: Any) -> Any:
    """Have LLVM keep the code of the kernel that calls this small: no loop is unrolled or written twice.

    It is for kernels that spend their time in the functions and vector loops that they call. LLVM would make
    almost three times as much code of the loops around these, which would take as much longer to compile and
    run no faster.
    """

    def codegen(context: Any, builder: Any, _signature: Any, _args: Any) -> Any:
        builder.function.attributes.add("optsize")
        return context.get_dummy_value()

    return types.void(), codegen
