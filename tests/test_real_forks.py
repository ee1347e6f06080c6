"""Published models of Caffe's forks: what their forks made of a drawn picture, blob by blob.

The folder `real_forks` is as `real`, see test_real.py.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from tolerances import assert_close

import pycaffe_lite as caffe

FOLDER = Path(os.environ["PYCAFFE_LITE_SHARED"]) / "real_forks"
MODELS = sorted(path.stem for path in FOLDER.glob("*.caffemodel"))
# Of the largest value; another BLAS changes this one by 1.3e-4.
TOLERANCES = {"tusimple_yolov3_lite": 1e-3}


@pytest.mark.parametrize("name", MODELS)
def test_gives_what_the_fork_gave(name):
    net = caffe.Net(FOLDER / f"{name}.prototxt", caffe.TEST, weights=FOLDER / f"{name}.caffemodel")
    with np.load(FOLDER / f"{name}.npz") as case:
        values = {tuple(key.split(":", 1)): case[key] for key in case.files}
    for (kind, blob), value in values.items():
        if kind == "in":
            net.blobs[blob].reshape(value.shape)
            net.blobs[blob].data[...] = value
    net.forward()
    for (kind, blob), value in values.items():
        if kind != "in":
            assert net.blobs[blob].data.shape == value.shape
            assert_close(net.blobs[blob].data, value, TOLERANCES.get(name, 1e-5), 0.0, f"{kind} {blob}")


def test_there_are_models():
    assert len(MODELS) >= 5
