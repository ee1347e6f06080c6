"""What a user's layer type says of its verbs is not taken on trust: a net never gives stale results."""

import logging

import numpy as np
import pytest

from pycaffe_lite.errors import LayerError
from pycaffe_lite.kernels import Recording, inner_product, relu
from pycaffe_lite.layer import registry
from pycaffe_lite.layer.activation.bias import BiasLayer
from pycaffe_lite.layer.activation.relu import ReLULayer
from pycaffe_lite.layer.base import Layer
from pycaffe_lite.layer.common.inner_product import InnerProductLayer
from pycaffe_lite.layer.replay import ChecksBottoms, by_kernels, by_shapes
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse

HEAD = "layer { name: 'x' type: 'Input' top: 'x' input_param { shape { dim: 2 dim: 3 } } }"
ONE = "layer { name: 'mine' type: '%s' bottom: 'x' top: 'y' }"
MESSAGE = (
    "layer 'mine' (%s): @by_kernels says that kernels do all the work, but replaying them gave other results "
    "than calling the layer, so it is called in every pass from now on. Take the mark off the method that "
    "does more than start kernels"
)


class Honest(ReLULayer):
    """Leaves all work to kernels."""

    @by_kernels
    def forward(self, bottom, top):
        relu.forward(bottom[0].data.ravel(), 0.5, top[0].data.ravel())

    @by_kernels
    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            x, dy, dx = bottom[0].data, top[0].diff, bottom[0].diff
            relu.backward(x.ravel(), dy.ravel(), 0.5, dx.ravel())


class AddsOne(Honest):
    """Adds 1 by NumPy, and says that kernels do so."""

    @by_kernels
    def forward(self, bottom, top):
        super().forward(bottom, top)
        top[0].data[...] += 1


class Doubles(Honest):
    """Doubles its gradient by NumPy, and says that kernels do so."""

    @by_kernels
    def backward(self, top, propagate_down, bottom):
        super().backward(top, propagate_down, bottom)
        bottom[0].diff[...] *= 2


class PacksWeights(InnerProductLayer):
    """Copies its weights by NumPy before a kernel uses them."""

    @by_kernels
    def forward(self, bottom, top):
        inner_product.forward(bottom[0].data, self.weight.data.copy(), None, top[0].data)


class Counts(Honest):
    """Has results that depend on more than blobs."""

    @by_kernels
    def forward(self, bottom, top):
        self.count = getattr(self, "count", 0) + 1
        relu.forward(bottom[0].data.ravel(), float(self.count), top[0].data.ravel())


class DoubledBias(BiasLayer):
    """Makes the summand that it gives to the layer before it by NumPy."""

    @by_kernels
    def forward(self, bottom, top):
        np.add(bottom[0].data, 2 * self.blobs[0].data, out=top[0].data)

    @by_kernels
    def epilogue_before(self, epilogue):
        return epilogue.behind(None, self.blobs[0].data * 2)


@pytest.fixture
def types(monkeypatch):
    for kind in (Honest, AddsOne, Counts, Doubles, PacksWeights, DoubledBias):
        base = next(t for t in registry.layer_types().values() if issubclass(kind, t.layer_class))
        monkeypatch.setitem(registry._types, kind.__name__, base._replace(layer_class=kind))


def net_of(text, phase="TRAIN"):
    state = f"state {{ phase: {phase} }} force_backward: {str(phase == 'TRAIN').lower()}"
    return Net.from_document(parse(f"{state} {HEAD} {text}", caffe_pb2.NetParameter))


def run(net, seed, watched=False):
    """One pass on values by the seed; returns copies of all data and gradients."""
    numbers = np.random.default_rng(seed)
    for blob in (net.blobs["x"], *net.learnable_params):
        blob.data[...] = numbers.normal(size=blob.shape)
    net.clear_param_diffs()
    net.forward()
    for name in net.outputs:
        net.blobs[name].diff[...] = numbers.normal(size=net.blobs[name].shape)
    net.backward()
    return [
        (blob.data.tobytes(), blob.diff.tobytes()) for blob in (*net.blobs.values(), *net.learnable_params)
    ]


def watched(net):
    """The net, layer by layer: nothing is recorded."""
    net.before_forward(lambda i: None)
    net.before_backward(lambda i: None)
    return net


LYING = {
    "AddsOne": ONE % "AddsOne",
    "Doubles": ONE % "Doubles",
    "AddsOne in place": "layer { name: 'mine' type: 'AddsOne' bottom: 'x' top: 'x' }",
    "PacksWeights": "layer { name: 'mine' type: 'PacksWeights' bottom: 'x' top: 'y'"
    " inner_product_param { num_output: 2 bias_term: false } }",
}


@pytest.mark.parametrize("name", LYING)
def test_a_verb_that_is_marked_wrongly_never_gives_stale_results(types, caplog, name):
    net, right = net_of(LYING[name]), watched(net_of(LYING[name]))
    with caplog.at_level(logging.WARNING, "pycaffe_lite"):
        assert [run(net, seed) for seed in range(6)] == [run(right, seed) for seed in range(6)]
    assert [r.getMessage() for r in caplog.records] == [MESSAGE % name.split()[0]]


