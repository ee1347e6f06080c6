import numpy as np
import pytest
from layer_check import build_layer

from pycaffe_lite.errors import LayerError

BOX, NEAR, FAR = [0, 0, 0.4, 0.4], [0, 0, 0.4, 0.3], [0.5, 0.5, 0.9, 0.9]
# image, class, instance, box, difficult
TRUTH = [
    [0, 1, 0, *BOX, 0],
    [0, 1, 1, *FAR, 1],
    [0, 2, 0, *BOX, 0],
    [1, 1, 0, *FAR, 0],
]
# image, class, score, box
FOUND = [
    [0, 1, 0.5, *NEAR],
    [0, 1, 0.9, *BOX],
    [0, 1, 0.3, *FAR],
    [0, 2, 0.8, *FAR],
    [1, 2, 0.1, *BOX],
    [1, 2, 0.7, *BOX],
]
COUNTS = [[-1, 1, 3, -1, -1], [-1, 2, 1, -1, -1]]


def evaluate(options="", found=FOUND, truth=TRUTH):
    rig = build_layer(
        f'type: "DetectionEvaluate" detection_evaluate_param {{ num_classes: 3 {options} }}',
        [np.reshape(found, (1, 1, -1, 7)), np.reshape(truth, (1, 1, -1, 8))],
    )
    assert rig.top[0].shape == (1, 1, 3, 5)
    top = rig.forward()[0]
    assert top.shape[:2] == (1, 1)
    return top[0, 0]


def assert_rows(got, right):
    np.testing.assert_allclose(got, right, rtol=1e-6)


def test_each_box_is_taken_once_by_the_highest_score():
    assert_rows(
        evaluate(),
        [
            *COUNTS,
            [0, 1, 0.9, 1, 0],
            [0, 1, 0.5, 0, 1],  # overlaps the same box
            [0, 1, 0.3, 1, 0],
            [0, 2, 0.8, 0, 1],  # overlaps none
            [1, 2, 0.1, 0, 1],  # in the order of the input: there is no such box
            [1, 2, 0.7, 0, 1],
        ],
    )


def test_difficult_boxes_count_neither_way():
    got = evaluate("evaluate_difficult_gt: false")
    assert_rows(got[0], [-1, 1, 2, -1, -1])
    assert_rows(got[4], [0, 1, 0.3, 0, 0])


@pytest.mark.parametrize(("threshold", "verdict"), [(0.7, [1, 0]), (0.8, [0, 1])])
def test_the_overlap_that_counts(threshold, verdict):
    got = evaluate(f"overlap_threshold: {threshold}", [[0, 1, 0.5, *NEAR]])
    assert_rows(got[2], [0, 1, 0.5, *verdict])


def test_ground_truth_ends_at_padding():
    truth = [TRUTH[0], [-1] * 8, *TRUTH[1:]]
    got = evaluate(truth=truth)
    assert_rows(got[:2], [[-1, 1, 1, -1, -1], [-1, 2, 0, -1, -1]])


@pytest.mark.parametrize("truth", [np.full((1, 8), -1.0), np.zeros((0, 8))])
def test_no_ground_truth(truth):
    got = evaluate(truth=truth)
    assert not got[:2, 2].any()
    assert (got[2:, 3:] == [0, 1]).all()


@pytest.mark.parametrize("found", [[[0, *[-1] * 6], [1, *[-1] * 6]], np.zeros((0, 7))])
def test_no_detections(found):
    assert_rows(evaluate(found=found), COUNTS)


def test_boxes_beyond_the_classes_and_outside():
    truth = [*TRUTH, [0, 9, 0, *BOX, 0], [0, 1, 0, -5, -5, -4, -4, 0]]
    got = evaluate(found=[[0, 9, 0.5, *BOX], [7, 1, 0.5, *BOX], [0, 1, 0.6, -5, -5, -4, -4]], truth=truth)
    assert_rows(got[0], [-1, 1, 4, -1, -1])
    assert_rows(got[2:], [[0, 1, 0.6, 1, 0], [0, 9, 0.5, 1, 0], [7, 1, 0.5, 0, 1]])


def test_another_background():
    got = evaluate("background_label_id: 1")
    assert_rows(got[:2], [[-1, 0, 0, -1, -1], [-1, 2, 1, -1, -1]])


def test_overlaps_in_pixels(tmp_path, monkeypatch):
    """A box of 4 x 3 pixels in one of 4 x 4; each includes its last pixels: 20 of 25."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "names").write_text("a 10 10\nb 10 10\n")
    found = [[0, 1, 0.5, *NEAR]]
    assert_rows(evaluate("overlap_threshold: 0.78", found)[2, 3:], [0, 1])
    got = evaluate('overlap_threshold: 0.78 name_size_file: "names"', found)
    assert_rows(got[2, 3:], [1, 0])


@pytest.mark.parametrize(
    ("options", "shapes", "message"),
    [
        (
            "num_classes: 0",
            [(1, 1, 1, 7), (1, 1, 1, 8)],
            "needs detection_evaluate_param { num_classes: ... } of 1 or more",
        ),
        (
            "num_classes: 2 overlap_threshold: 0",
            [(1, 1, 1, 7), (1, 1, 1, 8)],
            "needs overlap_threshold above 0, got 0",
        ),
        (
            "num_classes: 2",
            [(1, 1, 1, 6), (1, 1, 1, 8)],
            "needs detections of 7 numbers a row, got shape (1, 1, 1, 6)",
        ),
        (
            "num_classes: 2",
            [(1, 1, 1, 7), (1, 1, 1, 7)],
            "needs ground truth of 8 numbers a row, got shape (1, 1, 1, 7)",
        ),
        (
            "num_classes: 2 resize_param { }",
            [(1, 1, 1, 7), (1, 1, 1, 8)],
            "needs height and width above 0 in resize_param, got 0 and 0",
        ),
    ],
)
def test_errors(options, shapes, message):
    with pytest.raises(LayerError) as error:
        build_layer(
            f'type: "DetectionEvaluate" detection_evaluate_param {{ {options} }}',
            [np.zeros(s) for s in shapes],
        )
    assert str(error.value) == f"layer 'layer' (DetectionEvaluate): {message}"


def test_it_has_no_gradient():
    rig = build_layer(
        'type: "DetectionEvaluate" detection_evaluate_param { num_classes: 2 }',
        [np.zeros((1, 7)), np.zeros((1, 8))],
    )
    rig.forward()
    with pytest.raises(LayerError) as error:
        rig.backward([0], wanted=[0])
    assert str(error.value) == "layer 'layer' (DetectionEvaluate): has no gradient"
