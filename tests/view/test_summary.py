"""Nets in numbers, and what is suspicious in them."""

import pytest
from paths import ROOT

from pycaffe_lite import TEST, TRAIN
from pycaffe_lite.data.lmdb_writer import write_lmdb
from pycaffe_lite.errors import ArgumentError, NetError
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.view.shaped import shaped_net
from pycaffe_lite.view.summary import summarize

DATA = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 4 dim: 4 } } }
layer { name: "t" type: "Input" top: "t" input_param { shape { dim: 2 } } }
"""
IP = """
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param { num_output: 5 } %s }
"""
LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "%s" bottom: "t" top: "loss" }\n'


@pytest.fixture
def summary(tmp_path):
    def summarized(text, phase=TRAIN, **options):
        path = tmp_path / "net.prototxt"
        path.write_text(text)
        return summarize(shaped_net(path, phase, **options))

    return summarized


def test_lenet():
    summary = summarize(shaped_net(f"{ROOT}/models/lenet/lenet.prototxt", TEST))
    assert summary.params == 431_080
    conv1 = summary.layers[1]
    assert (conv1.name, conv1.bottoms, conv1.tops) == ("conv1", ["data"], ["conv1"])
    assert conv1.shapes == [(64, 20, 24, 24)]
    assert conv1.multiply_adds == 64 * 20 * 24 * 24 * 25
    assert summary.multiply_adds == sum(layer.multiply_adds for layer in summary.layers)
    assert summary.forward_memory == sum(layer.memory for layer in summary.layers)
    assert not summary.warnings


def test_googlenet():
    summary = summarize(shaped_net(f"{ROOT}/models/googlenet/googlenet.prototxt", TEST))
    assert summary.params == 6_998_552
    assert summary.multiply_adds == pytest.approx(1.58e9, rel=0.01)
    readers = [layer.name for layer in summary.layers if "pool2/3x3_s2" in layer.bottoms]
    assert len(readers) == 4  # of the blob, whose copies have names of their own in the net
    assert not any(layer.type == "Split" for layer in summary.layers)
    assert not summary.warnings


def test_memory(summary):
    """The tops have 96, 2, 10 and 1 values; the weights 240 + 5; ip and the loss have a gradient."""
    made = summary(DATA + IP % "" + LOSS % "ip")
    assert [layer.memory for layer in made.layers[:3]] == [4 * 96, 4 * 2, 4 * (10 + 245)]
    assert made.training_memory - made.forward_memory == 4 * (10 + 1 + 2 * 245)


def test_layers_in_place_and_copies_take_no_memory(summary):
    relu = 'layer { name: "r" type: "ReLU" bottom: "x" top: "x" }\n'
    copies = (
        'layer { name: "a" type: "Flatten" bottom: "x" top: "a" }\n'
        'layer { name: "b" type: "Flatten" bottom: "x" top: "b" }'
    )
    assert [layer.memory for layer in summary(DATA + relu + copies).layers[2:]] == [0, 0, 0]


@pytest.mark.parametrize(
    ("layers", "phase", "expected"),
    [
        (
            IP % "" + LOSS % "ip" + 'layer { name: "s" type: "Softmax" bottom: "ip" top: "p" }',
            TRAIN,
            "No layer reads blob 'p', which layer 's' makes; a Silence layer says that it is meant to be so.",
        ),
        (
            'layer { name: "s" type: "Reduction" bottom: "x" top: "s" reduction_param { axis: 1 } }\n'
            'layer { name: "loss" type: "EuclideanLoss" bottom: "s" bottom: "t" top: "loss" }',
            TRAIN,
            "Layer 'loss' (EuclideanLoss) is a loss without a backward path: no learnable blob gets a "
            "gradient from it.",
        ),
        (
            IP % "param { lr_mult: 0 } param { lr_mult: 0 }"
            + IP.replace('"ip"', '"jp"').replace('"x"', '"ip"') % ""
            + LOSS % "jp",
            TRAIN,
            "Layer 'ip' (InnerProduct) learns nothing: lr_mult is 0 for all its learnable blobs.",
        ),
        (
            IP % ""
            + 'layer { name: "s" type: "Softmax" bottom: "ip" top: "p" }\n'
            + 'layer { name: "f" type: "Flatten" bottom: "p" top: "f" }\n'
            + LOSS % "f",
            TRAIN,
            "Layer 'loss' (SoftmaxWithLoss) computes a softmax of its own, and reads that of layer 's': "
            "give it the scores before that layer.",
        ),
        (
            'layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param { num_output: 5 '
            "kernel_size: 3 dilation: 2 pad: 2 } }",
            TEST,
            "Layer 'c' (Convolution) has a kernel that reaches over 5x5, more than its input of 4x4.",
        ),
        (
            'layer { name: "p" type: "Pooling" bottom: "x" top: "p" '
            "pooling_param { kernel_size: 5 pad: 1 } }",
            TEST,
            "Layer 'p' (Pooling) has a kernel that reaches over 5x5, more than its input of 4x4.",
        ),
        (
            'layer { name: "b" type: "BatchNorm" bottom: "x" top: "b" '
            "batch_norm_param { use_global_stats: false } }",
            TEST,
            "Layer 'b' (BatchNorm) has use_global_stats: false in phase TEST: it normalises by the batch at "
            "hand, not by what it has learnt.",
        ),
    ],
)
def test_warnings(summary, layers, phase, expected):
    warnings = [w for w in summary(DATA + layers, phase).warnings if "blob 't'" not in w]
    assert warnings == [expected]


def test_data_that_nobody_reads(summary):
    assert summary(DATA + IP % "", TEST).warnings == [
        "No layer reads blob 't', which layer 't' makes; a Silence layer says that it is meant to be so."
    ]


def test_nothing_is_suspicious_in_a_common_net(summary):
    scale = 'layer { name: "bn" type: "BatchNorm" bottom: "x" top: "x" }\n'
    accuracy = 'layer { name: "a" type: "Accuracy" bottom: "ip" bottom: "t" top: "a" }\n'
    for phase in (TRAIN, TEST):
        assert summary(DATA + scale + IP % "" + accuracy + LOSS % "ip", phase).warnings == []


def test_nvidias_batch_norm_has_no_say_in_its_statistics(summary):
    norm = """
    layer { name: "bn" type: "BatchNorm" bottom: "x" top: "x"
      batch_norm_param { scale_filler { type: "constant" value: 1 } } }
    """
    assert summary(DATA + norm + IP % "" + LOSS % "ip", TEST).warnings == []


DATABASE = """
layer {
  name: "d" type: "Data" top: "x" top: "t" data_param { source: "%s" batch_size: 4 backend: LMDB }
  transform_param { %s }
}
"""


def test_a_batch_that_does_not_divide_the_set(summary, tmp_path):
    datum = caffe_pb2.Datum(channels=1, height=2, width=2, data=bytes(4)).SerializeToString()
    write_lmdb(tmp_path / "db", [(f"{i}".encode(), datum) for i in range(10)])
    made = summary(DATABASE % ("db", "") + IP % "" + LOSS % "ip")
    assert made.layers[0].shapes == [(4, 1, 2, 2), (4,)]
    given = summary(DATABASE % ("db", "") + IP % "", shapes={"x": (6, 3, 5, 5)})
    assert given.layers[0].shapes == [(6, 3, 5, 5), (6,)]
    assert given.remarks == [
        "The data of layer 'd' (Data) is not read: blob 't' is taken to have the shape 6; "
        "--shape t=N,... says otherwise."
    ]
    assert made.warnings == [
        "Layer 'd' (Data) reads 10 items in batches of 4: 2 are left over, so that batches reach into the "
        "next round."
    ]


def test_a_data_set_that_is_not_there(summary):
    net = DATABASE % ("none", "crop_size: 6") + IP % "" + LOSS % "ip"
    made = summary(net)
    assert (made.layers[0].type, made.layers[0].shapes) == ("Data", [(4, 3, 6, 6), (4,)])
    assert made.remarks[0] == (
        "The data of layer 'd' (Data) is not there: blob 'x' is taken to have the shape 4x3x6x6; "
        "--shape x=N,... says otherwise."
    )
    assert summary(net.replace("crop", "force_gray: true crop")).layers[0].shapes[0] == (4, 1, 6, 6)
    made = summary(net, shapes={"x": (8, 2, 5, 5)})
    assert made.layers[0].shapes == [(8, 2, 5, 5), (8,)]
    with pytest.raises(
        NetError, match=r"net\.prototxt:2: layer 'd' \(Data\): its source 'none' is not there"
    ):
        summary(DATABASE % ("none", "") + IP % "" + LOSS % "ip")


PICTURES = "transform_param { crop_size: 12 } %s { source: 'none' batch_size: 2 %s }"


@pytest.mark.parametrize(
    ("type", "fields", "shapes"),
    [
        (
            "AnnotatedData",
            "data_param { source: 'none' batch_size: 2 } transform_param { "
            "resize_param { prob: 1 resize_mode: WARP height: 30 width: 20 } }",
            [(2, 3, 30, 20), (1, 1, 1, 8)],
        ),
        (
            "AnnotatedData",
            PICTURES % ("data_param", "") + "annotated_data_param { yolo_data_type: 1 }",
            [(2, 3, 12, 12), (2, 1, 300, 5)],
        ),
        (
            "DenseImageData",
            "dense_image_data_param { source: 'none' batch_size: 2 new_height: 6 new_width: 8 }",
            [(2, 3, 6, 8), (2, 1, 6, 8)],
        ),
        ("ImageLabelmapData", PICTURES % ("image_data_param", "is_color: false"), [(2, 1, 12, 12)] * 2),
        (
            "ImageSegData",
            "image_data_param { source: 'none' batch_size: 2 } "
            "transform_param { crop_height: 6 crop_width: 8 }",
            [(2, 3, 6, 8), (2, 1, 6, 8)],
        ),
        (
            "VideoData",
            PICTURES % ("video_data_param", "num_segments: 3 new_length: 5 modality: FLOW"),
            [(2, 30, 12, 12), (2, 1, 1, 1)],
        ),
        ("VideoData", PICTURES % ("video_data_param", "new_length: 16"), [(2, 3, 16, 12, 12), (2,)]),
        (
            "DetectionData",
            "detection_data_param { source: 'none' batch_size: 2 crop_height: 32 crop_width: 64 stride: 8 }",
            [(2, 3, 32, 64), (2, 6, 4, 8)],
        ),
        (
            "EvalData",
            "eval_data_param { source: 'none' batch_size: 2 resize_height: 32 resize_width: 64 }",
            [(2, 3, 32, 64), (1, 8, 1, 1)],
        ),
    ],
)
def test_data_of_forks_that_is_not_there(summary, type, fields, shapes):
    made = summary(f'layer {{ name: "d" type: "{type}" top: "x" top: "t" {fields} }}')
    assert (made.layers[0].type, made.layers[0].shapes) == (type, shapes)
    assert len(made.remarks) == 2


def test_a_layer_that_cannot_be_made_without_its_data(summary):
    """One of Python's, or of a type that nobody knows, stands where the shapes of all its tops are given."""
    for type in ("Python", "TokenizedData"):
        layer = f'layer {{ name: "d" type: "{type}" top: "x" top: "t" }}'
        made = summary(layer + IP % "", shapes={"x": (4, 6), "t": (4,)})
        assert (made.layers[0].type, made.layers[0].shapes) == (type, [(4, 6), (4,)])
        with pytest.raises(ArgumentError, match="give the shapes of all its tops, or of none"):
            summary(layer + IP % "", shapes={"x": (4, 6)})


def test_a_net_of_the_other_phase(summary):
    net = DATA.replace('type: "Input"', 'type: "Input" include { phase: TEST }')
    with pytest.raises(NetError, match=r"has no layers in phase TRAIN; with --phase TEST it has 2"):
        summary(net, phase=TRAIN)


def test_given_shapes(summary):
    assert summary(DATA + IP % "", shapes={"x": (1, 2, 3)}).layers[0].shapes == [(1, 2, 3)]
    with pytest.raises(ArgumentError, match="makes a blob 'y'; blobs of such layers: 'x', 't'"):
        summary(DATA, shapes={"y": (1,)})
    with pytest.raises(ArgumentError, match="blob 'ip' is the top of a layer of type InnerProduct"):
        summary(DATA + IP % "", shapes={"ip": (1,)})


def test_no_value_is_drawn(summary):
    """A filler that cannot fill is of no interest here: the shapes count."""
    gaussian = 'weight_filler { type: "gaussian" std: 1 }'
    text = DATA + IP.replace("num_output", f"{gaussian} num_output") % ""
    assert summary(text).layers[2].params == 245
