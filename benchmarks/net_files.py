"""The benchmark's nets: prototxts with their data layers replaced by inputs of a given batch size."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from google.protobuf import text_format

from benchmarks.works import Work
from pycaffe_lite.net.net import Net
from pycaffe_lite.net.state import PlacedLayer, filter_layers
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import read_net

SEED = 1
CLASSES = {"lenet": 10, "cifar10_quick": 10}


def net_message(work: Work) -> caffe_pb2.NetParameter:
    """The layers of the work's phase, with Input layers where the data came from."""
    net = read_net(work.prototxt).message
    phase = caffe_pb2.TRAIN if work.train else caffe_pb2.TEST
    state = caffe_pb2.NetState(phase=phase)
    kept = [layer for layer, _ in filter_layers([PlacedLayer(p, "") for p in net.layer], state)]
    message = caffe_pb2.NetParameter(name=net.name)
    for top, shape in (("data", (work.batch, *work.image)), ("label", (work.batch,)))[: 1 + work.train]:
        layer = message.layer.add(name=top, type="Input", top=[top])
        layer.input_param.shape.add(dim=shape)
    for layer in kept:
        if layer.type not in ("Data", "Input"):
            message.layer.add().CopyFrom(layer)
            del message.layer[-1].include[:]
    return message


def batch(work: Work) -> dict[str, np.ndarray]:
    """Seeded inputs by blob name."""
    random = np.random.RandomState(SEED)
    arrays = {"data": random.rand(work.batch, *work.image).astype(np.float32)}
    if work.train:
        classes = CLASSES.get(work.file.partition("/")[0], 1000)
        arrays["label"] = random.randint(0, classes, work.batch).astype(np.float32)
    return arrays


def write_prototxt(work: Work, folder: Path) -> Path:
    """The net as a file."""
    path = folder / f"{work.name}.prototxt"
    path.write_text(text_format.MessageToString(net_message(work)))
    return path


def build(work: Work) -> Net:
    """Our net, with seeded weights and inputs.

    BatchNorm gets statistics other than its zeros, so that values stay in range through deep nets.
    """
    from pycaffe_lite import random

    random.set_random_seed(SEED)
    with tempfile.TemporaryDirectory() as folder:
        phase = caffe_pb2.TRAIN if work.train else caffe_pb2.TEST
        net = Net(write_prototxt(work, Path(folder)), phase)
    for layer in net.layers:
        if layer.type == "BatchNorm":
            layer.blobs[1].data.fill(1)
            layer.blobs[2].data.fill(1)
    for name, values in batch(work).items():
        net.blobs[name].data[...] = values
    return net


def flops(net: Net, train: bool) -> float:
    """Floating-point operations of the net's products (two for a multiplication with its addition).

    A training step does three: forward, weight gradient and, where it is wanted, data gradient.
    """
    total = 0.0
    for node in net.graph.nodes:
        layer = node.layer
        if layer.type not in ("Convolution", "InnerProduct"):
            continue
        depth = layer.blobs[0].count / layer.param.num_output
        forward = 2.0 * node.top[0].count * depth
        passes = 2 + node.bottom_need_backward[0] if train else 1
        total += forward * passes
    return total
