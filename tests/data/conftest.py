"""Databases for the tests of this folder."""

import shutil
from pathlib import Path

import pytest
from paths import FIXTURES

from pycaffe_lite.data.lmdb_writer import write_lmdb
from pycaffe_lite.proto import caffe_pb2

DATA = FIXTURES


@pytest.fixture
def caffe_lmdb(tmp_path):
    """A copy of the first 200 MNIST images as Caffe's convert_mnist_data wrote them."""
    return Path(shutil.copytree(DATA / "db" / "mnist_200_lmdb", tmp_path / "mnist_200_lmdb"))


@pytest.fixture
def make_lmdb(tmp_path):
    """Makes an LMDB of arrays, (C, H, W) uint8 or float32, labelled 0, 1, 2, ..."""

    def make(items, name="made_lmdb"):
        def records():
            for i, item in enumerate(items):
                datum = caffe_pb2.Datum(label=i)
                datum.channels, datum.height, datum.width = item.shape
                if item.dtype == "uint8":
                    datum.data = item.tobytes()
                else:
                    datum.float_data.extend(item.ravel().tolist())
                yield b"%08d" % i, datum.SerializeToString()

        write_lmdb(tmp_path / name, records())
        return tmp_path / name

    return make
