"""Messages in the numbers of forks."""

import pytest

from pycaffe_lite.errors import WeightsError
from pycaffe_lite.formats import caffemodel, wire
from pycaffe_lite.formats.forks import (
    BinaryNet,
    fork_for,
    fork_of,
    forks_with,
    read_net,
    to_fork,
    to_ours,
    write_net,
)
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse

LAYER = caffe_pb2.LayerParameter
BN = 'layer { name: "bn" type: "BN" bn_param { slope_filler { value: 1 } momentum: 0.5 frozen: true } }'
SEGNET_BN = 'layer { name: "bn" type: "BN" bn_param { shift_filler { value: 1 } bn_mode: INFERENCE } }'
ROI = 'layer { name: "roi" type: "ROIPooling" roi_pooling_param { pooled_h: 7 } }'
PRIOR = 'layer { name: "prior" type: "PriorBox" prior_box_param { min_size: 30 flip: false } }'
CTC = 'layer { name: "ctc" type: "CtcLoss" ctc_loss_param { time_step: 9 } }'
IP = 'layer { name: "ip" type: "InnerProduct" inner_product_param { num_output: 3 } }'


def net(*layers):
    return parse("\n".join(layers), caffe_pb2.NetParameter).message


def numbers(data):
    return [field.number for field in wire.fields(memoryview(data), 0, len(data))]


@pytest.mark.parametrize(
    ("text", "fork", "number"),
    [
        (BN, "PSPNet", 152),
        (BN, "TSN", 137),
        (SEGNET_BN, "SegNet", 45),
        (ROI, "R-FCN", 8266711),
        (PRIOR, "SSD", 203),
        (CTC, "warp-ctc", 200),
        (IP, "SSD", 117),
    ],
)
def test_there_and_back(text, fork, number):
    (layer,) = net(text).layer
    theirs = to_fork(layer.SerializeToString(), LAYER, fork)
    assert numbers(theirs) == [1, 2, number]
    assert LAYER.FromString(to_ours(theirs, LAYER, fork)) == layer


def test_fields_within_a_message_get_the_forks_numbers_too():
    (layer,) = net(SEGNET_BN).layer
    (inner,) = [
        bytes(data[field.start : field.end])
        for data in [memoryview(to_fork(layer.SerializeToString(), LAYER, "SegNet"))]
        for field in wire.fields(data, 0, len(data))
        if field.number == 45
    ]
    assert numbers(inner) == [2, 3]  # shift_filler, bn_mode


def test_without_a_fork_only_caffes_own_fields_are_read():
    (layer,) = net(CTC.replace("ctc_loss_param", "loss_weight: 2 ctc_loss_param")).layer
    read = LAYER.FromString(to_ours(layer.SerializeToString(), LAYER, None))
    assert (read.type, list(read.loss_weight), len(read.ListFields())) == ("CtcLoss", [2], 3)


def stored(fork, *layers):
    return [(layer.type, to_fork(layer.SerializeToString(), LAYER, fork)) for layer in net(*layers).layer]


def test_the_types_of_the_layers_tell_the_fork():
    assert fork_of(stored("PSPNet", IP, BN)) == "PSPNet"
    assert fork_of(stored("SSD", IP, PRIOR)) == "SSD"
    assert fork_of(stored("warp-ctc", CTC)) == "warp-ctc"  # 200 is AnnotatedData's in SSD
    assert fork_of(stored("SSD", IP)) is None


def test_the_fork_that_has_all_fields():
    assert fork_for(net(IP), None) is None
    assert fork_for(net(IP, PRIOR), None) == "SSD"
    assert fork_for(net(SEGNET_BN), None) == "SegNet"
    assert fork_for(net(BN), None) == "PSPNet"
    assert fork_for(net(BN), "TSN") == "TSN"
    assert "Intel" in forks_with(net(ROI, PRIOR))


def test_no_fork_has_all_fields():
    with pytest.raises(WeightsError) as raised:
        fork_for(net(CTC, IP, SEGNET_BN), None)
    assert str(raised.value) == (
        "no fork of Caffe has the fields of both layer 'bn' (BN) and layer 'ctc' (CtcLoss), and one number "
        "means different things in different forks: save the weights as HDF5 (in a solver, snapshot_format: "
        "HDF5)"
    )


def test_a_fork_that_was_asked_for_and_lacks_a_field():
    with pytest.raises(WeightsError) as raised:
        fork_for(net(IP, CTC), "SSD")
    assert str(raised.value) == (
        "layer 'ctc' (CtcLoss): SSD's Caffe has no 'ctc_loss_param' in LayerParameter, so this net cannot be "
        "written for it; these have: CC5.0, ChWick, CRNN, jolibrain, warp-ctc"
    )


def test_an_unknown_fork():
    with pytest.raises(WeightsError, match=r"^unknown fork 'ssd2' \(known: SSD, RefineDet, "):
        fork_for(net(PRIOR), "ssd2")


def test_a_file_is_written_for_a_fork_and_read_back(tmp_path):
    path = tmp_path / "x.caffemodel"
    message = net(BN, CTC.replace("CtcLoss", "InnerProduct").replace("ctc_loss_param { time_step: 9 }", ""))
    caffemodel.write(path, message, [[], []], fork="TSN")
    model = caffemodel.read(path)
    assert caffemodel.fork_of(model) == "TSN"
    assert caffemodel.layer_message(model["bn"], "TSN") == message.layer[0]
    assert not caffemodel.layer_message(model["bn"]).HasField("bn_param")


@pytest.mark.parametrize("fork", ["PSPNet", "TSN"])
def test_a_whole_net_is_read_and_written_in_the_numbers_of_its_fork(fork):
    message = net(IP, BN)
    content = write_net(BinaryNet(message, fork))
    assert content != message.SerializeToString()
    assert read_net(content) == BinaryNet(message, fork)


def test_what_the_schema_lacks_stays_in_a_net():
    unknown = wire.tag(9999, wire.LENGTH) + b"\x02hi"
    content = write_net(BinaryNet(net(BN), "TSN")) + unknown
    assert write_net(read_net(content)) == content
    plain = net(IP).SerializeToString() + unknown
    assert (read_net(plain).fork, write_net(read_net(plain))) == (None, plain)
