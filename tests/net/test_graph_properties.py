"""Splits and backward pruning of random nets, against plain re-implementations of Caffe's rules."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pycaffe_lite.net.net import Net
from pycaffe_lite.net.splits import insert_splits
from pycaffe_lite.net.state import PlacedLayer
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import Document

# Splits ---------------------------------------------------------------------------------------------

NAMES = st.lists(st.sampled_from("xyz"), max_size=3)


@st.composite
def layer_messages(draw):
    """Layers that read and make blobs of few names in every way, possible or not."""
    layers = []
    for i in range(draw(st.integers(0, 7))):
        top = draw(NAMES)
        weights = draw(st.lists(st.sampled_from([0.0, 1.0, 2.5]), max_size=len(top)))
        layers.append(
            caffe_pb2.LayerParameter(name=f"l{i}", bottom=draw(NAMES), top=top, loss_weight=weights)
        )
    return layers


def readers(layers, i, j):
    """The bottoms, as (layer, index), that read top j of layer i: the latest of its name before them."""
    name = layers[i].top[j]
    found = []
    if name in list(layers[i].top)[j + 1 :]:
        return found
    for k in range(i + 1, len(layers)):
        found += [(k, n) for n, bottom in enumerate(layers[k].bottom) if bottom == name]
        if name in layers[k].top:
            break
    return found


def split_by_the_book(layers):
    out = []
    renamed, splits, cleared = {}, {}, set()
    for i, layer in enumerate(layers):
        for j, blob in enumerate(layer.top):
            weight = layer.loss_weight[j] if j < len(layer.loss_weight) else 0
            reading = readers(layers, i, j)
            count = len(reading) + bool(weight)
            if count < 2:
                continue
            name = f"{blob}_{layer.name}_{j}_split"
            split = caffe_pb2.LayerParameter(name=name, type="Split", bottom=[blob])
            split.top.extend(f"{name}_{k}" for k in range(count))
            if weight:
                split.loss_weight.extend([weight] + [0] * (count - 1))
                cleared.add(i)
            splits.setdefault(i, []).append(split)
            for k, reader in enumerate(reading, start=bool(weight)):
                renamed[reader] = f"{name}_{k}"
    for i, layer in enumerate(layers):
        new = caffe_pb2.LayerParameter()
        new.CopyFrom(layer)
        for j in range(len(layer.bottom)):
            new.bottom[j] = renamed.get((i, j), layer.bottom[j])
        if i in cleared:
            new.ClearField("loss_weight")
        out += [new, *splits.get(i, [])]
    return out


@settings(deadline=None, max_examples=300)
@given(layer_messages())
def test_splits(layers):
    got = insert_splits([PlacedLayer(layer, "") for layer in layers])
    assert [param for param, _ in got] == split_by_the_book(layers)


# Who takes part in the backward pass ------------------------------------------------------------------


LOSSES = ["EuclideanLoss", "SigmoidCrossEntropyLoss"]
KINDS = ["InnerProduct", "ReLU", "TanH", "Eltwise", "Silence", *LOSSES]


@st.composite
def nets(draw):
    """A net that can be built: affine maps, in-place layers, sums, losses, things read by nobody."""
    net = caffe_pb2.NetParameter(force_backward=draw(st.booleans()))
    for name in ("a", "b"):
        layer = net.layer.add(name=f"in_{name}", type="Input", top=[name])
        layer.input_param.shape.add(dim=[2, 3])
    blobs, read = ["a", "b"], set()
    kinds = draw(st.lists(st.sampled_from(KINDS), max_size=7))
    for i, kind in enumerate([*kinds, draw(st.sampled_from(LOSSES))]):
        layer = net.layer.add(name=f"l{i}", type=kind)
        bottoms = 2 if kind in ("Eltwise", *LOSSES) else 1
        layer.bottom.extend(draw(st.sampled_from(blobs)) for _ in range(bottoms))
        if draw(st.booleans()):
            layer.propagate_down.extend(draw(st.booleans()) for _ in layer.bottom)
        in_place = kind in ("ReLU", "TanH") and layer.bottom[0] not in read and draw(st.booleans())
        if kind == "Silence" or (kind in LOSSES and draw(st.booleans())):
            pass  # no top, or one that the loss makes for itself
        elif in_place:
            layer.top.append(layer.bottom[0])
        else:
            layer.top.append(f"t{i}")
            if kind not in LOSSES:
                blobs.append(f"t{i}")
        if not in_place:
            read.update(layer.bottom)
        if layer.top and draw(st.integers(0, 2)) == 0:
            layer.loss_weight.append(draw(st.sampled_from([0.0, 1.0, 2.0])))
            if layer.loss_weight[0]:
                read.add(layer.top[0])  # by the loss
        if kind == "InnerProduct":
            layer.inner_product_param.num_output = 3
            for _ in range(draw(st.integers(0, 2))):
                layer.param.add(lr_mult=draw(st.sampled_from([0.0, 1.0])))
    return net


def backward_by_the_book(net, force):
    """Per layer, whether it needs backward, and which of its bottoms."""
    flags = {}
    need, wanted = [], []
    for layer in net.layers:
        param = layer.layer_param
        flag = [flags[name] for name in param.bottom]
        wanted.append(list(param.propagate_down) or flag)
        rates = [spec.lr_mult for spec in param.param] + [1] * (len(layer.blobs) - len(param.param))
        need.append(any(flag) or any(rate != 0 for rate in rates))
        for name in param.top:
            flags[name] = flags.get(name, False) or need[-1]
    tops = [list(layer.layer_param.top) or ["(automatic)"] * layer.is_loss for layer in net.layers]
    under_loss, skip = set(), set()
    for i in reversed(range(len(net.layers))):
        contributes = any(net.layers[i].loss_weights) or bool(under_loss & set(tops[i]))
        if need[i] and set(tops[i]) <= skip:
            need[i], wanted[i] = False, [False] * len(wanted[i])
        need[i] = need[i] and contributes
        for j, name in enumerate(net.layers[i].layer_param.bottom):
            if contributes:
                under_loss.add(name)
            else:
                wanted[i][j] = False
            if not wanted[i][j]:
                skip.add(name)
    if force:
        for i, layer in enumerate(net.layers):
            need[i] = True
            wanted[i] = [want or layer.allow_force_backward(j) for j, want in enumerate(wanted[i])]
    return need, wanted


@settings(deadline=None, max_examples=500)
@given(nets())
def test_backward(message):
    net = Net.from_document(Document(message))
    nodes = net.graph.nodes
    need, wanted = backward_by_the_book(net, message.force_backward)
    assert [node.need_backward for node in nodes] == need
    assert [node.bottom_need_backward for node in nodes] == wanted
