"""Average precisions against their definitions, and what SSD's fork logged."""

import shutil

import numpy as np
import pytest
from paths import FIXTURES

from pycaffe_lite.errors import NetError
from pycaffe_lite.net.detection_scores import DetectionSum, average_precision
from pycaffe_lite.net.evaluate import output_scores
from pycaffe_lite.net.net import Net

# By the fork, of the weights after 60 iterations: classes 1, 2, 3 and their mean.
LOGGED = {
    "11point": (0.379679, 0.545455, 0.473354, 0.466163),
    "MaxIntegral": (0.352941, 0.5, 0.442529, 0.431823),
    "Integral": (0.352941, 0.5, 0.442529, 0.431823),
}


@pytest.mark.parametrize("version", sorted(LOGGED))
def test_of_a_net(version, tmp_path, monkeypatch):
    for name in ("annotated", "ssd_train"):
        shutil.copytree(FIXTURES / name, tmp_path / name)
    monkeypatch.chdir(tmp_path / "ssd_train")
    net = Net("test.prototxt", 1, weights="final.caffemodel")
    total = DetectionSum(net, version)
    for _ in range(6):
        total.add(net.forward_loss(), output_scores(net))
    ((name, classes),) = total.of_classes()
    assert name == "detection_eval"
    np.testing.assert_allclose([*classes.values(), total.means()[0].value], LOGGED[version], rtol=1e-5)


HITS = np.array([1, 1, 0, 1, 0, 0, 1], bool)


def test_definitions():
    """Of 5 boxes, 4 are found, at ranks 1, 2, 4 and 7."""
    precisions = np.array([1, 1, 3 / 4, 4 / 7])
    assert average_precision(HITS, 5, "Integral") == pytest.approx(precisions.sum() / 5)
    assert average_precision(HITS, 5, "MaxIntegral") == pytest.approx(precisions.sum() / 5)
    # Recalls from 0 to 0.4 with precision 1, 0.5 and 0.6 (float32 is above it) with 3/4, up to 0.8 with 4/7.
    assert average_precision(HITS, 5, "11point") == pytest.approx((5 + 2 * 3 / 4 + 2 * 4 / 7) / 11)


def test_precision_that_rises_again():
    hits = np.array([0, 1, 1], bool)
    assert average_precision(hits, 2, "Integral") == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert average_precision(hits, 2, "MaxIntegral") == pytest.approx(2 / 3)


@pytest.mark.parametrize(("hits", "boxes"), [([], 3), ([False], 0)])
def test_nothing_to_find(hits, boxes):
    assert average_precision(np.array(hits, bool), boxes, "Integral") == 0


def test_other_outputs(tmp_path):
    (tmp_path / "net.prototxt").write_text(
        'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 5 } } }'
    )
    with pytest.raises(NetError) as raised:
        DetectionSum(Net(tmp_path / "net.prototxt", 1), "Integral")
    assert str(raised.value) == (
        'eval_type "detection" needs a test net whose outputs are of DetectionEvaluate layers, (1, 1, R, 5); '
        "'x' has shape (2, 5): silence it or leave it out"
    )
