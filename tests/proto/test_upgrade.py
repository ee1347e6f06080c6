"""Nets and solvers of older formats become what Caffe makes of them."""

import logging
from pathlib import Path

import pytest

from pycaffe_lite.errors import PrototxtError
from pycaffe_lite.proto import caffe_pb2, upgrade
from pycaffe_lite.proto.prototxt import UnknownField, parse, read_net, read_solver


def net(text: str, *, strict: bool = True) -> caffe_pb2.NetParameter:
    return parse(text, caffe_pb2.NetParameter, strict=strict).message


def upgraded(text: str, *, strict: bool = True) -> caffe_pb2.NetParameter:
    message = net(text, strict=strict)
    assert upgrade.net_needs_upgrade(message)
    assert upgrade.upgrade_net(message)
    assert not upgrade.net_needs_upgrade(message)
    return message


def write(tmp_path, monkeypatch, text: str, name="net.prototxt") -> str:
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(text)
    return name


def said(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records]


PRESENT = 'name: "n" layer { name: "bn" type: "BatchNorm" param { lr_mult: 1 } } input_dim: 3'


def test_present_net_is_left_alone(caplog):
    caplog.set_level(logging.INFO)
    message = net(PRESENT)
    assert not upgrade.net_needs_upgrade(message)
    assert upgrade.upgrade_net(message)
    assert message == net(PRESENT)
    assert said(caplog) == []


# Input fields --------------------------------------------------------------------------------------


def test_input_dim():
    assert upgraded(
        'input: "data" input: "rois" input_dim: [1, 3, 8, 9, 5, 4, 1, 1, 7] layer { name: "a" }'
    ) == net(
        'layer { name: "input" type: "Input" top: "data" top: "rois"'
        "  input_param { shape { dim: [1, 3, 8, 9] } shape { dim: [5, 4, 1, 1] } } }"
        'layer { name: "a" }'
    )


def test_input_shape_goes_before_input_dim():
    assert upgraded('input: "x" input_shape { dim: 2 dim: 3 } input_dim: 9 layer { name: "a" }') == net(
        'layer { name: "input" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }'
        'layer { name: "a" }'
    )


def test_input_without_shape_as_in_old_weights():
    assert upgraded('input: "data" layer { name: "a" }') == net('layer { name: "a" }')


@pytest.mark.parametrize(
    ("shape", "what"),
    [
        ("input_dim: [1, 3, 8]", "2 input need 8 input_dim, got 3"),
        ("input_shape { dim: 1 }", "2 input need 2 input_shape, got 1"),
    ],
)
def test_input_with_too_few_shapes(tmp_path, monkeypatch, shape, what):
    path = write(tmp_path, monkeypatch, f'{shape}\n  input: "a" input: "b"\n')
    with pytest.raises(PrototxtError) as error:
        read_net(path)
    assert str(error.value) == f'net.prototxt:2:3: {what} — "  input: "a" input: "b""'
    with pytest.raises(PrototxtError) as error:
        upgrade.upgrade_net(net(Path(path).read_text()), "the net")
    assert str(error.value) == f"the net: {what}"


