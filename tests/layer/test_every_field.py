"""Nothing in a prototxt is parsed and forgotten: every parameter of every layer type shows.

Each field of the messages that a type reads is set to something other than its default, and what the layer
does is compared with what it does without: its shapes, values and gradients, what it raises, what it logs.

A type needs a row here only where it cannot be set up with `BOTTOM` as each of its bottoms and no parameters.
A field needs a value of its own only where the one that `other_values` thinks of shows nothing.
"""

import logging
import re
import shutil
import sys

import numpy as np
import pytest
from google.protobuf import text_format
from layer_check import build_layer
from paths import FIXTURES
from PIL import Image

from pycaffe_lite.errors import PycaffeError
from pycaffe_lite.fillers import filler_types
from pycaffe_lite.formats import binaryproto
from pycaffe_lite.layer import engine
from pycaffe_lite.layer.registry import layer_types
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.text_fields import fields_of

DATA = FIXTURES
NUMBERS = np.random.default_rng(0)
BOTTOM = NUMBERS.standard_normal((2, 4, 5, 5)).astype(np.float32)
IMAGE = BOTTOM
ROW = BOTTOM[:, :, 0, 0]
SCORES = NUMBERS.standard_normal((6, 3))
LABELS = np.array([0, 1, 2, 0, 1, 2.0])
PIXEL_LABELS = NUMBERS.integers(0, 4, (2, 5, 5))
SEQUENCE, CONT = NUMBERS.standard_normal((3, 2, 4)), np.array([[0, 0], [1, 1], [1, 0.0]])
FILL = '{ type: "uniform" min: -1 }'

CONVOLUTION = f"num_output: 4 kernel_size: 2 weight_filler {FILL}"
CONVOLUTION_2D = f"num_output: 4 kernel_h: 2 kernel_w: 2 stride_h: 1 stride_w: 1 weight_filler {FILL}"
POOLING_2D = "kernel_h: 2 kernel_w: 2 stride_h: 2 stride_w: 2 pad_h: 0 pad_w: 0"
RECURRENT = f"num_output: 2 weight_filler {FILL}"
LMDB = 'source: "mnist_200_lmdb" backend: LMDB batch_size: 8'
PICTURES = 'source: "list.txt" batch_size: 4'
WINDOWS = 'source: "windows.txt" batch_size: 6 fg_fraction: 0.5'
DUMMY_4D = "num: 1 channels: 1 height: 1 width: 1"
MEMORY = "batch_size: 2 channels: 3 height: 4 width: 5"

