import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError


@pytest.mark.parametrize(
    ("options", "reference", "part"),
    [
        ("", (2, 3, 4, 5), np.s_[:, :, :4, :5]),
        ("axis: 0 offset: 1", (1, 2, 2, 2), np.s_[1:2, 1:3, 1:3, 1:3]),
        ("axis: -1 offset: 4", (9, 9, 9, 2), np.s_[:, :, :, 4:6]),
        ("axis: 2 offset: 1 offset: 3", (1, 1, 3, 3), np.s_[:, :, 1:4, 3:6]),
        ("axis: 1 offset: 0 offset: 2 offset: 3", (7, 3, 4, 4), np.s_[:, 0:3, 2:6, 3:7]),
        ("axis: 3", (1, 1, 1, 7, 8), np.s_[:, :, :, :7]),
    ],
)
def test_part_of_the_size_of_the_reference(options, reference, part):
    x = np.random.default_rng(0).normal(size=(2, 3, 6, 7))
    check_layer(
        f'type: "Crop" crop_param {{ {options} }}',
        [x, np.zeros(reference)],
        lambda bottoms, blobs: [bottoms[0][part]],
        resized=(),
    )


def test_reference_gets_no_gradient():
    rig = build_layer('type: "Crop"', [np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2))])
    rig.forward()
    dx, dreference = rig.backward([np.ones((1, 1, 2, 2))], wanted=[0, 1], bottom_fill=7.0)[0]
    assert dx[0, 0].tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert (dreference == 7).all()


@pytest.mark.parametrize(
    ("options", "reference", "message"),
    [
        ("axis: 4", (2, 3, 4, 5), "axis 4 is out of range for a blob of shape (2, 3, 6, 7)"),
        (
            "axis: 1 offset: 1 offset: 1",
            (2, 3, 4, 5),
            "needs no offset, one, or one for each of the 3 axes from 1 on, got [1, 1]",
        ),
        ("", (4, 5), "needs a reference of 4 axes like bottom 0, got shape (4, 5)"),
        (
            "",
            (2, 3, 8, 7),
            "cannot crop axis 2 to 8 from offset 0 on: got bottom shapes (2, 3, 6, 7) and (2, 3, 8, 7)",
        ),
        (
            "offset: 2",
            (2, 3, 4, 6),
            "cannot crop axis 3 to 6 from offset 2 on: got bottom shapes (2, 3, 6, 7) and (2, 3, 4, 6)",
        ),
    ],
)
def test_errors(options, reference, message):
    with pytest.raises(LayerError) as error:
        build_layer(f'type: "Crop" crop_param {{ {options} }}', [np.ones((2, 3, 6, 7)), np.ones(reference)])
    assert str(error.value) == f"layer 'layer' (Crop): {message}"
