import numpy as np
import pytest
from layer_check import TEST, TRAIN, build_layer

from pycaffe_lite.data import detectnet
from pycaffe_lite.errors import LayerError
from pycaffe_lite.formats import binaryproto
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.random import RandomStream

RNG = np.random.default_rng(0)
PICTURES = (RNG.random((2, 3, 40, 64)) * 255).astype(np.float32)
BOXES = np.zeros((2, 1, 4, 16), np.float32)
BOXES[:, 0, 0, 1] = 16
BOXES[0, 0, 0, 0] = 2
BOXES[0, 0, 1, :6] = 5, 6, 30, 20, 0, 1
BOXES[0, 0, 2, :6] = 40, 2, 20, 30, 0, 7  # of a class that does not count
TRUTH = "stride: 8 image_size_x: 48 image_size_y: 32 object_class { src: 1 dst: 0 }"
LAYER = f"detectnet_groundtruth_param {{ {TRUTH} }}"


def rig(text=LAYER, phase=TRAIN, bottoms=(PICTURES, BOXES), seed=1):
    return build_layer(f'type: "DetectNetTransformation" {text}', bottoms, phase=phase, tops=2, seed=seed)


def test_in_training():
    text = LAYER + " transform_param { mean_value: [10, 20, 30] }"
    text += (
        " detectnet_augmentation_param { rotation_prob: 1 max_rotate_degree: 9 flip_prob: 0.5 shift_x: 5 }"
    )
    layer = rig(text)
    data, label = layer.forward()
    own = layer.layer.layer_param
    stream, grid = RandomStream(RandomStream(1).raw()), detectnet.Grid(own.detectnet_groundtruth_param)
    mean = np.array([10, 20, 30], np.float32).reshape(3, 1, 1)
    for n in range(2):
        changes = detectnet.draw_changes(own.detectnet_augmentation_param, (40, 64), (32, 48), stream)
        np.testing.assert_array_equal(data[n], detectnet.changed(PICTURES[n], changes, (32, 48), mean))
        boxes = BOXES[n, 0, 1 : 3 - 2 * n]
        carried = detectnet.carried(boxes[:, :4], changes, (40, 64))
        np.testing.assert_array_equal(label[n], grid.labels(carried, boxes[:, 5].astype(int)))
    assert label[0].any()
    assert not label[1].any()


def test_in_test():
    data, label = rig(phase=TEST).forward()
    assert data.shape == (2, 3, 32, 48)
    assert label.shape == (2, 9, 4, 6)
    left, top, right, bottom = 5 * 0.75, 6 * 0.8, 35 * 0.75, 26 * 0.8
    rows, columns = np.nonzero(label[0, 0])
    np.testing.assert_allclose(
        label[0, 1:5, rows[0], columns[0]],
        np.array([left, top, right, bottom]) - 8 * np.array([columns[0], rows[0]] * 2),
        rtol=1e-5,
    )


def test_mean_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mean = np.full((1, 3, 5, 7), 9, np.float32)
    binaryproto.write("mean.binaryproto", mean)
    data, _ = rig(LAYER + ' transform_param { mean_file: "mean.binaryproto" }', TEST).forward()
    np.testing.assert_allclose(data, rig(phase=TEST).forward()[0] - 9, atol=1e-2)


def test_goes_on_from_its_state():
    first, second = rig(), rig(seed=2)
    first.layer.forward(first.bottom, first.top)
    assert second.layer.set_state(first.layer.state()) == ""
    for _ in range(3):
        for one in (first, second):
            one.layer.forward(one.bottom, one.top)
        np.testing.assert_array_equal(first.top[0].data, second.top[0].data)
    assert second.layer.set_state(b"") == "its random changes start afresh"


def test_no_gradient():
    layer = rig()
    layer.forward()
    for diff in layer.backward([np.ones(blob.shape) for blob in layer.top])[0]:
        assert not diff.any()


def test_labels_are_of_the_net_s_size_before_there_are_boxes():
    text = """input: "data" input: "label" input_shape { dim: [1, 3, 20, 30] } input_shape { dim: 1 }
        layer { name: "t" type: "DetectNetTransformation" bottom: "data" bottom: "label"
                top: "a" top: "b" }"""
    net = Net.from_text(text, caffe_pb2.TEST)
    assert net.blobs["a"].shape == (1, 3, 384, 1248)
    assert net.blobs["b"].shape == (1, 9, 96, 312)


@pytest.mark.parametrize(
    ("text", "bottoms", "says"),
    [
        (
            "detectnet_groundtruth_param { stride: 0 }",
            None,
            "needs stride, image_size_x and image_size_y above 0",
        ),
        (LAYER, (PICTURES[:, :1], BOXES), "needs pictures of shape (N, 3, H, W), got (2, 1, 40, 64)"),
        (LAYER, (PICTURES, BOXES[:1]), "needs boxes of 2 pictures, got shape (1, 1, 4, 16)"),
        (LAYER, (PICTURES, BOXES * 2), "picture 0 of the batch has 4 rows of 32 in 64 values"),
        (LAYER, (PICTURES, np.zeros((2, 1))), "picture 0 of the batch has 0 rows of 0 in 1 values"),
        (LAYER + " transform_param { mean_value: [1, 2] }", None, "needs one mean_value, or 3, got 2"),
        (
            LAYER + ' transform_param { mean_value: 1 mean_file: "a" }',
            None,
            "has both mean_file and mean_value",
        ),
    ],
)
def test_errors(text, bottoms, says):
    with pytest.raises(LayerError) as raised:
        rig(text, bottoms=bottoms or (PICTURES, BOXES)).forward()
    assert says in str(raised.value)
