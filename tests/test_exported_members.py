import importlib.metadata
import inspect

import pycaffe_lite

# What pycaffe programs take from `import caffe`, as far as it is there.
PYCAFFE = [
    "TRAIN",
    "TEST",
    "Net",
    "Layer",
    "SGDSolver",
    "NesterovSolver",
    "AdaGradSolver",
    "RMSPropSolver",
    "AdaDeltaSolver",
    "AdamSolver",
    "get_solver",
    "layer_type_list",
    "init_log",
    "log",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_device",
    "set_random_seed",
]


def test_all_names_the_public_members():
    members = {
        name
        for name, value in vars(pycaffe_lite).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert set(pycaffe_lite.__all__) == members


def test_pycaffes_names_are_among_them():
    assert set(PYCAFFE) <= set(pycaffe_lite.__all__)


def test_every_error_is_among_them():
    errors = {name for name in vars(pycaffe_lite.errors) if name.endswith("Error")}
    assert errors <= set(pycaffe_lite.__all__)


def test_version_is_the_distributions():
    assert pycaffe_lite.__version__ == importlib.metadata.version("pycaffe-lite")
