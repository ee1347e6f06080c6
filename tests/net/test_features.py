import pytest

from pycaffe_lite.errors import NetError
from pycaffe_lite.net.features import check_features, features
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2

TEXT = """
layer { name: "x" type: "DummyData" top: "x" dummy_data_param {
  shape { dim: 2 dim: 3 dim: 4 dim: 5 } data_filler { type: "uniform" } } }
layer { name: "flat" type: "Flatten" bottom: "x" top: "flat" }
layer { name: "sums" type: "Reduction" bottom: "x" top: "sums" reduction_param { axis: 1 } }
layer { name: "deep" type: "Reshape" bottom: "x" top: "deep"
        reshape_param { shape { dim: 2 dim: 3 dim: 2 dim: 2 dim: 5 } } }
"""


@pytest.fixture
def net():
    return Net.from_text(TEXT, caffe_pb2.TEST)


def test_records_are_datums_of_the_items(net):
    batches = 0
    for records in features(net, ["flat", "x", "sums"], 2):
        batches += 1
        for name, messages, shape in zip(
            ("flat", "x", "sums"), records, [(60, 1, 1), (3, 4, 5), (1, 1, 1)], strict=True
        ):
            assert len(messages) == 2
            for item, message in zip(net.blobs[name].data, messages, strict=True):
                datum = caffe_pb2.Datum.FromString(message)
                assert (datum.channels, datum.height, datum.width) == shape
                assert list(datum.float_data) == item.ravel().tolist()
                assert not datum.HasField("label")
    assert batches == 2


def test_each_pass_has_a_batch_of_its_own(net):
    first, second = features(net, ["x"], 2)
    assert first != second


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("y", "the net has no blob 'y'; it has x, "),
        ("deep", r"blob 'deep' has shape \(2, 3, 2, 2, 5\): records are of blobs of at most 4 axes"),
    ],
)
def test_blobs_that_cannot_become_records(net, name, says):
    check_features(net, ["x", "flat", "sums"])
    with pytest.raises(NetError, match=says):
        check_features(net, ["x", name])
