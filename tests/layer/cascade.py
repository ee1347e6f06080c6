"""Boxes of pixels for tests of Cascade R-CNN's layers, and what they mean."""

import numpy as np
from layer_check import F64, TEST, build_layer

R = np.random.default_rng(0)
REG = "bbox_reg_param { bbox_mean: 0.1 bbox_mean: 0 bbox_mean: -0.1 bbox_mean: 0 " + "".join(
    f"bbox_std: {s} " for s in (0.5, 0.4, 0.3, 0.2)
)
MEANS, STDS = np.float32([0.1, 0, -0.1, 0]).astype(float), np.float32([0.5, 0.4, 0.3, 0.2]).astype(float)


def boxes_of(count, images=1, extent=100, seed=1):
    """(count, 5): image, x1, y1, x2, y2."""
    r = np.random.default_rng(seed)
    low = r.uniform(0, extent * 0.6, (count, 2))
    return np.column_stack([r.integers(0, images, count), low, low + r.uniform(8, extent * 0.4, (count, 2))])


def overlap(a, b, kind="IOU"):
    """Of boxes by corners."""
    w, h = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    common = (w + 1) * (h + 1) if w >= 0 and h > 0 else 0
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (a, b)]
    divisor = {"IOU": sum(areas) - common, "IOMU": min(areas), "IOFU": areas[0]}[kind]
    return common / divisor


def decode(box, t):
    w, h = box[2] - box[0] + 1, box[3] - box[1] + 1
    cx, cy = (box[0] + box[2]) / 2 + t[0] * w, (box[1] + box[3]) / 2 + t[1] * h
    w, h = w * np.exp(t[2]), h * np.exp(t[3])
    return np.array([cx - (w - 1) / 2, cy - (h - 1) / 2, cx + (w - 1) / 2, cy + (h - 1) / 2])


def kept(boxes, scores, threshold, kind="IOU"):
    rows = []
    for i in np.argsort(-scores):
        if all(overlap(boxes[k], boxes[i], kind) <= np.float32(threshold) for k in rows):
            rows.append(i)
    return rows


def layer(name, bottoms, text="", tops=None, phase=TEST):
    return build_layer(f'type: "{name}" {text}', bottoms, phase=phase, dtype=F64, tops=tops)
