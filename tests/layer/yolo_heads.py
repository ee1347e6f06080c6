"""Heads and labels for tests of YOLO's layers."""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def overlap(a, b):
    """IoU of two boxes given by centre and size."""
    a, b = np.asarray(a), np.asarray(b)
    high = np.minimum(a[:2] + a[2:] / 2, b[:2] + b[2:] / 2)
    low = np.maximum(a[:2] - a[2:] / 2, b[:2] - b[2:] / 2)
    common = np.maximum(high - low, 0).prod()
    return common / (a[2:].prod() + b[2:].prod() - common)


def head_of(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def labels_of(images):
    """(N, 1, 300, 5), from lists of (class, x, y, w, h)."""
    labels = np.zeros((len(images), 1, 300, 5))
    for n, rows in enumerate(images):
        labels[n, 0, : len(rows)] = np.reshape(rows, (-1, 5))
    return labels


def boxes_of(head, anchors):
    """The cells' values by anchor, and their boxes.

    head: (N, A L, H, W). anchors: (A, 2), in cells. Returns (N, A, L, H, W) and (N, A, H, W, 4).
    """
    N, _, H, W = head.shape
    values = head.reshape(N, len(anchors), -1, H, W)
    boxes = np.empty((N, len(anchors), H, W, 4))
    for n, a, j, i in np.ndindex(boxes.shape[:4]):
        x, y, w, h = values[n, a, :4, j, i]
        boxes[n, a, j, i] = (
            (i + sigmoid(x)) / W,
            (j + sigmoid(y)) / H,
            np.exp(w) * anchors[a][0] / W,
            np.exp(h) * anchors[a][1] / H,
        )
    return values, boxes
