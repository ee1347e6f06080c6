"""Nets that come and go leave nothing behind: no memory, no thread, no open file."""

import gc
import shutil
import threading
import time
import tracemalloc
import weakref
from pathlib import Path

import pytest
from paths import FIXTURES

from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2

DATA = FIXTURES
NET = """
layer { name: "data" type: "Data" top: "x" top: "label"
        data_param { source: "mnist_200_lmdb" backend: LMDB batch_size: 8 } }
layer { name: "conv" type: "Convolution" bottom: "x" top: "conv"
        convolution_param { num_output: 4 kernel_size: 5 } }
layer { name: "norm" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "ip" type: "InnerProduct" bottom: "pool" top: "ip" inner_product_param { num_output: 10 } }
layer { name: "right" type: "Accuracy" bottom: "ip" bottom: "label" top: "right" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
ROUNDS = 5


@pytest.fixture
def net_file(tmp_path):
    shutil.copytree(DATA / "db" / "mnist_200_lmdb", tmp_path / "mnist_200_lmdb")
    (tmp_path / "net.prototxt").write_text(NET)
    return tmp_path / "net.prototxt"


@pytest.fixture
def no_collection():
    """The garbage collector stays out: what is dropped has to go by itself."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def run_once(net_file):
    """Builds a net, runs it, drops it; returns weak references to it, its layers and its blobs."""
    net = Net(net_file, caffe_pb2.TRAIN)
    net.forward_backward()
    return [weakref.ref(part) for part in (net, *net.layers, *net.blobs.values(), *net.learnable_params)]


def wait_for_threads(count):
    """The reading threads of dropped nets may need a moment to end."""
    deadline = time.monotonic() + 10
    while threading.active_count() > count and time.monotonic() < deadline:
        time.sleep(0.01)
    return threading.active_count()


def open_files():
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def test_nothing_stays(net_file, no_collection):
    run_once(net_file)  # compiles, and starts what stays: threads of the kernels
    threads = wait_for_threads(1)
    files = open_files()
    tracemalloc.start()
    try:
        run_once(net_file)
        wait_for_threads(threads)  # one that still ends holds its batches
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(ROUNDS):
            assert not any(reference() for reference in run_once(net_file))
        wait_for_threads(threads)
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert wait_for_threads(threads) == threads
    assert open_files() == files
    # A net's blobs take more than 100 kB; what Python itself keeps for later is far less.
    assert after - before < 30_000
