"""Binary weights: against protobuf's own parser, against real Caffe's files, and of every age."""

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from paths import FIXTURES

from pycaffe_lite.blob import Blob
from pycaffe_lite.errors import FileLookupError, WeightsError
from pycaffe_lite.formats import caffemodel, wire
from pycaffe_lite.formats.blobproto import array_of
from pycaffe_lite.formats.forks import to_ours
from pycaffe_lite.proto import caffe_pb2

DATA = FIXTURES
CAFFES = DATA / "lenet" / "lenet_iter_50.caffemodel"
SHARED = os.environ.get("PYCAFFE_LITE_SHARED")
REAL = sorted(Path(SHARED, "real").glob("*.caffemodel")) if SHARED else []


def read_bytes(tmp_path, data):
    path = tmp_path / "x.caffemodel"
    path.write_bytes(data)
    return caffemodel.read(path)


@pytest.mark.parametrize("path", [CAFFES, *REAL], ids=lambda path: path.name)
def test_agrees_with_protobufs_own_parser(path):
    model = caffemodel.read(path)
    net = caffe_pb2.NetParameter.FromString(path.read_bytes())
    assert model.name == net.name
    assert [layer.name for layer in model.layers] == [layer.name for layer in net.layer or net.layers]
    for ours, theirs in zip(model.layers, net.layer or net.layers, strict=True):
        assert (list(ours.bottom), list(ours.top)) == (list(theirs.bottom), list(theirs.top))
        for mine, blob in zip(ours.blobs, theirs.blobs, strict=True):
            np.testing.assert_array_equal(mine.data, array_of(blob), strict=True)
        theirs.ClearField("blobs")
        kind = type(theirs)
        assert caffemodel.layer_message(ours) == kind.FromString(
            to_ours(theirs.SerializeToString(), kind, None)  # without what only forks have
        )


def test_what_caffe_wrote_is_written_back_byte_for_byte(tmp_path):
    net = caffe_pb2.NetParameter.FromString(CAFFES.read_bytes())
    blobs = []
    for layer in net.layer:
        blobs.append([])
        for message in layer.blobs:
            blobs[-1].append(Blob(array_of(message).shape))
            blobs[-1][-1].data[...] = array_of(message)
        layer.ClearField("blobs")
    caffemodel.write(tmp_path / "y", net, blobs)
    assert (tmp_path / "y").read_bytes() == CAFFES.read_bytes()


def one_layer(dtype=np.float32, diff=False):
    blobs = [Blob((2, 3), dtype), Blob((), dtype), Blob((0, 4), dtype)]
    blobs[0].data[...] = np.arange(6).reshape(2, 3) / 7
    blobs[0].diff[...] = 1 + blobs[0].data
    blobs[1].data[...] = 5
    return caffe_pb2.NetParameter(layer=[caffe_pb2.LayerParameter(name="a", type="T", phase=1)]), [blobs]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("diff", [False, True])
def test_what_is_written_comes_back(tmp_path, dtype, diff):
    net, blobs = one_layer(dtype)
    caffemodel.write(tmp_path / "x", net, blobs, diff=diff)
    layer = caffemodel.read(tmp_path / "x")["a"]
    for stored, blob in zip(layer.blobs, blobs[0], strict=True):
        assert stored.shape == blob.shape
        np.testing.assert_array_equal(stored.data, blob.data)
        if diff and blob.count:
            np.testing.assert_array_equal(stored.diff, blob.diff, strict=True)
        else:
            assert stored.diff is None
    assert layer.blobs[0].data.dtype == dtype
    parsed = caffe_pb2.NetParameter.FromString((tmp_path / "x").read_bytes()).layer[0]
    assert parsed.phase == caffe_pb2.TEST
    assert bool(parsed.blobs[0].double_data) == (dtype == np.float64)


def test_double_data_counts_before_data(tmp_path):
    blob = caffe_pb2.BlobProto(data=[1, 2], double_data=[3, 4], double_diff=[5, 6])
    blob.shape.dim.append(2)
    net = caffe_pb2.NetParameter(layer=[caffe_pb2.LayerParameter(name="a", blobs=[blob])])
    (stored,) = read_bytes(tmp_path, net.SerializeToString())["a"].blobs
    assert stored.data.dtype == np.float64
    assert (stored.data.tolist(), stored.diff.tolist()) == ([3, 4], [5, 6])


def test_unpacked_and_split_data(tmp_path):
    values = np.arange(1000, dtype=np.float32)
    pieces = b"".join(wire.tag(5, wire.FIXED32) + v.tobytes() for v in values[:600])
    pieces += wire.bytes_field(7, wire.bytes_field(1, wire.varint(10)))
    pieces += wire.bytes_field(5, values[600:].tobytes())
    pieces += wire.bytes_field(7, wire.varint_field(1, 100))
    data = wire.bytes_field(100, wire.bytes_field(1, b"a") + wire.bytes_field(7, pieces))
    (stored,) = read_bytes(tmp_path, data)["a"].blobs
    np.testing.assert_array_equal(stored.data, values.reshape(10, 100))


def legacy_blob(num, channels, height, width):
    count = num * channels * height * width
    return caffe_pb2.BlobProto(
        num=num, channels=channels, height=height, width=width, data=np.arange(count, dtype=np.float32)
    )


