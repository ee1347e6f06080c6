import numpy as np
import pytest
from layer_check import F64, build_layer
from yolo_heads import boxes_of, head_of, labels_of, overlap, sigmoid

from pycaffe_lite.errors import LayerError

SIZES = [(8, 10), (20, 24), (40, 36), (70, 60)]  # pixels
MASK = (0, 2, 3)
BIASES = " ".join(f"biases: {w} biases: {h}" for w, h in SIZES)
TEXT = f"num_class: 2 {BIASES} " + " ".join(f"mask: {m}" for m in MASK)
OBJECTS = [[(1, 0.3, 0.4, 0.45, 0.3), (0, 0.8, 0.7, 0.1, 0.2)], []]


def layer(head, labels, text="", num=3, scale=32):
    text = f"{TEXT} num: {num} anchors_scale: {scale} {text}"
    return build_layer(f'type: "Yolov3" yolov3_param {{ {text} }}', [head, labels], dtype=F64)


def errors_of(head, objects, thresh=0.2, size_thresh=0.5, smooth=0.1, coord=5, object_scale=1, focal=False):
    """The errors, from their definition, for objects in cells of their own."""
    H, W = head.shape[2:]
    cells = [(w / 32, h / 32) for w, h in SIZES]
    values, boxes = boxes_of(head, [cells[m] for m in MASK])
    errors = np.zeros_like(values)
    for n, a, j, i in np.ndindex(boxes.shape[:4]):
        if max([overlap(boxes[n, a, j, i], o[1:]) for o in objects[n]], default=0) <= thresh:
            errors[n, a, 4, j, i] = sigmoid(values[n, a, 4, j, i])
    for n, rows in enumerate(objects):
        for label, x, y, w, h in rows:
            i, j = int(x * W), int(y * H)
            fits = [overlap((0, 0, c[0] / W, c[1] / H), (0, 0, w, h)) for c in cells]
            best = int(np.argmax(fits))
            for a, m in enumerate(MASK):
                if m != best and not (size_thresh < 1 and fits[m] > size_thresh):
                    continue
                v, e = values[n, a, :, j, i], errors[n, a, :, j, i]
                s, c = sigmoid(v), coord * (2 - w * h)
                e[0] = -c * (x * W - i - s[0])
                e[1] = -c * (y * H - j - s[1])
                e[2] = -c * (np.log(w * W / cells[m][0]) - v[2])
                e[3] = -c * (np.log(h * H / cells[m][1]) - v[3])
                e[4] = -object_scale * (1 - s[4])
                one = np.arange(2) == label
                if focal:
                    p = s[5 + label]
                    e[5:] = -(one - s[5:]) * -(1 - p) * (2 * p * np.log(p) + p - 1) / 2
                else:
                    e[5:] = -(one * (1 - smooth) + smooth / 2 - s[5:])
    return errors.reshape(head.shape)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("", {}),
        ("iou_thresh: 1 label_smooth_eps: 0 coord_scale: 1", {"size_thresh": 1, "smooth": 0, "coord": 1}),
        ("iou_thresh: 0.2 thresh: 0.4", {"size_thresh": 0.2, "thresh": 0.4}),
        ("object_scale: 3 noobject_scale: 2", {}),
        ("use_focal_loss: true iou_thresh: 1", {"focal": True, "size_thresh": 1}),
    ],
)
@pytest.mark.parametrize("size", [(3, 3), (2, 4)])
def test_squares_of_errors(text, options, size):
    head = head_of((2, 21, *size))
    rig = layer(head, labels_of(OBJECTS), text)
    errors = errors_of(head, OBJECTS, **options)
    np.testing.assert_allclose(rig.forward()[0], (errors**2).sum() / 2, rtol=1e-6)
    (dx, _), _ = rig.backward([3.0], [0])
    np.testing.assert_allclose(dx, 3 * errors / 2, rtol=1e-5, atol=1e-7)


