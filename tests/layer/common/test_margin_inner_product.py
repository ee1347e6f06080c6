import numpy as np
import pytest
from layer_check import F64, build_layer, check_layer
from tolerances import assert_reference

from pycaffe_lite.errors import LayerError

R = np.random.default_rng(0)
X, LABELS = R.normal(size=(9, 4)), np.arange(9) % 3
W = R.normal(size=(3, 4))
UNIT = W / np.linalg.norm(W, axis=1, keepdims=True)
TYPES = ("SINGLE", "DOUBLE", "TRIPLE", "QUADRUPLE")
FILL = 'weight_filler { type: "xavier" }'


def layer(m, text="", **options):
    fields = f"num_output: 3 type: {TYPES[m - 1]} {text}"
    prototxt = f'type: "MarginInnerProduct" margin_inner_product_param {{ {fields} }}'
    return build_layer(prototxt, [X, LABELS], dtype=F64, blobs=[W], tops=2, **options)


def margin(theta, m):
    k = min(int(theta * m / np.pi), m - 1)
    return (-1) ** k * np.cos(m * theta) - 2 * k


def outputs(m, decay):
    y = X @ UNIT.T
    if m > 1:
        for i, label in enumerate(LABELS):
            length = np.linalg.norm(X[i])
            psi = margin(np.arccos(y[i, label] / length), m)
            y[i, label] = (length * psi + decay * y[i, label]) / (1 + decay)
    return y


@pytest.mark.parametrize("m", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("text", "decays"),
    [
        ("base: 0", [0, 0]),
        ("base: 10 gamma: 0.5 power: 2", [10 / 1.5**2, 10 / 2**2]),
        ("base: 10 gamma: 0.5 power: 2 iteration: 4 lambda_min: 0.75", [10 / 3.5**2, 0.75]),
    ],
)
def test_margin_of_angles(m, text, decays):
    rig = layer(m, text)
    for decay in decays:
        y, given = rig.forward()
        assert_reference(y, outputs(m, decay), "y")
        np.testing.assert_allclose(given, [decay])
        np.testing.assert_allclose(rig.layer.blobs[0].data, UNIT)


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_gradients_are_the_forks(m):
    rig = layer(m, "base: 2")
    rig.forward()
    dy = R.normal(size=(9, 3))
    (dx, _), (dw,) = rig.backward([dy, 0])
    assert_reference(dw, dy.T @ X, "dw")
    right = dy @ UNIT
    if m > 1:
        for i, label in enumerate(LABELS):
            length = np.linalg.norm(X[i])
            c, step = UNIT[label] @ X[i] / length, 1e-6
            slope = (margin(np.arccos(c + step), m) - margin(np.arccos(c - step), m)) / (2 * step)
            both = np.array([slope, (margin(np.arccos(c), m) - c * slope) / length])
            both /= np.linalg.norm(both)
            right[i] -= dy[i, label] * UNIT[label]
            right[i] += dy[i, label] * (both[0] * UNIT[label] + both[1] * X[i] + 2 * UNIT[label]) / 3
    np.testing.assert_allclose(dx, right, rtol=1e-6, atol=1e-8)


def test_gradient_of_plain_products_is_the_true_one():
    check_layer(
        f'type: "MarginInnerProduct" margin_inner_product_param {{ num_output: 3 {FILL} }}',
        [X, LABELS],
        lambda b, blobs: [b[0] @ (blobs[0] / np.linalg.norm(blobs[0], axis=1, keepdims=True)).T],
        blobs=[UNIT],
        check_blobs=False,
    )


def test_zeros_have_an_output_of_zeros():
    rig = layer(4)
    y, _ = rig.forward([np.zeros((9, 4)), LABELS])
    assert not y.any()
    (dx, _), _ = rig.backward([np.ones((9, 3)), 0])
    assert np.isfinite(dx).all()


def test_iteration_goes_on_from_a_state():
    text = "base: 10 gamma: 0.5"
    first, second = layer(2, text), layer(2, text)
    first.forward()
    assert second.layer.set_state(first.layer.state()) == ""
    np.testing.assert_array_equal(second.forward()[1], first.forward()[1])
    assert second.layer.set_state(b"") == "its iteration starts afresh: the one saved is of another layer"


@pytest.mark.parametrize(
    ("text", "bottoms", "message"),
    [
        ("", [X, LABELS], "needs num_output of at least 1, got 0"),
        ("num_output: 3", [X, LABELS[:3]], "needs 9 labels, got shape (3,)"),
        (
            "num_output: 2",
            [X, LABELS],
            "label 2 at (2,) is out of range: 2 classes, 0 to 1",
        ),
    ],
)
def test_errors(text, bottoms, message):
    with pytest.raises(LayerError) as error:
        build_layer(
            f'type: "MarginInnerProduct" margin_inner_product_param {{ {text} {FILL} }}', bottoms
        ).forward()
    assert str(error.value) == f"layer 'layer' (MarginInnerProduct): {message}"


@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_large_margins(m):
    """Outputs for weights of any length; the gradients are the true ones."""

    def reference(bottoms, blobs):
        (x, labels), (w,) = bottoms, blobs
        y = x @ w.T
        decay = 3 / 1.5**2
        for i, label in enumerate(labels.astype(int) if m > 1 else ()):
            lengths = np.linalg.norm(x[i]) * np.linalg.norm(w[label])
            psi = margin(np.arccos(y[i, label] / (lengths + 1e-9)), m)
            y[i, label] = (lengths * psi + decay * y[i, label]) / (1 + decay)
        return [y]

    fields = f"num_output: 3 type: {TYPES[m - 1]} base: 3 gamma: 0 {FILL}"
    for text in (fields, fields.replace("gamma: 0", "gamma: 0.5 power: 2")):
        prototxt = f'type: "LargeMarginInnerProduct" largemargin_inner_product_param {{ {text} }}'
        rig = build_layer(prototxt, [X, LABELS], dtype=F64, blobs=[W], tops=2)
        if "power" in text:
            y, decay = rig.forward()
            np.testing.assert_allclose(decay, [3 / 1.5**2])
            assert_reference(y, reference([X, LABELS], [W])[0], "y")
        else:
            check_layer(prototxt, [X, LABELS], blobs=[W], threshold=1e-5)
