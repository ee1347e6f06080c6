"""detect: pictures in, boxes in pixels out; and their drawing."""

import numpy as np
import pytest
from PIL import Image

from pycaffe_lite import ArgumentError, DataError, Detection, FileLookupError, Net, detect
from pycaffe_lite.detections import draw_detections, read_names

# Two priors, whose scores come from the picture's first pixel: blue is that of class 1, green of class 2.
NET = """
name: "two"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 4 dim: 4 } } }
layer {
  name: "first" type: "Convolution" bottom: "data" top: "first"
  convolution_param { num_output: 6 kernel_size: 4 bias_term: false }
}
layer { name: "conf" type: "Flatten" bottom: "first" top: "conf" }
layer { name: "loc" type: "DummyData" top: "loc" dummy_data_param { shape { dim: 1 dim: 8 } } }
layer { name: "prior" type: "Parameter" top: "prior" parameter_param { shape { dim: 1 dim: 2 dim: 8 } } }
layer {
  name: "out" type: "DetectionOutput" bottom: "loc" bottom: "conf" bottom: "prior" top: "out"
  detection_output_param { num_classes: 3 confidence_threshold: 0 nms_param { nms_threshold: 0.9 } }
}
"""
INPUT = """
layer {{ name: "x" type: "Input" top: "x" input_param {{ shape {{ dim: 1 dim: {} dim: 4 dim: 4 }} }} }}
"""


@pytest.fixture
def net(tmp_path):
    """A net whose first prior gets the picture's blue, and the second its green, as scores."""
    (tmp_path / "net.prototxt").write_text(NET)
    net = Net(tmp_path / "net.prototxt", 1)
    weights = net.params["first"][0].data
    weights[...] = 0
    weights[1, 0, 0, 0] = weights[5, 1, 0, 0] = 1 / 255
    net.params["prior"][0].data[0, 0] = [0.1, 0.2, 0.5, 0.6, 0.5, 0, 2, 1]
    return net


def picture(blue=0, green=0, red=0, size=(20, 40)):
    return np.broadcast_to(np.array([red, green, blue], np.uint8), (*size, 3)).copy()


def test_boxes_in_pixels(net):
    found, none = detect(net, [picture(blue=51, green=204), picture(red=255)])
    assert [each.label for each in found] == [2, 1]
    assert [each.score for each in found] == pytest.approx([0.8, 0.2])
    assert found[0].box == (20, 0, 40, 20)  # clipped to the picture
    assert found[1].box == pytest.approx((4, 4, 20, 12))
    assert none == []


def test_threshold(net):
    (found,) = detect(net, [picture(blue=51, green=204)], threshold=0.5)
    assert [each.label for each in found] == [2]


def test_values(net):
    """(value · raw_scale / 255 − mean) · scale, with the channels in another order."""
    (found,) = detect(
        net, [picture(blue=255, red=255)], mean=[10, 0, 0], scale=2, raw_scale=100, channel_swap=(0, 2, 1)
    )
    scores = {each.label: each.score for each in found}
    assert scores == pytest.approx({1: (100 - 10) * 2 / 255, 2: 200 / 255})


def test_floats_and_files(net, tmp_path):
    pixels = picture(blue=51)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    wanted = detect(net, [pixels])
    assert detect(net, [tmp_path / "a.png"]) == detect(net, [str(tmp_path / "a.png")]) == wanted
    assert detect(net, [pixels / 255]) == wanted
    gray = np.full((20, 40), 51, np.uint8)
    assert [each.label for each in detect(net, [gray])[0]] == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"mean": [1, 2]}, "mean must be a number, 3 numbers or of shape (3, H, W), got (2, 1, 1)"),
        ({"channel_swap": (0, 0, 1)}, "channel_swap must be an order of 0, 1 and 2, got (0, 0, 1)"),
    ],
)
def test_arguments(net, arguments, says):
    with pytest.raises(ArgumentError) as raised:
        detect(net, [picture()], **arguments)
    assert str(raised.value) == says


def test_pictures(net, tmp_path):
    with pytest.raises(ArgumentError, match=r"^a picture for this net must be \(H, W, 3\), got \(4, 4, 2\)$"):
        detect(net, [np.zeros((4, 4, 2), np.uint8)])
    with pytest.raises(FileLookupError):
        detect(net, [tmp_path / "none.png"])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            INPUT.format(3),
            "net 'n' has no output of boxes, (1, 1, M, 7), but 'x' (1, 3, 4, 4): it must end with the layer "
            "that makes boxes of these, DetectionOutput or Yolov3DetectionOutput for instance",
        ),
        (  # a map of a detector's numbers, 7 wide by chance
            INPUT.format(3).replace("dim: 4", "dim: 7"),
            "net 'n' has no output of boxes, (1, 1, M, 7), but 'x' (1, 3, 7, 7): it must end with the layer "
            "that makes boxes of these, DetectionOutput or Yolov3DetectionOutput for instance",
        ),
        (
            'layer { name: "x" type: "DummyData" top: "x" dummy_data_param { shape { dim: 1 } } }',
            "net 'n' must have one input of pictures, (N, C, H, W), and at most im_info beside it, got none: "
            "use the prototxt for deployment",
        ),
        (
            INPUT.format(2),
            "input 'x' of net 'n' must have 1 or 3 channels, got shape (1, 2, 4, 4)",
        ),
    ],
)
def test_other_nets(tmp_path, text, says):
    (tmp_path / "net.prototxt").write_text(f'name: "n" {text}')
    with pytest.raises(ArgumentError) as raised:
        detect(Net(tmp_path / "net.prototxt", 1), [])
    assert str(raised.value) == says


def test_names(tmp_path):
    (tmp_path / "lines.txt").write_text("background\ncat\n")
    (tmp_path / "map.prototxt").write_text('item { name: "cat" label: 1 } item { name: "dog" label: 5 }')
    assert read_names(tmp_path / "lines.txt") == {0: "background", 1: "cat"}
    assert read_names(tmp_path / "map.prototxt") == {1: "cat", 5: "dog"}
    with pytest.raises(FileLookupError):
        read_names(tmp_path / "none")


def test_drawing(tmp_path):
    Image.fromarray(picture(blue=9, size=(60, 80))).save(tmp_path / "a.png")
    found = [Detection(1, 0.5, (10.0, 20.0, 50.0, 40.0))]
    draw_detections(tmp_path / "a.png", found, {1: "cat"}, tmp_path / "b.png")
    before, after = (np.asarray(Image.open(tmp_path / name)) for name in ("a.png", "b.png"))
    changed = (before != after).any(axis=2)
    assert changed[40, 10:51].all()
    assert changed[21:41, 50].all()
    assert not changed[41:].any()
    with pytest.raises(DataError):
        draw_detections(tmp_path / "a.png", found, {}, tmp_path / "none" / "b.png")
