"""Layers of forks against results recorded from the forks' own code.

`tests/fixtures/golden_forks/` holds cases of the form of `golden_layers` (see test_golden.py); `index.json`
says of each which layer, or which form of it, it shows.
"""

import json

import numpy as np
import pytest
from paths import FIXTURES
from test_golden import run

from pycaffe_lite.layer.detection.rcnn_config import cfg as rcnn_cfg
from pycaffe_lite.net.net import Net

FOLDER = FIXTURES / "golden_forks"
KINDS = json.loads((FOLDER / "index.json").read_text())


@pytest.mark.parametrize("name", sorted(KINDS))
def test_golden(name, monkeypatch):
    with np.load(FOLDER / f"{name}.npz") as case:
        configure(case, monkeypatch)
        run(case, Net(FOLDER / f"{name}.prototxt", int(case["phase"])))


def configure(case, monkeypatch):
    """Sets what a case says of Faster R-CNN's configuration, for training and testing alike."""
    for key in case.files:
        kind, _, name = key.partition(":")
        if kind == "cfg" and name == "NP_SEED":
            np.random.seed(int(case[key]))
        elif kind == "cfg":
            for phase in (rcnn_cfg.TRAIN, rcnn_cfg.TEST):
                if hasattr(phase, name):
                    monkeypatch.setattr(phase, name, float(case[key]))
