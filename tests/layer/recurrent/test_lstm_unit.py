import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError


def values(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def reference(bottoms, blobs):
    c_prev, x, cont = bottoms
    i, f, o, g = np.split(x, 4, axis=2)
    c = cont[..., np.newaxis] * sigmoid(f) * c_prev + sigmoid(i) * np.tanh(g)
    return [c, sigmoid(o) * np.tanh(c)]


@pytest.mark.parametrize(("N", "D"), [(3, 2), (1, 1), (2, 5)])
def test_values_and_gradients(N, D):
    def bottoms(N):
        return [values(1, N, D), values(1, N, 4 * D), np.arange(N).reshape(1, N) % 2]

    check_layer(
        'type: "LSTMUnit"',
        bottoms(N),
        reference,
        gradients=(0, 1),
        resized=bottoms(N + 1),
        heeds_propagate_down=False,
    )


def test_indicators_between_0_and_1_scale_the_forget_gate():
    bottoms = [values(1, 2, 3), values(1, 2, 12), np.array([[0.25, 2]])]
    rig = build_layer('type: "LSTMUnit"', bottoms)
    assert all(
        np.allclose(a, b, atol=1e-6) for a, b in zip(rig.forward(), reference(bottoms, []), strict=True)
    )
    # Caffe's gradient of that gate, for the scaled f.
    f = bottoms[2][..., np.newaxis] * sigmoid(bottoms[1][..., 3:6])
    _, dx, _ = rig.backward([np.ones((1, 2, 3)), np.zeros((1, 2, 3))], wanted=[0, 1])[0]
    assert np.allclose(dx[..., 3:6], bottoms[0] * f * (1 - f), atol=1e-6)


def test_a_new_sequence_forgets_whatever_the_gate_says():
    x = np.zeros((1, 1, 4))
    x[0, 0, 1] = np.inf
    assert build_layer('type: "LSTMUnit"', [[[[5.0]]], x, [[0.0]]]).forward()[0] == 0


def error_of(*shapes):
    with pytest.raises(LayerError) as error:
        build_layer('type: "LSTMUnit"', [np.ones(shape) for shape in shapes])
    return str(error.value).removeprefix("layer 'layer' (LSTMUnit): ")


def test_what_does_not_fit():
    said = "needs bottoms of shapes (1, N, D), (1, N, 4 D) and (1, N), got {}, {} and {}"
    for shapes in (
        ((2, 3), (1, 2, 12), (1, 2)),
        ((1, 2, 3), (1, 2, 9), (1, 2)),
        ((1, 2, 3), (1, 2, 12), (2,)),
        ((2, 2, 3), (2, 2, 12), (2, 2)),
        ((1, 2, 3), (1, 1, 12), (1, 2)),
    ):
        assert error_of(*shapes) == said.format(*shapes)


def test_does_not_work_in_place():
    with pytest.raises(LayerError) as error:
        build_layer('type: "LSTMUnit"', [values(1, 2, 3), values(1, 2, 12), np.ones((1, 2))], in_place=True)
    assert str(error.value) == (
        "layer 'layer' (LSTMUnit): does not work in place: give its top a name of its own"
    )


def test_no_gradient_for_sequence_indicators():
    rig = build_layer('type: "LSTMUnit"', [values(1, 2, 3), values(1, 2, 12), np.ones((1, 2))])
    rig.forward()
    with pytest.raises(LayerError) as error:
        rig.backward([np.ones((1, 2, 3))] * 2, wanted=[0, 1, 2])
    assert str(error.value) == "layer 'layer' (LSTMUnit): has no gradient for its sequence indicators"
