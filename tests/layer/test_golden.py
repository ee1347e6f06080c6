"""Every layer against results recorded from BVLC Caffe 1.0.

`tests/fixtures/golden_layers/` holds, for each case in its `index.json`, a prototxt and an .npz: inputs,
weights, top gradients, and what Caffe made of them (float32, CPU). Keys: `in:BLOB`, `param:LAYER:I`,
`out:BLOB`, `topdiff:BLOB`, `indiff:BLOB`, `paramdiff:LAYER:I`, `param_after:LAYER:I`; with several forward
passes of one net a suffix `@t`.
"""

import json

import numpy as np
import pytest
from paths import FIXTURES
from tolerances import assert_golden

from pycaffe_lite.net.net import Net

FOLDER = FIXTURES / "golden_layers"
CASES = sorted(json.loads((FOLDER / "index.json").read_text()))


def keys(case, kind, suffix=""):
    """(name, index or None, array) of the keys of one kind."""
    for key in case.files:
        start, *rest = key.removesuffix(suffix).split(":")
        if start == kind and key.endswith(suffix) and "@" not in rest[-1]:
            yield rest[0], int(rest[1]) if len(rest) > 1 else None, case[key]


@pytest.mark.parametrize("name", CASES)
def test_golden(name):
    with np.load(FOLDER / f"{name}.npz") as case:
        run(case, Net(FOLDER / f"{name}.prototxt", int(case["phase"])))


def run(case, net):
    for layer, i, values in keys(case, "param"):
        net.params[layer][i].data[...] = values
    steps = int(case["steps"])
    for t in range(steps):
        suffix = f"@{t}" if steps > 1 else ""
        for blob, _, values in keys(case, "in", suffix):
            net.blobs[blob].data[...] = values
        net.forward()
        for blob, _, values in keys(case, "out", suffix):
            assert_golden(net.blobs[blob].data, values, f"blob {blob}{suffix}")
        for layer, i, values in keys(case, "param_after", suffix):
            assert_golden(net.params[layer][i].data, values, f"blob {i} of {layer}{suffix}")
    if not any(key.startswith(("topdiff", "indiff", "paramdiff")) for key in case.files):
        return
    for blob, _, values in keys(case, "topdiff"):
        net.blobs[blob].diff[...] = values
    net.backward()
    for blob, _, values in keys(case, "indiff"):
        assert_golden(net.blobs[blob].diff, values, f"diff of {blob}")
    for layer, i, values in keys(case, "paramdiff"):
        assert_golden(net.params[layer][i].diff, values, f"diff of blob {i} of {layer}")


def test_every_file_is_a_case():
    assert {path.stem for path in FOLDER.iterdir()} == {*CASES, "index"}
    assert len(CASES) == 217
