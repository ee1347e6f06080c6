"""Public nets as their authors published them, run without their data.

The folder that PYCAFFE_LITE_SHARED names holds the nets (`wild/OWNER__REPO/PATH`) and what Caffe 1.0 makes of
each (`golden/wild_shapes.json.gz`), and of those that it cannot read or run, what their fork makes of them
(`golden/wild_fork_shapes.json.gz`, without Split layers): `status`, and where it builds, the shape of every
blob and learnable blob for TRAIN and TEST. There, as here, each top of a data layer is an Input layer of its
own, named after the layer and the top's index: the first (2, 3, height, width), of crop_size, else of
resize_param, else of new_height, else 224; the second (2,). AnnotatedData has labels (1, 1, 3, 8), and
DenseImageData images of 360 x 480, with labels of that size. Here alone, labels of ImageLabelmapData and
SegData are of the images' size, and TSN's VideoData has the channels of its clips.

    python tests/wild_nets.py                 what becomes of each net, and how many fail for which reason
    python tests/wild_nets.py --run [--limit MB] [NAME ...]
                                              runs those forward and backward that take no more memory
"""

import argparse
import gzip
import json
import logging
import math
import os
import re
import resource
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

import numpy as np

from pycaffe_lite import fillers
from pycaffe_lite.errors import PycaffeError
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import Document, read_net

if "PYCAFFE_LITE_SHARED" not in os.environ:
    raise SystemExit("set PYCAFFE_LITE_SHARED to the folder that holds wild/ and golden/wild_shapes.json.gz")
SHARED = Path(os.environ["PYCAFFE_LITE_SHARED"])
PHASES = ("TRAIN", "TEST")
# What was recorded of these leaves out a field of theirs, which makes other blobs (NVIDIA's scale_bias), or
# which other batches than the Input's fit (Intel's bn_stats_batch_size).
LEFT_OUT = (
    "NVIDIA__caffe/examples__TensorRT__deploy_trt.prototxt",
    "NVIDIA__caffe/models__alexnet_bn__train_val.prototxt",
    "intel__caffe/examples__model_optimization__models__Facebook_ResNet_50__Baseline__train_val.prototxt",
)
# Values for learnable blobs, by type of layer: means of 0, variances and scales of 1.
CONSTANTS = {"BatchNorm": (0, 1, 1), "Scale": (1, 0)}
NUMBERS = np.random.default_rng(0).uniform(-1, 1, 2**16 + 1).astype(np.float32)


@dataclass(frozen=True)
class WildNet:
    """A public net.

    Attributes:
        name: OWNER__REPO/PATH. status: what Caffe makes of it, or else its fork, in words.
        shapes: phase → `blobs`, by name, and `params`, by layer; only the phases in which it is built, and
            none of those in LEFT_OUT.
    """

    name: str
    status: str
    shapes: dict

    @property
    def path(self):
        return SHARED / "wild" / self.name

    def values(self, phase):
        """How many values its blobs and learnable blobs have."""
        shapes = self.shapes[phase]
        learnable = [shape for layer in shapes["params"].values() for shape in layer]
        return sum(math.prod(shape) for shape in [*shapes["blobs"].values(), *learnable])

    def megabytes(self, phase):
        """What a pass forward and backward takes at most: data and gradients, each blob by itself."""
        return self.values(phase) * 8 / 1e6


def wild_nets():
    """All of them, in the order of their names."""
    table = _table("wild_shapes") | _table("wild_fork_shapes")
    return [
        WildNet(
            name,
            entry["status"],
            {phase: entry[phase] for phase in PHASES if entry.get(phase) and name not in LEFT_OUT},
        )
        for name, entry in sorted(table.items())
    ]


def _table(name):
    with gzip.open(SHARED / "golden" / f"{name}.json.gz") as file:
        return json.load(file)


def is_data(layer):
    return layer.type.endswith("Data") and layer.type != "DummyData" and not layer.bottom


def build(net, phase, *, backward=False):
    """The net in a phase with its data layers replaced; no filler has run.

    With `backward`, a net without loss is asked for all gradients.
    """
    document = read_net(net.path)
    message = caffe_pb2.NetParameter()
    message.CopyFrom(document.message)
    message.ClearField("layer")
    places = {}  # of the layers that stay
    for i, layer in enumerate(document.message.layer):
        if not is_data(layer):
            places[i] = len(message.layer)
        message.layer.extend(inputs_for(layer) if is_data(layer) else [layer])
    message.state.phase = caffe_pb2.Phase.Value(phase)
    changed = Document(message, document.path, moved(document.unknown, places))
    with mock.patch.object(fillers, "fill", no_fill):
        built = Net.from_document(changed)
        if backward and not has_loss(built):
            message.force_backward = True
            built = Net.from_document(changed)
    return built


def moved(unknown, places):
    """Fields that the schema does not know, with the new places of their layers, where these stay."""
    return tuple(
        replace(field, path=("layer", places[field.path[1]], *field.path[2:])) if field.path else field
        for field in unknown
        if not field.path or (field.path[0] == "layer" and field.path[1] in places)
    )


