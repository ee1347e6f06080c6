"""Layers of forks against results recorded from the forks' own code.

`tests/fixtures/golden_forks/` holds cases of the form of `golden_layers` (see test_golden.py); `index.json`
says of each which layer, or which form of it, it shows.
"""

import json

import numpy as np
import pytest
from paths import FIXTURES
from test_golden import run

from pycaffe_lite.layer.missing_types import missing_types
from pycaffe_lite.net.net import Net

FOLDER = FIXTURES / "golden_forks"
KINDS = json.loads((FOLDER / "index.json").read_text())


@pytest.mark.parametrize("name", sorted(KINDS))
def test_golden(name):
    if KINDS[name].split("/")[0] in missing_types():
        pytest.skip("not there yet")
    with np.load(FOLDER / f"{name}.npz") as case:
        run(case, Net(FOLDER / f"{name}.prototxt", int(case["phase"])))
