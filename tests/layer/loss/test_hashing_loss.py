import numpy as np
import pytest
from layer_check import build_layer

from pycaffe_lite.errors import LayerError

R = np.random.default_rng(0)
CODES = R.normal(size=(5, 4)) * 1.5
CLASSES = np.array([0, 1, 0, 2.0, 1])
SEVERAL = np.array([[1, 0, 0], [0, 1, 1], [0, 1, 0], [0, 0, 0], [1, 0, 1.0]])


def by_loops(x, labels, margin, tradeoff):
    """The loss, and the gradient that the fork gives."""
    N, total, dx = len(x), 0.0, np.zeros_like(x)
    for i in range(N):
        for j in range(i + 1, N):
            difference = x[i] - x[j]
            d = difference @ difference
            alike = labels[i] @ labels[j] > 0 if labels.ndim > 1 else labels[i] == labels[j]
            if alike:
                total += d / (N * (N - 1))
                sign = 1
            else:
                total += max(margin - d, 0) / (N * (N - 1))
                sign = -1 if d < margin else 0
            dx[i] += sign * difference / (N * (N - 1))
            dx[j] -= sign * difference / (N * (N - 1))
        for k, value in enumerate(x[i]):
            total += tradeoff * abs(abs(value) - 1) / N
            dx[i, k] += tradeoff / N * (1 if value >= 1 or -1 <= value <= 0 else -1)
    return total, dx


@pytest.mark.parametrize("labels", [CLASSES, SEVERAL], ids=["classes", "several"])
@pytest.mark.parametrize(
    ("options", "margin", "tradeoff"), [("", 1, 0.01), ("bi_margin: 9 tradeoff: 0.5", 9, 0.5)]
)
def test_codes_of_like_items(labels, options, margin, tradeoff):
    rig = build_layer(
        f'type: "HashingLoss" hashing_loss_param {{ {options} }}', [CODES, labels], dtype=np.float64
    )
    loss, dx = by_loops(CODES, labels, margin, float(np.float32(tradeoff)))
    np.testing.assert_allclose(rig.forward()[0], loss, rtol=1e-12)
    diffs, _ = rig.backward([np.array(3.0)], wanted=[0])
    np.testing.assert_allclose(diffs[0], 3 * dx, rtol=1e-12, atol=1e-15)


def test_values_at_the_kinks():
    rig = build_layer('type: "HashingLoss"', [np.array([[1.0], [-1], [0]]), np.zeros(3)], dtype=np.float64)
    rig.forward()
    diffs, _ = rig.backward([np.array(1.0)], wanted=[0])
    _, dx = by_loops(np.array([[1.0], [-1], [0]]), np.zeros(3), 1, float(np.float32(0.01)))
    np.testing.assert_allclose(diffs[0], dx)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(2, 3, 2), (2,)], "needs codes without height or width, got shape (2, 3, 2)"),
        ([(1, 3), (1,)], "needs two items or more, got codes of shape (1, 3)"),
    ],
)
def test_errors(shapes, message):
    with pytest.raises(LayerError) as error:
        build_layer('type: "HashingLoss"', [np.ones(shape) for shape in shapes])
    assert str(error.value) == f"layer 'layer' (HashingLoss): {message}"
