import numpy as np
from cascade import layer


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
    assert rig.top[0].shape == (2, 5, 1, 1)
    right = [[-1, 1, 1, -1, -1], [-1, 2, 0, -1, -1], [0, 1, 0.9, 1, 0], [0, 1, 0.5, 0, 1], [0, 2, 0.8, 0, 1]]
    np.testing.assert_allclose(rig.forward()[0][:, :, 0, 0], right)
    rig.forward()
    assert rig.layer.seen == 2
    assert rig.layer.sizes == [(100, 100), (200, 100)]
