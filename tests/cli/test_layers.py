"""`pycaffe-lite layers`."""

import pytest

from pycaffe_lite import layer_type_list

RELU = """\
ReLU

Rectified linear unit: y = max(0, x) + s min(0, x), s = negative_slope; dx = dy for x > 0, else s dy.

Bottom: x, any shape. Top: y, the shape of x; may be the same blob.
Source: BVLC/caffe src/caffe/layers/relu_layer.cpp

From NeuronLayer, on which it is built:

One bottom, and one top of its shape; in most types they may be the same blob.

Number of bottoms: 1. Number of tops: 1.

relu_param:
  negative_slope: float = 0             Slope for x below 0.
  engine: DEFAULT|CAFFE|CUDNN = DEFAULT
                                        DEFAULT lets the program choose; there is one engine here, on the CPU.
"""


def test_list(run):
    result = run("layers")
    assert result.code == 0
    headings = [line for line in result.out if line.endswith(":")]
    assert headings[0] == "Caffe:"
    assert headings[1:] == sorted(headings[1:], key=lambda heading: heading[:-1].lower())
    types = [line for line in result.out if line and not line.endswith(":")]
    assert sorted({line.split()[0] for line in types}) == layer_type_list(forks=True)
    permute = next(i for i, line in enumerate(result.out) if line.startswith("Permute "))
    assert "SSD:" in result.out[:permute]
    width = max(len(line.split()[0]) for line in types) + 2
    what = "Absolute value: y = |x|; dx = dy sign(x), with sign(0) = 0."
    assert f"{'AbsVal':{width}}{what}" in result.out
    assert all(len(line.split()) > 3 for line in types)


def test_one_type(run):
    assert run("layers", "ReLU") == (0, RELU.splitlines(), [])


@pytest.mark.parametrize("name", layer_type_list(forks=True))
def test_every_type_says_what_it_takes(run, name):
    result = run("layers", name)
    assert result.code == 0
    assert any("Top:" in line or name in ("HDF5Output", "Silence", "Python") for line in result.out)
    assert any(line.startswith("Number of bottoms: ") for line in result.out)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "Convolution",
            "  group: unsigned int = 1               Number of groups that the channels fall into,",
        ),
        (
            "Convolution",
            "  pad: unsigned int, ...                Zeros added on both sides; none if absent.",
        ),
        ("Convolution", "Number of bottoms: 1 or more. Number of tops: the same."),
        ("Convolution", "FillerParameter:"),
        ("Convolution", '  type: string = "constant"             One of constant, uniform, gaussian,'),
        ("SoftmaxWithLoss", "loss_param:"),
        ("SoftmaxWithLoss", "Number of bottoms: 2. Number of tops: 1 to 2."),
        ("Data", "transform_param:"),
        ("Clip", "  min: float  The lowest value that passes. Required."),
        ("Eltwise", "  stable_prod_grad: bool = true"),
        ("BatchNorm", "  moving_average_fraction: float = 0.999"),
        ("Silence", "Number of bottoms: 1 or more. Number of tops: 0."),
        ("Python", "Number of bottoms: any. Number of tops: any."),
    ],
)
def test_lines(run, name, line):
    assert any(shown.startswith(line) for shown in run("layers", name).out)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "relu",
            "Error: unknown layer type 'relu', did you mean 'ReLU'? ('pycaffe-lite layers' lists all known "
            "types)",
        ),
        (
            "TRT",
            "Error: layer type 'TRT' is not Caffe's own and not supported; it comes from NVIDIA's Caffe (a "
            "type of your own can be a Python layer, or come from an installed package with an entry point "
            "pycaffe_lite.layers)",
        ),
    ],
)
def test_an_unknown_type(misused, name, message):
    assert misused("layers", name) == message
