"""DenseImageData against recorded batches, ImageSegData, ImageLabelmapData and SegData against loops.

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
from pycaffe_lite.data import image, resizing
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
        own_params = {"DenseImageData": "dense_image_data_param", "SegData": "seg_data_param"}
        param = own_params.get(kind, "image_data_param")
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


LABELMAP = 'source: "list.txt" batch_size: 2'


@pytest.fixture
def edges(pairs):
    """As `pairs`, with labels from 0 to 255."""
    made = []
    for i, (pixels, _) in enumerate(pairs):
        labels = np.random.default_rng(i).integers(0, 256, (6, 8), np.uint8)
        labels[0, :2] = 127, 128
        Image.fromarray(labels).save(f"{i}_label.png")
        made.append((pixels, labels))
    return made


@pytest.mark.parametrize("phase", [0, 1])
@pytest.mark.parametrize("normalize", [True, False])
def test_labelmaps(edges, phase, normalize):
    own = LABELMAP + ("" if normalize else " normalize: false") + " shuffle: true"
    rig = Rig("ImageLabelmapData", own, "mirror: true crop_size: 5 mean_value: 9", phase)
    main = RandomStream(5)
    main.raw()
    order, shuffler = [0, 1, 2], RandomStream(main.raw())
    shuffler.shuffle(order)
    draws, left = RandomStream(main.raw()), list(order)
    for _ in range(3):
        data, label = rig.forward()
        for n in range(2):
            pixels, labels = edges[left.pop(0)]
            if not left:
                shuffler.shuffle(order)
                left = list(order)
            mirror, y, x = draws.raw() % 2, draws.raw() % 2, draws.raw() % 4
            part = slice(y, y + 5), slice(x, x + 5)
            wanted = (labels >= 128) * 1 if normalize else labels
            step = -1 if mirror else 1
            np.testing.assert_array_equal(label[n, 0], wanted[part][:, ::step])
            np.testing.assert_array_equal(data[n], pixels[part][:, ::step].transpose(2, 0, 1) - 9.0)


def test_labelmaps_of_another_size(edges):
    data, label = Rig("ImageLabelmapData", LABELMAP + " new_height: 3 new_width: 4").forward()
    assert (data.shape, label.shape) == ((2, 3, 3, 4), (2, 1, 3, 4))
    means = edges[0][1].reshape(3, 2, 4, 2).astype(int).sum(axis=(1, 3))
    np.testing.assert_array_equal(label[0, 0], (means + 2) // 4 >= 128)


@pytest.mark.parametrize("bounds", ["", "upper_size: 4", "upper_height: 2 upper_width: 6", "upper_width: 1"])
@pytest.mark.parametrize("mirror", [True, False])
def test_crops_of_strides(pairs, bounds, mirror):
    transform = f"scale_ratios: 0.6 scale_ratios: 1.9 stride: 2 mean_value: [1, 2, 3] scale: 2 {bounds}"
    rig = Rig("SegData", 'source: "list.txt" shuffle: true', transform + " mirror: true" * mirror, phase=1)
    order = [0, 1, 2]
    RandomStream(17).shuffle(order)
    draws = RandomStream(RandomStream(5).raw_array(2)[1].item())
    for n in order:
        data, label = rig.forward()
        pixels, labels = pairs[n]
        flips = mirror and draws.raw() % 2
        factor = np.float32(draws.raw() % 1300 / 1000 + 0.6)
        H, W = int(6 * factor + 0.5), int(8 * factor + 0.5)
        h, w = H // 2 * 2, W // 2 * 2
        if bounds == "upper_size: 4":
            h, w = min(h, 4), min(w, 4)
        elif "upper_height" in bounds:
            h, w = min(h, 2), min(w, 6)
        y, x = draws.raw() % (H - h + 1), draws.raw() % (W - w + 1)
        part, step = (slice(y, y + h), slice(x, x + w)), -1 if flips else 1
        wanted = image.resize(pixels, H, W)[part][:, ::step].astype(np.float32)
        np.testing.assert_array_equal(data[0], ((wanted - [1, 2, 3]) * 2).transpose(2, 0, 1))
        nearest = resizing.scaled(labels[..., None], H, W, caffe_pb2.ResizeParameter.NEAREST)[..., 0]
        np.testing.assert_array_equal(label[0, 0], nearest[part][:, ::step])


def test_balanced_crops(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    labels = np.zeros((8, 8), np.uint8)
    labels[:, 6:] = 1
    pixels = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    Image.fromarray(pixels).save("a.png")
    Image.fromarray(labels).save("b.png")
    (tmp_path / "list.txt").write_text("a.png b.png\n")
    rig = Rig("SegData", 'source: "list.txt" balance: true', "mirror: true upper_size: 3 stride: 1")
    draws = RandomStream(RandomStream(5).raw_array(2)[1].item())
    for _ in range(30):
        _, label = rig.forward()
        for _ in range(11):
            mirror, _, y, x = (draws.raw() for _ in range(4))
            part = labels[y % 6 : y % 6 + 3, x % 6 : x % 6 + 3][:, :: -1 if mirror % 2 else 1]
            if max((part == 0).mean(), (part == 1).mean()) <= 0.8:
                break
        np.testing.assert_array_equal(label[0, 0], part)


def test_setup_of_seg_data(pairs):
    rig = Rig("SegData", 'source: "list.txt" root_dir: "./"', "mirror: true stride: 4 scale_ratios: [2, 2]")
    assert [blob.shape for blob in rig.top] == [(1, 3, 4, 8), (1, 1, 4, 8)]
    assert rig.forward()[0].shape == (1, 3, 12, 16)


@pytest.mark.parametrize(
    ("kind", "own", "transform"),
    [
        ("ImageLabelmapData", LABELMAP + " shuffle: true", "mirror: true crop_size: 4"),
        (
            "SegData",
            'source: "list.txt" shuffle: true balance: true',
            "mirror: true scale_ratios: [0.5, 1.5]",
        ),
    ],
)
@pytest.mark.parametrize("batches", [0, 1, 3])
def test_others_go_on_from_their_states(pairs, kind, own, transform, batches):
    first, second = (Rig(kind, own, transform, seed=seed) for seed in (5, 99))
    for _ in range(batches):
        first.forward()
    assert second.layer.set_state(first.layer.state()) == ""
    for _ in range(4):
        for a, b in zip(first.forward(), second.forward(), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("kind", "transform", "says"),
    [
        ("ImageLabelmapData", 'mean_file: "a"', "needs mean_value instead of transform_param.mean_file"),
        ("ImageLabelmapData", "crop_size: 7", "a crop of 7 x 7 does not fit 6 x 8"),
        ("SegData", 'mean_file: "a"', "needs mean_value instead of transform_param.mean_file"),
        ("SegData", "stride: 7", "a picture of 6 x 8 is smaller than stride 7"),
        ("SegData", "stride: 0", "needs a stride above 0, got 0"),
        ("SegData", "scale_ratios: [2, 1]", "needs 0 < scale_ratios[0] <= scale_ratios[1], got [2.0, 1.0]"),
    ],
)
def test_errors_of_others(pairs, kind, transform, says):
    own = LABELMAP if kind == "ImageLabelmapData" else 'source: "list.txt"'
    with pytest.raises((LayerError, DataError)) as raised:
        Rig(kind, own, transform)
    assert says in str(raised.value)
