"""Which tests run, and for which CPU the kernels are compiled.

Tests on other people's models run where the folder that holds these is named in PYCAFFE_LITE_SHARED. `make
test-cpus` names a CPU in Numba's variables; tests refuse to run where Numba makes something else of them.
"""

import os
import resource
import signal

import pytest

collect_ignore = ["test_real.py", "test_wild.py"]
if os.environ.get("PYCAFFE_LITE_SHARED"):
    collect_ignore = []

CPU = os.environ.get("NUMBA_CPU_NAME")
# Bytes of a vector register, how many registers there are, whether there is FMA.
VECTORS = {"x86-64": (16, 16, False), "x86-64-v3": (32, 16, True)}


def pytest_configure():
    if CPU in VECTORS:
        from pycaffe_lite.kernels.runtime.llvm import target

        if target() != VECTORS[CPU]:
            # Without a list of features, Numba adds those of this machine.
            raise pytest.UsageError(f"{CPU} gets code for {target()}; set NUMBA_CPU_FEATURES to nothing")


def pytest_report_header():
    return f"kernels: compiled for {CPU}" if CPU else None


@pytest.fixture
def limited():
    """Files may have 60 KB, as if the disk was full then."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)
