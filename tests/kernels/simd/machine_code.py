"""Runs code that a `VectorWriter` writes, compiled by LLVM alone, in milliseconds."""

import ctypes

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core.registry import cpu_target
from numba.np.numpy_support import from_dtype

from pycaffe_lite.kernels.runtime.llvm import INT64, llvm_float
from pycaffe_lite.kernels.simd.tables import new_function
from pycaffe_lite.kernels.simd.vectors import VectorWriter


def run(body, x, y, *numbers, lanes, writer=VectorWriter):
    """Run body(writer, pointer to x, pointer to y, *numbers) once. Returns the module as text."""
    dtype = from_dtype(x.dtype)
    module = ir.Module()
    pointer = llvm_float(dtype).as_pointer()
    function, builder = new_function(module, "body", [pointer, pointer, *[INT64] * len(numbers)])
    body(writer(builder, dtype, lanes), *function.args)
    builder.ret_void()
    triple, cpu, features = cpu_target.target_context.codegen().magic_tuple()
    machine = llvm.Target.from_triple(triple).create_target_machine(
        cpu=cpu, features=features, opt=3, codemodel="jitdefault", jit=True
    )
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(str(module)), machine)
    engine.finalize_object()
    arguments = [ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int64] * len(numbers)]
    function = ctypes.CFUNCTYPE(None, *arguments)(engine.get_function_address("body"))
    function(x.ctypes.data, y.ctypes.data, *numbers)
    return str(module)
