"""The machine's multiply-add peak: independent chains of vector FMAs that never touch memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numba
import numba.core.cgutils as cgutils
import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.extending import intrinsic

from pycaffe_lite.kernels import target

CHAINS = 16  # more than latency times issue width of present cores
STEPS = 200_000
REPEATS = 50


def _make_chains(lanes: int) -> Any:
    @intrinsic
    def chains(typingctx: Any, steps: Any, start: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            steps, start = args
            f32, i64 = ir.FloatType(), ir.IntType(64)
            vec = ir.VectorType(f32, lanes)
            fma_type = ir.FunctionType(vec, [vec, vec, vec])
            fma = cgutils.get_or_insert_function(builder.module, fma_type, f"llvm.fma.v{lanes}f32")
            undef, zeros = (
                ir.Constant(vec, ir.Undefined),
                ir.Constant(ir.VectorType(ir.IntType(32), lanes), None),
            )
            value = builder.insert_element(undef, start, ir.IntType(32)(0))
            splat = builder.shuffle_vector(value, undef, zeros)
            first = [builder.fmul(splat, ir.Constant(vec, [float(i)] * lanes)) for i in range(CHAINS)]
            entry = builder.basic_block
            loop, done = builder.append_basic_block("loop"), builder.append_basic_block("done")
            builder.branch(loop)
            builder.position_at_end(loop)
            step = builder.phi(i64)
            step.add_incoming(i64(0), entry)
            sums = [builder.phi(vec) for _ in range(CHAINS)]
            for total, before in zip(sums, first, strict=True):
                total.add_incoming(before, entry)
            new = [builder.call(fma, [total, splat, splat]) for total in sums]
            for total, after in zip(sums, new, strict=True):
                total.add_incoming(after, loop)
            following = builder.add(step, i64(1))
            step.add_incoming(following, loop)
            builder.cbranch(builder.icmp_signed("<", following, steps), loop, done)
            builder.position_at_end(done)
            result = new[0]
            for other in new[1:]:
                result = builder.fadd(result, other)
            return builder.extract_element(result, ir.IntType(32)(0))

        return types.float32(types.intp, types.float32), codegen

    return chains


def measure(threads: int) -> float:
    """GFLOP/s in float32 that `threads` threads reach together: the median of several tries."""
    return prepare(threads)()


def prepare(threads: int) -> Callable[[], float]:
    """Compiles what `measure` runs, to be called again and again."""
    lanes = target().lanes(4)
    chains = _make_chains(lanes)

    @njit(parallel=True)
    def run(out: Any, steps: int) -> None:
        for i in prange(out.size):
            out[i] = chains(steps, np.float32(0.5))

    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    out = np.zeros(threads, np.float32)
    run(out, 1000)

    def median_speed() -> float:
        speeds = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            run(out, STEPS)
            speeds.append(2.0 * lanes * CHAINS * STEPS * threads / (time.perf_counter() - start) / 1e9)
        return float(np.median(speeds))

    return median_speed