def test_lines_of_a_net_with_input_fields(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    text = 'name: "n"\ninput: "data"\ninput_dim: [1, 1, 2, 2]\nlayer {\n  forked: 1\n  name: "a"\n}\n'
    document = read_net(write(tmp_path, monkeypatch, text))
    assert document.lines == {
        ("name",): 1,
        ("layer", 0): 2,
        ("input_dim", 0): 3,
        ("input_dim", 1): 3,
        ("input_dim", 2): 3,
        ("input_dim", 3): 3,
        ("layer", 1): 4,
        ("layer", 1, "name"): 6,
    }
    assert document.unknown == (UnknownField(("layer", 1), "LayerParameter", "forked", "forked: 1", 5, 3),)
    assert said(caplog) == [
        "net.prototxt:5: unknown field 'forked' in LayerParameter is ignored",
        "net.prototxt: made an Input layer of the net's 'input' fields",
    ]


# BatchNorm ------------------------------------------------------------------------------------------


def test_three_multipliers_of_batch_norm(caplog):
    caplog.set_level(logging.INFO)
    three = "param { lr_mult: 1 decay_mult: 2 } param { lr_mult: 0 decay_mult: 0 name: 'v' } param { }"
    zeros = (
        "param { lr_mult: 0 decay_mult: 0 } param { lr_mult: 0 decay_mult: 0 name: 'v' }"
        "param { lr_mult: 0 decay_mult: 0 }"
    )
    other = f"layer {{ type: 'Convolution' {three} }} layer {{ type: 'BatchNorm' param {{ }} param {{ }} }}"
    assert upgraded(f"layer {{ name: 'bn' type: 'BatchNorm' {three} }} {other}") == net(
        f"layer {{ name: 'bn' type: 'BatchNorm' {zeros} }} {other}"
    )
    assert said(caplog) == ["net: set the multipliers of BatchNorm layer 'bn' to 0"]


# V1 ---------------------------------------------------------------------------------------------------


def test_v1_layers_of_c3d():
    message = upgraded(
        "layers { name: 'd' type: VIDEO_DATA top: 'x' image_data_param {"
        "  source: 's' batch_size: 2 new_length: 16 use_image: true crop_size: 3 mirror: true } }"
        "layers { name: 'c' type: CONVOLUTION3D bottom: 'x' top: 'y' blobs_lr: 1 convolution_param {"
        "  num_output: 4 kernel_size: 3 kernel_depth: 2 pad: 1 temporal_pad: 1 temporal_stride: 2"
        "  weight_filler { std: 0.5 } } }"
        "layers { type: POOLING3D bottom: 'y' top: 'z'"
        "  pooling_param { pool: AVE kernel_size: 2 kernel_depth: 1 stride: 2 } }"
        "layers { type: POOLING3D bottom: 'z' }",
        strict=False,
    )
    assert message == net(
        "layer { name: 'd' type: 'VideoData' top: 'x' transform_param { crop_size: 3 mirror: true }"
        "  video_data_param { source: 's' batch_size: 2 new_length: 16 use_image: true } }"
        "layer { name: 'c' type: 'Convolution3D' bottom: 'x' top: 'y' param { lr_mult: 1 }"
        "  convolution3d_param { num_output: 4 kernel_size: 3 kernel_depth: 2 pad: 1 temporal_pad: 1"
        "    temporal_stride: 2 weight_filler { std: 0.5 } } }"
        "layer { type: 'Pooling3D' bottom: 'y' top: 'z'"
        "  pooling3d_param { pool: AVE kernel_size: 2 kernel_depth: 1 stride: 2 } }"
        "layer { type: 'Pooling3D' bottom: 'z' pooling3d_param {} }",
        strict=False,
    )


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("kernel_h: 3", "layer 'c' (Convolution3D) has no convolution_param.kernel_h: remove it"),
        ("stride: [1, 2]", "layer 'c' (Convolution3D) takes one convolution_param.stride, got 2"),
    ],
)
def test_v1_layer_of_c3d_that_makes_no_sense(field, message):
    with pytest.raises(PrototxtError) as error:
        upgraded(f"layers {{ name: 'c' type: CONVOLUTION3D convolution_param {{ {field} }} }}", strict=False)
    assert str(error.value) == f"net: {message}"


