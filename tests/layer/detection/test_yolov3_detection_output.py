import numpy as np
import pytest
from layer_check import F64, TEST, build_layer
from yolo_heads import boxes_of, head_of, overlap, sigmoid

from pycaffe_lite.errors import LayerError
from pycaffe_lite.kernels import sorting

SIZES = [(10, 14), (23, 27), (37, 58), (81, 82)]
TEXT = "num_classes: 3 mask: 2 mask: 3 mask: 0 mask: 1 anchors_scale: 32 anchors_scale: 16 " + " ".join(
    f"biases: {w} biases: {h}" for w, h in SIZES
)


def layer(heads, text="", boxes=2, **options):
    text = f"{TEXT} num_box: {boxes} {text}"
    prototxt = f'type: "Yolov3DetectionOutput" yolov3_detection_output_param {{ {text} }}'
    return build_layer(prototxt, heads, phase=TEST, **options)


def found_in(heads, least):
    """(class, score, box) of all boxes above `least`, in the order of cells, anchors and classes."""
    rows = []
    for head, mask, stride in zip(heads, ((2, 3), (0, 1)), (32, 16), strict=True):
        values, boxes = boxes_of(head, [np.array(SIZES[m]) / stride for m in mask])
        N, A, _, H, W = values.shape
        for n, j, i, a, c in np.ndindex(N, H, W, A, 3):
            score = sigmoid(values[n, a, 4, j, i]) * sigmoid(values[n, a, 5 + c, j, i])
            if score > least:
                rows.append((c, score, boxes[n, a, j, i]))
    return rows


@pytest.mark.parametrize(("least", "threshold"), [(0.3, 0.45), (0.3, 0.9), (0.05, 0.1)])
def test_boxes_of_all_heads(least, threshold):
    heads = [head_of((2, 16, 2, 2)), head_of((2, 16, 3, 4), 1)]
    top = layer(heads, f"confidence_threshold: {least} nms_threshold: {threshold}", dtype=F64).forward()[0]
    rows = found_in(heads, np.float32(least))
    kept = []
    for i in sorting.descending(np.array([row[1] for row in rows])):
        if all(overlap(rows[i][2], rows[k][2]) < np.float32(threshold) for k in kept):
            kept.append(i)
    right = [(0, rows[k][0] + 1, rows[k][1], *_corners(rows[k][2])) for k in kept]
    np.testing.assert_allclose(top[0, 0], right, rtol=1e-9)


def _corners(box):
    x, y, w, h = box
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def test_more_boxes_than_expected():
    heads = [head_of((1, 16, 20, 20)), head_of((1, 16, 20, 20), 1)]
    top = layer(heads, "confidence_threshold: 0 nms_threshold: 1.1").forward()[0]
    assert top.shape == (1, 1, 2 * 20 * 20 * 2 * 3, 7)
    assert (np.diff(top[0, 0, :, 2]) <= 0).all()


def test_uncertain_boxes_have_lower_scores():
    heads = [head_of((1, 24, 1, 1)), head_of((1, 24, 1, 1), 1)]
    top = layer(
        heads, "gaussian_box: true confidence_threshold: 0.001 nms_threshold: 1.1", dtype=F64
    ).forward()[0]
    scores = []
    for head in heads:
        for v in head.reshape(2, 12):
            spread = sigmoid(v[1:8:2]).mean()
            scores += list(sigmoid(v[8]) * (1 - spread) * sigmoid(v[9:]))
    np.testing.assert_allclose(top[0, 0, :, 2], sorted(scores, reverse=True))
    first = heads[int(np.argmax(scores) >= 6)].reshape(2, 12)[np.argmax(scores) % 6 // 3]
    centre = (top[0, 0, 0, 3:5] + top[0, 0, 0, 5:]) / 2
    np.testing.assert_allclose(centre, sigmoid(first[[0, 2]]))


def test_nothing_found():
    heads = [head_of((3, 16, 2, 2)), head_of((3, 16, 2, 2))]
    top = layer(heads, "confidence_threshold: 1").forward()[0]
    np.testing.assert_array_equal(top[0, 0], [[n, -1, -1, -1, -1, -1, -1] for n in range(3)])


@pytest.mark.parametrize(
    ("channels", "heads", "text", "message"),
    [
        (16, 1, "", "needs mask_group_num bottoms, 2, got 1"),
        (16, 3, "mask_group_num: 3", "needs an anchors_scale for each of 3 bottoms, got 2"),
        (24, 2, "", "needs a mask with num_box 3 anchors for each bottom, got 4 numbers"),
        (
            15, 2, "",
            "needs a bottom of 4 axes with 16 channels, 8 for each of 2 anchors, got shape (1, 15, 2, 2)",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit(channels, heads, text, message):
    with pytest.raises(LayerError) as error:
        layer([np.zeros((1, channels, 2, 2))] * heads, text, boxes=channels // 8 if channels > 16 else 2)
    assert str(error.value) == f"layer 'layer' (Yolov3DetectionOutput): {message}"
