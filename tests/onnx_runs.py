"""Exported nets, run by ONNX Runtime in this process, and small nets to export."""

import numpy as np
import onnxruntime
from tolerances import assert_golden

import pycaffe_lite as caffe
from pycaffe_lite.export.onnx.model import Export


def session_of(export: Export):
    """A session of ONNX Runtime for an exported net."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    content = export.model().SerializeToString()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def run(export: Export, inputs, session=None):
    """The outputs of an exported net, by name."""
    results = (session or session_of(export)).run(None, dict(inputs))
    return dict(zip(export.graph.outputs, results, strict=True))


def layer(type, bottoms, more="", tops="y"):
    ends = "".join(f'bottom: "{name}" ' for name in bottoms.split())
    ends += "".join(f'top: "{name}" ' for name in tops.split())
    return f'layer {{ name: "test" type: "{type}" {ends} {more} }}\n'


def inputs_text(inputs):
    text = ""
    for name, values in inputs.items():
        dims = " ".join(f"dim: {n}" for n in values.shape)
        text += (
            f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}\n'
        )
    return text


def check(text, inputs, phase=caffe.TEST, **options):
    """A net of given inputs, with random weights, as ONNX Runtime runs it."""
    inputs = {name: np.asarray(values, np.float32) for name, values in inputs.items()}
    net = caffe.Net.from_text(inputs_text(inputs) + text, phase)
    generator = np.random.default_rng(0)
    for blob in net.learnable_params:
        blob.data[...] = np.abs(generator.standard_normal(blob.shape)) + 0.1
    export = Export(net, **options)
    expected = net.forward(**inputs)
    got = run(export, inputs)
    for name, values in expected.items():
        assert_golden(got[name], values, name)
    return export
