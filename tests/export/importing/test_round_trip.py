"""A net that is exported and imported again gives the numbers that Caffe gave."""

import json

import numpy as np
import pytest
from paths import FIXTURES
from test_golden import keys
from tolerances import assert_golden

from pycaffe_lite import Net
from pycaffe_lite.errors import OnnxError
from pycaffe_lite.export import from_onnx, to_onnx

FOLDER = FIXTURES / "golden_layers"
# Cases that have no way back, by the beginning of their names: labels and indices are whole numbers in ONNX.
REFUSED = {
    "cuts off fractions": (
        *("accuracy", "contrastive", "hinge", "infogain", "multinomial", "sigmoidloss_ignore", "softmaxloss"),
        *("net_lr_mult_zero", "net_shared_weights", "net_two_losses"),
    ),
    "(Compress): Caffe has no layer for it": ("filter",),
    "the places of the greatest values": ("pool_max_mask",),
}
NAMES = sorted(name for name in json.loads((FOLDER / "index.json").read_text()) if name != "silence_one")


def why_refused(name):
    return next((why for why, starts in REFUSED.items() if name.startswith(starts)), None)


@pytest.mark.parametrize("name", NAMES)
def test_there_and_back(name):
    with np.load(FOLDER / f"{name}.npz") as case:
        net = Net(FOLDER / f"{name}.prototxt", int(case["phase"]))
        for layer, i, values in keys(case, "param"):
            net.params[layer][i].data[...] = values
        suffix = "@0" if int(case["steps"]) > 1 else ""
        given = {blob: values.astype(np.float32) for blob, _, values in keys(case, "in", suffix)}
        wanted = {blob: values for blob, _, values in keys(case, "out", suffix)}
    model = to_onnx(net)
    if why := why_refused(name):
        with pytest.raises(OnnxError) as error:
            from_onnx(model)
        assert why in " ".join([str(error.value), *error.value.problems])
        return
    back = from_onnx(model)
    zeros = {place.name: np.zeros(place.view.shape, np.float32) for place in back.inputs}  # first states
    compared = 0
    for output, values in back.run(zeros | given).items():
        blob = output if output in wanted else output.rpartition("/")[0]  # one that is overwritten in place
        if blob in wanted:
            assert_golden(values, wanted[blob], f"blob {blob}")
            compared += 1
    assert compared
