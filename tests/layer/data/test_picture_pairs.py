"""DenseImageData against recorded batches, ImageSegData against loops.

`tests/fixtures/dense/` holds lists, pictures and nets, and for each net in `index.json` the batches `data@K`,
`label@K`.
"""

import json

import numpy as np
import pytest
from paths import FIXTURES
from PIL import Image

from pycaffe_lite import random
from pycaffe_lite.blob import Blob
from pycaffe_lite.errors import DataError, LayerError
from pycaffe_lite.layer.base import LayerContext
from pycaffe_lite.layer.registry import create_layer
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse
from pycaffe_lite.random import RandomStream

FOLDER = FIXTURES / "dense"
CASES = json.loads((FOLDER / "index.json").read_text())


@pytest.mark.parametrize("name", sorted(CASES))
def test_golden(name, monkeypatch):
    monkeypatch.chdir(FOLDER)
    net = Net(f"{name}.prototxt", 0)
    with np.load(f"{name}.npz") as golden:
        for k in range(CASES[name]["passes"]):
            net.forward()
            for blob in ("data", "label"):
                np.testing.assert_array_equal(net.blobs[blob].data, golden[f"{blob}@{k}"])


class Rig:
    def __init__(self, kind, own, transform="", phase=0, tops=2, seed=5):
        param = {"DenseImageData": "dense_image_data_param", "ImageSegData": "image_data_param"}[kind]
        text = f'name: "data" type: "{kind}" {param} {{ {own} }} transform_param {{ {transform} }}'
        message = parse(text, caffe_pb2.LayerParameter).message
        message.phase = phase
        random.set_random_seed(seed)
        self.layer = create_layer(message, LayerContext(dtype=np.dtype(np.float32)))
        self.top = [Blob() for _ in range(tops)]
        self.layer.set_up([], self.top)

    def forward(self):
        self.layer.reshape([], self.top)
        self.layer.forward([], self.top)
        return [blob.data.copy() for blob in self.top]


