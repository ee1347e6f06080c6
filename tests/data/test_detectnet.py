"""DetectNet's pictures and labels, against OpenCV's where it is installed, and against loops."""

import numpy as np
import pytest

from pycaffe_lite.data import detectnet, resizing
from pycaffe_lite.proto.caffe_pb2 import DetectNetAugmentationParameter, DetectNetGroundTruthParameter
from pycaffe_lite.random import RandomStream

PICTURE = (np.random.default_rng(0).random((3, 20, 30)) * 255).astype(np.float32)
SAME = detectnet.Changes(0, 1, False, (20, 30), 0, 0, 0)


def turned(x):
    return x.transpose(1, 2, 0)


def test_only_the_mean():
    for mean in (np.full((3, 1, 1), 10, np.float32), PICTURE[::-1].copy()):
        np.testing.assert_allclose(
            detectnet.changed(PICTURE, SAME, (20, 30), mean), PICTURE - mean, rtol=1e-4, atol=1e-3
        )


def test_part_and_what_is_outside():
    out = detectnet.changed(PICTURE, SAME._replace(top=-3, left=5, flip=True), (21, 40), None)
    wanted = np.zeros((3, 21, 40))
    wanted[:, 3:, :25] = PICTURE[:, :18, ::-1][:, :, 5:]
    np.testing.assert_allclose(out, wanted, rtol=1e-5)
    assert not detectnet.changed(PICTURE, SAME._replace(top=30), (5, 5), None).any()


def test_scaled_as_opencv_does():
    cv2 = pytest.importorskip("cv2")
    for size in ((9, 45), (33, 30), (40, 60)):
        out = detectnet.changed(PICTURE, SAME._replace(size=size), size, None)
        wanted = cv2.resize(turned(PICTURE) / 255, size[::-1], interpolation=cv2.INTER_CUBIC) * 255
        np.testing.assert_allclose(turned(out), wanted, atol=1e-3)


@pytest.mark.parametrize("degrees", [5.5, -30.0, 90.0])
def test_turned_as_opencv_does(degrees):
    cv2 = pytest.importorskip("cv2")
    height, width = detectnet._turned_size((20, 30), degrees)
    out = detectnet.changed(PICTURE, SAME._replace(rotation=degrees), (height, width), None)
    matrix = detectnet._turning((20, 30), degrees).astype(np.float64)
    # At the edges, versions of OpenCV differ in what they take for inside.
    wanted = cv2.warpAffine(turned(PICTURE), matrix, (width, height), flags=cv2.INTER_LINEAR)
    inside = cv2.warpAffine(np.ones((20, 30), np.float32), matrix, (width, height), flags=cv2.INTER_LINEAR)
    core = cv2.erode((inside == 1).astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0) == 1
    assert core.sum() > 300
    assert abs(turned(out) - wanted)[core].max() < 8  # of 255: places are rounded to a 32nd of a pixel
    boxes = detectnet.carried(
        np.array([[10, 5, 4, 6]], np.float32), SAME._replace(rotation=degrees), (20, 30)
    )
    center = matrix @ [12, 8, 1]
    np.testing.assert_allclose(boxes, [[*(center - [2, 3]), 4, 6]], rtol=1e-5)


def test_boxes_go_along():
    boxes = np.array([[3, 4, 10, 6]], np.float32)
    changes = detectnet.Changes(0, 1, True, (40, 45), 0, 2, -3)
    # Mirrored boxes lie a pixel to the left, as in the fork.
    np.testing.assert_allclose(
        detectnet.carried(boxes, changes, (20, 30)), [[(30 - 3 - 10 - 1) * 1.5 + 3, 8 - 2, 15, 12]]
    )


def draws_of(**fields):
    param = DetectNetAugmentationParameter(**fields)
    return detectnet.draw_changes(param, (20, 30), (16, 24), RandomStream(3))


