"""Files of another kind than wanted: recognised, and said in one line."""

import bz2
import gzip
import io
import lzma
import pickle
import tarfile
import zipfile

import h5py
import numpy as np
import pytest
from paths import FIXTURES

from pycaffe_lite.errors import DataError, SnapshotError, WeightsError
from pycaffe_lite.formats import binaryproto, caffemodel, hdf5, solverstate
from pycaffe_lite.formats.kinds import BLOB, kind_of
from pycaffe_lite.formats.state import SolverState
from pycaffe_lite.net import weights
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse
from pycaffe_lite.solver.snapshot import read_state

DATA = FIXTURES
LENET = DATA / "lenet" / "lenet_iter_50"
NET = 'layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" }'


def saved(write, *arguments, **options):
    file = io.BytesIO()
    write(file, *arguments, **options)
    return file.getvalue()


def zipped(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, b"content of it" * 100)
    return file.getvalue()


def tarred():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.add(LENET.with_suffix(".solverstate"), "lenet.caffemodel")
    return file.getvalue()


def hdf5_file(fill, **options):
    file = io.BytesIO()
    with h5py.File(file, "w", **options) as opened:
        fill(opened)
    return file.getvalue()


def keras(file):
    file.attrs["keras_version"] = "2.1.3"
    file["dense_1/dense_1/kernel:0"] = np.ones((2, 2), np.float32)


def full_keras(file):
    file["model_weights/dense_1/kernel:0"] = np.ones((2, 2), np.float32)


def arrays(file):
    file["data"], file["label"] = np.ones((2, 3)), np.ones(2)


def onnx():
    """The fields of an ONNX model: version, producer, its version, graph, opset."""
    return b"\x08\x08\x12\x07pytorch\x1a\x032.1\x3a\x06\x12\x04main\x42\x04\x0a\x00\x10\x0d"


def torch_pickle():
    return b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."


WHOLE_MODEL = LENET.with_suffix(".caffemodel").read_bytes()
OLD_MODEL = caffe_pb2.NetParameter(
    name="old",
    layers=[caffe_pb2.V1LayerParameter(name="ip", blobs=[caffe_pb2.BlobProto(num=1, data=[1])])],
).SerializeToString()
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"

KINDS = {
    "Git LFS": (LFS, "a Git LFS pointer"),
    "HTML": (b"<!DOCTYPE html>\n<html><body>Not Found</body></html>", "a web page"),
    "HTML after blank lines": (b"\xef\xbb\xbf\n\n  <HTML lang=en>", "a web page"),
    "XML": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "a web page"),
    "net": (NET.encode(), "a net's prototxt"),
    "old net": (b'\n\n# a net\nname: "x"\nlayers { name: "ip" type: INNER_PRODUCT }', "a net's prototxt"),
    "net in UTF-16": (NET.encode("utf-16"), "a net's prototxt"),
    "solver": (b'net: "n.prototxt"\nbase_lr: 0.1\n', "a solver's prototxt"),
    "text": ("schöne Grüße\n".encode() * 600, "a text file"),
    "gzip": (gzip.compress(WHOLE_MODEL), "a gzip file"),
    "bzip2": (bz2.compress(b"x"), "a bzip2 file"),
    "xz": (lzma.compress(b"x"), "an xz file"),
    "zip": (zipped("a.caffemodel"), "a zip archive"),
    "tar": (tarred(), "a tar archive"),
    "npy": (saved(np.save, np.zeros((3, 4, 4))), "a NumPy array (.npy)"),
    "npz": (saved(np.savez, mean=np.zeros(3)), "a NumPy archive (.npz)"),
    "PyTorch": (zipped("archive/data.pkl", "archive/data/0"), "a PyTorch file"),
    "old PyTorch": (torch_pickle(), "a PyTorch file"),
    "pickle": (pickle.dumps({"a": 1}), "a Python pickle"),
    "ONNX": (onnx(), "an ONNX model"),
    "safetensors": ((20).to_bytes(8, "little") + b'{"x":{"dtype":"F32"}}' * 2, "a safetensors file"),
    "Keras 3": (zipped("metadata.json", "config.json", "model.weights.h5"), "a Keras model"),
    "Keras weights": (hdf5_file(keras), "a Keras model"),
    "Keras model": (hdf5_file(full_keras), "a Keras model"),
    "newer Keras model": (hdf5_file(full_keras, libver="latest"), "a Keras model"),
    "HDF5 data": (hdf5_file(arrays), "an HDF5 file of data"),
    "mean": ((DATA / "db" / "mean.binaryproto").read_bytes(), "a mean image or another single blob"),
    "PNG": (b"\x89PNG\r\n\x1a\n" + bytes(50), "a picture"),
    "MATLAB": (b"MATLAB 5.0 MAT-file, Platform: GLNXA64".ljust(128) + bytes(64), "a MATLAB file"),
    "LMDB": (bytes(16) + b"\xde\xc0\xef\xbe" + bytes(4096), "an LMDB database"),
    "zeros": (bytes(5000), "a file of zeros only"),
}
MODELS = {
    "caffemodel": WHOLE_MODEL,
    "cut caffemodel": WHOLE_MODEL[:50_000],
    "old caffemodel": OLD_MODEL,
    "caffemodel.h5": (LENET.parent / "lenet_iter_50.caffemodel.h5").read_bytes(),
}
STATES = {
    "solverstate": LENET.with_suffix(".solverstate").read_bytes(),
    "solverstate.h5": (LENET.parent / "lenet_iter_50.solverstate.h5").read_bytes(),
}
READERS = {
    "weights": (weights.read, WeightsError),
    "state": (read_state, SnapshotError),
    "mean": (binaryproto.read, DataError),
}


