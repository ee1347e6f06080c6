import pytest

from pycaffe_lite.cli import device_query
from pycaffe_lite.kernels.runtime.llvm import Target


def test_device_query(run):
    result = run("device-query", "--threads", 3)
    assert (result.code, result.err) == (0, [])
    told = {name: value for name, _, value in (line.partition(": ") for line in result.out)}
    assert list(told) == [
        "Processor",
        "Compiled for",
        "Vector unit",
        "Cores for this process",
        "Threads",
        "Python",
        "NumPy, Numba, llvmlite",
    ]
    assert told["Threads"].strip() == "3"
    assert all(value.strip() for value in told.values())


def test_device_query_of_a_gpu(run):
    result = run("device_query", "-gpu", "0", level=1)
    assert (result.code, result.messages) == (0, ["There is no GPU support: -gpu 0 is ignored"])


@pytest.mark.parametrize(
    ("target", "unit"),
    [(Target(16, 16, False), "128 bits"), (Target(64, 32, True), "512 bits with FMA")],
)
def test_vector_unit(monkeypatch, target, unit):
    monkeypatch.setattr(device_query, "target", lambda: target)
    assert device_query._vector_unit() == unit