def test_nor_does_one_that_runs_in_another_layers_epilogue(types, caplog):
    text = """
    layer { name: 'ip' type: 'InnerProduct' bottom: 'x' top: 'y' inner_product_param { num_output: 2 } }
    layer { name: 'bias' type: 'DoubledBias' bottom: 'y' top: 'y' }"""
    net, right = net_of(text, "TEST"), watched(net_of(text, "TEST"))
    for made in (net, right):
        for blob in made.learnable_params:
            blob.data[...] = 3
    with caplog.at_level(logging.WARNING, "pycaffe_lite"):
        for seed in range(1, 6):
            for made in (net, right):
                made.blobs["x"].data[...] = seed
                made.params["bias"][0].data[...] = seed
                made.forward()
            assert np.array_equal(net.blobs["y"].data, right.blobs["y"].data)
    (record,) = caplog.records
    assert record.getMessage() == MESSAGE.replace("mine", "bias") % "DoubledBias"


def test_a_change_that_comes_late_is_seen(types, caplog):
    """The weights stay as they are for many passes."""
    net = net_of(LYING["PacksWeights"], "TEST")
    weight = net.params["mine"][0]
    weight.data[...] = 1
    for seed in range(8):
        net.blobs["x"].data[...] = seed
        net.forward()
    assert (net.blobs["y"].data == 3 * 7).all()
    with caplog.at_level(logging.WARNING, "pycaffe_lite"):
        weight.data[...] = 2
        net.forward()
    assert (net.blobs["y"].data == 2 * 3 * 7).all()
    assert len(caplog.records) == 1


def test_a_result_that_depends_on_other_things(types, caplog):
    """No blob changes at all."""
    net = net_of(ONE % "Counts", "TEST")
    net.blobs["x"].data[...] = -1
    with caplog.at_level(logging.WARNING, "pycaffe_lite"):
        for count in range(1, 7):
            net.forward()
            assert (net.blobs["y"].data == -count).all()
    assert len(caplog.records) == 1


def test_what_one_shape_has_shown_counts_for_all(types, caplog):
    net, right = net_of(LYING["PacksWeights"], "TEST"), watched(net_of(LYING["PacksWeights"], "TEST"))
    with caplog.at_level(logging.WARNING, "pycaffe_lite"):
        for images, weight in ((2, 1), (2, 1), (2, 1), (4, 1), (4, 1), (4, 2), (2, 2), (2, 3), (4, 3)):
            for made in (net, right):
                made.blobs["x"].reshape(images, 3)
                made.blobs["x"].data[...] = images
                made.params["mine"][0].data[...] = weight
                made.forward()
            assert np.array_equal(net.blobs["y"].data, right.blobs["y"].data)
    assert len(caplog.records) == 1


def test_an_honest_type_is_replayed(types, caplog, monkeypatch):
    net, right = net_of(ONE % "Honest"), watched(net_of(ONE % "Honest"))
    runs = []
    original = Recording.run
    monkeypatch.setattr(Recording, "run", lambda recording: (runs.append(1), original(recording)))
    calls = []
    forward = Honest.forward
    with caplog.at_level(logging.WARNING, "pycaffe_lite"):
        assert [run(net, seed) for seed in range(4)] == [run(right, seed) for seed in range(4)]
        monkeypatch.setattr(Honest, "forward", lambda *args: (calls.append(1), forward(*args)))
        assert run(net, 5) == run(right, 5)
    assert not caplog.records
    assert len(calls) == 1, "of the watched net alone"
    assert runs


class Odd(Layer, ChecksBottoms):
    """Raises an error for a negative value, of which the kernels are not what tells."""

    exact_bottoms = exact_tops = 1

    @by_shapes
    def reshape(self, bottom, top):
        top[0].reshape_like(bottom[0])

    @by_kernels
    def forward(self, bottom, top):
        self.is_bad = bool((bottom[0].data < 0).any())
        relu.forward(bottom[0].data.ravel(), 1.0, top[0].data.ravel())
        self.check_bottoms(bottom)

    def check_bottoms(self, bottom):
        if self.is_bad:
            raise self.error("takes no negative values")


def test_errors_are_those_of_a_plain_pass(monkeypatch):
    monkeypatch.setitem(registry._types, "Odd", registry.LayerType(Odd, None))
    net = net_of(ONE % "Odd", "TEST")
    for value in (1, 2, 3):
        net.blobs["x"].data[...] = value
        net.forward()
    assert (net.blobs["y"].data == 3).all()


def test_what_an_error_leaves_is_checked_again(monkeypatch):
    monkeypatch.setitem(registry._types, "Odd", registry.LayerType(Odd, None))
    net = net_of(ONE % "Odd", "TEST")
    for value in (1, 1):
        net.blobs["x"].data[...] = value
        net.forward()
    net.blobs["x"].data[...] = -1
    with pytest.raises(LayerError, match="takes no negative values"):
        net.forward()
