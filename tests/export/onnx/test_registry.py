"""Every layer type has a converter or a reason, and the page says which."""

import importlib.util

import pytest
from paths import ROOT

import pycaffe_lite as caffe
from pycaffe_lite.errors import LayerError
from pycaffe_lite.export.onnx import catalogue as catalogue
from pycaffe_lite.export.onnx.model import Export
from pycaffe_lite.export.onnx.registry import _converters, converter_of, converts
from pycaffe_lite.layer.base import Layer
from pycaffe_lite.layer.registry import forms_of, layer_types, register_layer

spec = importlib.util.spec_from_file_location("onnx_types", ROOT / "docs" / "onnx_types.py")
onnx_types = importlib.util.module_from_spec(spec)
spec.loader.exec_module(onnx_types)

FORMS = [(name, form) for name in layer_types() for form in forms_of(name)]


@pytest.mark.parametrize(("name", "form"), FORMS, ids=[f"{n} of {f.origin}" for n, f in FORMS])
def test_a_converter_or_a_reason(name, form):
    if form.layer_class.__module__.startswith("pycaffe_lite."):
        assert "no converter to ONNX for this type" not in onnx_types.becomes(form)


def test_the_page_is_up_to_date():
    text = onnx_types.PAGE.read_text()
    assert text == onnx_types.page(text), "run: python docs/onnx_types.py"


def test_a_type_without_one():
    class Nothing(Layer):
        def reshape(self, bottom, top):
            top[0].reshape_like(bottom[0])

    register_layer("NothingInOnnx")(Nothing)
    net = caffe.Net.from_text(
        'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 } } }'
        'layer { name: "n" type: "NothingInOnnx" bottom: "data" top: "n" }',
        caffe.TEST,
    )
    message = r"layer 'n' \(NothingInOnnx\): cannot be exported to ONNX: pycaffe-lite has no converter"
    try:
        with pytest.raises(LayerError, match=message):
            Export(net)
        converts(Nothing)(lambda g, layer: g.op("Identity", g.x))
        assert [node.name for node in Export(net).graph.nodes] == ["n"]
        assert converter_of(Nothing, "opencv5") is converter_of(Nothing, "onnxruntime")
    finally:
        _converters.pop(Nothing, None)
        from pycaffe_lite.layer import registry

        del registry._types["NothingInOnnx"]
