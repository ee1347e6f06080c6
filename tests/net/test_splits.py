"""Split layers: names, order of the copies, loss weights."""

from pycaffe_lite.net.splits import insert_splits
from pycaffe_lite.net.state import PlacedLayer
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse


def split(text: str) -> list[str]:
    """Each layer as `name: bottoms -> tops [loss weights]`."""
    net = parse(text, caffe_pb2.NetParameter).message
    return [
        f"{p.name}: {' '.join(p.bottom)} -> {' '.join(p.top)}"
        + (f" {[round(w, 3) for w in p.loss_weight]}" if p.loss_weight else "")
        for p, _ in insert_splits([PlacedLayer(layer, "") for layer in net.layer])
    ]


def test_one_reader_needs_no_split():
    assert split("layer { name: 'a' top: 'x' } layer { name: 'b' bottom: 'x' top: 'y' }") == [
        "a:  -> x",
        "b: x -> y",
    ]


def test_copies_go_to_readers_in_order():
    text = """
        layer { name: 'a' top: 'w' top: 'x' }
        layer { name: 'b' bottom: 'x' bottom: 'x' top: 'y' }
        layer { name: 'c' bottom: 'x' top: 'z' }
    """
    assert split(text) == [
        "a:  -> w x",
        "x_a_1_split: x -> x_a_1_split_0 x_a_1_split_1 x_a_1_split_2",
        "b: x_a_1_split_0 x_a_1_split_1 -> y",
        "c: x_a_1_split_2 -> z",
    ]


def test_an_in_place_layer_starts_a_new_version():
    text = """
        layer { name: 'a' top: 'x' }
        layer { name: 'relu' bottom: 'x' top: 'x' }
        layer { name: 'b' bottom: 'x' top: 'y' }
        layer { name: 'c' bottom: 'x' top: 'z' }
    """
    assert split(text) == [
        "a:  -> x",
        "relu: x -> x",
        "x_relu_0_split: x -> x_relu_0_split_0 x_relu_0_split_1",
        "b: x_relu_0_split_0 -> y",
        "c: x_relu_0_split_1 -> z",
    ]


def test_a_loss_weight_takes_the_first_copy():
    text = """
        layer { name: 'a' top: 'x' top: 'y' loss_weight: 2 loss_weight: 3 }
        layer { name: 'b' bottom: 'x' top: 'z' }
    """
    assert split(text) == [
        "a:  -> x y",  # all weights of the producer go, as in Caffe
        "x_a_0_split: x -> x_a_0_split_0 x_a_0_split_1 [2.0, 0.0]",
        "b: x_a_0_split_1 -> z",
    ]


def test_unknown_bottoms_are_left_alone():
    assert split("layer { name: 'b' bottom: 'x' bottom: 'x' top: 'y' }") == ["b: x x -> y"]
