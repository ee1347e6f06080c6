import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError, PycaffeError
from pycaffe_lite.formats import binaryproto

X = np.random.default_rng(0).normal(size=(2, 4, 3, 2))


@pytest.mark.parametrize(
    ("options", "right"),
    [
        ("operation: SUBTRACT value: [1, 2]", lambda x, m: x - m),
        ("operation: ADD value: [1, 2]", lambda x, m: x + m),
        (
            "operation: SUBTRACT value: [1, 2] input_scale: 3 mean_scale: 0.5 output_scale: 2",
            lambda x, m: 2 * (3 * x - 0.5 * m),
        ),
    ],
)
def test_a_mean_for_each_channel(options, right):
    means = np.array([1, 2, 1, 2.0]).reshape(1, 4, 1, 1)
    check_layer(
        f'type: "Mean" mean_param {{ {options} }}',
        [X],
        lambda bottoms, _: [right(bottoms[0], means)],
        gradients=(),
        check_blobs=False,
        in_place=True,
    )


def test_means_from_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    means = np.random.default_rng(1).normal(size=(1, 2, 3, 2)).astype(np.float32)
    binaryproto.write("mean.binaryproto", means)
    rig = build_layer(
        'type: "Mean" mean_param { operation: SUBTRACT file: "mean.binaryproto" }', [X, X * 2], tops=2
    )
    for x, y in zip((X, X * 2), rig.forward(), strict=True):
        np.testing.assert_allclose(y, x - np.tile(means, (1, 2, 1, 1)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("value: 1", "needs mean_param { operation: ADD or SUBTRACT }"),
        ("operation: ADD", "needs either a file of means or a value for each channel"),
        (
            "operation: ADD value: [1, 2, 3]",
            "has means of shape (3, 1, 1), which do not fit bottom (2, 4, 3, 2)",
        ),
        ('operation: ADD file: "no.binaryproto"', "no.binaryproto"),
    ],
)
def test_errors(options, message):
    with pytest.raises(PycaffeError) as error:
        build_layer(f'type: "Mean" mean_param {{ {options} }}', [X])
    assert message in str(error.value)


def test_there_is_no_gradient():
    rig = build_layer('type: "Mean" mean_param { operation: ADD value: 1 }', [X])
    with pytest.raises(LayerError, match="has no gradient"):
        rig.layer.backward(rig.top, [True], rig.bottom)
