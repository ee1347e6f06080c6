import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

X = np.random.default_rng(0).normal(size=(2, 3, 2, 4))


@pytest.mark.parametrize(
    ("options", "axes", "eps"),
    [
        ("", (1, 2, 3), 1e-10),
        ("across_spatial: false", 1, 1e-10),
        ("eps: 0.5", (1, 2, 3), 0.5),
        ("across_spatial: false eps: 0.5", 1, 0.5),
    ],
)
def test_divided_by_the_norm(options, axes, eps):
    check_layer(
        f'type: "Normalize" norm_param {{ {options} }}',
        [X],
        lambda bottoms, blobs: [
            blobs[0] * bottoms[0] / np.sqrt(eps + np.square(bottoms[0]).sum(axis=axes, keepdims=True))
        ],
        blobs=[np.array(1.5)],
        threshold=1e-5,
    )


def test_a_scale_for_each_channel():
    rig = build_layer(
        'type: "Normalize" norm_param { channel_shared: false scale_filler { value: 20 } }', [X]
    )
    assert rig.layer.blobs[0].data.tolist() == [20, 20, 20]
    scale = np.array([1.0, -2, 3], np.float32)
    rig.layer.blobs[0].data[...] = scale
    norm = np.sqrt(np.square(X).sum(axis=(1, 2, 3), keepdims=True))
    np.testing.assert_allclose(rig.forward()[0], scale[:, None, None] * X / norm, rtol=1e-5)
    _, (dscale,) = rig.backward([X])
    np.testing.assert_allclose(dscale, (X * X / norm).sum(axis=(0, 2, 3)), rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "norm"),
    [
        ("L2", lambda x: np.sqrt(1e-6 + np.square(x).sum(axis=1, keepdims=True))),
        ("L1", lambda x: 1e-6 + np.abs(x).sum(axis=1, keepdims=True)),
    ],
)
@pytest.mark.parametrize("tops", ["", ' top: "y" top: "r"'])
def test_happynears(kind, norm, tops):
    check_layer(
        f'type: "Normalize" normalize_param {{ normalize_type: "{kind}" bp_norm: true }}{tops}',
        [X],
        lambda bottoms, _: [bottoms[0] / norm(bottoms[0]), norm(bottoms[0])][: 2 if tops else 1],
        threshold=1e-5,
    )


def test_happynears_norm_has_no_gradient_unless_asked_for():
    rig = build_layer('type: "Normalize" top: "y" top: "r"', [X])
    rig.forward()
    (dx,), _ = rig.backward([np.zeros(X.shape), np.ones((2, 1, 2, 4))])
    assert not dx.any()


@pytest.mark.parametrize(
    ("prototxt", "message"),
    [
        ('normalize_param { normalize_type: "L3" }', "needs normalize_type 'L1' or 'L2', got 'L3'"),
        ("normalize_param { fix_gradient: true }", "fix_gradient is not supported"),
        (
            'norm_param { normalize_type: "L1" }',
            "SSD's norm_param has no normalize_type; it belongs to happynear's normalize_param",
        ),
    ],
)
def test_errors(prototxt, message):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "Normalize" {prototxt}', [X])
    assert str(error.value) == f"layer 'layer' (Normalize): {message}"


def test_another_number_of_channels():
    rig = build_layer('type: "Normalize" norm_param { }', [X])
    with pytest.raises(LayerError, match=r"needs 3 channels, got bottom shape \(2, 4, 2, 4\)"):
        rig.forward([np.ones((2, 4, 2, 4))])