def test_v1_layer():
    common = """
        bottom: "a" bottom: "b" top: "c" name: "l" include { phase: TRAIN } exclude { min_level: 1 }
        blobs { num: 2 data: [1, 2] } loss_weight: 3 loss_weight: 4
        convolution_param { num_output: 5 pad: [6, 7] } loss_param { ignore_label: 8 }
        transform_param { scale: 9 }
    """
    assert upgraded(
        'name: "n" state { level: 2 } debug_info: true input_dim: 4 layers { type: CONVOLUTION'
        ' param: "w" param: "" param: "extra" blob_share_mode: PERMISSIVE blob_share_mode: STRICT'
        f" blobs_lr: 1 blobs_lr: 2 weight_decay: 3 weight_decay: 0 {common} }}"
    ) == net(
        'name: "n" state { level: 2 } debug_info: true input_dim: 4 layer { type: "Convolution"'
        ' param { name: "w" share_mode: PERMISSIVE lr_mult: 1 decay_mult: 3 }'
        ' param { name: "" share_mode: STRICT lr_mult: 2 decay_mult: 0 }'
        f' param {{ name: "extra" }} {common} }}'
    )


def test_v1_types():
    words = caffe_pb2.V1LayerParameter.LayerType.keys()
    text = "".join(f"layers {{ type: {word} crop_param {{ }} }}" for word in words) + "layers { }"
    message = upgraded(text, strict=False)
    types = {word: layer.type for word, layer in zip([*words, "unset"], message.layer, strict=True)}
    assert types == {
        "NONE": "", "ABSVAL": "AbsVal", "ACCURACY": "Accuracy", "ARGMAX": "ArgMax", "BNLL": "BNLL",
        "CONCAT": "Concat", "CONTRASTIVE_LOSS": "ContrastiveLoss", "CONVOLUTION": "Convolution",
        "DATA": "Data", "DECONVOLUTION": "Deconvolution", "DROPOUT": "Dropout", "DUMMY_DATA": "DummyData",
        "EUCLIDEAN_LOSS": "EuclideanLoss", "ELTWISE": "Eltwise", "EXP": "Exp", "FLATTEN": "Flatten",
        "HDF5_DATA": "HDF5Data", "HDF5_OUTPUT": "HDF5Output", "HINGE_LOSS": "HingeLoss", "IM2COL": "Im2col",
        "IMAGE_DATA": "ImageData", "INFOGAIN_LOSS": "InfogainLoss", "INNER_PRODUCT": "InnerProduct",
        "LRN": "LRN", "MEMORY_DATA": "MemoryData", "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss",
        "MVN": "MVN", "POOLING": "Pooling", "POWER": "Power", "RELU": "ReLU", "SIGMOID": "Sigmoid",
        "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss", "SILENCE": "Silence", "SOFTMAX": "Softmax",
        "SOFTMAX_LOSS": "SoftmaxWithLoss", "SPLIT": "Split", "SLICE": "Slice", "TANH": "TanH",
        "WINDOW_DATA": "WindowData", "THRESHOLD": "Threshold", "unset": "",
        # Those of forks.
        "CROP": "Crop", "UNPOOLING": "Unpooling", "MULTI_STAGE_MEANFIELD": "MultiStageMeanfield", "BN": "BN",
        "INTERP": "Interp", "SEG_ACCURACY": "SegAccuracy", "UPSAMPLE": "Upsample", "PRELU": "PReLU",
        "ROI_POOLING": "ROIPooling", "SMOOTH_L1_LOSS": "SmoothL1Loss", "DENSE_CRF": "DenseCRF",
        "CORRELATION": "Correlation", "DOWNSAMPLE": "Downsample", "L1_LOSS": "L1Loss", "RESHAPE": "Reshape",
        "CONVOLUTION3D": "Convolution3D", "POOLING3D": "Pooling3D", "VIDEO_DATA": "VideoData",
    }  # fmt: skip
    assert not message.layer[-1].HasField("type")


