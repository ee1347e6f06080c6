"""What all layer types get from their base class, shown by types of this file alone."""

import numpy as np
import pytest

from pycaffe_lite import random
from pycaffe_lite.blob import Blob
from pycaffe_lite.errors import LayerError, NetError
from pycaffe_lite.layer.base import Layer, LayerContext
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse


class Plain(Layer):
    def reshape(self, bottom, top):
        for blob in top:
            blob.reshape((2, 2))


class Loss(Plain):
    is_loss = True


def make(layer_class, text="", **context):
    message = parse(f"name: 'l' type: 'Kind' {text}", caffe_pb2.LayerParameter).message
    return layer_class(message, None, LayerContext(**context))


def set_up(layer, bottoms=1, tops=1):
    top = [Blob() for _ in range(tops)]
    layer.set_up([Blob((3,)) for _ in range(bottoms)], top)
    return top


def bounds(**attributes):
    return make(type("Bounded", (Plain,), attributes))


@pytest.mark.parametrize(
    ("attributes", "bottoms", "tops", "says"),
    [
        ({"exact_bottoms": 2}, 1, 1, "takes exactly 2 bottoms, got 1"),
        ({"exact_tops": 1}, 1, 0, "takes exactly 1 top, got 0"),
        ({"min_bottoms": 1}, 0, 1, "takes at least 1 bottom, got 0"),
        ({"max_bottoms": 2}, 3, 1, "takes at most 2 bottoms, got 3"),
        ({"min_tops": 2}, 1, 1, "takes at least 2 tops, got 1"),
        ({"max_tops": 1}, 1, 2, "takes at most 1 top, got 2"),
        (
            {"equal_bottoms_tops": True},
            2,
            1,
            "takes as many tops as bottoms, got 2 bottoms and 1 tops",
        ),
    ],
)
def test_numbers_of_bottoms_and_tops(attributes, bottoms, tops, says):
    with pytest.raises(LayerError, match=rf"^layer 'l' \(Kind\): {says}$"):
        set_up(bounds(**attributes), bottoms, tops)
    set_up(bounds(exact_bottoms=2, min_tops=1, max_tops=3), 2, 3)


def test_errors_name_the_layer_and_its_place():
    layer = make(Plain, where="net.prototxt:12: ")
    assert str(layer.error("what")) == "net.prototxt:12: layer 'l' (Kind): what"
    assert repr(layer) == "<Plain 'l'>"


def test_errors_of_blobs_get_the_layers_place():
    class Failing(Plain):
        def setup(self, bottom, top):
            bottom[0].canonical_axis(7)

    with pytest.raises(LayerError, match=r"^layer 'l' \(Kind\): axis 7 is out of range"):
        set_up(make(Failing))


def test_setup_runs_before_reshape():
    seen = []

    class Seen(Plain):
        def setup(self, bottom, top):
            seen.append(("setup", top[0].shape))

        def reshape(self, bottom, top):
            super().reshape(bottom, top)
            seen.append(("reshape", top[0].shape))

    set_up(make(Seen))
    assert [name for name, _ in seen] == ["setup", "reshape"]


def test_the_loss_weight_stands_in_the_tops_gradient():
    layer = make(Plain, "loss_weight: 0 loss_weight: 2.5")
    first, second = set_up(layer, tops=2)
    assert layer.loss_weights == [0, 2.5]
    assert (second.diff == 2.5).all()
    assert (first.diff == 0).all()
    first.data[...] = 100
    second.data[...] = [[1, 2], [3, 4]]
    assert layer.loss([first, second]) == 25


def test_the_loss_is_summed_in_float64():
    layer = make(Plain, "loss_weight: 1")
    (top,) = set_up(layer)
    top.data[...] = [[1e8, 1], [1, -1e8]]
    assert layer.loss([top]) == 2


def test_the_first_top_of_a_loss_has_the_weight_1():
    layer = make(Loss)
    set_up(layer, tops=2)
    assert layer.loss_weights == list(layer.layer_param.loss_weight) == [1, 0]
    assert [layer.allow_top_gradient(i) for i in (0, 1)] == [True, False]
    assert [layer.allow_force_backward(i) for i in (0, 1, 2)] == [True, False, True]
    plain = make(Plain)
    set_up(plain)
    assert plain.loss_weights == [0]
    assert plain.allow_top_gradient(1)
    assert plain.allow_force_backward(1)


def test_another_number_of_loss_weights():
    with pytest.raises(LayerError, match="needs no loss_weight or one for each of its 1 tops, got 2"):
        set_up(make(Plain, "loss_weight: 1 loss_weight: 1"))


def filler(text):
    return parse(text, caffe_pb2.FillerParameter).message


def test_learnable_blobs_are_filled():
    layer = make(Plain, dtype=np.dtype(np.float64))
    first, second = layer.add_blob((2, 3), filler("value: 7")), layer.add_blob((4,))
    assert list(layer.blobs) == [first, second]
    assert (first.data == 7).all()
    assert not second.data.any()
    assert first.dtype == second.dtype == np.float64


def test_a_filler_that_fails_is_the_layers_error():
    with pytest.raises(LayerError, match=r"^layer 'l' \(Kind\): .*wrong"):
        make(Plain).add_blob((2, 3), filler("type: 'wrong'"))


GIVEN = "blobs { shape { dim: 2 } data: [3, 4] }"


def test_blobs_of_the_prototxt_give_the_values_and_nothing_is_drawn():
    before = random.stream().state()
    blob = make(Plain, GIVEN).add_blob((2,), filler("type: 'gaussian'"))
    assert blob.data.tolist() == [3, 4]
    assert random.stream().state() == before


def test_blobs_of_the_prototxt_that_do_not_fit():
    with pytest.raises(LayerError, match=r"needs shape \(3,\) for blob 0, got \(2,\) in its prototxt"):
        make(Plain, GIVEN).add_blob((3,))
    layer = make(Plain, GIVEN)
    layer.add_blob((2,))
    with pytest.raises(LayerError, match="has 1 blobs in its prototxt, needs at least 2"):
        layer.add_blob((2,))


def test_buffers_have_the_nets_type_or_their_own():
    layer = make(Plain, dtype=np.dtype(np.float64))
    one, other = layer.add_buffer(), layer.add_buffer(np.int32)
    assert layer.buffers == [one, other]
    assert (one.dtype, other.dtype) == (np.float64, np.int32)


def test_a_layer_keeps_no_state_unless_it_says_so():
    layer = make(Plain)
    assert layer.state() is None
    assert layer.set_state(b"x") == "it keeps no state: the one saved is not used"


def test_verbs_have_to_be_written():
    layer = make(Layer)
    layer.setup([], [])
    for verb in (layer.reshape, layer.forward):
        with pytest.raises(NotImplementedError):
            verb([], [])
    with pytest.raises(NotImplementedError):
        layer.backward([], [], [])
    assert issubclass(LayerError, NetError)
