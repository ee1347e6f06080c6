"""Eight nets of different types, each built, run and trained a little by a thread of its own.

    python nets_in_threads.py [--one-by-one] [NAME ...]

prints a digest of all that each net has computed: all nets, if none is named; one may be named several times.
With `--one-by-one` a single thread goes through them. Tests and tests/long/first_passes.py run this file in
processes that have run no kernel yet.
"""

import hashlib
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import pycaffe_lite as caffe
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse

# By name: the shapes of the inputs, and the layers behind them.
NETS = {
    "lenet": (
        {"x": (2, 1, 16, 16), "label": (2,)},
        """
        layer { name: 'c' type: 'Convolution' bottom: 'x' top: 'c'
          convolution_param { num_output: 8 kernel_size: 5 weight_filler { type: 'xavier' } } }
        layer { name: 'p' type: 'Pooling' bottom: 'c' top: 'p'
          pooling_param { kernel_size: 2 stride: 2 } }
        layer { name: 'i' type: 'InnerProduct' bottom: 'p' top: 'i'
          inner_product_param { num_output: 10 weight_filler { type: 'xavier' } } }
        layer { name: 'r' type: 'ReLU' bottom: 'i' top: 'i' }
        layer { name: 'l' type: 'SoftmaxWithLoss' bottom: 'i' bottom: 'label' top: 'l' }
        """,
    ),
    "dropout": (
        {"x": (4, 12), "label": (4,)},
        """
        layer { name: 'd' type: 'Dropout' bottom: 'x' top: 'd' }
        layer { name: 's' type: 'Sigmoid' bottom: 'd' top: 's' }
        layer { name: 'i' type: 'InnerProduct' bottom: 's' top: 'i'
          inner_product_param { num_output: 5 weight_filler { type: 'gaussian' std: 0.1 } } }
        layer { name: 'l' type: 'SoftmaxWithLoss' bottom: 'i' bottom: 'label' top: 'l' }
        """,
    ),
    "winograd": (
        {"x": (1, 32, 26, 26)},
        """
        layer { name: 'c' type: 'Convolution' bottom: 'x' top: 'c'
          convolution_param { num_output: 64 kernel_size: 3 pad: 1 weight_filler { type: 'xavier' } } }
        layer { name: 'g' type: 'Pooling' bottom: 'c' top: 'g'
          pooling_param { pool: AVE global_pooling: true } loss_weight: 1 }
        """,
    ),
    "depthwise": (
        {"x": (2, 12, 20, 20)},
        """
        layer { name: 'c' type: 'Convolution' bottom: 'x' top: 'c'
          convolution_param { num_output: 12 group: 12 kernel_size: 3 pad: 1
            weight_filler { type: 'xavier' } } }
        layer { name: 'b' type: 'BatchNorm' bottom: 'c' top: 'b' }
        layer { name: 's' type: 'Scale' bottom: 'b' top: 's'
          scale_param { bias_term: true } loss_weight: 1 }
        """,
    ),
    "lstm": (
        {"x": (3, 2, 4), "cont": (3, 2)},
        """
        layer { name: 'l' type: 'LSTM' bottom: 'x' bottom: 'cont' top: 'l' loss_weight: 1
          recurrent_param { num_output: 6 weight_filler { type: 'uniform' min: -0.1 max: 0.1 } } }
        """,
    ),
    "local": (
        {"x": (2, 6, 9, 9)},
        """
        layer { name: 'n' type: 'LRN' bottom: 'x' top: 'n' }
        layer { name: 'p' type: 'PReLU' bottom: 'n' top: 'p' }
        layer { name: 'm' type: 'MVN' bottom: 'p' top: 'm' loss_weight: 1 }
        """,
    ),
    "sum": (
        {"x": (2, 6, 8, 8)},
        """
        layer { name: 'a' type: 'Convolution' bottom: 'x' top: 'a'
          convolution_param { num_output: 8 kernel_size: 1 weight_filler { type: 'xavier' } } }
        layer { name: 'b' type: 'Convolution' bottom: 'x' top: 'b'
          convolution_param { num_output: 8 kernel_size: 3 pad: 1 weight_filler { type: 'xavier' } } }
        layer { name: 'e' type: 'Eltwise' bottom: 'a' bottom: 'b' top: 'e'
          eltwise_param { coeff: 1 coeff: -2 } }
        layer { name: 'o' type: 'Concat' bottom: 'a' bottom: 'e' top: 'o' loss_weight: 1 }
        """,
    ),
    "deconvolution": (
        {"x": (1, 4, 7, 7), "y": (1, 4, 14, 14)},
        """
        layer { name: 'd' type: 'Deconvolution' bottom: 'x' top: 'd'
          convolution_param { num_output: 4 kernel_size: 4 stride: 2 pad: 1
            weight_filler { type: 'xavier' } } }
        layer { name: 't' type: 'TanH' bottom: 'd' top: 't' }
        layer { name: 'l' type: 'EuclideanLoss' bottom: 't' bottom: 'y' top: 'l' }
        """,
    ),
}


def net_of(name: str, phase: int = caffe.TRAIN) -> Net:
    """The net, with inputs filled with ones for counts and labels, and random numbers else."""
    inputs, layers = NETS[name]
    text = "force_backward: true\n"
    for blob, shape in inputs.items():
        dims = " ".join(f"dim: {n}" for n in shape)
        text += (
            f"layer {{ name: '{blob}' type: 'Input' top: '{blob}' input_param {{ shape {{ {dims} }} }} }}\n"
        )
    document = parse(text + layers, caffe_pb2.NetParameter)
    document.message.state.phase = phase
    net = Net.from_document(document)
    numbers = np.random.default_rng(0)
    for blob, shape in inputs.items():
        net.blobs[blob].data[...] = 1 if blob in ("label", "cont") else numbers.uniform(-1, 1, shape)
    return net


def train(net: Net, steps: int = 4) -> str:
    """Some steps down the gradient; a digest of all values and gradients on the way."""
    digest = hashlib.sha256()
    for _ in range(steps):
        net.clear_param_diffs()
        net.forward_backward()
        for blob in (*net.blobs.values(), *net.learnable_params):
            digest.update(blob.data)
            digest.update(blob.diff)
        for blob in net.learnable_params:
            blob.data[...] -= np.float32(0.01) * blob.diff
    return digest.hexdigest()


def build_and_train(name: str) -> str:
    """What `train` gives for a new net, whose random numbers are the same every time."""
    caffe.set_random_seed(7)
    return train(net_of(name))


def in_threads(names: list[str]) -> list[str]:
    """`build_and_train` of all at once, a thread for each."""
    start = threading.Barrier(len(names))

    def work(name: str) -> str:
        start.wait()
        return build_and_train(name)

    with ThreadPoolExecutor(len(names)) as pool:
        return list(pool.map(work, names))


def main(args: list[str]) -> None:
    one_by_one = "--one-by-one" in args
    names = [arg for arg in args if not arg.startswith("--")] or list(NETS)
    sys.setswitchinterval(1e-5)  # threads meet where they seldom do
    digests = map(build_and_train, names) if one_by_one else in_threads(names)
    for name, digest in zip(names, digests, strict=True):
        print(name, digest)


if __name__ == "__main__":
    main(sys.argv[1:])