def test_transformations_of_v1_data_layers(caplog):
    caplog.set_level(logging.INFO)
    own = "scale: 0.5 mean_file: 'm' crop_size: 7 mirror: true"
    assert upgraded(
        f"layers {{ type: DATA data_param {{ source: 's' {own} }} }}"
        f"layers {{ type: IMAGE_DATA image_data_param {{ {own} }} transform_param {{ scale: 2 }} }}"
        "layers { type: WINDOW_DATA window_data_param { mirror: true } }"
        f"layers {{ type: RELU data_param {{ {own} }} }}"
    ) == net(
        f"layer {{ type: 'Data' data_param {{ source: 's' }} transform_param {{ {own} }} }}"
        f"layer {{ type: 'ImageData' image_data_param {{ }} transform_param {{ {own} }} }}"
        "layer { type: 'WindowData' window_data_param { } transform_param { mirror: true } }"
        f"layer {{ type: 'ReLU' data_param {{ {own} }} }}"
    )
    assert said(caplog) == [
        "net: moved transformations of data layers to their transform_param",
        "net: upgraded V1 layers ('layers') to the present format ('layer')",
    ]


def test_transformations_of_present_layers_stay():
    message = net("layer { type: 'Data' data_param { scale: 2 } }")
    assert not upgrade.net_needs_upgrade(message)
    upgrade.upgrade_net(message)
    assert message == net("layer { type: 'Data' data_param { scale: 2 } }")


def test_layer_and_layers(tmp_path, monkeypatch):
    path = write(tmp_path, monkeypatch, "layer { }\n layers { }\n")
    with pytest.raises(PrototxtError) as error:
        read_net(path)
    assert str(error.value) == (
        "net.prototxt:2:2: a net has either 'layer' or 'layers' (of the old V1 format), not both "
        '— " layers { }"'
    )


def test_lines_of_v1_layers(tmp_path, monkeypatch):
    text = 'input: "x"\ninput_dim: [1, 1, 1, 1]\nlayers {\n  relu_param { slope: 1 }\n}\nlayers {\n}\n'
    document = read_net(write(tmp_path, monkeypatch, text))
    assert [document.line_of(("layer", i)) for i in range(4)] == [1, 3, 6, None]
    assert document.line_of(("layer", 1, "relu_param")) == 4
    assert document.unknown == (
        UnknownField(("layer", 1, "relu_param"), "ReLUParameter", "slope", "slope: 1", 4, 16),
    )


# V0 ---------------------------------------------------------------------------------------------------


def test_v0_net(caplog):
    caplog.set_level(logging.INFO)
    message = upgraded(
        """
        name: "n" input: "x" input_dim: [1, 3, 8, 8] force_backward: true debug_info: true
        layers {
          layer { name: "c" type: "conv" num_output: 4 biasterm: false pad: 1 kernelsize: 3 stride: 2 group: 1
                  weight_filler { type: "xavier" } bias_filler { value: 5 }
                  blobs { num: 1 } blobs_lr: 1 blobs_lr: 2 weight_decay: 3 weight_decay: 0 }
          bottom: "x" top: "c"
        }
        layers { layer { name: "p" type: "pool" pool: STOCHASTIC kernelsize: 2 stride: 2 pad: 1 }
                 bottom: "c" top: "p" }
        layers { layer { name: "d" type: "dropout" dropout_ratio: 0.25 } bottom: "p" top: "p" }
        layers { layer { name: "lrn" type: "lrn" local_size: 3 alpha: 2 beta: 3 k: 4 } bottom: "p" top: "q" }
        layers { layer { name: "cat" type: "concat" concat_dim: 0 } bottom: "p" bottom: "q" top: "r" }
        layers { layer { name: "ip" type: "innerproduct" num_output: 9 biasterm: true
                         weight_filler { } bias_filler { } } bottom: "r" top: "ip" }
        layers { layer { name: "info" type: "infogain_loss" source: "h" } bottom: "ip" top: "loss" }
        layers { layer { name: "out" type: "hdf5_output" hdf5_output_param { file_name: "f" } } bottom: "ip" }
        """
    )
    assert message == net(
        """
        name: "n" force_backward: true
        layer { name: "input" type: "Input" top: "x" input_param { shape { dim: [1, 3, 8, 8] } } }
        layer { name: "c" type: "Convolution" bottom: "x" top: "c"
                convolution_param { num_output: 4 bias_term: false pad: 1 kernel_size: 3 stride: 2 group: 1
                                    weight_filler { type: "xavier" } bias_filler { value: 5 } }
                blobs { num: 1 } param { lr_mult: 1 decay_mult: 3 } param { lr_mult: 2 decay_mult: 0 } }
        layer { name: "p" type: "Pooling" bottom: "c" top: "p"
                pooling_param { pool: STOCHASTIC kernel_size: 2 stride: 2 pad: 1 } }
        layer { name: "d" type: "Dropout" bottom: "p" top: "p" dropout_param { dropout_ratio: 0.25 } }
        layer { name: "lrn" type: "LRN" bottom: "p" top: "q"
                lrn_param { local_size: 3 alpha: 2 beta: 3 k: 4 } }
        layer { name: "cat" type: "Concat" bottom: "p" bottom: "q" top: "r" concat_param { concat_dim: 0 } }
        layer { name: "ip" type: "InnerProduct" bottom: "r" top: "ip"
                inner_product_param { num_output: 9 bias_term: true weight_filler { } bias_filler { } } }
        layer { name: "info" type: "InfogainLoss" bottom: "ip" top: "loss"
                infogain_loss_param { source: "h" } }
        layer { name: "out" type: "HDF5Output" bottom: "ip" hdf5_output_param { file_name: "f" } }
        """
    )
    assert said(caplog) == [
        "net: a net of V0 layers keeps nothing of debug_info",
        "net: upgraded from V0 to V1 layers",
        "net: upgraded V1 layers ('layers') to the present format ('layer')",
        "net: made an Input layer of the net's 'input' fields",
    ]


