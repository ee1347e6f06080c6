"""The graph builder: names, gradients wanted, sharing, and what it refuses."""

import numpy as np
import pytest

from pycaffe_lite.errors import LayerError
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.caffe_pb2 import TEST, TRAIN
from pycaffe_lite.proto.prototxt import parse

INPUT = "layer { name: 'in' type: 'Input' top: 'x' input_param { shape { dim: 2 dim: 3 } } }"
LABEL = "layer { name: 'lab' type: 'Input' top: 'label' input_param { shape { dim: 2 } } }"


def ip(name: str, bottom: str, top: str, extra: str = "") -> str:
    return (
        f"layer {{ name: '{name}' type: 'InnerProduct' bottom: '{bottom}' top: '{top}' {extra} "
        "inner_product_param { num_output: 4 weight_filler { type: 'xavier' } } }"
    )


def loss(bottom: str, extra: str = "") -> str:
    head = "layer { name: 'loss' type: 'SoftmaxWithLoss'"
    return f"{head} bottom: '{bottom}' bottom: 'label' top: 'l' {extra} }}"


def build(*layers: str, net: str = "") -> Net:
    return Net.from_document(parse(net + " ".join(layers), caffe_pb2.NetParameter))


def needs(net: Net) -> dict[str, bool]:
    return {node.layer.name: node.need_backward for node in net.graph.nodes}


def bottoms_wanted(net: Net) -> dict[str, list[bool]]:
    return {node.layer.name: node.bottom_need_backward for node in net.graph.nodes}


def test_outputs_are_alphabetical_and_inputs_in_order():
    net = build(INPUT, LABEL, ip("b", "x", "zeta"), ip("a", "x", "Alpha"), ip("c", "x", "beta"))
    assert net.inputs == ["x", "label"]
    assert net.outputs == ["Alpha", "beta", "label", "zeta"]
    assert list(net.blobs) == [
        "x", "x_in_0_split_0", "x_in_0_split_1", "x_in_0_split_2", "label", "zeta", "Alpha", "beta",
    ]  # fmt: skip
    assert net.top_names["in"] == ["x"]
    assert net.bottom_names["a"] == ["x_in_0_split_1"]


def test_backward_is_pruned_to_what_the_loss_needs():
    net = build(INPUT, LABEL, ip("ip1", "x", "h"), ip("ip2", "h", "y"), ip("aside", "h", "z"), loss("y"))
    assert needs(net) == {
        "in": False,
        "lab": False,
        "ip1": True,
        "h_ip1_0_split": True,
        "ip2": True,
        "aside": False,
        "loss": True,
    }
    assert bottoms_wanted(net)["ip1"] == [False]
    assert bottoms_wanted(net)["loss"] == [True, False]


def test_nothing_to_learn_below_stops_the_backward_pass():
    frozen = "param { lr_mult: 0 } param { lr_mult: 0 }"
    net = build(INPUT, LABEL, ip("ip1", "x", "h", frozen), ip("ip2", "h", "y"), loss("y"))
    assert needs(net)["ip1"] is False
    assert bottoms_wanted(net)["ip2"] == [False]


def test_propagate_down_blocks_and_forces():
    blocked = build(
        INPUT, LABEL, ip("ip1", "x", "h"), ip("ip2", "h", "y", "propagate_down: false"), loss("y")
    )
    assert needs(blocked)["ip1"] is False
    forced = build(INPUT, LABEL, ip("ip1", "x", "y", "propagate_down: true"), loss("y"))
    assert bottoms_wanted(forced)["ip1"] == [True]


def test_force_backward_asks_for_all_but_labels():
    net = build(INPUT, LABEL, ip("ip1", "x", "y"), loss("y"), net="force_backward: true ")
    assert needs(net) == {"in": True, "lab": True, "ip1": True, "loss": True}
    assert bottoms_wanted(net) == {"in": [], "lab": [], "ip1": [True], "loss": [True, False]}


def test_a_loss_without_top_gets_one_that_is_no_output():
    text = loss("y").replace("top: 'l'", "")
    net = build(INPUT, LABEL, ip("ip1", "x", "y"), text)
    assert net.outputs == []
    assert net.blob_loss_weights["(automatic)"] == 1.0
    assert np.isfinite(net.forward_loss())


def test_a_split_loss_counts_once_more_as_in_caffe():
    """A loss with an explicit weight that is read again: its weight moves to the split, the default stays."""
    text = loss("y", "loss_weight: 2")
    net = build(INPUT, LABEL, ip("ip1", "x", "y"), text, "layer { name: 's' type: 'Silence' bottom: 'l' }")
    plain = build(INPUT, LABEL, ip("ip1", "x", "y"), loss("y"))
    for other in (net, plain):
        other.params["ip1"][0].data[...] = np.linspace(-1, 1, 12).reshape(4, 3)
        other.blobs["x"].data[...] = [[1, 2, 3], [3, 1, 0]]
    assert net.forward_loss() == pytest.approx(3 * plain.forward_loss(), rel=1e-6)


