import numpy as np
import pytest
from layer_check import F64, build_layer
from yolo_heads import boxes_of, head_of, labels_of, overlap, sigmoid

from pycaffe_lite.errors import LayerError

ANCHORS = [(1.1, 1.3), (2.4, 2.0), (0.6, 0.7), (3, 3), (1, 1)]
BIASES = " ".join(f"biases: {w} biases: {h}" for w, h in ANCHORS)
OBJECTS = [[(1, 0.3, 0.4, 0.5, 0.3), (0, 0.8, 0.7, 0.1, 0.2)], []]


def layer(head, labels, text="", num=2, **options):
    prototxt = f'type: "RegionLoss" region_loss_param {{ num_class: 2 num: {num} {BIASES} {text} }}'
    return build_layer(prototxt, [head, labels], dtype=F64, **options)


def errors_of(head, objects, rescore=True, by_anchor=True, coord=5, thresh=0.2, object_scale=1, noobject=0.5):
    """The errors, from their definition, for objects in cells of their own."""
    H, W = head.shape[2:]
    values, boxes = boxes_of(head, ANCHORS[:2])
    errors = np.zeros_like(values)
    for n, a, j, i in np.ndindex(boxes.shape[:4]):
        s = sigmoid(values[n, a, 4, j, i])
        if max([overlap(boxes[n, a, j, i], o[1:]) for o in objects[n]], default=0) <= thresh:
            errors[n, a, 4, j, i] = noobject * s * s * (1 - s)
    for n, rows in enumerate(objects):
        for label, x, y, w, h in rows:
            i, j = int(x * W), int(y * H)
            sizes = [
                (ANCHORS[a][0] / W, ANCHORS[a][1] / H) if by_anchor else boxes[n, a, j, i, 2:]
                for a in range(2)
            ]
            a = int(np.argmax([overlap((0, 0, *size), (0, 0, w, h)) for size in sizes]))
            v, e = values[n, a, :, j, i], errors[n, a, :, j, i]
            c = coord if rescore else coord * (2 - w * h)
            s = sigmoid(v)
            e[0] = -c * (x * W - i - s[0]) * s[0] * (1 - s[0])
            e[1] = -c * (y * H - j - s[1]) * s[1] * (1 - s[1])
            e[2] = -c * (np.log(w * W / ANCHORS[a][0]) - v[2])
            e[3] = -c * (np.log(h * H / ANCHORS[a][1]) - v[3])
            wanted = overlap(boxes[n, a, j, i], (x, y, w, h)) if rescore else 1
            e[4] = -object_scale * (wanted - s[4]) * s[4] * (1 - s[4])
            p = np.exp(v[5:]) / np.exp(v[5:]).sum()
            e[5:] = -((np.arange(2) == label) - p)
    return errors.reshape(head.shape)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("", {}),
        ("rescore: 0 object_scale: 2 thresh: 0.5", {"rescore": False, "object_scale": 2, "thresh": 0.5}),
        ("bias_match: 0 coord_scale: 1 noobject_scale: 2", {"by_anchor": False, "coord": 1, "noobject": 2}),
    ],
)
@pytest.mark.parametrize("size", [(3, 3), (2, 4)])
def test_squares_of_errors(text, options, size):
    head = head_of((2, 14, *size))
    rig = layer(head, labels_of(OBJECTS), text)
    errors = errors_of(head, OBJECTS, **options)
    np.testing.assert_allclose(rig.forward()[0], (errors**2).sum() / 2, rtol=1e-6)
    (dx, _), _ = rig.backward([3.0], [0])
    np.testing.assert_allclose(dx, 3 * errors / 2, rtol=1e-5, atol=1e-7)


def test_fewer_than_ten_biases_are_zeros():
    head = head_of((1, 14, 3, 3))
    text = (
        'type: "RegionLoss" region_loss_param { num_class: 2 num: 2 biases: 1 biases: 1 biases: 2 biases: 2 }'
    )
    s = sigmoid(head.reshape(2, 7, 3, 3)[:, 4])
    for objects, loss in ([], ((s * s * (1 - s) / 2) ** 2).sum()), (OBJECTS[0], np.inf):
        rig = build_layer(text, [head, labels_of([objects])], dtype=F64)
        np.testing.assert_allclose(rig.forward()[0], loss)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((2, 0.5, 0.5, 0.1, 0.1), "class 2 at 0.5, 0.5 in row 1 of image 0"),
        ((0, 1, 0.5, 0.1, 0.1), "class 0 at 1, 0.5 in row 1 of image 0"),
        ((0, 0.5, -0.5, 0.1, 0.1), "class 0 at 0.5, -0.5 in row 1 of image 0"),
    ],
)
def test_object_out_of_range(row, message):
    rig = layer(head_of((1, 14, 3, 3)), labels_of([[OBJECTS[0][0], row]]))
    with pytest.raises(LayerError) as error:
        rig.forward()
    assert str(error.value) == (
        "layer 'layer' (RegionLoss): needs labels of classes 0 to 1 with centres from 0 up to 1, got "
        + message
    )


@pytest.mark.parametrize(
    ("shapes", "text", "message"),
    [
        (
            [(1, 15, 3, 3), (1, 1, 2, 5)],
            "",
            "needs a bottom of 4 axes with 14 channels, 7 for each of 2 anchors, got shape (1, 15, 3, 3)",
        ),
        (
            [(1, 14, 3, 3), (1, 6)],
            "",
            "needs labels of 5 numbers a row, class x y w h, got shape (1, 6)",
        ),
        ([(1, 14, 3, 3), (1, 5)], "coords: 5", "needs coords: 4, got 5"),
        ([(1, 42, 3, 3), (1, 5)], "", "needs biases for num 6 anchors, got 10 numbers"),
        (
            [(1, 14, 3, 3), (1, 5)],
            "biases: 1",
            "needs biases, a width and a height for each anchor, got 11 numbers",
        ),
    ],
)
def test_what_does_not_fit(shapes, text, message):
    with pytest.raises(LayerError) as error:
        layer(*(np.zeros(shape) for shape in shapes), text, num=max(2, shapes[0][1] // 7)).forward()
    assert str(error.value) == f"layer 'layer' (RegionLoss): {message}"