def test_v0_data_layers():
    transforms = "scale: 0.5 meanfile: 'm' cropsize: 7 mirror: true"
    moved = "transform_param { scale: 0.5 mean_file: 'm' crop_size: 7 mirror: true }"
    images = "rand_skip: 5 shuffle_images: true new_height: 6 new_width: 7"
    windows = (
        "det_fg_threshold: 0.1 det_bg_threshold: 0.2 det_fg_fraction: 0.3 det_context_pad: 4 "
        "det_crop_mode: 'square'"
    )
    assert upgraded(
        f"layers {{ layer {{ type: 'data' source: 's' batchsize: 3 rand_skip: 4 {transforms} }} }}"
        f"layers {{ layer {{ type: 'images' source: 's' batchsize: 3 {images} }} }}"
        f"layers {{ layer {{ type: 'window_data' source: 's' batchsize: 3 {windows} }} }}"
        "layers { layer { type: 'hdf5_data' source: 's' batchsize: 3 } }"
        f"layers {{ layer {{ type: 'relu' {transforms} }} }}"
    ) == net(
        f"layer {{ type: 'Data' data_param {{ source: 's' batch_size: 3 rand_skip: 4 }} {moved} }}"
        "layer { type: 'ImageData' image_data_param { source: 's' batch_size: 3 rand_skip: 5 shuffle: true"
        "  new_height: 6 new_width: 7 } }"
        "layer { type: 'WindowData' window_data_param { source: 's' batch_size: 3"
        f"  {windows.replace('det_', '')} }} }}"
        "layer { type: 'HDF5Data' hdf5_data_param { source: 's' batch_size: 3 } }"
        f"layer {{ type: 'ReLU' {moved} }}"
    )


