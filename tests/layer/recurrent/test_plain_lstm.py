import math

import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

R = np.random.default_rng(0)
T, N, INPUTS, H = 4, 2, 3, 2
X = R.normal(size=(T, N, INPUTS))
BLOBS = [R.normal(size=shape) for shape in ((4 * H, INPUTS), (4 * H, H), (4 * H,))]
FILL = 'weight_filler { type: "gaussian" } bias_filler { type: "gaussian" }'
TEXT = f'type: "Lstm" lstm_param {{ num_output: {H} batch_size: {N} {FILL} %s }}'


def sigmoid(v):
    return 1 / (1 + math.exp(-v))


def run(x, blobs, cont=None, before=None):
    """By the definition, unit by unit; returns all h, and the last h and c."""
    w_x, w_h, b = blobs
    h, c = before or (np.zeros((N, H)), np.zeros((N, H)))
    y = np.zeros((len(x), N, H))
    for t in range(len(x)):
        new_h, new_c = h.copy(), c.copy()
        for n in range(N):
            goes_on = t > 0 if cont is None else bool(cont[t, n])
            gates = w_x @ x[t, n] + b + (w_h @ h[n] if goes_on else 0)
            for d in range(H):
                i, f, o = (sigmoid(gates[k * H + d]) for k in range(3))
                new_c[n, d] = (f * c[n, d] if goes_on else 0) + i * math.tanh(gates[3 * H + d])
                new_h[n, d] = o * math.tanh(new_c[n, d])
        h, c = new_h, new_c
        y[t] = h
    return y, (h, c)


@pytest.mark.parametrize("name", ["Lstm", "LstmJun"])
def test_steps_and_sequences_on_axes_of_their_own(name):
    check_layer(
        (TEXT % "").replace('"Lstm"', f'"{name}"'),
        [X],
        lambda b, blobs: [run(b[0], blobs)[0]],
        blobs=BLOBS,
        resized=[np.concatenate([X, X[:1]])],
    )


def test_steps_and_sequences_on_one_axis():
    check_layer(
        TEXT % "",
        [X.reshape(T * N, INPUTS, 1, 1)],
        lambda b, blobs: [run(b[0].reshape(T, N, INPUTS), blobs)[0].reshape(T * N, H)],
        blobs=BLOBS,
        resized=(),
    )


def test_sequences_that_go_on():
    cont = np.array([[1, 0], [1, 1], [0, 1], [1, 1.0]])
    rig = build_layer(TEXT % "", [X, cont], blobs=BLOBS, dtype=np.float64)
    first, last = run(X, BLOBS, cont)
    np.testing.assert_allclose(rig.forward()[0], first)
    np.testing.assert_allclose(rig.forward()[0], run(X, BLOBS, cont, last)[0])
    begins = np.array([[0, 0], [1, 1], [0, 1], [1, 1.0]])
    check_layer(TEXT % "", [X, begins], lambda b, blobs: [run(b[0], blobs, b[1])[0]], blobs=BLOBS, resized=())


def test_gradients_are_cut_off():
    rig = build_layer(TEXT % "clipping_threshold: 0.001", [X], blobs=BLOBS, dtype=np.float64)
    rig.forward()
    _, (_, _, db) = rig.backward([np.full((T, N, H), 100.0)])
    assert np.abs(db).max() <= 0.001 * T * N * (1 + 1e-6)
    assert np.abs(db).max() >= 0.001 * N


@pytest.mark.parametrize(
    ("bottoms", "text", "message"),
    [
        ([X], TEXT.replace("num_output: 2", "num_output: 0") % "", "needs num_output of at least 1"),
        ([X[:, 0]], TEXT.replace(f"batch_size: {N}", "batch_size: 3") % "", "needs steps of batch_size 3"),
        ([X, np.ones(3)], TEXT % "", "needs 8 indicators, got shape (3,)"),
    ],
)
def test_errors(bottoms, text, message):
    with pytest.raises(LayerError) as error:
        build_layer(text, bottoms)
    assert message in str(error.value)


def test_mycaffes_name_of_caffes_lstm():
    x, cont = np.ones((3, 2, 4)), np.array([[0, 0], [1, 1], [1, 1]])
    text = 'recurrent_param { num_output: 2 weight_filler { type: "uniform" } }'
    rigs = [build_layer(f'type: "{name}" {text}', [x, cont], seed=3) for name in ("LSTM", "Lstm")]
    caffes, mycaffes = (rig.forward()[0] for rig in rigs)
    assert type(rigs[1].layer) is type(rigs[0].layer)
    np.testing.assert_array_equal(mycaffes, caffes)