def error_of(path, data, wanted):
    path.write_bytes(data)
    read, error = READERS[wanted]
    with pytest.raises(error) as caught:
        read(path)
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["x.caffemodel", "x.h5"])
def test_neither_weights_nor_state(tmp_path, kind, name):
    data, says = KINDS[kind]
    path = tmp_path / name
    assert error_of(path, data, "weights").startswith(f"'{path}' is {says}, not a file of weights; ")
    assert error_of(path, data, "state").startswith(f"'{path}' is {says}, not a solver state; ")


@pytest.mark.parametrize("kind", MODELS)
def test_weights_given_for_a_state(tmp_path, kind):
    assert error_of(tmp_path / "x", MODELS[kind], "state") == (
        f"'{tmp_path}/x' is a file of weights, not a solver state; "
        "fine-tune from it with --weights, or name the .solverstate written with it"
    )


@pytest.mark.parametrize("kind", STATES)
def test_a_state_given_for_weights(tmp_path, kind):
    assert error_of(tmp_path / "x", STATES[kind], "weights") == (
        f"'{tmp_path}/x' is a solver state, not a file of weights; "
        "resume from it with --snapshot, or name the .caffemodel written with it"
    )


@pytest.mark.parametrize("name", ["m.caffemodel", "a/m.caffemodel", "", "12345678"])
def test_a_state_whose_bytes_could_be_old_weights(tmp_path, name):
    solverstate.write(tmp_path / "s", SolverState(3, name, 0, (np.ones(2, np.float32),), b"resume"))
    text = error_of(tmp_path / "x", (tmp_path / "s").read_bytes(), "weights")
    assert text.startswith(f"'{tmp_path}/x' is a solver state, not a file of weights; ")


OTHERS = KINDS | {
    "caffemodel": (MODELS["caffemodel"], "a file of weights"),
    "old caffemodel": (OLD_MODEL, "a file of weights"),
    "solverstate": (STATES["solverstate"], "a solver state"),
}


# For arrays of NumPy's and in HDF5 see test_binaryproto.py.
@pytest.mark.parametrize(
    "kind", [k for k in OTHERS if k not in ("mean", "npy", "HDF5 data") and "Keras" not in k] + ["Keras 3"]
)
def test_not_a_mean(tmp_path, kind):
    data, says = OTHERS[kind]
    text = error_of(tmp_path / "x", data, "mean")
    assert text.startswith(f"'{tmp_path}/x' is {says}, not a mean image or another single blob; ")


@pytest.mark.parametrize("kind", ["caffemodel", "solverstate", "net", "solver"])
def test_another_of_caffes_files_given_for_a_mean(tmp_path, kind):
    data, says = OTHERS[kind]
    assert error_of(tmp_path / "x", data, "mean") == (
        f"'{tmp_path}/x' is {says}, not a mean image or another single blob; name a .binaryproto file"
    )


def test_a_blob_with_every_form_of_its_shape():
    """Its field of number 7 is also one of ONNX."""
    blob = caffe_pb2.BlobProto(num=1, channels=2, height=1, width=1, data=[1, 2])
    blob.shape.dim.extend([1, 2, 1, 1])
    assert kind_of(np.frombuffer(blob.SerializeToString(), np.uint8)) is BLOB


def test_hdf5_and_binary_files_are_told_by_their_bytes_not_by_their_names(tmp_path):
    for kind, name in [("solverstate", "a.solverstate.h5"), ("solverstate.h5", "a.solverstate")]:
        (tmp_path / name).write_bytes(STATES[kind])
        assert read_state(tmp_path / name).iter == 50
    for kind, name in [("caffemodel", "a.caffemodel.h5"), ("caffemodel.h5", "a.caffemodel")]:
        (tmp_path / name).write_bytes(MODELS[kind])
        assert "conv1" in weights.read(tmp_path / name)


def test_load_hdf5_of_another_file(tmp_path):
    (tmp_path / "x.h5").write_bytes(LFS)
    with pytest.raises(WeightsError, match="is a Git LFS pointer"):
        hdf5.read_model(tmp_path / "x.h5")


def test_nets_that_are_weights_though_they_have_none(tmp_path):
    net = parse(NET, caffe_pb2.NetParameter).message
    (tmp_path / "x").write_bytes(net.SerializeToString())
    assert caffemodel.read(tmp_path / "x").layers[0].name == "ip"


def test_nothing_gives_random_bytes_away():
    random = np.random.default_rng(1)
    kinds = [kind_of(random.integers(0, 256, 500, np.uint8)) for _ in range(200)]
    assert sum(kind is not None for kind in kinds) <= 2
