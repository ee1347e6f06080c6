"""Values worked out term by term are those that the kernels compute."""

import math

import numpy as np
import pytest

from pycaffe_lite import TEST, TRAIN, set_random_seed
from pycaffe_lite.errors import ArgumentError
from pycaffe_lite.net.net import Net
from pycaffe_lite.net.random_point import fill_inputs, fill_zero_blobs
from pycaffe_lite.view.explain import explain, explained_types
from pycaffe_lite.view.explain.worked import Term, Worked, product

FILLERS = 'weight_filler { type: "xavier" } bias_filler { type: "uniform" min: -1 max: 1 }'


def net_of(layer, *shapes, phase=TRAIN):
    inputs = "".join(
        f'layer {{ name: "i{k}" type: "Input" top: "x{k}" input_param {{ shape {{ '
        f"{' '.join(f'dim: {n}' for n in shape)} }} }} }}\n"
        for k, shape in enumerate(shapes)
    )
    bottoms = " ".join(f'bottom: "x{k}"' for k in range(len(shapes)))
    set_random_seed(3)
    net = Net.from_text(f'force_backward: true {inputs}layer {{ name: "l" {bottoms} {layer} }}', phase)
    fill_zero_blobs(net)
    fill_inputs(net)
    return net


def convolution(text):
    return f'type: "Convolution" top: "y" convolution_param {{ num_output: 4 {text} {FILLERS} }}'


def pooling(text):
    return f'type: "Pooling" top: "y" pooling_param {{ {text} }}'


