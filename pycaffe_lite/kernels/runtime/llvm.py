"""What code written in LLVM IR needs: the CPU's vector unit, and modules compiled apart from Numba."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core.registry import cpu_target

from pycaffe_lite.kernels.runtime.cache import load_file, save_file
from pycaffe_lite.kernels.runtime.locks import compiler_lock

INT32, INT64 = ir.IntType(32), ir.IntType(64)


CACHE_LINE = 64  # bytes


class Target(NamedTuple):
    """What the CPU that Numba compiles for offers for vectors of floats."""

    vector_bytes: int  # width of a vector register
    registers: int  # the number of vector registers
    fma: bool  # whether a*b + c is one instruction; if not, LLVM calls a library function for each lane

    def lanes(self, item_bytes: int) -> int:
        """Return how many numbers of item_bytes bytes a vector register holds."""
        return self.vector_bytes // item_bytes


@lru_cache(maxsize=1)
def target() -> Target:
    """Return what the CPU offers that Numba compiles for, found by compiling a 64-byte fused multiply-add.

    CPU names and feature lists differ between architectures and LLVM versions; the registers and instructions
    that LLVM chooses tell the same everywhere.
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


# By name and content. An engine owns its code, and tables and recorded calls hold addresses of it, so that no
# engine may ever be freed.
_engines: dict[tuple[str, str | None], Any] = {}


def compiled_module(name: str, content: str | None, write: Callable[[], Any]) -> Any:
    """Return the engine of an LLVM module, compiled for the CPU that Numba compiles for.

    It is compiled once, however many threads ask for it, and is never freed. The code is kept on disk as that
    of kernels is. LLVM's optimiser is left out: the loops are written as they should run, and unrolled loops
    would spill sums that fill the registers already.

    Args:
        name: of the module.
        content: a hash of what the module is made of (`runtime.sources`); None if it is not to be kept on
            disk.
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
    """Return the size of Numba's float32 or float64."""
    return int(dtype.bitwidth) // 8


def llvm_float(dtype: Any) -> Any:
    """Return LLVM's type for Numba's float32 or float64."""
    return ir.FloatType() if dtype == types.float32 else ir.DoubleType()
