"""`pycaffe-lite device-query`: what the kernels run on."""

from __future__ import annotations

import platform
from pathlib import Path

import click
import llvmlite
import numba
import numpy as np
from llvmlite import binding as llvm

from pycaffe_lite import kernels
from pycaffe_lite.cli.command import CaffeCommand
from pycaffe_lite.cli.options import gpu_option, threads_option
from pycaffe_lite.cli.output import echo, say_mode, start_log
from pycaffe_lite.kernels import available_cores, target


@click.command("device-query", cls=CaffeCommand)
@gpu_option
@threads_option
def command(gpu: str) -> None:
    """Shows the processor and the threads in use."""
    if gpu:
        start_log()
        say_mode(gpu)
    for name, value in {
        "Processor": _processor(),
        "Compiled for": numba.config.CPU_NAME or llvm.get_host_cpu_name(),
        "Vector unit": _vector_unit(),
        "Cores for this process": str(available_cores()),
        "Threads": str(kernels.get_num_threads()),
        "Python": platform.python_version(),
        "NumPy, Numba, llvmlite": f"{np.__version__}, {numba.__version__}, {llvmlite.__version__}",
    }.items():
        echo(f"{name + ':':<26}{value}")


def _processor() -> str:
    """The processor's name as the operating system knows it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _vector_unit() -> str:
    """The widest vector unit, and whether it multiplies and adds in one step."""
    unit = target()
    return f"{8 * unit.vector_bytes} bits" + (" with FMA" if unit.fma else "")