INNER = 'type: "InnerProduct" top: "y" inner_product_param {{ num_output: 4 {} {} }}'
CASES = {
    "inner_product": (INNER.format(FILLERS, ""), [(3, 2, 5)], ["y", "dx", "dw"]),
    "inner_product_transposed": (
        INNER.format(FILLERS, "transpose: true axis: 2"),
        [(3, 2, 5)],
        ["y", "dx", "dw"],
    ),
    "inner_product_without_bias": (INNER.format("", "bias_term: false"), [(3, 5)], ["y", "dx", "dw"]),
    "convolution": (convolution("kernel_size: 3"), [(2, 3, 6, 5)], ["y", "dx", "dw"]),
    "strided": (convolution("kernel_size: 3 stride: 2 pad: 1 group: 2"), [(2, 4, 7, 6)], ["y", "dx", "dw"]),
    "dilated": (convolution("kernel_h: 2 kernel_w: 3 dilation: 2 pad: 2"), [(1, 2, 6, 6)], ["y", "dx", "dw"]),
    "one_axis": (convolution("kernel_size: 3"), [(2, 2, 6)], ["y", "dx", "dw"]),
    "three_axes": (convolution("kernel_size: 2"), [(1, 2, 3, 4, 3)], ["y", "dx", "dw"]),
    "max": (pooling("kernel_size: 3 stride: 2 pad: 1"), [(2, 3, 6, 7)], ["y", "dx"]),
    "mean": (pooling("pool: AVE kernel_size: 3 stride: 2 pad: 1"), [(2, 3, 6, 7)], ["y", "dx"]),
    "global": (pooling("pool: AVE global_pooling: true"), [(2, 3, 4, 5)], ["y", "dx"]),
    "relu": ('type: "ReLU" top: "y" relu_param { negative_slope: 0.1 }', [(3, 4)], ["y", "dx", "y", "dx"]),
    "relu_in_place": ('type: "ReLU" top: "x0"', [(3, 4)], ["y", "dx", "y", "dx"]),
    "softmax": ('type: "Softmax" top: "y"', [(3, 4, 2)], ["y", "dx"]),
    "softmax_with_loss": ('type: "SoftmaxWithLoss" top: "y" loss_weight: 2', [(3, 4), (3,)], ["loss", "dx"]),
    "softmax_with_loss_ignoring": (
        'type: "SoftmaxWithLoss" top: "y" loss_param { ignore_label: 1 normalization: FULL }',
        [(6, 4), (6,)],
        ["loss", "dx"],
    ),
    "scale": (
        f'type: "Scale" top: "y" scale_param {{ bias_term: true {FILLERS.replace("weight_f", "f")} }}',
        [(2, 3, 4)],
        ["y", "dx", "ds"],
    ),
    "scale_by_a_bottom": (
        'type: "Scale" top: "y" scale_param { axis: 0 }',
        [(2, 3, 4), (2, 3)],
        ["y", "dx", "ds"],
    ),
    "batch_norm": ('type: "BatchNorm" top: "y"', [(4, 3, 2, 2)], ["y", "dx"]),
    "lstm": (
        f'type: "LSTM" top: "y" recurrent_param {{ num_output: 3 {FILLERS} }}',
        [(4, 2, 5), (4, 2)],
        ["h", "dx", "dW_xc"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_worked_out_is_what_the_blobs_hold(case):
    layer, shapes, names = CASES[case]
    explanation = explain(net_of(layer, *shapes), "l")
    assert [worked.name.partition("[")[0] for worked in explanation.worked] == names
    for worked in explanation.worked:
        assert worked.result == pytest.approx(worked.held, rel=2e-5, abs=1e-6), worked.name
        assert worked.held != 0 or case.startswith("relu"), worked.name


def test_stored_statistics():
    net = net_of('type: "BatchNorm" top: "y"', (4, 3, 2, 2), phase=TEST)
    for blob, values in zip(net.params["l"], ([1, 2, 3], [4, 5, 6], [2]), strict=True):
        blob.data[...] = values
    for worked in explain(net, "l").worked:
        assert worked.result == pytest.approx(worked.held, rel=1e-5)
        assert any("/ factor" in step for step in worked.steps) or worked.name.startswith("dx")


def test_values_that_layers_in_place_change_behind():
    """The blob of `ip` is overwritten by the ReLU behind it, its gradient too."""
    text = """
    force_backward: true
    layer { name: "i" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
    layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y"
            inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
    layer { name: "relu" type: "ReLU" bottom: "y" top: "y" relu_param { negative_slope: -3 } }
    """
    net = Net.from_text(text, TRAIN)
    fill_inputs(net)
    for worked in explain(net, "ip").worked:
        assert worked.result == pytest.approx(worked.held, rel=1e-5)


def test_the_text():
    terms = [Term(f"t{i}", f"{i} × 1", float(i)) for i in range(5)]
    worked = Worked("y[0]", "Σ t", terms, 10.0, 10.0)
    assert list(worked.lines(2)) == [
        "y[0] = Σ t",
        "    t1 = 1 × 1 = 1",
        "    t2 = 2 × 1 = 2",
        "    and 3 more terms, together 7",
        "    sum of 5 terms: 10",
        "  = 10;  the blob holds 10",
    ]
    assert len(list(worked.lines())) == 1 + 5 + 2
    assert "    b[0] = 0.5" in Worked("y[0]", "b[0]", [Term("b[0]", "", 0.5)], 0.5, 0.5).lines()


def test_equations_have_the_nets_shapes():
    equations = explain(net_of(convolution("kernel_size: 3 stride: 2 pad: 1"), (2, 3, 7, 7)), "l").equations
    assert equations[0] == "x, 2 x 3 x 7 x 7;  w, 4 x 3 x 3 x 3 (kernel 3 x 3);  y, 2 x 4 x 4 x 4"
    assert "h = p · 2 − 1 + i · 1" in equations[1]
    assert equations[2].endswith("over c < 3, i < 3, j < 3")


def test_the_convolution_of_the_worked_example():
    """1 x 5 x 5 with a kernel of 3 x 3: 81 products; each input takes part in 1 to 9 of them."""
    net = net_of(
        'type: "Convolution" top: "y" convolution_param { num_output: 1 kernel_size: 3 bias_term: false }',
        (1, 1, 5, 5),
    )
    counts = np.zeros((5, 5), int)
    for v in range(25):
        net.blobs["x0"].data[...] = 0
        net.blobs["x0"].data.reshape(-1)[v] = 1
        net.params["l"][0].data[...] = 1
        net.forward()
        counts.reshape(-1)[v] = math.fsum(net.blobs["y"].data.ravel())
    assert counts.tolist() == [
        [1, 2, 3, 2, 1],
        [2, 4, 6, 4, 2],
        [3, 6, 9, 6, 3],
        [2, 4, 6, 4, 2],
        [1, 2, 3, 2, 1],
    ]
    assert counts.sum() == 81
    output, gradient, _ = explain(net, "l").worked
    assert len(output.terms) == 9
    index = [int(n) for n in gradient.name[3:-1].split(",")]
    assert len(gradient.terms) == counts[index[2], index[3]]


def test_what_is_not_explained():
    net = net_of('type: "Eltwise" top: "y"', (1, 2), (1, 2))
    with pytest.raises(ArgumentError, match="layers of type Eltwise are not explained; these are: BatchNorm"):
        explain(net, "l")
    with pytest.raises(ArgumentError, match="the net has no layer 'm'; it has i0, i1, l"):
        explain(net, "m")
    with pytest.raises(ArgumentError, match="pool STOCHASTIC draws its values"):
        explain(net_of(pooling("pool: STOCHASTIC kernel_size: 2"), (1, 1, 4, 4)), "l")
    assert len(explained_types()) == 9


@pytest.mark.parametrize("case", ["inner_product", "inner_product_without_bias"])
def test_a_bias_is_in_the_equations_where_there_is_one(case):
    explanation = explain(net_of(*CASES[case][:1], *CASES[case][1]), "l")
    text = "\n".join([*explanation.equations, explanation.worked[0].formula])
    assert ("b[" in text) == ("db" in text) == (case == "inner_product")


def test_zero_has_no_sign():
    worked = Worked("y", "Σ t", [product("a b", -1.0, 0.0), product("c d", -0.0, 2.0)], -0.0, -0.0)
    assert list(worked.lines()) == [
        "y = Σ t",
        "    a b = (-1) × 0 = 0",
        "    c d = 0 × 2 = 0",
        "    sum of 2 terms: 0",
        "  = 0;  the blob holds 0",
    ]