def no_fill(blob, filler):
    """Takes the place of `fillers.fill`; a Mock would keep the blobs that it is called with."""


def has_loss(net):
    return any(net.blob_loss_weights.values())


def inputs_for(layer):
    """The Input layers in the place of a data layer."""
    side = layer.image_data_param.new_height or 224
    image, labels = (2, 3, side, side), (2,)
    if layer.type == "DenseImageData":
        image, labels = (2, 3, 360, 480), (2, 1, 360, 480)
    if layer.type == "AnnotatedData":
        labels = (1, 1, 3, 8)
    if layer.transform_param.resize_param:
        resized = layer.transform_param.resize_param[0]
        image = (2, 3, resized.height, resized.width)
    if side := layer.transform_param.crop_size:
        image = (2, 3, side, side)
    if layer.type in ("ImageLabelmapData", "SegData"):
        labels = (2, 1, *image[2:])
    if layer.type == "VideoData":
        clip = layer.video_data_param
        per_frame = 2 if clip.modality == caffe_pb2.VideoDataParameter.FLOW else 3
        image = (2, clip.num_segments * clip.new_length * per_frame, *image[2:])
        labels = (2, 1, 1, 1)
    for i, top in enumerate(layer.top):
        new = caffe_pb2.LayerParameter(name=f"{layer.name}_{i}", type="Input", top=[top])
        new.include.extend(layer.include)
        new.exclude.extend(layer.exclude)
        new.input_param.shape.add(dim=labels if i else image)
        yield new


def run(net):
    """Runs a net that `build` made forward and backward once, on numbers that keep its values moderate."""
    for layer in net.layers:
        for i, blob in enumerate(layer.blobs):
            if layer.type in CONSTANTS:
                blob.data.fill(CONSTANTS[layer.type][i])
            else:
                fan_in = blob.count / blob.shape[0] if len(blob.shape) > 1 else 100.0
                blob.data.flat = np.resize(NUMBERS * np.float32(math.sqrt(6 / fan_in)), blob.count)
    image = net.blobs[net.inputs[0]]  # further inputs are labels, or say where a sequence goes on
    image.data.flat = np.resize(NUMBERS, image.count)
    net.forward()
    if not has_loss(net):
        for name in net.outputs:
            diff = net.blobs[name].diff  # not constant: a softmax of constants has no gradient
            diff.flat = np.resize(NUMBERS, diff.size)
    net.backward()


def fate(net):
    """What becomes of a net: `builds`, or what stops it, in words that are the same for others like it."""
    reasons = []
    for phase in PHASES:
        try:
            build(net, phase)
        except PycaffeError as error:
            reasons.append(_reason(str(error)))
    if len(reasons) < len(PHASES):
        return "builds" if not reasons else "builds in one phase"
    # A net may have no input in the phase that it is not for: then the other phase tells more.
    return min(reasons, key=lambda reason: reason.startswith("misses"))


def _reason(message):
    for pattern, words in {
        r"layer type '(\w+)'": "layer type {}",
        r"cannot import module": "a Python layer whose module is not there",
        r"bottom \d+ is blob .*which no layer": "misses a blob",
        r"unexpected '//'": "comments begin with //",
        r"unknown value (\w+) for '(\w+)'": "{1}: {0}",
        r"([\w.]+)(?:: \S+)? is not supported: in the forks": "field {}",
    }.items():
        if found := re.search(pattern, message):
            return words.format(*found.groups())
    return "layers do not fit together: " + message


def main():
    parser = argparse.ArgumentParser(description="What becomes of public nets.")
    parser.add_argument("names", nargs="*", help="only nets with one of these in their name")
    parser.add_argument("--run", action="store_true", help="run forward and backward")
    parser.add_argument("--limit", type=float, default=1000, help="megabytes that a run may take")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    nets = [net for net in wild_nets() if not options.names or any(n in net.name for n in options.names)]
    if options.run:
        _run_all(nets, options.limit)
        return
    fates = Counter()
    for net in nets:
        reason = fate(net)
        fates[reason] += 1
        print(f"{net.name} ({net.status}): {reason}")
    for reason, count in fates.most_common():
        print(f"{count:5} {reason}")


def _run_all(nets, limit):
    """Runs the nets, smallest first, and prints for each the memory it takes at most and its seconds."""
    runs = sorted((net.megabytes(phase), net.name, phase, net) for net in nets for phase in net.shapes)
    for megabytes, name, phase, net in runs:
        if megabytes > limit:
            print(f"{megabytes:8.0f} MB           {phase:5} {name}: not run")
            continue
        start = time.perf_counter()
        run(build(net, phase, backward=True))
        print(f"{megabytes:8.0f} MB {time.perf_counter() - start:8.2f} s {phase:5} {name}", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"{peak:8.0f} MB were in use at most")


if __name__ == "__main__":
    main()