# Type → bottoms, its own parameters, number of tops (None: the least); several where fields exclude others.
ROWS = {
    "Accuracy": [([SCORES, LABELS], "", None)],
    "Clip": [([BOTTOM], "min: -0.5 max: 0.5", None)],
    "Concat": [([BOTTOM, BOTTOM], "", None)],
    "ContrastiveLoss": [([SCORES, SCORES + 0.1, LABELS], "", None)],
    "Convolution": [([IMAGE], CONVOLUTION, None), ([IMAGE], CONVOLUTION_2D, None)],
    "Crop": [([IMAGE, IMAGE[:, :3, :3, :3]], "", None)],
    "AnnotatedData": [([], 'label_map_file: "map"', 2), ([], "yolo_data_type: 1 yolo_data_jitter: 0.2", 2)],
    "Data": [([], LMDB, 2)],
    "Deconvolution": [([IMAGE], CONVOLUTION, None), ([IMAGE], CONVOLUTION_2D, None)],
    "DenseImageData": [([], 'source: "pairs.txt" batch_size: 3', 2)],
    "DummyData": [([], "shape { dim: 2 }", 1), ([], DUMMY_4D, 1)],
    "Eltwise": [
        ([ROW, ROW * [0, 1, 1, 1]], text, None) for text in ("", "operation: PROD stable_prod_grad: true")
    ],
    "Embed": [([LABELS], f"num_output: 2 input_dim: 3 weight_filler {FILL}", None)],
    "HingeLoss": [([SCORES, LABELS], "", None)],
    "Im2col": [([IMAGE], "kernel_size: 2", None), ([IMAGE], "kernel_h: 2 kernel_w: 2", None)],
    "ImageData": [([], PICTURES, 2), ([], PICTURES + " min_height: 30 min_width: 31", 2)],
    "ImageSegData": [([], 'source: "pairs.txt" batch_size: 3 label_type: PIXEL', 3)],
    "InfogainLoss": [([SCORES, LABELS], 'source: "H.binaryproto"', None)],
    "InnerProduct": [([ROW], f"num_output: 2 weight_filler {FILL}", None)],
    "Input": [([], "shape { dim: 2 }", 1)],
    "LSTM": [([SEQUENCE, CONT], RECURRENT, None)],
    "Log": [([np.abs(BOTTOM)], "", None)],
    "MemoryData": [([], MEMORY, 2)],
    "Parameter": [([], "shape { dim: 2 }", 1)],
    "Pooling": [([IMAGE], "kernel_size: 2 stride: 2", None), ([IMAGE], POOLING_2D, None)],
    "Python": [([BOTTOM], 'module: "every_field_module" layer: "Double"', 1)],
    "RNN": [([SEQUENCE, CONT], RECURRENT, None)],
    "Reshape": [([BOTTOM], "shape { dim: [2, -1] }", None)],
    "Scale": [([BOTTOM], "bias_term: true", None)],
    "SPP": [([IMAGE], "pyramid_height: 2", None)],
    "SigmoidCrossEntropyLoss": [([IMAGE, PIXEL_LABELS[:, None].repeat(4, 1) % 2], "", None)],
    "Slice": [([BOTTOM], "", 2)],
    "SoftmaxWithLoss": [([IMAGE, PIXEL_LABELS], "", None)],
    "Tile": [([BOTTOM], "tiles: 2", None)],
    "WindowData": [([], WINDOWS, 2)],
}
# What a type needs of other messages.
NEEDS = {
    "WindowData": {"transform_param": "crop_size: 4"},
    "AnnotatedData": {"data_param": 'source: "annotated_raw_lmdb" backend: LMDB batch_size: 2'},
}
# Values that show, where those that `other_values` finds do not.
VALUES = {
    ("ConvolutionParameter", "kernel_size"): ["3"],
    ("ConvolutionParameter", "stride_h"): ["2"],
    ("ConvolutionParameter", "stride_w"): ["2"],
    ("DataParameter", "backend"): ["LEVELDB"],
    ("DataParameter", "prefetch"): ["0"],
    ("EltwiseParameter", "coeff"): ["[2, 3]"],
    ("ExpParameter", "base"): ["2"],
    ("FlattenParameter", "end_axis"): ["2"],
    ("AnnotatedDataParameter", "anno_type"): ["BBOX"],
    ("AnnotatedDataParameter", "yolo_data_type"): ["0"],
    ("ImageDataParameter", "min_height"): ["40"],
    ("LogParameter", "base"): ["2"],
    ("PoolingParameter", "stride"): ["3"],
    ("PythonParameter", "layer"): ['"Triple"'],
    ("ScaleParameter", "bias_term"): ["false"],
    ("SliceParameter", "slice_point"): ["1"],
    ("TransformationParameter", "crop_size"): ["8"],
    ("WindowDataParameter", "bg_threshold"): ["0.05"],
    ("WindowDataParameter", "fg_fraction"): ["1"],
}
MODULE = """
import pycaffe_lite

class Double(pycaffe_lite.Layer):
    factor = 2

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.factor * bottom[0].data + len(self.param_str)

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = self.factor * top[0].diff

class Triple(Double):
    factor = 3
"""


def fields():
    """(type, the field of LayerParameter, the field of its message) of everything that is to show."""
    for name, entry in layer_types().items():
        for param in (entry.param, *entry.layer_class.also_reads):
            if param is not None:
                message = getattr(caffe_pb2.LayerParameter(), param)
                yield from ((name, param, field.name) for field in message.DESCRIPTOR.fields)


def other_values(message, name):
    """Texts of values that are not the field's default."""
    if values := VALUES.get((message.DESCRIPTOR.name, name)):
        return values
    field, descriptor = fields_of(message.DESCRIPTOR).by_name[name], message.DESCRIPTOR.fields_by_name[name]
    if field.kind == "message":
        return [
            '{ type: "constant" value: 3 }'
            if descriptor.message_type.name == "FillerParameter"
            else "{ dim: 5 }"
        ]
    if field.kind == "bool":
        return (
            ["true", "false"]
            if not descriptor.has_default_value
            else [str(not descriptor.default_value).lower()]
        )
    if field.kind == "enum":
        return [value for value, number in field.values.items() if number != descriptor.default_value]
    if field.kind == "string":
        return ['"other"']
    if field.repeated:
        return ["2"]
    return [str(descriptor.default_value + (1 if field.kind == "int" else 0.25))]