def test_v0_types():
    types = [
        "accuracy", "bnll", "concat", "conv", "data", "dropout", "euclidean_loss", "flatten", "hdf5_data",
        "hdf5_output", "im2col", "images", "infogain_loss", "innerproduct", "lrn",
        "multinomial_logistic_loss", "pool", "relu", "sigmoid", "softmax", "softmax_loss", "split", "tanh",
        "window_data",
    ]  # fmt: skip
    message = upgraded("".join(f"layers {{ layer {{ type: '{name}' }} }}" for name in types))
    assert [layer.type for layer in message.layer] == [
        "Accuracy", "BNLL", "Concat", "Convolution", "Data", "Dropout", "EuclideanLoss", "Flatten",
        "HDF5Data", "HDF5Output", "Im2col", "ImageData", "InfogainLoss", "InnerProduct", "LRN",
        "MultinomialLogisticLoss", "Pooling", "ReLU", "Sigmoid", "Softmax", "SoftmaxWithLoss", "Split",
        "TanH", "WindowData",
    ]  # fmt: skip


def test_v0_fields_of_other_types_are_dropped(caplog):
    message = net("layers { layer { name: 'r' type: 'relu' stride: 2 new_num: 3 } }")
    assert not upgrade.upgrade_net(message, "old.prototxt")
    assert message == net("layer { name: 'r' type: 'ReLU' }")
    assert said(caplog) == ["old.prototxt: V0 layer 'r' of type 'relu' takes no stride: dropped"]


def test_v1_layer_among_v0_layers(caplog):
    message = upgraded("layers { layer { type: 'relu' } } layers { name: 'l' type: RELU top: 't' }")
    assert message == net("layer { type: 'ReLU' } layer { top: 't' }")
    assert said(caplog) == ["net: of layers[1], no V0 layer, only bottoms and tops are kept"]


PADDED = """input: "x" input_dim: [1, 1, 4, 4]
layers { layer { name: "pad" type: "padding" pad: 2 } bottom: "x" top: "px" }
layers { layer { name: "c" type: "conv" pad: 1 } bottom: "px" top: "c" }
layers { layer { name: "pad2" type: "padding" pad: 3 } bottom: "c" top: "pc" }
layers { layer { name: "p" type: "pool" kernal: 2 } bottom: "pc" top: "p" }
"""


def test_v0_padding_layers_are_folded(tmp_path, monkeypatch):
    document = read_net(write(tmp_path, monkeypatch, PADDED))
    assert document.message == net(
        'layer { name: "input" type: "Input" top: "x" input_param { shape { dim: [1, 1, 4, 4] } } }'
        'layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param { pad: 2 } }'
        'layer { name: "p" type: "Pooling" bottom: "c" top: "p" pooling_param { pad: 3 } }'
    )
    assert [document.line_of(("layer", i)) for i in range(4)] == [1, 3, 5, None]
    assert document.line_of(("layer", 1, "name")) == 3
    assert document.unknown == (UnknownField(("layer", 2), "V0LayerParameter", "kernal", "kernal: 2", 5, 41),)