def test_draws_in_the_order_of_the_fork():
    changes = draws_of(
        hue_rotation_prob=1, hue_rotation=30, desaturation_prob=1, desaturation_max=0.8, flip_prob=0.5,
        scale_prob=1, scale_min=0.8, scale_max=1.2, rotation_prob=1, max_rotate_degree=5, crop_prob=1,
        shift_x=4, shift_y=3,
    )  # fmt: skip
    u = [RandomStream(3).raw_array(12)[i] / 2**32 for i in range(12)]
    assert changes.hue == pytest.approx((u[1] - 0.5) * 60, rel=1e-5)
    assert changes.saturation == pytest.approx(1 - u[3] * 0.8, rel=1e-5)
    assert changes.flip == (u[4] <= 0.5)
    factor = 0.8 + 0.4 * u[6]
    assert changes.size == (round(20 * factor), round(30 * factor))
    assert changes.rotation == pytest.approx((u[8] - 0.5) * 10, rel=1e-5)
    height, width = detectnet._turned_size(changes.size, changes.rotation)
    across, along = u[10], u[11]
    assert changes.left == round(across * (width - 24 + 4) - 2)
    assert changes.top == round(along * (height - 16 + 3) - 1)


def test_nothing_happens():
    never = {
        f"{name}_prob": 0 for name in ("hue_rotation", "desaturation", "flip", "scale", "rotation", "crop")
    }
    assert draws_of(**never) == detectnet.Changes(0, 1, False, (20, 30), 0, 2, 3)  # the middle
    assert detectnet.unchanged((16, 24)) == detectnet.Changes(0, 1, False, (16, 24), 0, 0, 0)


@pytest.mark.parametrize("gridbox_type", ["GRIDBOX_MIN", "GRIDBOX_MAX"])
@pytest.mark.parametrize(("obj_norm", "crop"), [(True, True), (False, False)])
def test_labels(gridbox_type, obj_norm, crop):
    param = DetectNetGroundTruthParameter(
        stride=4, scale_cvg=0.5, max_cvg_len=9, min_cvg_len=6, image_size_x=40, image_size_y=24,
        obj_norm=obj_norm, crop_bboxes=crop,
        gridbox_type=DetectNetGroundTruthParameter.GridboxType.Value(gridbox_type),
    )  # fmt: skip
    param.object_class.add(src=1, dst=0)
    param.object_class.add(src=8, dst=2)
    boxes = np.array(
        [[5.5, 4, 20, 13], [-6, 8, 14, 10], [30, 2, 3, 4], [18, 10, 19.5, 30], [50, 3, 9, 9], [4, 4, 0, 9]],
        np.float32,
    )
    classes = np.array([1, 8, 3, 8, 1, 1])
    grid = detectnet.Grid(param)
    assert grid.shape == (11, 6, 10)
    wanted = np.zeros(grid.shape)
    for (x, y, w, h), kind in zip(boxes.tolist(), classes.tolist(), strict=True):
        if crop:
            right, bottom = min(x + w, 40), min(y + h, 24)
            x, y = max(x, 0), max(y, 0)
            w, h = right - x, bottom - y
        if kind not in (1, 8) or w <= 0 or h <= 0:
            continue
        sides = [
            min(side, max(6, side / 2)) if gridbox_type == "GRIDBOX_MIN" else min(9, side / 2)
            for side in (w, h)
        ]
        left, top = x + w / 2 - sides[0] / 2, y + h / 2 - sides[1] / 2
        for i in range(6):
            for j in range(10):
                wide = min(left + sides[0], 4 * j + 4) - max(left, 4 * j)
                tall = min(top + sides[1], 4 * i + 4) - max(top, 4 * i)
                if wide <= 0 or tall <= 0 or wide * tall / 16 < 1e-6:
                    continue
                weight = 16 / (sides[0] * sides[1])
                cell = [1, x - 4 * j, y - 4 * i, x + w - 4 * j, y + h - 4 * i, 1 / w, 1 / h]
                wanted[:8, i, j] = [*cell, weight if obj_norm else max(weight, 1)]
                wanted[8:, i, j] = np.eye(3)[0 if kind == 1 else 2]
    assert wanted[0].sum() > 10
    np.testing.assert_allclose(grid.labels(boxes, classes), wanted, rtol=1e-5, atol=1e-5)


def test_classes_by_default():
    grid = detectnet.Grid(DetectNetGroundTruthParameter(stride=16, image_size_x=64, image_size_y=48))
    assert grid.shape == (9, 3, 4)
    assert grid.labels(np.array([[2, 3, 40, 30]], np.float32), np.array([1]))[8].any()
    assert not grid.labels(np.zeros((0, 4), np.float32), np.zeros(0, int)).any()


def test_floats_of_the_same_size():
    np.testing.assert_array_equal(resizing.scaled_floats(turned(PICTURE).copy(), 20, 30), turned(PICTURE))
