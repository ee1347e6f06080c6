from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.view import shaped


def test_labels_follow_from_data_whose_shape_is_given(tmp_path, monkeypatch):
    """Also where the database is there: its own batch size is not the one that was asked for."""
    monkeypatch.setattr(shaped, "data_is_missing", lambda param, file: False)
    net = tmp_path / "net.prototxt"
    net.write_text(
        'layer { name: "d" type: "Data" top: "data" top: "label" data_param { source: "db" batch_size: 7 } }'
    )
    blobs = shaped.shaped_net(net, caffe_pb2.TEST, shapes={"data": (2, 3, 4, 5)}).net.blobs
    assert (blobs["data"].shape, blobs["label"].shape) == ((2, 3, 4, 5), (2,))
