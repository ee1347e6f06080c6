"""What the recorded cases (test_pycaffe_golden.py) leave open."""

import copy

import pytest

import pycaffe_lite as caffe
from pycaffe_lite import layers as L
from pycaffe_lite import params as P
from pycaffe_lite.errors import ArgumentError, ArgumentTypeError, NameLookupError
from pycaffe_lite.layer.registry import forms_of
from pycaffe_lite.net_spec import param_name_dict
from pycaffe_lite.proto import caffe_pb2


def test_every_type_with_a_message_of_its_own_takes_its_fields():
    """Also those that a later schema brings: nothing lists them here."""
    layer = caffe_pb2.LayerParameter()
    for name, field in param_name_dict().items():
        message = getattr(layer, f"{field}_param")
        scalars = [f for f in message.DESCRIPTOR.fields if f.cpp_type in (f.CPPTYPE_INT32, f.CPPTYPE_UINT32)]
        for scalar in scalars[:1]:
            made = getattr(L, name)(**{scalar.name: 3}).to_proto().layer[0]
            assert made.HasField(f"{field}_param")
            value = getattr(getattr(made, f"{field}_param"), scalar.name)
            assert (list(value) if hasattr(value, "extend") else value) in (3, [3])


@pytest.mark.parametrize(
    "name", [name for name in caffe.layer_type_list(forks=True) if name in param_name_dict()]
)
def test_a_type_takes_its_fields_where_its_layer_looks_for_them(name):
    places = {form.param for form in forms_of(name)} - {None}
    assert not places or f"{param_name_dict()[name]}_param" in places


def test_messages_of_two_fields_go_to_the_first():
    x = L.Input(shape=dict(dim=[1, 2, 3, 3]))
    assert L.ReLU(x, negative_slope=0.5).to_proto().layer[1].relu_param.negative_slope == 0.5
    layer = L.Normalize(x, across_spatial=False, scale_filler=dict(value=20)).to_proto().layer[1]
    assert layer.norm_param.scale_filler.value == 20
    assert not layer.HasField("normalize_param")


def test_a_net_may_be_deeper_than_pythons_stack():
    n = caffe.NetSpec()
    n.x = top = L.Input(shape=dict(dim=[1, 2]))
    for _ in range(3000):
        top = L.ReLU(top)
    n.y = top
    assert len(n.to_proto().layer) == 3001


def test_what_there_is_not_is_a_key_and_an_attribute_error():
    n = caffe.NetSpec()
    n.x = L.Input(shape=dict(dim=[1]))
    with pytest.raises(NameLookupError, match=r"^the net has no top 'y' \(tops: x\)$"):
        _ = n.y
    with pytest.raises(KeyError):
        _ = n["y"]
    assert not hasattr(n, "y")
    assert str(copy.deepcopy(n).to_proto()) == str(n.to_proto())


def test_errors_name_the_layer_and_what_is_possible():
    x = L.Input(shape=dict(dim=[1, 2]))
    for top, kind, text in (
        (
            L.Convolution(x, num_outputs=3),
            NameLookupError,
            "ConvolutionParameter has no field 'num_outputs', did you mean 'num_output'?",
        ),
        (
            L.InnerProduct(x, weight_filler=dict(tipe="xavier")),
            NameLookupError,
            "FillerParameter has no field 'tipe', did you mean 'type'?",
        ),
        (
            L.InnerProduct(x, num_output="many"),
            ArgumentTypeError,
            "InnerProductParameter.num_output cannot be 'many': ",
        ),
        (L.InnerProduct(x, num_output=-1), ArgumentError, "InnerProductParameter.num_output cannot be -1: "),
    ):
        with pytest.raises(kind) as caught:
            top.to_proto()
        name = top.fn.type_name
        assert str(caught.value).startswith(f"layer '{name}1' ({name}): {text}")


def test_a_tuple_of_tops_under_one_name():
    n = caffe.NetSpec()
    n.data = L.DummyData(shape=[dict(dim=[1]), dict(dim=[1])], ntop=2)
    with pytest.raises(ArgumentTypeError, match="assign each top to a name"):
        n.to_proto()


def test_enum_values_that_there_are_not():
    with pytest.raises(AttributeError):
        _ = P.Pooling.MEDIAN
    with pytest.raises(AttributeError, match="no message NothingParameter"):
        _ = P.Nothing


def test_methods_of_ssds_fork():
    n = caffe.NetSpec()
    n.x = L.Input(shape=dict(dim=[1, 2, 8, 8]))
    n.c = L.Convolution(n.x, num_output=3, kernel_size=3)
    n.r = L.ReLU(n.c)
    n.update("c", {"dilation": 2})
    assert (n.keys(), n.vals()) == (["x", "c", "r"], [n.x, n.c, n.r])
    assert n.to_proto().layer[1].convolution_param.dilation == [2]
    del n["r"]
    assert [layer.name for layer in n.to_proto().layer] == ["x", "c"]
    with pytest.raises(NameLookupError):
        _ = n["keys"]
    with pytest.raises(NameLookupError, match=r"^the net has no top 'y' \(tops: x, c\)$"):
        n.update("y", {})
    n.keys = L.ReLU(n.c)
    assert n.keys is n["keys"]
    assert n.to_proto().layer[-1].name == "keys"
