"""What a net looks at."""

import numpy as np
import pytest

import pycaffe_lite as caffe
from pycaffe_lite.errors import ArgumentError
from pycaffe_lite.view.attention import activations, occlusion, positions, saliency, scores, steps

NET = """
layer { name: "data" type: "Input" top: "x" input_param { shape { dim: 2 dim: 2 dim: 8 dim: 8 } } }
layer { name: "relu" type: "ReLU" bottom: "x" top: "r" }
layer { name: "ip" type: "InnerProduct" bottom: "r" top: "ip" inner_product_param { num_output: 3 } }
layer { name: "twice" type: "Eltwise" bottom: "ip" bottom: "ip" top: "sum" }
layer { name: "prob" type: "Softmax" bottom: "sum" top: "prob" }
"""


@pytest.fixture
def files(tmp_path):
    (tmp_path / "n.prototxt").write_text(NET)
    net = caffe.Net(tmp_path / "n.prototxt", caffe.TEST)
    net.params["ip"][0].data[...] = np.random.default_rng(1).normal(size=(3, 128)) / 10
    net.save(tmp_path / "w.caffemodel")
    return tmp_path / "n.prototxt", tmp_path / "w.caffemodel"


@pytest.fixture
def item():
    return np.random.default_rng(2).normal(size=(2, 8, 8)).astype(np.float32)


def test_saliency_is_the_gradient_of_the_score_before_the_softmax(files, item):
    net = caffe.Net(*files, caffe.TEST)
    weights = 2 * net.params["ip"][0].data[1].reshape(2, 8, 8) * (item > 0)
    np.testing.assert_allclose(saliency(*files, item, 1), np.abs(weights).max(axis=0), rtol=1e-5, atol=1e-7)


def test_a_score_without_gradient(files):
    with pytest.raises(ArgumentError, match="the score of class 1 has no gradient with respect to 'x' here"):
        saliency(*files, -np.ones((2, 8, 8), np.float32), 1)


def test_occlusion(files, item):
    """Squares of one pixel: each covers itself alone."""
    net = caffe.Net(*files, caffe.TEST)
    done = []
    found = occlusion(net, item, 2, done.append)
    score = scores(net, item[np.newaxis])[0, 2]
    for y, x in ((0, 0), (3, 5), (7, 7)):
        covered = item.copy()
        covered[:, y, x] = item.mean(axis=(1, 2))
        assert found[y, x] == pytest.approx(score - scores(net, covered[np.newaxis])[0, 2], abs=1e-6)
    assert sum(done) == positions(8, 8) == 64


def test_squares_cover_the_axis():
    for size, side in ((8, 1), (28, 4), (224, 28), (5, 5), (7, 3)):
        starts = steps(size, side)
        assert starts == sorted(set(starts))
        assert set().union(*(range(start, start + side) for start in starts)) == set(range(size))


def test_activations(files, item):
    titles = [section.title for section in activations(caffe.Net(*files, caffe.TEST), item)]
    assert titles == ["x 2x8x8", "r 2x8x8", "ip 3", "sum 3", "prob 3"]


def test_scores_of_places_are_their_mean(tmp_path):
    (tmp_path / "n.prototxt").write_text(NET.split('\nlayer { name: "ip"')[0])
    net = caffe.Net(tmp_path / "n.prototxt", caffe.TEST)
    values = np.random.default_rng(0).random((3, 2, 4, 4), np.float32)
    np.testing.assert_allclose(scores(net, values), values.mean(axis=(2, 3)), rtol=1e-5)
