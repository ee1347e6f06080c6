"""Every layer as ONNX Runtime computes it, against results recorded from Caffe and its forks.

The cases are those of tests/layer/test_golden.py and test_golden_forks.py.
"""

import json

import numpy as np
import onnx
import pytest
from onnx_runs import run, session_of
from paths import FIXTURES
from test_golden import keys
from test_golden_forks import configure
from tolerances import assert_golden

from pycaffe_lite.errors import LayerError, NetError
from pycaffe_lite.export.onnx.model import Export
from pycaffe_lite.net.net import Net

CAFFE, FORKS = FIXTURES / "golden_layers", FIXTURES / "golden_forks"
CAFFES = sorted(json.loads((CAFFE / "index.json").read_text()))
OF_FORKS = sorted(json.loads((FORKS / "index.json").read_text()))

# What has no forward meaning in a file that is given to others, by the beginning of a case's name.
FOR_TRAINING = (
    *("boxannotator", "ctcloss", "deteval", "labelseq", "multibox", "region", "rpn_anchor_target"),
    *("rpn_proposal_target", "yolov3_", "net_ssd_train", "net_ssd_evaluate", "net_yolov3_two_scales"),
)
REFUSED = {
    "margin": "a share that changes with each training pass",
    "roialign": "the first four pixels of each bin in memory",
    "segaccuracy_accumulate": "counts the pixels of all passes",
    **dict.fromkeys(FOR_TRAINING, "for training only"),
}


def net_of(folder, name, case):
    net = Net(folder / f"{name}.prototxt", int(case["phase"]))
    for layer, i, values in keys(case, "param"):
        net.params[layer][i].data[...] = values
    return net


def recorded_blobs(case):
    """The names of the blobs that were recorded, without those of Caffe's own Split layers."""
    names = {key.removeprefix("out:").partition("@")[0] for key in case.files if key.startswith("out:")}
    return sorted(name for name in names if "_split_" not in name)


def check(folder, name, opset):
    """Exports a case, runs it for all its steps, with the state carried over, and compares every blob."""
    with np.load(folder / f"{name}.npz") as case:
        export = Export(net_of(folder, name, case), opset=opset, outputs=recorded_blobs(case))
        session, carried, steps = session_of(export), {}, int(case["steps"])
        for t in range(steps):
            suffix = f"@{t}" if steps > 1 else ""
            got = run(export, {**{b: v for b, _, v in keys(case, "in", suffix)}, **carried}, session)
            carried = export.carried_over(got)
            expected = {blob: values for blob, _, values in keys(case, "out", suffix)}
            for output, blob in zip(export.output_blobs, recorded_blobs(case), strict=True):
                assert_golden(got[output], expected[blob], f"blob {blob}{suffix}")


@pytest.mark.parametrize("name", [name for name in CAFFES if name != "silence_one"])
def test_caffes_layers(name):
    check(CAFFE, name, 13)


def test_a_net_without_outputs():
    with pytest.raises(NetError, match="has no outputs: there is nothing to export"):
        Export(Net(CAFFE / "silence_one.prototxt", 1))


def refusal(name):
    return next((why for start, why in REFUSED.items() if name.startswith(start)), None)


@pytest.mark.parametrize("name", OF_FORKS)
def test_layers_of_forks(name, monkeypatch):
    with np.load(FORKS / f"{name}.npz") as case:
        configure(case, monkeypatch)
    if why := refusal(name):
        with np.load(FORKS / f"{name}.npz") as case, pytest.raises(LayerError, match=why):
            Export(net_of(FORKS, name, case))
    else:
        check(FORKS, name, 13)


# A case for each operator whose form changed with the opset.
CHANGED = [
    *("argmax_axis1", "argmax_max_val", "eltwise_sum_three_coeff", "lstm_basic", "mvn_default"),
    *("reduction_sumsq_all", "scale_two_bottoms", "slice_axis0", "softmax_axis0", "softmaxloss_axis2"),
    *("pool_ave_pad_overhang", "power_inverse", "clip_basic", "batchnorm_train_inplace"),
]
CHANGED_OF_FORKS = ["interp_shrink", "upsample_nearest2", "hardswish_default", "detout_keep_top_k"]


@pytest.mark.parametrize("opset", [11, 12, 18, 21, 24])
def test_other_opsets(opset):
    if opset > onnx.defs.onnx_opset_version():
        pytest.skip("the installed onnx does not know this opset yet")
    for name in CHANGED:
        check(CAFFE, name, opset)
    for name in CHANGED_OF_FORKS:
        check(FORKS, name, opset)


def test_models_are_valid():
    for folder, name in [(CAFFE, "lstm_basic"), (CAFFE, "pool_max_mask_pad"), (FORKS, "detout_ssd_deploy")]:
        with np.load(folder / f"{name}.npz") as case:
            onnx.checker.check_model(Export(net_of(folder, name, case)).model(), full_check=True)