@pytest.fixture
def pairs(tmp_path, monkeypatch):
    """Three pictures, (6, 8, 3), and labels, (6, 8), with a list of them."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    made = []
    for i in range(3):
        pixels, labels = rng.integers(0, 256, (6, 8, 3), np.uint8), rng.integers(0, 5, (6, 8), np.uint8)
        Image.fromarray(pixels[..., ::-1]).save(f"{i}.png")
        Image.fromarray(labels).save(f"{i}_label.png")
        made.append((pixels, labels))
    (tmp_path / "list.txt").write_text("".join(f"{i}.png {i}_label.png\n" for i in range(3)))
    return made


SEG = 'source: "list.txt" batch_size: 2 label_type: PIXEL'


def test_whole_pictures(pairs):
    data, label, sizes = Rig("ImageSegData", SEG, "scale: 2 mean_value: 10", tops=3).forward()
    for n in range(2):
        np.testing.assert_array_equal(data[n], (pairs[n][0].transpose(2, 0, 1).astype(np.float32) - 10) * 2)
        np.testing.assert_array_equal(label[n, 0], pairs[n][1])
    assert sizes.tolist() == [[[[6, 8]]], [[[6, 8]]]]


def test_mirrored_and_cropped_alike(pairs):
    rig = Rig("ImageSegData", SEG, "mirror: true crop_height: 4 crop_width: 5", tops=3)
    draws = RandomStream(RandomStream(5).raw_array(2)[1].item())
    for k in range(3):
        data, label, sizes = rig.forward()
        assert sizes.tolist() == [[[[4, 5]]], [[[4, 5]]]]
        for n in range(2):
            pixels, labels = pairs[(2 * k + n) % 3]
            mirror, y, x = draws.raw_array(3)
            step = -1 if mirror % 2 else 1
            part = slice(y % 3, y % 3 + 4), slice(x % 4, x % 4 + 5)
            np.testing.assert_array_equal(label[n, 0], labels[:, ::step][part])
            np.testing.assert_array_equal(data[n], pixels[:, ::step][part].transpose(2, 0, 1))


def test_padded_up_to_the_crop(pairs):
    own = SEG + " ignore_label: 7"
    data, label = Rig("ImageSegData", own, "crop_size: 8 mean_value: [1, 2, 3]", phase=1).forward()
    assert data.shape == (2, 3, 8, 8)
    np.testing.assert_array_equal(label[0, 0, :6], pairs[0][1])
    assert (label[0, 0, 6:] == 7).all()
    assert not data[0, :, 6:].any()  # the mean, less the mean


def test_scaled(pairs):
    own = SEG.replace("batch_size: 2", "batch_size: 1")
    rig = Rig("ImageSegData", own, "scale_factors: 0.5 scale_factors: 2")
    shapes = {rig.forward()[1].shape for _ in range(12)}
    assert shapes == {(1, 1, 3, 4), (1, 1, 12, 16)}
    _data, label = Rig("ImageSegData", SEG, "scale_factors: 2").forward()
    np.testing.assert_array_equal(label[0, 0], pairs[0][1].repeat(2, axis=0).repeat(2, axis=1))


@pytest.mark.parametrize(("kind", "line", "value"), [("IMAGE", "0.png 3", 3), ("NONE", "0.png", 255)])
def test_labels_without_pictures(pairs, kind, line, value, tmp_path):
    (tmp_path / "one.txt").write_text(line)
    own = f'source: "one.txt" batch_size: 1 label_type: {kind}'
    assert (Rig("ImageSegData", own).forward()[1] == np.full((1, 1, 6, 8), value)).all()


@pytest.mark.parametrize("kind", ["ImageSegData", "DenseImageData"])
def test_resumed(pairs, kind):
    own = SEG.replace("label_type: PIXEL", "") if kind == "DenseImageData" else SEG
    transform = "" if kind == "DenseImageData" else "mirror: true crop_size: 4"
    rig = Rig(kind, own + " shuffle: true", transform)
    rig.forward()
    state = rig.layer.state()
    wanted = [rig.forward() for _ in range(4)]
    other = Rig(kind, own + " shuffle: true", transform, seed=99)
    assert other.layer.set_state(state) == ""
    for batch in wanted:
        for again, values in zip(other.forward(), batch, strict=True):
            np.testing.assert_array_equal(again, values)


def test_new_sizes(pairs):
    own = 'source: "list.txt" batch_size: 3 new_height: 12 new_width: 16 shuffle: true rand_skip: 2'
    data, label = Rig("DenseImageData", own).forward()
    assert data.shape == (3, 3, 12, 16)
    assert set(np.unique(label)) <= set(range(5))


@pytest.mark.parametrize(
    ("kind", "own", "transform", "says"),
    [
        (
            "DenseImageData",
            "batch_size: 1",
            "mirror: true",
            "mirror is not supported, as in the fork: use a layer ",
        ),
        (
            "DenseImageData",
            "batch_size: 1",
            "crop_size: 4",
            "crop_size is not supported, as in the fork: use a ",
        ),
        ("DenseImageData", "", "", "needs a batch_size > 0"),
        (
            "ImageSegData",
            "batch_size: 1 new_width: 3",
            "",
            "needs both new_height and new_width above 0, or ",
        ),
        (
            "ImageSegData",
            "batch_size: 1",
            'mean_file: "m"',
            "needs mean_value instead of transform_param.mean_file",
        ),
        (
            "ImageSegData",
            "batch_size: 1",
            "crop_width: 3",
            "needs both crop_height and crop_width, got 0 and 3",
        ),
        ("ImageSegData", "batch_size: 1", "scale_factors: 0", "needs scale_factors above 0, got 0"),
        (
            "ImageSegData",
            "batch_size: 1 ignore_label: 300",
            "",
            "needs an ignore_label from 0 to 255, got 300",
        ),
        (
            "ImageSegData",
            "batch_size: 1",
            "",
            "line 1 of 'list.txt' has no number behind the picture: '0_label.png'",
        ),
    ],
)
def test_errors(pairs, kind, own, transform, says):
    with pytest.raises((LayerError, DataError)) as raised:
        Rig(kind, f'source: "list.txt" {own}', transform)
    assert f"layer 'data' ({kind}): {says}" in str(raised.value)


def test_labels_of_another_size(pairs, tmp_path):
    Image.fromarray(np.zeros((4, 4), np.uint8)).save("0_label.png")
    with pytest.raises(DataError) as raised:
        Rig("ImageSegData", SEG)
    assert str(raised.value).endswith(
        "line 1 of 'list.txt': '0.png' is 6 x 8, its labels '0_label.png' are 4 x 4: make both of one size"
    )
