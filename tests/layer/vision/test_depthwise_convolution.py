import numpy as np
import pytest
from layer_check import build_layer

R = np.random.default_rng(0)
X = R.normal(size=(2, 4, 5, 6)).astype(np.float32)
W, B = R.normal(size=(4, 1, 3, 3)).astype(np.float32), R.normal(size=4).astype(np.float32)
OPTIONS = "num_output: {} group: {} kernel_size: 3 pad: 1 stride: 2"


def results(layer_type, num_output, group):
    options = OPTIONS.format(num_output, group)
    rig = build_layer(f'type: "{layer_type}" convolution_param {{ {options} }}', [X], blobs=[W, B])
    (y,) = rig.forward()
    return [y, *rig.backward([np.ones_like(y)])]


@pytest.mark.parametrize(
    ("layer_type", "num_output", "group"),
    [("DepthwiseConvolution", 4, 4), ("ConvolutionDepthwise", 4, 4), ("ConvolutionDepthwise", 7, 1)],
)
def test_as_a_convolution_with_a_group_for_each_channel(layer_type, num_output, group):
    for got, expected in zip(
        results(layer_type, num_output, group), results("Convolution", 4, 4), strict=True
    ):
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_array_equal(a, b)
