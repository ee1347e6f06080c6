"""LSTM and RNN as Caffe unrolls them: a net with layers of their own for each time step."""

import numpy as np

from pycaffe_lite import random
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse


def layer(type, name, bottoms, tops, fields=""):
    ends = " ".join([f'bottom: "{b}"' for b in bottoms] + [f'top: "{t}"' for t in tops])
    return f'layer {{ type: "{type}" name: "{name}" {ends} {fields} }}'


def inputs(name, shape):
    dims = " ".join(f"dim: {n}" for n in shape)
    return layer("Input", name, [], [name], f"input_param {{ shape {{ {dims} }} }}")


def product(name, bottom, top, outputs, params, fillers, axis=2):
    weight, bias = fillers
    fields = f"num_output: {outputs} axis: {axis} bias_term: {str(len(params) == 2).lower()} {weight}"
    if len(params) == 2:
        fields += f" {bias}"
    names = " ".join(f'param {{ name: "{param}" }}' for param in params)
    return layer("InnerProduct", name, [bottom], [top], f"{names} inner_product_param {{ {fields} }}")


def shared_part(x, cont, static, outputs, fillers, states, D):
    """The inputs, their transforms, and the slices of each step; and what each step adds up."""
    T, N = cont.shape
    steps = range(1, T + 1)
    layers = [inputs("x", x.shape), inputs("cont", cont.shape)]
    if static is not None:
        layers.append(inputs("x_static", static.shape))
    layers += [inputs(name, (1, N, D)) for name in states]
    layers.append(
        layer("Slice", "cont_slice", ["cont"], [f"cont_{t}" for t in steps], "slice_param { axis: 0 }")
    )
    layers.append(product("x_transform", "x", "Wx", outputs, ["W_x", "b"], fillers))
    if static is not None:
        layers.append(
            product("static_transform", "x_static", "Wxs_flat", outputs, ["W_static"], fillers, axis=1)
        )
        shape = f"reshape_param {{ shape {{ dim: 1 dim: -1 dim: {outputs} }} }}"
        layers.append(layer("Reshape", "static_reshape", ["Wxs_flat"], ["Wxs"], shape))
    layers.append(layer("Slice", "x_slice", ["Wx"], [f"Wx_{t}" for t in steps], "slice_param { axis: 0 }"))
    return layers, [] if static is None else ["Wxs"]


def transform_hidden(t, outputs, fillers, static):
    """z_t of the state at t - 1."""
    return [
        layer(
            "Scale", f"conted_{t}", [f"h_{t - 1}", f"cont_{t}"], [f"h_conted_{t}"], "scale_param { axis: 0 }"
        ),
        product(f"transform_{t}", f"h_conted_{t}", f"Wh_{t}", outputs, ["W_h"], fillers),
        layer("Eltwise", f"sum_{t}", [f"Wh_{t}", f"Wx_{t}", *static], [f"z_{t}"]),
    ]


def lstm_layers(x, cont, static, D, fillers):
    layers, added = shared_part(x, cont, static, 4 * D, fillers, ["c_0", "h_0"], D)
    for t in range(1, len(cont) + 1):
        layers += transform_hidden(t, 4 * D, fillers, added)
        layers.append(
            layer("LSTMUnit", f"unit_{t}", [f"c_{t - 1}", f"z_{t}", f"cont_{t}"], [f"c_{t}", f"h_{t}"])
        )
    return [*layers, concat("h", len(cont))]


def rnn_layers(x, cont, static, D, fillers):
    layers, added = shared_part(x, cont, static, D, fillers, ["h_0"], D)
    for t in range(1, len(cont) + 1):
        layers += transform_hidden(t, D, fillers, added)
        layers.append(layer("TanH", f"neuron_{t}", [f"z_{t}"], [f"h_{t}"]))
        layers.append(product(f"output_{t}", f"h_{t}", f"Wo_{t}", D, ["W_o", "b_o"], fillers))
        layers.append(layer("TanH", f"output_neuron_{t}", [f"Wo_{t}"], [f"o_{t}"]))
    return [*layers, concat("o", len(cont))]


def concat(name, T):
    return layer(
        "Concat", "concat", [f"{name}_{t}" for t in range(1, T + 1)], [name], "concat_param { axis: 0 }"
    )


class Unrolled:
    """An unrolled net in float64, drawn from `seed`.

    Attributes:
        net: the net. blobs: its learnable blobs. after: the next draws of the random stream.
    """

    def __init__(self, type, x, cont, static, D, fillers, seed):
        make = {"LSTM": lstm_layers, "RNN": rnn_layers}[type]
        text = "force_backward: true\n" + "\n".join(make(x, cont, static, D, fillers))
        random.set_random_seed(seed)
        self.net = Net.from_document(parse(text, caffe_pb2.NetParameter), dtype=np.float64)
        self.after = random.stream().raw_array(5).tolist()
        self.blobs = self.net.learnable_params
        self.output = "h" if type == "LSTM" else "o"
        for name, values in (("x", x), ("cont", cont), ("x_static", static)):
            if values is not None:
                self.net.blobs[name].data[...] = values

    def run(self, dy):
        """Output, gradients of x (and x_static), and of the learnable blobs."""
        self.net.forward()
        self.net.clear_param_diffs()
        self.net.blobs[self.output].diff[...] = dy
        self.net.backward()
        inputs = [self.net.blobs[name].diff for name in ("x", "x_static") if name in self.net.blobs]
        return self.net.blobs[self.output].data, inputs, [blob.diff for blob in self.blobs]
