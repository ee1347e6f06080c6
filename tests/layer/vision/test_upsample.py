import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

R = np.random.default_rng(0)
X = R.normal(size=(2, 3, 2, 3))


def mask_for(shape, height, width):
    """A different place within a plane of height x width for each value."""
    planes = shape[0] * shape[1]
    places = [R.permutation(height * width)[: shape[2] * shape[3]] for _ in range(planes)]
    return np.array(places, float).reshape(shape)


def unpooled(x, mask, height, width):
    y = np.zeros((*x.shape[:2], height * width))
    for n, c in np.ndindex(x.shape[:2]):
        for value, place in zip(x[n, c].ravel(), mask[n, c].ravel(), strict=True):
            y[n, c, int(place)] = value
    return y.reshape(*x.shape[:2], height, width)


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ("", (4, 6)),
        ("scale: 3", (6, 9)),
        ("scale_h: 2 scale_w: 4", (4, 12)),
        ("pad_out_h: true", (3, 6)),
        ("pad_out_w: true", (4, 5)),
        ("upsample_h: 5 upsample_w: 7", (5, 7)),
    ],
)
def test_values_go_to_their_places(options, size):
    mask = mask_for(X.shape, *size)
    check_layer(
        f'type: "Upsample" bottom: "x" bottom: "m" upsample_param {{ {options} }}',
        [X, mask],
        lambda bottoms, _: [unpooled(*bottoms, *size)],
    )


def test_the_last_of_several_values_for_one_place_counts():
    x, mask = np.array([[[[1.0, 2, 3]]]]), np.array([[[[4.0, 0, 4]]]])
    rig = build_layer('type: "Upsample" bottom: "x" bottom: "m"', [x, mask])
    np.testing.assert_array_equal(rig.forward()[0], [[[[2, 0, 0, 0, 3, 0], [0, 0, 0, 0, 0, 0]]]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("scale: 1", "needs a scale of 2 or more, got 1"),
        ("scale_h: 2", "needs both of scale_h and scale_w, or neither"),
        ("upsample_w: 3", "needs both of upsample_h and upsample_w, or neither"),
        ("scale: 3 pad_out_w: true", "needs a scale of 2 for pad_out_w, got 3"),
    ],
)
def test_errors(options, message):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "Upsample" bottom: "x" bottom: "m" upsample_param {{ {options} }}', [X, X])
    assert str(error.value) == f"layer 'layer' (Upsample): {message}"


def test_a_place_outside():
    rig = build_layer('type: "Upsample" bottom: "x" bottom: "m"', [X, np.full(X.shape, 24.0)])
    with pytest.raises(LayerError) as error:
        rig.forward()
    assert str(error.value) == (
        "layer 'layer' (Upsample): needs places within its top's planes of 4x6, got 36 others"
    )


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_each_value_is_repeated(scale):
    check_layer(
        f'type: "Upsample" upsample_param {{ scale: {scale} }}',
        [X],
        lambda bottoms, _: [bottoms[0].repeat(scale, axis=2).repeat(scale, axis=3)],
    )


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ("scale: 0", (2, 3), "needs a scale of 1 or more, got 0"),
        ("scale: 2", (2,), "needs a bottom of 2 axes or more, got shape (2,)"),
    ],
)
def test_errors_of_the_other_form(options, shape, message):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "Upsample" upsample_param {{ {options} }}', [np.ones(shape)])
    assert str(error.value) == f"layer 'layer' (Upsample): {message}"