FIELDS = list(fields())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory: databases, matrices, a module."""
    for name in ("mnist_200_lmdb", "mean.binaryproto"):
        source = DATA / "db" / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    for name in ("one.png", "two.png"):
        pixels = NUMBERS.integers(0, 256, (28, 28, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
    (tmp_path / "list.txt").write_text("one.png 3\ntwo.png 5\n")
    (tmp_path / "pairs.txt").write_text("one.png two.png\ntwo.png one.png\n")
    shutil.copytree(DATA / "annotated" / "annotated_raw_lmdb", tmp_path / "annotated_raw_lmdb")
    (tmp_path / "windows.txt").write_text(
        "# 0 one.png 3 28 28 4  1 0.9 2 3 20 25  2 0.6 5 5 9 9  0 0.1 0 0 12 13  0 0.4 20 20 26 25\n"
    )
    for name, matrix in {"H": np.eye(3), "other": np.ones((3, 3))}.items():
        binaryproto.write(tmp_path / f"{name}.binaryproto", matrix[None, None])
    (tmp_path / "every_field_module.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "every_field_module", raising=False)
    return tmp_path


@pytest.fixture
def watch(folder, caplog):
    """watch(prototxt, bottoms, tops): all that a layer shows."""

    def run(prototxt, bottoms, tops):
        engine._said.clear()
        caplog.clear()
        with caplog.at_level(logging.INFO):
            shown = list(show(prototxt, bottoms, tops))
        return [
            *shown,
            [record.getMessage() for record in caplog.records if record.threadName == "MainThread"],
        ]

    return run


def show(prototxt, bottoms, tops):
    """Runs a layer forward and backward: shapes, values, gradients, and the error with which it ends."""
    try:
        rig = build_layer(prototxt, bottoms, tops=tops)
        yield [blob.shape for blob in (*rig.top, *rig.layer.blobs)]
        if rig.layer.type == "MemoryData":
            rig.layer.reset(np.arange(120.0).reshape(2, 3, 4, 5), [0, 1])
        yield rig.forward()
        yield rig.forward()
        yield [blob.data.copy() for blob in rig.layer.blobs]
        yield rig.backward([np.ones(blob.shape) for blob in rig.top])
    except PycaffeError as error:
        yield str(error)


def same(a, b):
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and np.array_equal(a, b, equal_nan=True)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(type(x) is type(y) and same(x, y) for x, y in zip(a, b, strict=True))
    return a == b


def with_field(text, message_class, name, value):
    """The text of a message with one field set to another value."""
    message = message_class()
    text_format.Parse(text, message)
    message.ClearField(name)
    colon = "" if value.startswith("{") else ":"
    return f"{text_format.MessageToString(message, as_one_line=True)} {name}{colon} {value}"


@pytest.mark.parametrize(("layer_type", "param", "name"), FIELDS, ids=[f"{t}-{f}" for t, _, f in FIELDS])
def test_shows(layer_type, param, name, watch):
    entry = layer_types()[layer_type]
    message = getattr(caffe_pb2.LayerParameter(), param)
    bottoms = [BOTTOM] * (entry.layer_class.exact_bottoms or entry.layer_class.min_bottoms or 0)
    rows = ROWS.get(layer_type, [(bottoms, "", None)])
    bottoms, own, tops = next((row for row in rows if re.search(rf"\b{name}\b", row[1])), rows[0])
    head = f'type: "{layer_type}" ' + (f"{entry.param} {{ {own} }} " if own else "")
    needs = NEEDS.get(layer_type, {})
    bare = head
    head += " ".join(f"{other} {{ {text} }}" for other, text in needs.items())
    before = watch(head, bottoms, tops)
    assert not isinstance(before[0], str), before[0]
    for value in other_values(message, name):
        if param == entry.param:
            text = f'type: "{layer_type}" {param} {{ {with_field(own, type(message), name, value)} }}'
            text += head.removeprefix(bare)
        elif param in needs:
            text = f"{bare} {param} {{ {with_field(needs[param], type(message), name, value)} }}"
        else:
            text = f"{head} {param} {{ {name}: {value} }}"
        if not same(watch(text, bottoms, tops), before):
            return
    pytest.fail(f"{param}.{name} of {layer_type} is parsed and forgotten")


@pytest.mark.parametrize("filler", filler_types())
@pytest.mark.parametrize("name", [field.name for field in caffe_pb2.FillerParameter.DESCRIPTOR.fields])
def test_fillers(filler, name, watch):
    def layer(text):
        param = f"num_output: 2 kernel_size: 3 weight_filler {{ {text} }}"
        return f'type: "Convolution" convolution_param {{ {param} }}'

    own = f'type: "{filler}"'
    before = watch(layer(own), [IMAGE], None)
    assert not isinstance(before[0], str), before[0]
    (value,) = other_values(caffe_pb2.FillerParameter(), name)[:1]
    text = with_field(own, caffe_pb2.FillerParameter, name, value)
    assert not same(watch(layer(text), [IMAGE], None), before)
