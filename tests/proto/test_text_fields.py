from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.text_fields import fields_of


def test_kinds():
    layer = fields_of(caffe_pb2.LayerParameter.DESCRIPTOR).by_name
    assert {
        name: layer[name].kind for name in ("name", "loss_weight", "phase", "blobs", "propagate_down")
    } == {
        "name": "string",
        "loss_weight": "float",
        "phase": "enum",
        "blobs": "message",
        "propagate_down": "bool",
    }
    assert fields_of(caffe_pb2.Datum.DESCRIPTOR).by_name["data"].kind == "bytes"


def test_repeated():
    layer = fields_of(caffe_pb2.LayerParameter.DESCRIPTOR).by_name
    assert layer["bottom"].repeated
    assert not layer["type"].repeated


def test_ranges_of_integers():
    def limits(message, name):
        field = fields_of(message.DESCRIPTOR).by_name[name]
        return field.kind, field.low, field.high

    assert limits(caffe_pb2.NetParameter, "input_dim") == ("int", -(2**31), 2**31 - 1)
    assert limits(caffe_pb2.ConvolutionParameter, "num_output") == ("int", 0, 2**32 - 1)
    assert limits(caffe_pb2.BlobShape, "dim") == ("int", -(2**63), 2**63 - 1)


def test_values_of_an_enum():
    assert fields_of(caffe_pb2.EltwiseParameter.DESCRIPTOR).by_name["operation"].values == {
        "PROD": 0,
        "SUM": 1,
        "MAX": 2,
        "SUB": 20001,
        "DIV": 20002,
        "MIN": 20003,
    }


def test_required_and_scalar_fields():
    clip = fields_of(caffe_pb2.ClipParameter.DESCRIPTOR)
    assert clip.required == clip.scalars == ("min", "max")
    blob = fields_of(caffe_pb2.BlobProto.DESCRIPTOR)
    assert blob.required == ()
    assert "shape" not in blob.scalars
    assert "num" in blob.scalars