PADDING = "layers { layer { name: 'pad' type: 'padding' } bottom: 'x' top: 'y' }"
V0_ERRORS = {
    "layers { layer { name: 'a' type: 'data' } top: 'x' }\nlayers { layer { name: 'b' } bottom: 'y' }": (
        "2:1: no layer before 'b' makes 'y' — \"layers { layer { name: 'b' } bottom: 'y' }\""
    ),
    "layers { layer { name: 'a' type: 'permute' } }": (
        "1:1: unknown type 'permute' of V0 layer 'a' (known: accuracy, bnll, concat, conv, data, dropout, "
        "euclidean_loss, flatten, hdf5_data, hdf5_output, im2col, images, infogain_loss, innerproduct, lrn, "
        "multinomial_logistic_loss, pool, relu, sigmoid, softmax, softmax_loss, split, tanh, window_data) "
        "— \"layers { layer { name: 'a' type: 'permute' } }\""
    ),
    f"input: 'x' {PADDING}\nlayers {{ layer {{ name: 'r' type: 'relu' }} bottom: 'y' }}": (
        "2:1: padding layer 'pad' must be followed by conv or pool with one bottom, not by 'r' (relu) with 1 "
        "— \"layers { layer { name: 'r' type: 'relu' } bottom: 'y' }\""
    ),
    f"input: 'x' {PADDING}\nlayers {{ layer {{ name: 'r' type: 'conv' }} bottom: 'x' bottom: 'y' }}": (
        "2:1: padding layer 'pad' must be followed by conv or pool with one bottom, not by 'r' (conv) with 2 "
        "— \"layers { layer { name: 'r' type: 'conv' } bottom: 'x' bottom: 'y' }\""
    ),
    f"input: 'x' {PADDING.replace('bottom', 'top')}\nlayers {{ layer {{ type: 'conv' }} bottom: 'y' }}": (
        "2:1: padding layer 'pad' must have one bottom and one top, got 0 and 2 "
        "— \"layers { layer { type: 'conv' } bottom: 'y' }\""
    ),
    "layers { layer { name: 'd' type: 'images' new_width: -2 } top: 'x' }": (
        "1:1: V0 layer 'd' has new_width -2, which must not be negative "
        "— \"layers { layer { name: 'd' type: 'images' new_width: -2 } top: 'x' }\""
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", V0_ERRORS)
def test_v0_net_that_makes_no_sense(tmp_path, monkeypatch, text):
    with pytest.raises(PrototxtError) as error:
        read_net(write(tmp_path, monkeypatch, text))
    assert str(error.value) == f"net.prototxt:{V0_ERRORS[text]}"


# Solvers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SGD", "SGD"),
        ("NESTEROV", "Nesterov"),
        ("ADAGRAD", "AdaGrad"),
        ("RMSPROP", "RMSProp"),
        ("ADADELTA", "AdaDelta"),
        ("ADAM", "Adam"),
        ("0", "SGD"),
    ],
)
def test_solver_type(tmp_path, monkeypatch, caplog, old, new):
    caplog.set_level(logging.INFO)
    path = write(tmp_path, monkeypatch, f"solver_type: {old} snapshot_prefix: 'p'", "s.prototxt")
    document = read_solver(path)
    assert document.message == caffe_pb2.SolverParameter(type=new, snapshot_prefix="p")
    assert not upgrade.solver_needs_upgrade(document.message)
    assert said(caplog) == [f"s.prototxt: upgraded 'solver_type' to type '{new}'"]


def test_solver_type_and_type(tmp_path, monkeypatch):
    path = write(tmp_path, monkeypatch, "type: 'SGD'\nsolver_type: SGD\n", "s.prototxt")
    with pytest.raises(PrototxtError) as error:
        read_solver(path)
    assert str(error.value) == (
        "s.prototxt:2:1: a solver has either 'type' or the old 'solver_type', not both — \"solver_type: SGD\""
    )


def test_nets_inside_a_solver_are_not_upgraded(tmp_path, monkeypatch):
    text = "net_param { input: 'x' layers { type: RELU } } snapshot_prefix: 'p'"
    message = read_solver(write(tmp_path, monkeypatch, text, "s.prototxt")).message
    assert message == parse(text, caffe_pb2.SolverParameter).message


@pytest.mark.parametrize(
    ("given", "path", "prefix"),
    [
        (None, "lenet_solver.prototxt", "lenet_solver"),
        (None, "models/my.solver.prototxt", "models/my.solver"),
        (None, "/abs/solver", "/abs/solver"),
        ("snaps/lenet", "models/s.prototxt", "snaps/lenet"),
        ("snaps", "models/s.prototxt", "snaps/s"),
        ("snaps/", "models/s.prototxt", "snaps/s"),
        ("", "models/s.prototxt", ""),
    ],
)
def test_snapshot_prefix(tmp_path, monkeypatch, given, path, prefix):
    monkeypatch.chdir(tmp_path)
    Path("snaps").mkdir()
    solver = caffe_pb2.SolverParameter(snapshot_prefix=given)
    upgrade.complete_snapshot_prefix(solver, path)
    assert solver == caffe_pb2.SolverParameter(snapshot_prefix=prefix)
