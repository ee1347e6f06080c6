import numpy as np
import pytest
from cascade import layer

from pycaffe_lite.errors import LayerError


def test_evaluate(tmp_path):
    (tmp_path / "names").write_text("a 100 100\nb 200 100\n")
    found = np.array(
        [
            [0, -1, -1, -1, -1, -1, -1],
            [0, 10, 10, 39, 49, 1, 0.5],
            [0, 11, 10, 39, 49, 1, 0.9],
            [0, 60, 60, 70, 70, 2, 0.8],
        ]
    )
    truth = np.array([[-1, 0, 0, 0, 0, 0, 0, 0], [0, 10, 10, 39, 49, 1, 0, 0], [0, 0, 0, 5, 5, 1, 0, 1.0]])
    options = f'num_classes: 3 evaluate_difficult_gt: false name_size_file: "{tmp_path}/names"'
    text = f"detection_evaluate_param {{ {options} }}"
    rig = layer("DetectionEvaluate", [found, truth, [[50, 50]]], text)
    assert rig.top[0].shape == (5, 5, 1, 1)  # classes, and detections of a class
    right = [[-1, 1, 1, -1, -1], [-1, 2, 0, -1, -1], [0, 1, 0.9, 1, 0], [0, 1, 0.5, 0, 1], [0, 2, 0.8, 0, 1]]
    np.testing.assert_allclose(rig.forward()[0][:, :, 0, 0], right)
    rig.forward()
    assert rig.layer.seen == 2
    assert rig.layer.sizes == [(100, 100), (200, 100)]


def test_a_list_that_is_not_there_stops_the_first_pass():
    text = 'detection_evaluate_param { num_classes: 3 name_size_file: "nowhere" }'
    rig = layer("DetectionEvaluate", [np.zeros((1, 7)), np.zeros((1, 8)), [[50, 50]]], text)
    assert rig.top[0].shape == (3, 5, 1, 1)
    with pytest.raises(LayerError, match="no such file: 'nowhere'"):
        rig.forward()


def test_no_list():
    with pytest.raises(LayerError, match="needs a name_size_file with lines NAME HEIGHT WIDTH"):
        layer(
            "DetectionEvaluate",
            [np.zeros((1, 7)), np.zeros((1, 8)), [[50, 50]]],
            "detection_evaluate_param { num_classes: 3 }",
        )
