import pytest

from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.text_fields import fields_of
from pycaffe_lite.proto.v0_fields import V0_FIELDS, V0_TYPES

V0, V1 = (
    fields_of(message.DESCRIPTOR).by_name
    for message in (caffe_pb2.V0LayerParameter, caffe_pb2.V1LayerParameter)
)
# What every V0 layer has, or what has no place in V1 because padding layers are folded.
OF_EVERY_LAYER = {"name", "type", "blobs", "blobs_lr", "weight_decay", "new_num", "new_channels"}


def target_of(path):
    """The field of V1 that a path leads to."""
    *outer, name = path.split(".")
    fields = V1
    for message in outer:
        number = caffe_pb2.V1LayerParameter.DESCRIPTOR.fields_by_name[message]
        fields = fields_of(number.message_type).by_name
    return fields[name]


def test_types_are_those_of_v1():
    assert set(V0_TYPES.values()) <= set(V1["type"].values)


@pytest.mark.parametrize("name", V0_FIELDS)
def test_a_field_becomes_one_of_the_same_kind(name):
    for kind, path in V0_FIELDS[name].items():
        assert kind == "*" or kind in V0_TYPES
        source, target = V0[name], target_of(path)
        assert (source.kind, source.values) == (target.kind, target.values), path


def test_no_field_is_forgotten():
    assert set(V0) - set(V0_FIELDS) == OF_EVERY_LAYER


@pytest.mark.parametrize(
    ("name", "kind", "path"),
    [
        ("kernelsize", "pool", "pooling_param.kernel_size"),
        ("biasterm", "innerproduct", "inner_product_param.bias_term"),
        ("batchsize", "images", "image_data_param.batch_size"),
        ("shuffle_images", "images", "image_data_param.shuffle"),
        ("det_crop_mode", "window_data", "window_data_param.crop_mode"),
        ("meanfile", "*", "transform_param.mean_file"),
    ],
)
def test_names_that_changed(name, kind, path):
    assert V0_FIELDS[name][kind] == path
