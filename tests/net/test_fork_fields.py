"""Fields of forks in a net: refused where they change a result, logged where they do not."""

import csv
from dataclasses import replace

import pytest

from pycaffe_lite.errors import LayerError, NetError
from pycaffe_lite.layer.registry import layer_types
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2, fork_fields
from pycaffe_lite.proto.caffe_pb2 import TEST, TRAIN
from pycaffe_lite.proto.prototxt import parse

INPUT = 'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }\n'
LABELS = 'layer { name: "lab" type: "Input" top: "t" input_param { shape { dim: 2 dim: 8 dim: 8 } } }\n'


def layer(layer_type, fields, name="l", bottom='bottom: "x"'):
    return f'layer {{ name: "{name}" type: "{layer_type}" {bottom} top: "{name}"\n {fields} }}\n'


@pytest.fixture
def build(tmp_path):
    """Builds a net of layers behind the input, read from a file; the log is of the library."""

    def build_net(*layers, phase=TRAIN):
        file = tmp_path / "n.prototxt"
        file.write_text(INPUT + "".join(layers))
        return Net(file, phase)

    return build_net


REFUSED = {
    "Convolution convolution_param { num_output: 2 kernel_size: 3 scale: 2 }": "convolution_param.scale: 2",
    "Pooling pooling_param { kernel_size: 3 torch_pooling: # floor\n 1 }": "pooling_param.torch_pooling: 1",
    "Pooling pooling_param { kernel_size: 3 pad_3d: [1, 1] }": "pooling_param.pad_3d",
    "BatchNorm batch_norm_param { disable_mean: t }": "batch_norm_param.disable_mean: t",
    "Convolution convolution_param { num_output: 2 kernel_size: 3 weight_filler { alpha: 2 } }": (
        "convolution_param.weight_filler.alpha: 2"
    ),
    "Softmax softmax_param { normalize_type: 'L2' }": "softmax_param.normalize_type: L2",
    "ReLU quantization_param { bw_layer_in: 8 }": "quantization_param",
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_field_that_changes_the_result_is_refused(build, tmp_path, text):
    layer_type, fields = text.split(" ", 1)
    for phase in (TRAIN, TEST):
        with pytest.raises(LayerError) as raised:
            build(layer(layer_type, fields), phase=phase)
        where = f"{tmp_path / 'n.prototxt'}:3: layer 'l' ({layer_type}): "
        assert str(raised.value).startswith(
            f"{where}{REFUSED[text]} is not supported: in the forks that have"
        )


def test_the_message_says_what_to_write_instead(build):
    with pytest.raises(LayerError) as raised:
        build(layer("Pooling", "pooling_param { kernel_size: 3 torch_pooling: true }"))
    assert str(raised.value).endswith(
        "layer 'l' (Pooling): pooling_param.torch_pooling: true is not supported: in the forks that have it "
        "(NVIDIA, caffe-jacinto) output sizes are rounded down; write round_mode: FLOOR, Caffe's own field "
        "for it"
    )


HARMLESS = {
    "BatchNorm batch_norm_param { disable_mean: False }": "false is what Caffe does",
    "BatchNorm batch_norm_param { engine: CUDNN }": "which code computes it",
    "Convolution convolution_param { num_output: 2 kernel_size: 3 scale: 1.0f }": "1 is what Caffe does",
    "Convolution convolution_param { num_output: 2 kernel_size: 3 conv_algorithm: 'winograd' }": "which code",
    "Softmax softmax_param { normalize_type: 'Softmax' }": "Softmax is what Caffe does",
    "ReLU forward_type: FLOAT16": "numbers are float32 here",
}


@pytest.mark.parametrize("text", HARMLESS)
def test_a_harmless_field_is_logged_once_with_its_reason(build, caplog, text):
    layer_type, fields = text.split(" ", 1)
    with caplog.at_level("INFO", "pycaffe_lite.proto"):
        build(layer(layer_type, fields), layer(layer_type, fields, "m"))
    (line,) = [record for record in caplog.records if " changes no result: " in record.getMessage()]
    assert line.levelname == "INFO"
    assert HARMLESS[text] in line.getMessage()
    assert line.getMessage().endswith(" (2 times)")


def test_a_field_that_nobody_knows_is_kept_and_warned_of(build, caplog):
    build(layer("Pooling", "pooling_param { kernel_size: 3 kernel_d: 3 }"))
    assert [r.getMessage().split(": ", 1)[1] for r in caplog.records if r.levelname == "WARNING"] == [
        "unknown field 'kernel_d' in PoolingParameter is ignored"
    ]


def test_what_a_layer_does_not_read_stops_nothing(build):
    build(layer("ReLU", "pooling_param { torch_pooling: true } bn_param { frozen: true }"))
    memory = "memory_data_param { batch_size: 1 channels: 1 height: 1 width: 1 } transform_param { pad: 3 }"
    build(layer("MemoryData", memory + ' top: "d"', bottom=""))
    build(layer("Pooling", "pooling_param { torch_pooling: true } include { phase: TRAIN }"), phase=TEST)


def test_a_data_layers_fields(build):
    transform = "transform_param { num_labels: 3 }"
    with pytest.raises(
        LayerError, match=r"layer 'l' \(Data\): transform_param.num_labels: 3 is not supported"
    ):
        build(layer("Data", f'data_param {{ source: "none" batch_size: 1 }} {transform}', bottom=""))
    with pytest.raises(
        LayerError, match=r"layer 'l' \(Data\): data_param.rand_permute: true is not supported"
    ):
        build(layer("Data", 'data_param { source: "none" batch_size: 1 rand_permute: true }', bottom=""))


INTELS = "batch_norm_param { use_weight_bias: true filler { value: 0 } stats_batch_size: 2 }"


@pytest.mark.parametrize("phase", [TRAIN, TEST])
def test_intels_batch_norm_leaves_scale_and_shift_to_a_scale_layer_behind_it(build, phase):
    norm = layer("BatchNorm", INTELS)
    scale = layer("Scale", "scale_param { bias_term: true }", "s", 'bottom: "l"')
    assert len(build(norm, phase=phase).params["l"]) == 5
    net = build(norm, scale, phase=phase)
    assert len(net.params["l"]) == 3
    assert net.layer_dict["l"].param.stats_batch_size == 2


def test_nvidias_batch_norm_scales_also_before_a_scale_layer(build):
    norm = layer("BatchNorm", "batch_norm_param { scale_bias: true }")
    scale = layer("Scale", "scale_param { bias_term: true }", "s", 'bottom: "l"')
    assert len(build(norm, scale).params["l"]) == 5


def test_the_nets_size_of_batch_norms_parts(build):
    net = build("bn_stats_batch_size: 1\n", layer("BatchNorm", "batch_norm_param { stats_batch_size: 2 }"))
    assert net.layer_dict["l"].param.stats_batch_size == 1


def test_a_field_of_the_net_itself(build, tmp_path):
    with pytest.raises(NetError) as raised:
        build("\nquantize: true\n")
    assert str(raised.value) == (
        f"{tmp_path / 'n.prototxt'}:3: quantize: true is not supported: in the forks that have it "
        "(caffe-jacinto) numbers are rounded to few bits; without the field, Caffe's own computation takes "
        "place"
    )


def test_old_layers(build, tmp_path):
    file = tmp_path / "old.prototxt"
    file.write_text(
        'input: "x" input_dim: 1 input_dim: 1 input_dim: 8 input_dim: 8\n'
        'layers { name: "p" type: POOLING bottom: "x" top: "y"\n'
        "pooling_param { kernel_size: 3 torch_pooling: true } }"
    )
    with pytest.raises(
        LayerError, match=r"old.prototxt:3: layer 'p' \(Pooling\): pooling_param.torch_pooling"
    ):
        Net(file, TEST)


def test_a_loss(build):
    weights = "loss_param { adaptive_weighting: %s }"
    loss = layer("SoftmaxWithLoss", weights % "true", bottom='bottom: "x" bottom: "t"')
    with pytest.raises(LayerError, match="adaptive_weighting: true is not supported"):
        build(LABELS, loss)
    assert build(LABELS, loss.replace("true", "false")).outputs == ["l"]


def test_a_net_without_a_file(build):
    text = INPUT + layer("Pooling", "pooling_param { kernel_size: 3 torch_pooling: true }")
    with pytest.raises(LayerError, match=r"^layer 'l' \(Pooling\): pooling_param.torch_pooling: true"):
        Net.from_document(parse(text, caffe_pb2.NetParameter))
    assert Net.from_document(replace(parse(text, caffe_pb2.NetParameter), unknown=())).outputs == ["l"]


def rows():
    with fork_fields.TABLE.open(newline="") as file:
        return list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]


def test_every_type_here_has_its_forks_fields_in_the_table():
    """Types for which forks are known to have fields; a type that is added has its row looked up here."""
    messages = {row[0] for row in rows()}
    read = {entry.param for entry in layer_types().values() if entry.param}
    fields = caffe_pb2.LayerParameter.DESCRIPTOR.fields_by_name
    known = {fields[name].message_type.name for name in read} & messages
    assert {"PoolingParameter", "BatchNormParameter", "ConvolutionParameter", "DataParameter"} <= known


def test_fields_of_a_message_that_an_upgrade_renames():
    """C3D's VIDEO_DATA has its fields in image_data_param, today's VideoData in video_data_param."""
    text = 'layers { name: "d" type: VIDEO_DATA top: "x" image_data_param { use_temporal_jitter: true } }'
    with pytest.raises(
        LayerError, match=r"layer 'd' \(VideoData\): video_data_param.use_temporal_jitter: true"
    ):
        Net.from_text(text, TRAIN)
