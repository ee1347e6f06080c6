"""How far results are from each other."""

import numpy as np
import pytest

import pycaffe_lite as caffe
from pycaffe_lite.errors import WeightsError
from pycaffe_lite.export.compare import (
    Difference,
    detection_difference,
    difference,
    differences,
    largest,
    place_difference,
)

NAN, INF = np.nan, np.inf


@pytest.mark.parametrize(
    ("got", "expected", "relative"),
    [
        ([1, 2, 4], [1, 2, 4], 0),
        ([1, 2.5, 4], [1, 2, 4], 0.125),
        ([0.5, 0], [0, 0], 0.5),
        ([NAN, INF, 1], [NAN, INF, 2], 0.5),
        ([NAN], [NAN], 0),
        ([INF, 1], [1, 1], INF),
        ([1, 1], [NAN, 1], INF),
        ([1, 2], [1, 2, 3], INF),
        ([], [], 0),
    ],
)
def test_difference(got, expected, relative):
    assert difference("", "y", np.array(got, float), np.array(expected, float)).relative == relative


def test_an_output_that_is_missing():
    assert difference("", "y", None, np.ones(2)).why == "has shape None, not (2,)"


def test_places_of_values_that_are_nearly_equal():
    scores = np.array([[1.0, 3.0, 3.00001, 2.0]])
    ours = np.array([[2.0]])
    assert place_difference("", "y", np.array([[1.0]]), ours, scores).relative == pytest.approx(
        3.3e-6, rel=0.02
    )
    assert place_difference("", "y", np.array([[3.0]]), ours, scores).relative == pytest.approx(
        1 / 3, rel=1e-3
    )
    assert place_difference("", "y", np.array([[7.0]]), ours, scores).relative == 2.5


def rows(count):
    generator = np.random.default_rng(0)
    found = generator.uniform(0, 1, (1, 1, count, 7))
    found[..., 0], found[..., 1] = 0, np.arange(count) % 3
    return found


def test_detections_in_another_order():
    expected = rows(20)
    got = expected[:, :, ::-1] + 1e-6
    assert detection_difference("", "y", got, expected).relative == pytest.approx(1e-6, rel=1e-3)


def test_a_few_detections_more_and_less():
    expected = rows(20)
    assert detection_difference("", "y", expected[:, :, 1:], expected).relative == 0
    assert detection_difference("", "y", expected[:, :, 5:], expected).relative == INF


def test_of_detections_with_one_score_any_may_stay():
    expected, got = rows(20), rows(20)
    expected[..., 2] = got[..., 2] = 1
    got[..., 3:] += 5
    assert detection_difference("", "y", got, expected).relative == 0
    expected[..., 2] = got[..., 2] = np.linspace(0.1, 1, 20)
    assert detection_difference("", "y", got, expected).relative > 1


def test_detections_of_infinite_size():
    expected = rows(20)
    expected[0, 0, :, 5:] = INF
    expected[0, 0, 3, 3] = NAN
    assert detection_difference("", "y", expected[:, :, ::-1], expected).relative == 0


def test_no_detections():
    expected = rows(20)
    assert detection_difference("", "y", expected[:, :, :0], expected).relative == INF
    assert detection_difference("", "y", expected[:, :, :0], expected[:, :, :0]).relative == 0


def test_largest():
    found = [Difference("a", "x", 1e-5), Difference("b", "y", 2e-3)]
    assert largest(found, "by hand", 1e-2).output == "y"
    message = (
        "the result is not the net: by hand, on b, output 'y' differs by 0.002 of its largest value, more"
    )
    with pytest.raises(WeightsError, match=message):
        largest(found, "by hand", 1e-3)


def test_differences_of_two_nets():
    text = (
        'layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 2 dim: 3 } } }'
        'layer { name: "y" type: "Power" bottom: "d" top: "y" power_param { scale: %g } }'
    )
    one, other = (caffe.Net.from_text(text % scale, caffe.TEST) for scale in (1, 1.5))
    (found,) = differences(one, other)
    assert found.output == "y"
    assert found.relative == pytest.approx(0.5)
