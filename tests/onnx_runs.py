"""Exported nets, run by ONNX Runtime in this process."""

import onnxruntime

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