def test_logic_gradient():
    head = head_of((2, 21, 3, 3))
    rig = layer(head, labels_of(OBJECTS), "use_logic_gradient: true object_scale: 3")
    errors = errors_of(head, OBJECTS, object_scale=3).reshape(2, 3, 7, 3, 3)
    np.testing.assert_allclose(rig.forward()[0], (errors**2).sum() / 2, rtol=1e-6)
    s = sigmoid(head).reshape(errors.shape)
    slopes = s * (1 - s)
    slopes[:, :, 2:4] = 1
    (dx, _), _ = rig.backward([1.0], [0])
    np.testing.assert_allclose(dx.reshape(errors.shape), errors * slopes / 2, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("measure", ["IOU", "GIOU", "DIOU", "CIOU"])
def test_loss_by_agreement(measure):
    head = head_of((1, 21, 3, 3))
    text = f"iou_loss: {measure} iou_normalizer: 2 iou_thresh: 1 label_smooth_eps: 0 thresh: 2"
    rig = layer(head, labels_of([OBJECTS[0][:1]]), text)
    loss = rig.forward()[0]
    (dx, _), _ = rig.backward([1.0], [0])
    rest = errors_of(head, [OBJECTS[0][:1]], size_thresh=1, smooth=0, thresh=2).reshape(3, 7, 3, 3)
    np.testing.assert_allclose(dx.reshape(rest.shape)[:, 4:], rest[:, 4:], rtol=1e-6)
    disagreement = (loss - (rest[:, 4:] ** 2).sum()) / 2
    assert 0 < disagreement < 2
    assert np.count_nonzero(dx.reshape(rest.shape)[:, :4].any(axis=1)) == 1  # one box has a gradient


def test_max_delta_and_accumulate():
    twice = [OBJECTS[0][:1] * 2]
    head, once = head_of((1, 21, 3, 3)), labels_of([OBJECTS[0][:1]])

    def of_boxes(labels, text):
        rig = layer(head, labels, f"iou_loss: GIOU iou_thresh: 1 {text}")
        rig.forward()
        return rig.backward([1.0], [0])[0][0].reshape(3, 7, 3, 3)[:, :4]

    alone = of_boxes(once, "")
    np.testing.assert_allclose(of_boxes(labels_of(twice), ""), 2 * alone)
    np.testing.assert_allclose(of_boxes(labels_of(twice), "accumulate: false"), alone)
    bound = np.abs(alone).max() / 2
    np.testing.assert_allclose(of_boxes(once, f"max_delta: {bound}"), alone.clip(-bound, bound), rtol=1e-6)


def test_a_second_object_in_a_cell_changes_its_own_class_only():
    twice = [(0, *OBJECTS[0][0][1:]), OBJECTS[0][0]]
    rig = layer(head_of((1, 21, 3, 3)), labels_of([twice]), "iou_thresh: 1 label_smooth_eps: 0")
    rig.forward()
    (dx, _), _ = rig.backward([1.0], [0])
    s = sigmoid(head_of((1, 21, 3, 3))).reshape(3, 7, 3, 3)
    a = int(np.flatnonzero(dx.reshape(s.shape)[:, 0].any(axis=(1, 2)))[0])
    j, i = int(0.4 * 3), int(0.3 * 3)
    np.testing.assert_allclose(dx.reshape(s.shape)[a, 5:, j, i], s[a, 5:, j, i] - 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num": 4}, "needs a mask with num 4 anchors, got 3 numbers"),
        ({"text": "mask: 4"}, "needs mask numbers below 4, one for each anchor, got 4"),
        ({"scale": 0}, "needs anchors_scale of 1 or more, got 0"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(LayerError) as error:
        layer(head_of((1, 21, 3, 3)), labels_of([[]]), **options)
    assert str(error.value) == f"layer 'layer' (Yolov3): {message}"
