import numpy as np
import pytest
from layer_check import check_layer


@pytest.mark.parametrize("layer_type", ["SeLU", "SeLu"])
@pytest.mark.parametrize(
    ("options", "scale", "alpha"),
    [("", np.float32(1.05070102), np.float32(1.67326319)), ("selu_param { lambda: 2 alpha: 0.5 }", 2, 0.5)],
)
def test_scaled_exponential_below_zero(layer_type, options, scale, alpha):
    x = np.random.default_rng(0).normal(size=(2, 3, 4))

    def reference(bottoms, blobs):
        x = bottoms[0]
        return [scale * np.where(x > 0, x, alpha * np.expm1(x))]

    check_layer(f'type: "{layer_type}" {options}', [x], reference, in_place=True)
