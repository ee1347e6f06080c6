"""Sizes of billions: a line at once, and no memory taken; or the values that small sizes give."""

import resource
import time

import numpy as np
import pytest
from layer_check import build_layer

from pycaffe_lite.errors import LayerError
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto.caffe_pb2 import TEST

X = np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype(np.float32)
HUGE = "2147483647"
HUGEST = "4294967295"
SQUARE = float(HUGEST) ** 2


def conv(sizes, layer_type="Convolution"):
    return f'type: "{layer_type}" convolution_param {{ num_output: 2 {sizes} }}'


def pool(sizes):
    return f'type: "Pooling" pooling_param {{ {sizes} }}'


REFUSED = [
    *(
        conv(f"kernel_size: {kernel} {sizes}", layer_type)
        for layer_type in ("Convolution", "Deconvolution", "Im2col")
        for kernel, sizes in (
            (3, f"dilation: {HUGE} pad: {HUGE}"),
            (3, "dilation: 1000000000 pad: 1000000000"),
            (3, "dilation: 20000 pad: 20000"),
            (HUGEST, ""),
            (HUGE, "pad: 1073741823"),
            (1, f"pad: {HUGEST}"),
        )
    ),
    conv(f"kernel_size: 1 pad: {HUGEST} stride: {HUGEST}"),
    conv(f"kernel_size: 3 stride: {HUGEST}", "Deconvolution"),
    f'type: "Convolution" convolution_param {{ num_output: {HUGEST} kernel_size: 3 }}',
    pool(f"kernel_size: {HUGEST}"),
    pool(f"pool: AVE kernel_size: {HUGE} pad: 2147483646 stride: {HUGE}"),
    pool("pool: MAX kernel_size: 40000 pad: 39999"),
    f'type: "SPP" spp_param {{ pyramid_height: {HUGEST} }}',
    f'type: "InnerProduct" inner_product_param {{ num_output: {HUGEST} }}',
    f'type: "Tile" tile_param {{ tiles: {HUGE} }}',
    'type: "Reshape" reshape_param { shape { dim: 9223372036854775807 dim: -1 } }',
    'type: "Reshape" reshape_param { shape { dim: 4611686018427387904 dim: 4 } }',
    f'type: "Crop" crop_param {{ offset: {HUGEST} }}',
    f'type: "Concat" concat_param {{ concat_dim: {HUGEST} }}',
]
NO_BOTTOM = [
    'type: "DummyData" dummy_data_param { shape { dim: 9223372036854775807 dim: 2 } }',
    'type: "DummyData" dummy_data_param { shape { dim: 65536 dim: 65536 } }',
    'type: "DummyData" dummy_data_param { shape { dim: -1 } }',
    'type: "Parameter" parameter_param { shape { dim: 4294967296 } }',
    f'type: "Input" input_param {{ shape {{ dim: {HUGEST} }} }}',
]


@pytest.mark.parametrize("text", REFUSED + NO_BOTTOM)
def test_a_size_that_cannot_be(text):
    bottoms = [] if text in NO_BOTTOM else [X, X] if '"Crop"' in text else [X]
    used, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(LayerError, match=r"^layer 'layer' \("):
        build_layer(text, bottoms)
    assert time.process_time() - start < 0.5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used < 50_000  # kB


@pytest.mark.parametrize(
    ("huge", "small"),
    [
        (pool(f"kernel_size: 3 stride: {HUGEST}"), pool("kernel_size: 3 stride: 20")),
        (pool(f"pool: AVE kernel_size: 3 stride: {HUGEST}"), pool("pool: AVE kernel_size: 3 stride: 20")),
        (
            pool(f"pool: AVE kernel_size: 4 pad: 3 stride: {HUGEST}"),
            pool("pool: AVE kernel_size: 4 pad: 3 stride: 50"),
        ),
        (
            pool(f"pool: AVE kernel_size: {HUGE} stride: {HUGE}"),
            pool("pool: AVE kernel_size: 50 stride: 50"),
        ),
        (conv(f"kernel_size: 3 stride: {HUGEST}"), conv("kernel_size: 3 stride: 6")),
        (conv(f"kernel_size: 1 dilation: {HUGEST}"), conv("kernel_size: 1")),
        (conv("kernel_size: 3 pad: 5000 dilation: 5000"), conv("kernel_size: 3 pad: 9 dilation: 9")),
        (
            conv("kernel_size: 3 pad: 5000 dilation: 5000", "Deconvolution"),
            conv("kernel_size: 3 pad: 9 dilation: 9", "Deconvolution"),
        ),
        (
            f'type: "LRN" lrn_param {{ local_size: {HUGEST} alpha: {HUGEST} }}',
            'type: "LRN" lrn_param { local_size: 17 alpha: 17 }',
        ),
        (
            f'type: "LRN" lrn_param {{ norm_region: WITHIN_CHANNEL local_size: {HUGEST} alpha: {SQUARE} }}',
            'type: "LRN" lrn_param { norm_region: WITHIN_CHANNEL local_size: 17 alpha: 289 }',
        ),
    ],
)
def test_a_huge_size_gives_what_a_sufficient_one_does(huge, small):
    outputs = []
    for text in (huge, small):
        rig = build_layer(text, [X])
        for blob in rig.layer.blobs:
            blob.data[...] = np.linspace(-1, 1, blob.count).reshape(blob.shape)
        outputs.append(rig.forward()[0].copy())
    np.testing.assert_allclose(*outputs, rtol=1e-5, atol=1e-6)


def test_weights_for_which_there_is_no_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 100_000}.get)
    file = tmp_path / "n.prototxt"
    file.write_text(
        'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 dim: 1 } } }\n'
        'layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" '
        "inner_product_param { num_output: 60000000 } }"
    )
    with pytest.raises(LayerError) as raised:
        Net(file, TEST)
    assert str(raised.value) == (
        f"{file}:2: layer 'ip' (InnerProduct): a blob of shape (60000000, 1) takes 0.5 GB to fill, of 0.4 GB "
        "that this machine has"
    )
