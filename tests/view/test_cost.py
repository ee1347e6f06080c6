"""Multiply-adds by layer type."""

import pytest

from pycaffe_lite import TEST, TRAIN
from pycaffe_lite.layer.registry import layer_types
from pycaffe_lite.net.net import Net
from pycaffe_lite.view.cost import _COSTS, multiply_adds, traffic


def node(layer, *shapes, phase=TEST):
    """The last node of a net of one layer that reads Input blobs of the given shapes."""
    inputs = "".join(
        f'layer {{ name: "i{k}" type: "Input" top: "x{k}" input_param {{ shape {{ '
        f"{' '.join(f'dim: {n}' for n in shape)} }} }} }}\n"
        for k, shape in enumerate(shapes)
    )
    bottoms = " ".join(f'bottom: "x{k}"' for k in range(len(shapes)))
    net = Net.from_text(f'{inputs}layer {{ name: "l" {bottoms} {layer} }}', phase)
    return net.graph.nodes[-1]


def convolution_by_loops(batch, outputs, channels, height, width, kernel):
    """As many as there are turns of the innermost loop of a direct convolution."""
    turns = 0
    for _ in range(batch * outputs):
        for _ in range((height - kernel + 1) * (width - kernel + 1)):
            turns += channels * kernel * kernel
    return turns


CONVOLUTION = "convolution_param {{ num_output: {} kernel_size: 3 {} }}"


@pytest.mark.parametrize(
    ("layer", "shapes", "expected"),
    [
        (
            'type: "Convolution" top: "y" ' + CONVOLUTION.format(4, ""),
            [(2, 3, 6, 5)],
            convolution_by_loops(2, 4, 3, 6, 5, 3),
        ),
        ('type: "Convolution" top: "y" ' + CONVOLUTION.format(4, "group: 2"), [(1, 2, 5, 5)], 4 * 9 * 9),
        ('type: "Deconvolution" top: "y" ' + CONVOLUTION.format(4, ""), [(1, 2, 5, 5)], 2 * 25 * 4 * 9),
        (
            'type: "DepthwiseConvolution" top: "y" ' + CONVOLUTION.format(3, "group: 3"),
            [(1, 3, 5, 5)],
            3 * 81,
        ),
        ('type: "ConvolutionDepthwise" top: "y" ' + CONVOLUTION.format(9, ""), [(1, 3, 5, 5)], 3 * 81),
        ('type: "InnerProduct" top: "y" inner_product_param { num_output: 7 }', [(2, 3, 4)], 2 * 7 * 12),
        ('type: "ReLU6" top: "y"', [(2, 3)], 0),
        (
            'type: "NdConvolution" top: "y" convolution_param { num_output: 4 '
            "kernel_shape { dim: 2 dim: 3 dim: 3 } }",
            [(1, 2, 4, 5, 5)],
            4 * 3 * 3 * 3 * 2 * 18,
        ),
        (
            'type: "NdPooling" top: "y" pooling_param { pool: AVE kernel_shape { dim: 2 dim: 2 dim: 2 } }',
            [(1, 2, 3, 3, 3)],
            2 * 8 * 8,
        ),
        (
            'type: "InnerProduct" top: "y" inner_product_param { num_output: 7 axis: 2 transpose: true }',
            [(2, 3, 4)],
            6 * 7 * 4,
        ),
        (
            'type: "LSTM" top: "y" recurrent_param { num_output: 5 }',
            [(3, 2, 4), (3, 2)],
            3 * 2 * (20 * 4 + 20 * 5 + 9 * 5),
        ),
        ('type: "RNN" top: "y" recurrent_param { num_output: 5 }', [(3, 2, 4), (3, 2)], 6 * 5 * (4 + 10 + 3)),
        ('type: "Pooling" top: "y" pooling_param { pool: AVE kernel_size: 2 stride: 2 }', [(1, 2, 4, 4)], 32),
        ('type: "Pooling" top: "y" pooling_param { kernel_size: 2 stride: 2 }', [(1, 2, 4, 4)], 0),
        ('type: "LRN" top: "y" lrn_param { local_size: 3 }', [(1, 4, 2, 2)], 16 * 5),
        ('type: "BatchNorm" top: "y"', [(2, 3, 2, 2)], 24),
        ('type: "ReLU" top: "y"', [(2, 3)], 0),
        ('type: "ReLU" top: "y" relu_param { negative_slope: 0.1 }', [(2, 3)], 6),
        ('type: "Eltwise" top: "y"', [(2, 3), (2, 3), (2, 3)], 12),
        ('type: "Eltwise" top: "y" eltwise_param { coeff: 2 coeff: 1 }', [(2, 3), (2, 3)], 12),
        ('type: "Eltwise" top: "y" eltwise_param { operation: MAX }', [(2, 3), (2, 3)], 0),
        ('type: "Softmax" top: "y"', [(2, 3)], 18),
        ('type: "Dropout" top: "y"', [(2, 3)], 0),
        ('type: "Axpy" top: "y"', [(2, 3, 1, 1), (2, 3, 4, 4), (2, 3, 4, 4)], 96),
    ],
)
def test_multiply_adds(layer, shapes, expected):
    assert multiply_adds(node(layer, *shapes)) == expected


def test_the_batchs_own_statistics_cost_more():
    assert multiply_adds(node('type: "BatchNorm" top: "y"', (2, 3, 2, 2), phase=TRAIN)) == 3 * 24
    assert multiply_adds(node('type: "Dropout" top: "y"', (2, 3), phase=TRAIN)) == 6


def test_every_type_of_caffe_is_known():
    """A Python layer alone does what its user has written."""
    types = layer_types()
    assert {name for name, kind in types.items() if kind.origin == "Caffe"} - set(_COSTS) == {"Python"}
    assert set(_COSTS) <= set(types)


def test_what_depends_on_data():
    layer = (
        'type: "PSROIPooling" top: "y" psroi_pooling_param { spatial_scale: 1 output_dim: 2 group_size: 2 }'
    )
    assert multiply_adds(node(layer, (1, 8, 4, 4), (1, 5))) is None


def test_traffic():
    layer = 'type: "InnerProduct" top: "y" inner_product_param { num_output: 7 }'
    assert traffic(node(layer, (2, 3))) == 4 * (6 + 21 + 7 + 14)
    assert traffic(node('type: "Flatten" top: "y"', (2, 3, 4))) == 0
