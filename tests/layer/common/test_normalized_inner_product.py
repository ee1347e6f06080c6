import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

R = np.random.default_rng(0)
X, W, B = R.normal(size=(3, 4)), R.normal(size=(2, 4)), R.normal(size=2)
TEXT = 'type: "InnerProduct" inner_product_param { num_output: 2 normalize: true }'


def test_each_pass_makes_the_rows_one_long():
    rig = build_layer(TEXT, [X], blobs=[W, B])
    unit = W / np.sqrt((W**2).sum(axis=1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(rig.forward()[0], X @ unit.T + B, rtol=1e-5)
    np.testing.assert_allclose(rig.layer.blobs[0].data, unit, rtol=1e-6)


def test_gradients_of_the_product():
    """They are not led through the division, so that weights of length 1 have the true ones."""
    rig = build_layer(TEXT, [X], blobs=[W, B], dtype=np.float64)
    rig.forward()
    dy = R.normal(size=(3, 2))
    (dx,), (dw, db) = rig.backward([dy])
    unit = W / np.sqrt((W**2).sum(axis=1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(dx, dy @ unit)
    np.testing.assert_allclose(dw, dy.T @ X)
    np.testing.assert_allclose(db, dy.sum(axis=0))


def test_as_caffes_without_weights_to_learn():
    check_layer(
        TEXT,
        [X],
        lambda b, blobs: [
            b[0] @ (blobs[0] / np.sqrt((blobs[0] ** 2).sum(axis=1, keepdims=True) + 1e-6)).T + blobs[1]
        ],
        blobs=[W / np.linalg.norm(W, axis=1, keepdims=True), B],
        check_blobs=False,
        resized=(),
    )


def test_errors():
    with pytest.raises(LayerError, match="takes either normalize or transpose"):
        build_layer(TEXT.replace("normalize", "transpose: true normalize"), [X])
