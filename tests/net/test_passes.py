"""Passes that replay what earlier ones recorded give what a net gives that has recorded nothing."""

import gc
import threading
import weakref

import numpy as np
import pytest

from pycaffe_lite import random
from pycaffe_lite.blob import Blob
from pycaffe_lite.errors import LayerError
from pycaffe_lite.kernels import Recording
from pycaffe_lite.kernels.runtime.decorators import get_num_threads, set_num_threads
from pycaffe_lite.layer import registry
from pycaffe_lite.layer.activation.bias import BiasLayer
from pycaffe_lite.layer.activation.relu import ReLULayer
from pycaffe_lite.layer.replay import prepare_diffs
from pycaffe_lite.net.net import Net
from pycaffe_lite.net.recordings import Recordings
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse

INPUT = "layer {{ name: 'x' type: 'Input' top: 'x' input_param {{ shape {{ {dims} }} }} }}\n"
CONVOLUTIONS = {
    "few": (20, 14, "num_output: 24 kernel_size: 1"),
    "few, 3x3, stride 2": (20, 13, "num_output: 24 kernel_size: 3 stride: 2"),
    "blocks": (6, 48, "num_output: 20 kernel_size: 5"),
    "pixels": (16, 45, "num_output: 32 kernel_size: 3 stride: 2"),
    "winograd": (32, 26, "num_output: 64 kernel_size: 3 pad: 1"),
    "depthwise": (12, 20, "num_output: 12 group: 12 kernel_size: 3 pad: 1"),
    "depthwise, large": (12, 20, "num_output: 24 group: 12 kernel_size: 7 pad: 1"),
    "groups": (12, 20, "num_output: 24 group: 3 kernel_size: 3"),
    "whole image": (16, 6, "num_output: 10 kernel_size: 6"),
}
ENDS = """
layer { name: 'bn' type: 'BatchNorm' bottom: 'y' top: 'y' }
layer { name: 'scale' type: 'Scale' bottom: 'y' top: 'y' scale_param { bias_term: true } }
layer { name: 'bias' type: 'Bias' bottom: 'y' top: 'y' }
layer { name: 'relu' type: 'ReLU' bottom: 'y' top: 'y' relu_param { negative_slope: 0.5 } }
"""
OTHERS = """
layer { name: 'max' type: 'Pooling' bottom: 'x' top: 'max' pooling_param { kernel_size: 3 stride: 2 pad: 1 } }
layer { name: 'ave' type: 'Pooling' bottom: 'x' top: 'ave'
  pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 } }
layer { name: 'join' type: 'Concat' bottom: 'max' bottom: 'ave' top: 'join' }
layer { name: 'drop' type: 'Dropout' bottom: 'join' top: 'join' }
layer { name: 'lrn' type: 'LRN' bottom: 'join' top: 'lrn' }
layer { name: 'relu' type: 'ReLU' bottom: 'lrn' top: 'relu' }
layer { name: 'sum' type: 'Eltwise' bottom: 'relu' bottom: 'join' top: 'sum'
  eltwise_param { coeff: 1 coeff: -2 } }
layer { name: 'slope' type: 'ReLU' bottom: 'sum' top: 'sum' }
layer { name: 'power' type: 'Power' bottom: 'sum' top: 'power' power_param { scale: 0.5 } }
layer { name: 'flat' type: 'Flatten' bottom: 'power' top: 'flat' }
layer { name: 'ip' type: 'InnerProduct' bottom: 'flat' top: 'ip' inner_product_param { num_output: 9 } }
layer { name: 'turned' type: 'InnerProduct' bottom: 'ip' top: 'turned'
  inner_product_param { num_output: 7 transpose: true } }
layer { name: 'p' type: 'Softmax' bottom: 'turned' top: 'p' }
"""


def net_of(text: str, *dims: int, phase: int = caffe_pb2.TEST) -> Net:
    given = INPUT.format(dims=" ".join(f"dim: {n}" for n in dims))
    document = parse(given + text, caffe_pb2.NetParameter)
    document.message.state.phase = phase
    return Net.from_document(document)


def set_values(net: Net, seed: int) -> None:
    numbers = np.random.default_rng(seed)
    for blob in (net.blobs["x"], *net.learnable_params):
        blob.data[...] = numbers.uniform(0.25, 1, blob.shape)


def values(net: Net) -> dict[str, bytes]:
    return {name: blob.data.tobytes() for name, blob in net.blobs.items()}


