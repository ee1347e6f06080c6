"""Classifying pictures from files."""

import numpy as np
import pytest
from paths import FIXTURES, ROOT
from PIL import Image

import pycaffe_lite as caffe
from pycaffe_lite.classify import classify, image_classifier, pictures_in, read_labels, read_mean
from pycaffe_lite.errors import ArgumentError, DataError, FileLookupError
from pycaffe_lite.formats import binaryproto
from pycaffe_lite.io import load_image

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: %d dim: %d dim: %d } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
        inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
"""


@pytest.fixture
def files(tmp_path):
    def made(channels=3, side=6):
        net = tmp_path / f"n{channels}_{side}.prototxt"
        net.write_text(NET % (channels, side, side))
        weights = net.with_suffix(".caffemodel")
        caffe.Net(net, caffe.TEST).save(weights)
        return net, weights

    return made


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(11):
        pixels = random.integers(0, 256, (9 + i, 12, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:02}.png")
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.mark.parametrize("oversample", [True, False])
def test_scores_are_those_of_pycaffes_classifier(files, folder, oversample):
    """Whatever the number of pictures that go through the net at once."""
    net, weights = files()
    options = dict(mean=np.array([1.0, 2.0, 3.0]), image_dims=(8, 8), input_scale=0.5)
    pictures = pictures_in([folder], color=True)
    expected = caffe.Classifier(net, weights, raw_scale=255, channel_swap=(2, 1, 0), **options).predict(
        [load_image(folder / f"{i:02}.png") for i in range(11)], oversample
    )
    for batch in (1, 4, 20):
        classifier = image_classifier(net, weights, **options)
        found = list(classify(classifier, pictures, oversample=oversample, batch=batch))
        assert [one.name for one in found] == [str(folder / f"{i:02}.png") for i in range(11)]
        np.testing.assert_allclose([one.scores for one in found], expected, rtol=1e-4, atol=1e-3)
    order = np.argsort(-found[0].scores)
    assert found[0].top(2) == [(i, float(found[0].scores[i])) for i in order[:2]]


@pytest.mark.parametrize(
    ("channels", "side", "dims", "swap"),
    [(3, 227, (256, 256), (2, 1, 0)), (3, 299, (299, 299), (2, 1, 0)), (1, 28, (28, 28), None)],
)
def test_defaults(files, channels, side, dims, swap):
    classifier = image_classifier(*files(channels, side))
    assert tuple(classifier.image_dims) == dims
    assert classifier.transformer.raw_scale == {"data": 255}
    assert classifier.transformer.channel_swap.get("data") == swap


def test_a_picture_that_cannot_be_read_stops_no_other(files, folder):
    (folder / "03.png").write_bytes(b"broken")
    found = list(classify(image_classifier(*files()), pictures_in([folder], True), oversample=False, batch=2))
    assert [i for i, one in enumerate(found) if one.error] == [3]
    assert "03.png" in str(found[3].error)
    assert found[3].top(5) == []
    assert found[4].scores.shape == (3,)


def test_arrays_and_grey_pictures(files, folder, tmp_path):
    images = np.random.default_rng(0).random((2, 7, 7, 1))
    np.save(tmp_path / "images.npy", images)
    pictures = pictures_in([tmp_path / "images.npy", folder / "00.png"], color=False)
    assert [picture.name.rpartition("/")[2] for picture in pictures] == [
        "images.npy[0]",
        "images.npy[1]",
        "00.png",
    ]
    found = list(classify(image_classifier(*files(channels=1)), pictures))
    assert all(one.error is None for one in found)
    with pytest.raises(DataError, match=r"has shape \(2, 7, 7, 1\), needed is \(N, H, W, 3\)"):
        pictures_in([tmp_path / "images.npy"], color=True)


def test_what_is_not_there(files, folder, tmp_path):
    with pytest.raises(FileLookupError, match=r"no such file: 'none\.png'"):
        pictures_in([type(tmp_path)("none.png")], True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="has no pictures"):
        pictures_in([tmp_path / "empty"], True)
    with pytest.raises(
        ArgumentError, match="pictures have 1 or 3 channels, the net's input 'data' has shape"
    ):
        image_classifier(*files(channels=2))
    with pytest.raises(ArgumentError, match="pictures of 4 x 4 are smaller than the net's input, 6 x 6"):
        image_classifier(*files(), image_dims=(4, 4))


def test_means(tmp_path):
    mean = np.random.default_rng(0).random((3, 4, 5)).astype(np.float32)
    np.save(tmp_path / "m.npy", mean)
    binaryproto.write(tmp_path / "m.binaryproto", mean[np.newaxis])
    assert read_mean("104,117.5,123").tolist() == [104, 117.5, 123]
    assert np.array_equal(read_mean(str(tmp_path / "m.npy")), mean)
    assert np.array_equal(read_mean(str(tmp_path / "m.binaryproto")), mean)
    with pytest.raises(FileLookupError):
        read_mean(str(tmp_path / "none.npy"))
    (tmp_path / "bad.npy").write_bytes(b"x")
    with pytest.raises(DataError, match="cannot read"):
        read_mean(str(tmp_path / "bad.npy"))


def test_labels(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("n01 tench\nn02 größe\n\n")
    assert read_labels(path, 2) == ["n01 tench", "n02 größe"]
    with pytest.raises(DataError, match="has 2 labels, the net has 3 classes"):
        read_labels(path, 3)


def test_lenet_reads_a_digit():
    """The weights of 50 iterations know most digits; this one is written by hand."""
    weights = FIXTURES / "lenet" / "lenet_iter_50.caffemodel"
    classifier = image_classifier(f"{ROOT}/models/lenet/lenet.prototxt", weights, input_scale=1 / 256)
    image = np.zeros((28, 28, 1))
    image[5:23, 13:16] = 1
    (scores,) = classifier.predict([image], oversample=False)
    assert scores.argmax() == 1
