"""Published models, trained by others: what Caffe 1.0 made of a seeded input, blob by blob.

The folder `real` holds, for each, NAME.prototxt, NAME.caffemodel and NAME.npz: `in:BLOB` inputs, `out:BLOB`
and `blob:BLOB` what the net gave.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from tolerances import assert_close

import pycaffe_lite as caffe

FOLDER = Path(os.environ["PYCAFFE_LITE_SHARED"]) / "real"
MODELS = sorted(path.stem for path in FOLDER.glob("*.caffemodel"))


@pytest.mark.parametrize("name", MODELS)
def test_gives_what_caffe_gave(name):
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
            assert_close(net.blobs[blob].data, value, 1e-5, 0.0, f"{kind} {blob}")


def test_there_are_models():
    assert len(MODELS) >= 5