def gradients(net: Net) -> list[bytes]:
    return [blob.diff.tobytes() for blob in (*net.blobs.values(), *net.learnable_params)]


def first_pass(text: str, dims: tuple[int, ...], seed: int) -> dict[str, bytes]:
    """What a new net computes."""
    net = net_of(text, *dims)
    set_values(net, seed)
    net.forward()
    return values(net)


def steps_run(monkeypatch) -> list[int]:
    """Filled with the number of steps whenever a recording is replayed."""
    seen: list[int] = []
    run = Recording.run
    monkeypatch.setattr(Recording, "run", lambda recording: (seen.append(len(recording)), run(recording)))
    return seen


def check_passes(text: str, *dims: int) -> None:
    """Passes with changing weights and inputs, of one net and of new ones."""
    right = [first_pass(text, dims, seed) for seed in range(5)]  # first: a new blob lets all begin anew
    net = net_of(text, *dims)
    for seed in range(5):
        set_values(net, seed)
        net.forward()
        assert values(net) == right[seed]


@pytest.mark.parametrize("end", ["", ENDS, ENDS[: ENDS.index("layer { name: 'scale'")]])
@pytest.mark.parametrize("bias", ["true", "false"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_with_epilogues(monkeypatch, name, bias, end):
    channels, size, param = CONVOLUTIONS[name]
    param += f" bias_term: {bias} weight_filler {{ type: 'xavier' }}"
    text = (
        f"layer {{ name: 'y' type: 'Convolution' bottom: 'x' top: 'y' convolution_param {{ {param} }} }}"
        + end
    )
    seen = steps_run(monkeypatch)
    check_passes(text, 2, channels, size, size)
    assert len(seen) == 3  # the first pass records nothing, the second does


@pytest.mark.parametrize("images", [1, 3])
def test_other_layers(monkeypatch, images):
    seen = steps_run(monkeypatch)
    check_passes(OTHERS, images, 4, 14, 14)
    assert len(seen) == 3 * 2  # before and behind the transposed weights


TRAINED = """
layer { name: 'few' type: 'Convolution' bottom: 'x' top: 'few'
  convolution_param { num_output: 6 kernel_size: 1 weight_filler { type: 'xavier' } } }
layer { name: 'relu' type: 'ReLU' bottom: 'few' top: 'few' }
layer { name: 'depthwise' type: 'Convolution' bottom: 'few' top: 'depthwise'
  convolution_param { num_output: 6 group: 6 kernel_size: 3 pad: 1 weight_filler { type: 'xavier' } } }
layer { name: 'stride' type: 'Convolution' bottom: 'few' top: 'stride'
  convolution_param {
    num_output: 6 kernel_size: 5 pad: 2 bias_term: false weight_filler { type: 'xavier' }
  } }
layer { name: 'sum' type: 'Eltwise' bottom: 'depthwise' bottom: 'stride' top: 'sum'
  eltwise_param { coeff: 1 coeff: -2 } }
layer { name: 'norm' type: 'LRN' bottom: 'sum' top: 'norm' }
layer { name: 'max' type: 'Pooling' bottom: 'norm' top: 'max' pooling_param { kernel_size: 3 stride: 2 } }
layer { name: 'ave' type: 'Pooling' bottom: 'norm' top: 'ave'
  pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
layer { name: 'join' type: 'Concat' bottom: 'max' bottom: 'ave' top: 'join' }
layer { name: 'tanh' type: 'TanH' bottom: 'join' top: 'join' }
layer { name: 'flat' type: 'Flatten' bottom: 'join' top: 'flat' }
layer { name: 'ip' type: 'InnerProduct' bottom: 'flat' top: 'ip'
  inner_product_param { num_output: 5 weight_filler { type: 'xavier' } } }
layer { name: 'slope' type: 'ReLU' bottom: 'ip' top: 'ip' relu_param { negative_slope: 0.5 } }
layer { name: 'loss' type: 'EuclideanLoss' bottom: 'ip' bottom: 'target' top: 'loss' }
layer { name: 'target' type: 'DummyData' top: 'target' dummy_data_param { shape { dim: 2 dim: 5 } } }
"""
TARGET = TRAINED[TRAINED.index("layer { name: 'target'") :]
TRAINED = TARGET + TRAINED.removesuffix(TARGET)


def gradients_of_passes(net: Net, clears: list[bool], together: bool = False) -> list[list[bytes]]:
    """After each backward pass, before which gradients are cleared, or else added to."""
    found = []
    for seed, clear in enumerate(clears):
        set_values(net, seed)
        if clear:
            net.clear_param_diffs()
        if together:
            loss = net.forward_backward()
            assert loss == net.blobs["loss"].data[()]
        else:
            net.forward()
            net.backward()
        found.append(gradients(net))
    return found


@pytest.mark.parametrize("together", [False, True], ids=["apart", "together"])
@pytest.mark.parametrize(
    "clears",
    [[True] * 5, [False] * 5, [True, False] * 4, [True, True, True, False, True, False, True]],
    ids=["each", "never", "in turn", "now and then"],
)
def test_gradients(monkeypatch, clears, together):
    seen = steps_run(monkeypatch)
    net = net_of(TRAINED, 2, 4, 14, 14, phase=caffe_pb2.TRAIN)
    found = gradients_of_passes(net, clears, together)
    assert len(seen) > 4, "some passes were recorded"
    watched = net_of(TRAINED, 2, 4, 14, 14, phase=caffe_pb2.TRAIN)
    watched.before_backward(lambda i: None)  # one layer after another
    assert found == gradients_of_passes(watched, clears)


CLASSIFIED = """
layer { name: 'label' type: 'Input' top: 'label' input_param { shape { dim: 3 } } }
layer { name: 'ip' type: 'InnerProduct' bottom: 'x' top: 'ip' inner_product_param { num_output: 5 } }
layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'ip' bottom: 'label' top: 'loss' loss_weight: 0.5
  loss_param { ignore_label: 9 } }
"""


def test_a_loss_is_recorded_with_the_rest_and_still_checks_its_labels(monkeypatch):
    def step(net: Net, seed: int, *labels: float) -> tuple[float, list[bytes]]:
        set_values(net, seed)
        net.blobs["label"].data[...] = labels
        net.clear_param_diffs()
        return net.forward_backward(), gradients(net)

    labels = [(0, 1, 2), (4, 4, 4), (9, 3, 9), (9, 9, 9), (3, 2, 1)]
    new = [net_of(CLASSIFIED, 3, 7, phase=caffe_pb2.TRAIN) for _ in labels]
    right = [step(net, seed, *some) for seed, (net, some) in enumerate(zip(new, labels, strict=True))]
    net = net_of(CLASSIFIED, 3, 7, phase=caffe_pb2.TRAIN)
    assert [step(net, seed, *some) for seed, some in enumerate(labels)] == right
    seen = steps_run(monkeypatch)
    for bad in (5, -1, 5.5):
        with pytest.raises(LayerError, match=rf"'loss'.* label {bad} at \(1,\) is out of range: 5 classes"):
            step(net, 0, 1, bad, 2)
    assert len(seen) == 3, "all in one go"
    assert step(net, 4, *labels[4]) == right[4]


def test_clearing_gradients_of_blobs_changes_nothing():
    """Their zeros are written before the gradients are, not when somebody looks at these."""
    plain, cleared = (net_of(TRAINED, 2, 4, 14, 14, phase=caffe_pb2.TRAIN) for _ in range(2))
    for seed in range(4):
        for net in (plain, cleared):
            set_values(net, seed)
            net.clear_param_diffs()
            if net is cleared:
                for name in set(net.blobs) - {"loss"}:
                    net.blobs[name].clear_diff()
            net.forward()
            net.backward()
        assert gradients(cleared) == gradients(plain)


def test_threads_give_the_same_bits(monkeypatch):
    before = get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            net = net_of(OTHERS, 2, 4, 14, 14)
            set_values(net, 0)
            for _ in range(3):
                net.forward()
            results.append(values(net))
    finally:
        set_num_threads(before)
    assert results[0] == results[1] == results[2]


def test_another_number_of_threads_begins_anew():
    before = get_num_threads()
    right = [first_pass(OTHERS, (2, 4, 14, 14), seed) for seed in range(10)]
    net = net_of(OTHERS, 2, 4, 14, 14)
    try:
        for seed, threads in enumerate([2, 2, 2, 3, 3, 3, 1, 1, 1, 2]):
            set_num_threads(threads)
            set_values(net, seed)
            net.forward()
            assert values(net) == right[seed]
    finally:
        set_num_threads(before)


def test_other_shapes_begin_anew():
    sizes = [2, 2, 2, 1, 1, 1, 3, 3, 3]
    right = [first_pass(OTHERS, (images, 4, 14, 14), seed) for seed, images in enumerate(sizes)]
    net = net_of(OTHERS, 2, 4, 14, 14)
    for seed, images in enumerate(sizes):
        net.blobs["x"].reshape(images, 4, 14, 14)
        set_values(net, seed)
        net.forward()
        assert values(net) == right[seed]


def test_other_memory_begins_anew():
    net, other = net_of(OTHERS, 1, 4, 14, 14), net_of(OTHERS, 1, 4, 14, 14)
    for seed in range(3):
        set_values(net, seed)
        net.forward()
    set_values(other, 7)
    other.forward()
    net.share_with(other)
    net.blobs["x"].data[...] = other.blobs["x"].data
    net.forward()
    assert values(net) == values(other)


def test_another_thread_begins_anew():
    """Working memory belongs to the calling thread."""
    right = [first_pass(OTHERS, (1, 4, 14, 14), seed) for seed in range(4)]
    net = net_of(OTHERS, 1, 4, 14, 14)
    for _ in range(4):
        net.forward()
    results = []

    def run():
        for seed in range(4):
            set_values(net, seed)
            net.forward()
            results.append(values(net))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert results == right


def test_blobs_of_others_do_no_harm():
    net = net_of(OTHERS, 1, 4, 14, 14)
    for seed in range(4):
        set_values(net, seed)
        Blob((2, 3))
        net.forward()
        assert values(net) == first_pass(OTHERS, (1, 4, 14, 14), seed)


def test_who_looks_between_layers_sees_each(monkeypatch):
    net = net_of(OTHERS, 1, 4, 14, 14)
    for _ in range(3):
        net.forward()
    seen = steps_run(monkeypatch)
    layers: list[int] = []
    net.after_forward(layers.append)
    net.forward()
    assert layers == list(range(len(net.layers)))
    assert seen == []


def test_old_memory_is_not_kept():
    """Not by the backward pass either, which may never come again."""
    net = net_of(TRAINED, 2, 4, 14, 14, phase=caffe_pb2.TRAIN)
    for _ in range(3):
        net.forward()
        net.backward()
    base = net.blobs["norm"].data
    while base.base is not None:
        base = base.base
    held = weakref.ref(base)
    del base
    net.blobs["x"].reshape(4, 4, 14, 14)
    net.blobs["target"].reshape(4, 5)
    net.layer_dict["target"].reshape = lambda bottom, top: None
    net.forward()
    gc.collect()
    assert held() is None


def variants_of(net: Net) -> list[dict]:
    """What was recorded, for each segment of a pass and each set of shapes."""
    held = net._recordings._by_shapes.values()
    return [variants for by_shapes in held for variants in by_shapes.values()]


def reshape(net: Net, images: int) -> None:
    net.blobs["x"].reshape(images, 4, 14, 14)


def test_what_was_recorded_of_other_shapes_is_kept(monkeypatch):
    sizes = [3, 1, 2] * 5
    right = [first_pass(OTHERS, (images, 4, 14, 14), seed) for seed, images in enumerate(sizes)]
    seen = steps_run(monkeypatch)
    net = net_of(OTHERS, 3, 4, 14, 14)
    for seed, images in enumerate(sizes):
        reshape(net, images)
        set_values(net, seed)
        net.forward()
        assert values(net) == right[seed]
    assert len(seen) == 2 * (len(sizes) - 2 * 3)  # two pieces, from the third pass with a shape on


def test_few_shapes_are_kept():
    net = net_of(OTHERS, 100, 4, 14, 14)
    for images in range(100, 0, -1):
        reshape(net, images)
        net.forward()
    assert len(variants_of(net)) == Recordings.MOST_SHAPES


def test_another_net_may_take_other_shapes(monkeypatch):
    net, other = net_of(OTHERS, 2, 4, 14, 14), net_of(OTHERS, 2, 4, 14, 14)
    for _ in range(3):
        net.forward()
    seen = steps_run(monkeypatch)
    for images in (1, 3, 2):
        reshape(other, images)
        other.reshape()
        net.forward()
    assert len(seen) == 3 * 2


def test_a_gradient_with_a_known_shape_but_without_a_forward_pass():
    """What layers keep for a backward pass is then that of another shape."""
    text = """
    layer { name: 'y' type: 'Pooling' bottom: 'x' top: 'y' pooling_param { kernel_size: 2 stride: 2 } }
    layer { name: 'ip' type: 'InnerProduct' bottom: 'y' top: 'ip' loss_weight: 1
      inner_product_param { num_output: 1 axis: 3 } }"""
    found = []
    for watched in (False, True):
        net = net_of("force_backward: true " + text, 8, 4, 14, 14, phase=caffe_pb2.TRAIN)
        if watched:
            net.before_backward(lambda i: None)
        for images in (1, 1, 1, 8):
            reshape(net, images)
            set_values(net, images)
            net.forward()
            net.backward()
        reshape(net, 1)
        net.reshape()
        net.backward()
        found.append(gradients(net))
    assert found[0] == found[1]


def test_few_variants_are_kept():
    net = net_of(TRAINED, 2, 4, 14, 14, phase=caffe_pb2.TRAIN)
    net.forward()
    numbers = np.random.default_rng(0)
    for _ in range(50):
        for blob in net.learnable_params:
            if numbers.integers(2):
                blob.clear_diff()
        net.backward()
    assert max(len(variants) for variants in variants_of(net)) == Recordings.MOST_VARIANTS


def test_a_gradient_that_will_be_overwritten_is_not_cleared():
    scaled = "layer { name: 'scale' type: 'Scale' bottom: 'ip' top: 'scaled' }\n"
    net = net_of(
        TRAINED.replace("bottom: 'ip' bottom: 'target'", "bottom: 'scaled' bottom: 'target'").replace(
            "layer { name: 'loss'", scaled + "layer { name: 'loss'"
        ),
        2,
        4,
        14,
        14,
        phase=caffe_pb2.TRAIN,
    )
    for name, expected in (("ip", 3), ("few", 3), ("scale", 0)):
        layer = net.layer_dict[name]
        for blob in layer.blobs:
            blob.diff.fill(3)
            blob.clear_diff()
        prepare_diffs(layer)
        assert all((blob.diff == expected).all() for blob in layer.blobs)


class Louder(ReLULayer):
    """Does more than ReLU, and by NumPy."""

    def forward(self, bottom, top):
        super().forward(bottom, top)
        top[0].data[...] += 1


class Doubled(BiasLayer):
    """Adds twice as much; in another layer's epilogue, too."""

    def forward(self, bottom, top):
        np.add(bottom[0].data, 2 * self.blobs[0].data, out=top[0].data)

    def epilogue_before(self, epilogue):
        return epilogue.behind(None, self.blobs[0].data * 2)


@pytest.mark.parametrize(
    ("layer_class", "text"),
    [
        (Louder, "layer { name: 'y' type: 'ReLU' bottom: 'x' top: 'y' }"),
        (
            Doubled,
            """
            layer { name: 'ip' type: 'InnerProduct' bottom: 'x' top: 'y'
              inner_product_param { num_output: 2 } }
            layer { name: 'bias' type: 'Bias' bottom: 'y' top: 'y' }
            """,
        ),
    ],
)
def test_what_overrides_a_verb_runs_in_every_pass(monkeypatch, layer_class, text):
    kind = layer_class.__bases__[0]
    name, known = next((n, t) for n, t in registry.layer_types().items() if t.layer_class is kind)
    monkeypatch.setitem(registry._types, name, known._replace(layer_class=layer_class))
    net = net_of(text, 2, 3)
    for seed in range(1, 6):
        net.blobs["x"].data[...] = seed
        for blob in net.learnable_params:
            blob.data[...] = seed
        net.forward()
        products = 3 * seed * seed + seed
        assert (net.blobs["y"].data == (seed + 1 if layer_class is Louder else products + 2 * seed)).all()


def test_random_layers_draw_in_every_pass():
    text = """
    layer { name: 'y' type: 'Convolution' bottom: 'x' top: 'y'
      convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: 'xavier' } } }
    layer { name: 'drop' type: 'Dropout' bottom: 'y' top: 'y' }
    layer { name: 'z' type: 'Pooling' bottom: 'y' top: 'z' pooling_param { pool: STOCHASTIC kernel_size: 2 } }
    """
    random.set_random_seed(1)
    net = net_of(text, 1, 3, 8, 8, phase=caffe_pb2.TRAIN)
    set_values(net, 0)
    results = set()
    for _ in range(5):
        net.forward()
        results.add(net.blobs["z"].data.tobytes())
    assert len(results) == 5
