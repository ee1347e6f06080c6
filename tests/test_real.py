"""Published models, trained by others: what Caffe 1.0, or their fork, made of an input, blob by blob.

The folders `real` and `real_forks` hold, for each, NAME.prototxt, NAME.caffemodel and NAME.npz: `in:BLOB`
inputs, `out:BLOB` and `blob:BLOB` what the net gave.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from onnx_runs import run
from tolerances import assert_close

import pycaffe_lite as caffe
from pycaffe_lite.export.onnx.check import runner_for
from pycaffe_lite.export.onnx.model import Export

SHARED = Path(os.environ["PYCAFFE_LITE_SHARED"])
MODELS = [
    path for folder in ("real", "real_forks") for path in sorted((SHARED / folder).glob("*.caffemodel"))
]
# Of the largest value; another BLAS changes this one by 1.3e-4.
TOLERANCES = {"tusimple_yolov3_lite": 1e-3}


def case_of(weights):
    """A model, shaped for its inputs, and what was recorded: kind and blob → values."""
    net = caffe.Net(weights.with_suffix(".prototxt"), caffe.TEST, weights=weights)
    with np.load(weights.with_suffix(".npz")) as case:
        values = {tuple(key.split(":", 1)): case[key] for key in case.files}
    for (kind, blob), value in values.items():
        if kind == "in":
            net.blobs[blob].reshape(value.shape)
            net.blobs[blob].data[...] = value
    return net, values


@pytest.mark.parametrize("weights", MODELS, ids=[path.stem for path in MODELS])
def test_gives_what_was_recorded(weights):
    net, values = case_of(weights)
    net.forward()
    for (kind, blob), value in values.items():
        if kind != "in":
            assert net.blobs[blob].data.shape == value.shape
            tolerance = TOLERANCES.get(weights.stem, 1e-5)
            assert_close(net.blobs[blob].data, value, tolerance, 0.0, f"{kind} {blob}")


@pytest.mark.parametrize("target", ["onnxruntime", "opencv5"])
@pytest.mark.parametrize("weights", MODELS, ids=[path.stem for path in MODELS])
def test_its_onnx_file_gives_that_too(weights, target, tmp_path):
    net, values = case_of(weights)
    net.reshape()
    outputs = [blob for kind, blob in values if kind == "out"]
    export = Export(net, target=target, outputs=outputs)
    inputs = {blob: value for (kind, blob), value in values.items() if kind == "in"}
    if target == "opencv5":
        export.write(tmp_path / "net.onnx")
        got = runner_for(export, tmp_path / "net.onnx").run(inputs)
    else:
        got = run(export, inputs)
    for blob, output in zip(outputs, export.output_blobs, strict=True):
        tolerance = TOLERANCES.get(weights.stem, 1e-5)
        assert_close(got[output], values["out", blob], tolerance, 0.0, blob)


def test_there_are_models():
    assert len(MODELS) >= 10