def test_v1_layers(tmp_path):
    v1 = caffe_pb2.V1LayerParameter
    layers = [
        v1(name="ip", type=v1.INNER_PRODUCT, bottom=["x"], top=["y"], blobs=[legacy_blob(1, 1, 4, 3)]),
        v1(name="loss", type=v1.SOFTMAX_LOSS, bottom=["y", "l"]),
        v1(name="im", type=v1.IM2COL),
    ]
    model = read_bytes(tmp_path, caffe_pb2.NetParameter(name="old", layers=layers).SerializeToString())
    assert [(layer.name, layer.type, layer.version) for layer in model.layers] == [
        ("ip", "InnerProduct", 1),
        ("loss", "SoftmaxWithLoss", 1),
        ("im", "Im2col", 1),
    ]
    blob = model["ip"].blobs[0]
    assert (blob.legacy, blob.shape) == (True, (1, 1, 4, 3))
    assert [blob.fits(s) for s in [(4, 3), (1, 4, 3), (1, 1, 4, 3), (12,), (1, 1, 1, 4, 3)]] == [
        True, True, True, False, False,
    ]  # fmt: skip
    assert caffemodel.layer_message(model["loss"]).bottom == ["y", "l"]


def test_v0_layers(tmp_path):
    inner = caffe_pb2.V0LayerParameter(name="ip", type="innerproduct", blobs=[legacy_blob(1, 1, 1, 2)])
    net = caffe_pb2.NetParameter(layers=[caffe_pb2.V1LayerParameter(layer=inner, bottom=["x"], top=["y"])])
    (layer,) = read_bytes(tmp_path, net.SerializeToString()).layers
    assert (layer.name, layer.type, layer.bottom, layer.top) == ("ip", "InnerProduct", ("x",), ("y",))
    assert layer.blobs[0].data.ravel().tolist() == [0, 1]


def test_a_forks_field_that_does_not_parse_is_left_out(tmp_path):
    layer = caffe_pb2.LayerParameter(name="a", type="Convolution")
    layer.convolution_param.num_output = 3
    # 140 is elu_param here; in another schema it may be anything, here an invalid message.
    data = layer.SerializeToString() + wire.bytes_field(140, b"\xff\xff\xff") + wire.varint_field(9999, 1)
    (stored,) = read_bytes(tmp_path, wire.bytes_field(100, data)).layers
    message = caffemodel.layer_message(stored)
    assert (message.name, message.convolution_param.num_output) == ("a", 3)
    assert not message.HasField("elu_param")


def error_of(tmp_path, data):
    with pytest.raises(WeightsError) as caught:
        read_bytes(tmp_path, data)
    text = str(caught.value)
    assert "\n" not in text
    return text.replace(str(tmp_path), "")


def test_errors_name_the_file_and_the_place(tmp_path):
    whole = CAFFES.read_bytes()
    kind = "'/x.caffemodel' is truncated or not a .caffemodel: "
    assert error_of(tmp_path, whole[:1000]) == kind + "at byte 80: field 100 needs 2183 bytes, 916 are left"
    assert error_of(tmp_path, b"\x6e\x00") == kind + "at byte 0: field 13 has the unusable wire type 6"
    assert error_of(tmp_path, b"") == "'/x.caffemodel' is empty"
    assert error_of(tmp_path, whole[:7]) == "'/x.caffemodel' holds no layers: it is not a .caffemodel"
    blob = caffe_pb2.BlobProto(data=[1, 2, 3])
    blob.shape.dim.append(2)
    layer = caffe_pb2.LayerParameter(name="a", blobs=[blob])
    bad = caffe_pb2.NetParameter(layer=[layer]).SerializeToString()
    assert (
        error_of(tmp_path, bad)
        == kind + "at byte 8: a blob of shape (2,) holds 3 values (blob 0 of layer 'a')"
    )
    both = caffe_pb2.NetParameter(layer=[caffe_pb2.LayerParameter()], layers=[caffe_pb2.V1LayerParameter()])
    text = error_of(tmp_path, both.SerializeToString())
    assert text == kind + "at byte 0: it has both 'layer' and the older 'layers'"


@pytest.mark.parametrize("dims", [[-1], [2**40], [2**62, 0], [1] * 33, [2**31 - 1, 2]])
def test_impossible_shapes_allocate_nothing(tmp_path, dims):
    blob = caffe_pb2.BlobProto(data=[1])
    blob.shape.dim.extend(dims)
    net = caffe_pb2.NetParameter(layer=[caffe_pb2.LayerParameter(name="a", blobs=[blob])])
    tracemalloc.start()
    error_of(tmp_path, net.SerializeToString())
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_no_such_file(tmp_path):
    with pytest.raises(FileLookupError) as caught:
        caffemodel.read(tmp_path / "no")
    assert str(caught.value) == f"no such file: '{tmp_path / 'no'}'"


def test_an_unwritable_place(tmp_path):
    with pytest.raises(WeightsError) as caught:
        caffemodel.write(tmp_path / "no" / "x", *one_layer())
    assert str(caught.value) == f"cannot write '{tmp_path / 'no' / 'x'}': No such file or directory"


MEMORY = """
import resource, sys
import numpy as np
from pycaffe_lite.blob import Blob
from pycaffe_lite.formats import caffemodel
from pycaffe_lite.proto import caffe_pb2
blob = Blob((16_000_000,))
blob.data[...] = 1
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
if sys.argv[1] == "write":
    net = caffe_pb2.NetParameter(layer=[caffe_pb2.LayerParameter(name="a")])
    caffemodel.write(sys.argv[2], net, [[blob]])
else:
    blob.data[...] = caffemodel.read(sys.argv[2])["a"].blobs[0].data
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / (blob.count * 4 / 1024))
"""


def test_loading_holds_the_parameters_twice_and_writing_once(tmp_path):
    def extra(what):
        command = [sys.executable, "-c", MEMORY, what, str(tmp_path / "x")]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    assert extra("write") < 0.2
    assert extra("read") < 1.2