def test_shared_params_are_one_memory_and_one_learnable():
    share = "param { name: 'w' } param { name: 'b' lr_mult: 2 decay_mult: 0 }"
    net = build(
        INPUT, LABEL,
        ip("ip1", "x", "h", share).replace("num_output: 4", "num_output: 3"),
        ip("ip2", "h", "h2", "param { name: 'w' lr_mult: 3 } param { name: 'b' }").replace(
            "num_output: 4", "num_output: 3"
        ),
        loss("h2"),
    )  # fmt: skip
    assert len(net.learnable_params) == 2
    assert net.params_lr == [3.0, 2.0]
    assert net.params_weight_decay == [1.0, 0.0]
    assert np.shares_memory(net.params["ip1"][0].data, net.params["ip2"][0].data)
    assert np.shares_memory(net.params["ip1"][1].diff, net.params["ip2"][1].diff)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            [ip("ip1", "data", "y")],
            "layer 'ip1' (InnerProduct): bottom 0 is blob 'data', which no layer before it makes",
        ),
        (
            [INPUT, ip("ip1", "x", "hidden"), ip("ip2", "hiden", "y")],
            "layer 'ip2' (InnerProduct): bottom 0 is blob 'hiden', which no layer before it makes "
            "(did you mean 'hidden'?)",
        ),
        (
            [INPUT, ip("ip1", "x", "y"), ip("ip2", "x", "y")],
            "layer 'ip2' (InnerProduct): makes blob 'y', which layer 'ip1' already makes; "
            "a layer works in place only if bottom and top have one name at one index, "
            "and no other layer reads the blob before it",
        ),
        (
            [INPUT, ip("ip1", "x", "y", "param {} param {} param {}")],
            "layer 'ip1' (InnerProduct): has 3 param entries for 2 learnable blobs",
        ),
        (
            [INPUT, ip("ip1", "x", "y", "propagate_down: true propagate_down: true")],
            "layer 'ip1' (InnerProduct): needs no propagate_down or one for each of its 1 bottoms, got 2",
        ),
        (
            [INPUT, ip("ip1", "x", "y", "loss_weight: 1 loss_weight: 1")],
            "layer 'ip1' (InnerProduct): needs no loss_weight or one for each of its 1 tops, got 2",
        ),
        (
            [INPUT, "layer { name: 'r' type: 'ReLU' top: 'y' }"],
            "layer 'r' (ReLU): takes exactly 1 bottom, got 0",
        ),
        (
            [
                INPUT,
                ip("ip1", "x", "y", "param { name: 'w' }"),
                ip("ip2", "y", "z", "param { name: 'w' }"),
            ],
            "layer 'ip2' (InnerProduct): shares param 'w' with layer 'ip1', which has shape (4, 3), "
            "got (4, 4) for blob 0",
        ),
        (
            [
                INPUT,
                ip("ip1", "x", "y", "param { name: 'w' lr_mult: 1 }"),
                ip("ip2", "x", "z", "param { name: 'w' lr_mult: 2 }"),
            ],
            "layer 'ip2' (InnerProduct): shares param 'w' with layer 'ip1', which has lr_mult 1, "
            "got lr_mult 2",
        ),
    ],
)
def test_errors(layers, message):
    with pytest.raises(LayerError) as raised:
        build(*layers)
    assert str(raised.value) == message


def test_an_unknown_type_is_named():
    with pytest.raises(LayerError, match=r"^layer 'a': unknown layer type 'NoSuchLayer'"):
        build("layer { name: 'a' type: 'NoSuchLayer' top: 'x' }")


def test_errors_name_file_and_line(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text("name: 'n'\n" + INPUT + "\n\n" + ip("ip1", "hidden", "y") + "\n")
    with pytest.raises(LayerError) as raised:
        Net(path, caffe_pb2.TRAIN)
    assert str(raised.value) == (
        f"{path}:4: layer 'ip1' (InnerProduct): bottom 0 is blob 'hidden', which no layer before it makes"
    )


STAGED = """layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 } } }
layer { name: "fca" type: "Power" bottom: "x" top: "f" %s }
layer { name: "sig" type: "Sigmoid" bottom: "f" top: "y" }"""


@pytest.mark.parametrize(
    ("rule", "phase", "says"),
    [
        (
            "include { stage: 'one' }",
            TEST,
            'its rule, include { stage: "one" }, leaves it out of this TEST net: in a solver give test_state '
            "{ stage: 'one' } (--stage counts for the train net only, as in Caffe), elsewhere --stage one, "
            "or stages=['one'] in Python",
        ),
        (
            "include { stage: 'one' }",
            TRAIN,
            'its rule, include { stage: "one" }, leaves it out of this TRAIN net: give --stage one, in a '
            "solver train_state { stage: 'one' }, or stages=['one'] in Python",
        ),
        (
            "include { phase: TRAIN }",
            TEST,
            "its rule, include { phase: TRAIN }, leaves it out of this TEST net",
        ),
        (
            "exclude { phase: TEST }",
            TEST,
            "its rule, exclude { phase: TEST }, leaves it out of this TEST net",
        ),
        (
            "include { min_level: 1 }",
            TEST,
            "its rule, include { min_level: 1 }, leaves it out of this TEST net, whose level is 0",
        ),
    ],
)
def test_a_blob_of_a_layer_that_its_rule_leaves_out(tmp_path, rule, phase, says):
    file = tmp_path / "n.prototxt"
    file.write_text(STAGED % rule)
    with pytest.raises(LayerError) as raised:
        Net(file, phase)
    assert str(raised.value) == (
        f"{file}:3: layer 'sig' (Sigmoid): bottom 0 is blob 'f', which no layer before it makes: "
        f"layer 'fca' ({file}:2) would, but {says}"
    )
