"""A small net and its solvers, for the tests of this folder."""

import numpy as np

from pycaffe_lite import random
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse
from pycaffe_lite.solver import get_solver

NET = """
    name: "small"
    layer { name: "data" type: "Input" top: "data" top: "label"
            input_param { shape { dim: 4 dim: 3 } shape { dim: 4 } } }
    layer { name: "ip1" type: "InnerProduct" bottom: "data" top: "h"
            param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
            inner_product_param { num_output: 5 weight_filler { type: "uniform" min: -0.5 max: 0.5 } } }
    layer { name: "tanh" type: "TanH" bottom: "h" top: "h" }
    layer { name: "ip2" type: "InnerProduct" bottom: "h" top: "score"
            inner_product_param { num_output: 3 weight_filler { type: "uniform" min: -0.5 max: 0.5 } } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }
"""
SETTINGS = "type: 'SGD' base_lr: 0.1 lr_policy: 'fixed' momentum: 0.9 max_iter: 10 random_seed: 3 "


def settings(text="", net=NET, base=SETTINGS):
    """The settings of a solver for the small net, with more in `text` (the later value counts)."""
    message = parse(base + f"net_param {{ {net} }}", caffe_pb2.SolverParameter).message
    more = parse(text, caffe_pb2.SolverParameter).message
    for field, value in more.ListFields():
        if field.name not in ("test_iter", "stepvalue", "test_state", "test_net_param"):
            message.ClearField(field.name)
        del value
    message.MergeFrom(more)
    return message


def solver(text="", net=NET, feed=True, base=SETTINGS, **options):
    """A solver for the small net; with `feed`, each iteration gets data of its own."""
    made = get_solver(settings(text, net, base), **options)
    if feed:
        made.add_callback(lambda: feed_iteration(made.net, made.iter), lambda: None)
    for test_net in made.test_nets:
        feed_iteration(test_net, 1000)
    return made


def feed_iteration(net, iteration):
    values = np.random.default_rng(iteration)
    for name in net.inputs:
        blob = net.blobs[name]
        blob.data[...] = values.integers(0, 3, blob.shape) if name == "label" else values.random(blob.shape)


def weights(net):
    """Copies of all learnable blobs."""
    return [blob.data.copy() for blobs in net.params.values() for blob in blobs]


def everything(made):
    """All that a refused restore must not change, as bytes."""
    arrays = [*weights(made.net), *made.history]
    for test_net in made.test_nets:
        arrays += weights(test_net)
    layers = [layer.state() for net in (made.net, *made.test_nets) for layer in net.layers]
    window = made.window.start, tuple(made.window.losses), made.continue_window
    numbers = made.iter, made.current_step, made.rate, made.lineage
    return [a.tobytes() for a in arrays], layers, random.stream().state(), window, numbers
