import numpy as np
import pytest
from layer_check import check_layer


@pytest.mark.parametrize(("options", "slope"), [("", 0), ("relu_param { negative_slope: 0.5 }", 0.5)])
def test_negative_values_stay(options, slope):
    x = np.array([[-2, -0.5, 0, 0.5], [3, -1, 2, -4.0]])
    check_layer(
        f'type: "NegReLU" {options}',
        [x],
        lambda bottoms, _: [[[v if v < 0 else slope * v for v in row] for row in bottoms[0]]],
        in_place=True,
    )
