"""Outputs as the log shows them, and their means."""

import math

import numpy as np
import pytest

from pycaffe_lite.net import evaluate
from pycaffe_lite.net.evaluate import FIRST, WHOLE, Output, Scores, ScoreSum, output_scores
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse

MAP = 90_000  # values of a label map
NET = """
layer { name: "in" type: "DummyData" top: "a" top: "b" dummy_data_param {
  shape { dim: 2 } shape { dim: 1 } data_filler { value: 2 } data_filler { value: 3 } } }
layer { name: "loss" type: "Reduction" bottom: "b" top: "loss" loss_weight: 0.5 }
"""


def scores_of(*outputs):
    return Scores([Output(name, np.array(values, np.float32), weight) for name, values, weight in outputs])


@pytest.fixture
def scores():
    return scores_of(("accuracy", [0.5], 0), ("per_class", [1, 2, 3], 0), ("loss", [4], 0.5))


def test_scores_are_a_sequence_of_elements(scores):
    assert len(scores) == 5
    assert [score.value for score in scores] == [0.5, 1, 2, 3, 4]
    assert [score.name for score in scores[1:4]] == ["per_class"] * 3
    assert (scores[-1].name, scores[-1].value, scores[-1].loss_weight) == ("loss", 4, 0.5)
    for index in (5, -6):
        with pytest.raises(IndexError, match=f"no score {index}: there are 5"):
            scores[index]


def test_lines_are_caffes(scores):
    assert list(scores.lines()) == [
        *("accuracy = 0.5", "per_class = 1", "per_class = 2", "per_class = 3"),
        "loss = 4 (* 0.5 = 2 loss)",
    ]
    numbered = list(scores.lines(lambda i, score: f"#{i}: {score}"))
    assert numbered[3:] == ["#3: per_class = 3", "#4: loss = 4 (* 0.5 = 2 loss)"]


def test_an_output_of_a_thousand_classes_is_whole():
    lines = list(scores_of(("per_class", range(WHOLE), 0)).lines())
    assert len(lines) == WHOLE >= 1001
    assert lines[-1] == f"per_class = {WHOLE - 1}"


def test_of_a_large_output_the_first_values_are_shown(monkeypatch):
    made = []
    monkeypatch.setattr(evaluate, "Score", lambda *values: made.append(values) or values[1])
    lines = list(
        scores_of(("map", range(MAP), 0), ("loss", [3], 1)).lines(lambda i, value: f"#{i}: {value:g}")
    )
    assert lines == [
        *(f"#{i}: {i}" for i in range(FIRST)),
        f"    ... and {MAP - FIRST} more values of 'map' ({MAP} in all); "
        "a Silence layer keeps an output that nobody reads out of the log",
        f"#{MAP}: 3",
    ]
    assert len(made) == FIRST + 1  # no object for each element


def test_means_are_kept_in_the_dtype_as_caffe_keeps_them():
    values = np.random.default_rng(1).random((1000, 3)).astype(np.float32)
    total = ScoreSum()
    for row in values:
        total.add(float(row[2]), scores_of(("per_class", row[:2], 0), ("loss", row[2:], 1)))
    sums = np.zeros(3, np.float32)
    for row in values:
        sums += row
    want = sums / np.float32(1000)
    assert [score.value for score in total.means()] == want.tolist()
    assert total.mean_loss() == want[2]
    assert want[0] != np.float32(values[:, 0].mean(dtype=np.float64))  # the order of summing shows


def test_later_batches_may_have_fewer_elements_or_more():
    total = ScoreSum()
    for count in (3, 2, 4):
        total.add(1, scores_of(("v", [1] * count, 0), ("loss", [6], 1)))
    assert [score.value for score in total.means()] == pytest.approx([1, 1, 2 / 3, 6])


def test_the_blobs_of_the_first_pass_are_left_alone():
    total, first = ScoreSum(), scores_of(("loss", [1], 1))
    total.add(1, first)
    total.add(2, scores_of(("loss", [2], 1)))
    assert first[0].value == 1


def test_results_that_are_not_finite():
    total = ScoreSum()
    for value in (3e38, 3e38, -math.inf):
        total.add(value, scores_of(("loss", [value], 1)))
    assert math.isnan(total.mean_loss())
    assert math.isnan(total.means()[0].value)


def test_outputs_of_a_net():
    net = Net.from_document(parse(NET, caffe_pb2.NetParameter))
    assert net.forward_loss() == 1.5
    assert list(output_scores(net).lines()) == ["a = 2", "a = 2", "loss = 3 (* 0.5 = 1.5 loss)"]
    total = evaluate.evaluate(net, 2)
    assert (total.count, total.mean_loss()) == (2, 1.5)
    assert [score.value for score in total.means()] == [2, 2, 3]
