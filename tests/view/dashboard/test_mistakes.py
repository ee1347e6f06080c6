"""What a test net gets wrong, against counts by hand."""

import io

import numpy as np
import pytest
from PIL import Image

from pycaffe_lite import TEST, Net
from pycaffe_lite.view.dashboard.mistakes import MOST_PICTURES, Classification, MistakeCounter
from pycaffe_lite.view.dashboard.png import png

NET = """
layer { name: "data" type: "Input" top: "data" top: "label"
  input_param { shape { dim: 6 dim: 3 dim: 4 dim: 5 } shape { dim: 6 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "scores" inner_product_param { num_output: 3 } }
LAST
"""
LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "scores" bottom: "label" top: "loss" }'
PROBABILITIES = """
layer { name: "p" type: "Softmax" bottom: "scores" top: "p" }
layer { name: "accuracy" type: "Accuracy" bottom: "p" bottom: "label" top: "accuracy" }
layer { name: "s" type: "Silence" bottom: "p" }
"""


def test_png():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(png(pixels)))), pixels)


@pytest.mark.parametrize("last", [LOSS, PROBABILITIES])
def test_pairs_and_the_worst(last):
    net = Net.from_text(NET.replace("LAST", last), TEST)
    random = np.random.default_rng(2)
    net.params["ip"][0].data[...] = random.normal(size=(3, 60))
    blobs = Classification.of(net)
    counter = MistakeCounter(blobs)
    pairs, worst = {}, []
    for _ in range(5):
        net.blobs["data"].data[...] = random.normal(size=(6, 3, 4, 5))
        net.blobs["label"].data[...] = labels = random.integers(0, 3, 6)
        net.forward()
        counter.add()
        scores = net.blobs["scores"].data.astype(np.float64)
        odds = np.exp(scores)
        for label, row in zip(labels, odds / odds.sum(axis=1, keepdims=True), strict=True):
            guess = row.argmax()
            pairs[label, guess] = pairs.get((label, guess), 0) + 1
            if guess != label:
                worst.append((row[label], label, guess, row[guess]))
    test = counter.result(70)
    assert (test.iteration, test.classes, test.tested) == (70, 3, 30)
    assert {(label, guess): count for label, guess, count in test.pairs.tolist()} == pairs
    assert test.right == sum(count for (label, guess), count in pairs.items() if label == guess)
    worst = sorted(worst)[:MOST_PICTURES]
    for mistake, (p, label, guess, p_guess) in zip(test.mistakes, worst, strict=True):
        assert (mistake.label, mistake.guess) == (label, guess)
        assert mistake.label_probability == pytest.approx(p, rel=1e-4)
        assert mistake.guess_probability == pytest.approx(p_guess, rel=1e-4)
        assert Image.open(io.BytesIO(mistake.image)).size == (5, 4)


def test_labels_that_are_no_class_are_left_out():
    net = Net.from_text(NET.replace("LAST", PROBABILITIES), TEST)
    counter = MistakeCounter(Classification.of(net))
    net.blobs["label"].data[...] = [0, 1, 2, -1, 3, 255]
    counter.add()
    assert counter.result(0).tested == 3


@pytest.mark.parametrize(
    "last",
    [
        'layer { name: "e" type: "EuclideanLoss" bottom: "scores" bottom: "scores" top: "loss" }',
        # A class for each of six pixels: no picture is of one class.
        'layer { name: "r" type: "Reshape" bottom: "scores" top: "r"'
        "  reshape_param { shape { dim: 1 dim: 3 dim: 6 } } }"
        'layer { name: "l" type: "Reshape" bottom: "label" top: "l"'
        "  reshape_param { shape { dim: 1 dim: 6 } } }"
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "r" bottom: "l" top: "loss" }',
    ],
)
def test_a_net_that_classifies_no_pictures(last):
    assert Classification.of(Net.from_text(NET.replace("LAST", last), TEST)) is None
