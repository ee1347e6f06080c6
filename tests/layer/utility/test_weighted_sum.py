import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

R = np.random.default_rng(0)
A, B = R.normal(size=(3, 2, 4)), R.normal(size=(3, 2, 4))


@pytest.mark.parametrize("shape", [(2, 3), (2,), (2, 3, 2, 4)])
@pytest.mark.parametrize(("options", "coeffs"), [("", (1, 1)), ("coeff: 2 coeff: -0.5", (2, -0.5))])
def test_coefficients_of_a_bottom(shape, options, coeffs):
    weights = R.normal(size=shape)

    def reference(bottoms, _):
        y = np.zeros(A.shape)
        for k, x in enumerate(bottoms[:2]):
            for place in np.ndindex(*A.shape):
                y[place] += coeffs[k] * bottoms[2][(k, *place)[: len(shape)]] * x[place]
        return [y]

    check_layer(
        f'type: "Eltwise" eltwise_param {{ coeff_blob: true {options} }}',
        [A, B, weights],
        reference,
        resized=(),
        in_place=True,
    )


@pytest.mark.parametrize(
    ("options", "weights", "message"),
    [
        ("operation: PROD", np.ones(2), "takes coeff_blob only for operation SUM"),
        ("coeff: 1", np.ones(2), "needs no coeff or one for each of its 2 bottoms but the last, got 1"),
        ("", np.ones(3), "needs coefficients of shape (2, ...), the rest as the first axes of (3, 2, 4)"),
        ("", np.ones((2, 2)), "got (2, 2)"),
    ],
)
def test_errors(options, weights, message):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "Eltwise" eltwise_param {{ coeff_blob: true {options} }}', [A, B, weights])
    assert message in str(error.value)


def test_coefficients_have_no_gradient():
    rig = build_layer('type: "Eltwise" eltwise_param { coeff_blob: true }', [A, B, np.ones(2)])
    rig.forward()
    with pytest.raises(LayerError, match="has no gradient for its coefficients"):
        rig.backward([A], wanted=[2])
