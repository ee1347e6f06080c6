import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

REGIONS = np.zeros((6, 5))
REGIONS[:, 0] = [0, 1, 0, 1, 0, 0]
LOSSES, LABELS = np.array([0.1, 0.5, 0.9, 0.2, 0.3, 0.8]), np.arange(6.0)
WEIGHTS = np.arange(24.0).reshape(6, 4, 1, 1) + 1


@pytest.mark.parametrize(
    ("options", "kept", "ignored"),
    [
        ("roi_per_img: 2", [1, 2, 3, 5], -1),
        ("roi_per_img: 1 ignore_label: 255", [1, 2], 255),
        ("roi_per_img: 9", [0, 1, 2, 3, 4, 5], -1),
    ],
)
def test_the_regions_with_the_highest_losses_of_each_image(options, kept, ignored):
    def reference(bottoms, _):
        labels, weights = bottoms[2].copy(), bottoms[3].copy()
        for r in range(6):
            if r not in kept:
                labels[r], weights[r] = ignored, 0
        return [labels, weights]

    check_layer(
        f'type: "BoxAnnotatorOHEM" box_annotator_ohem_param {{ {options} }}',
        [REGIONS, LOSSES, LABELS, WEIGHTS],
        reference,
        gradients=(),
        check_blobs=False,
        resized=(),
    )


def test_no_regions():
    shapes = [(0, 5), (0, 1, 1, 1), (0,), (0, 8)]
    rig = build_layer(
        'type: "BoxAnnotatorOHEM" box_annotator_ohem_param { roi_per_img: 3 }', [np.zeros(s) for s in shapes]
    )
    assert [top.shape for top in rig.forward()] == [(0,), (0, 8)]


@pytest.mark.parametrize(
    ("options", "shapes", "message"),
    [
        (
            "",
            [(2, 5), (2,), (2,), (2, 4)],
            "needs box_annotator_ohem_param { roi_per_img: ... } of 1 or more",
        ),
        *(
            (
                "roi_per_img: 1",
                shapes,
                "needs 5 numbers, a loss, a label and weights for each region, got shapes "
                + ", ".join(map(str, shapes)),
            )
            for shapes in (
                [(2, 4), (2,), (2,), (2, 4)],
                [(2, 5), (3,), (2,), (2, 4)],
                [(2, 5), (2, 2), (2,), (2, 4)],
                [(2, 5), (2,), (1,), (2, 4)],
                [(2, 5), (2,), (2,), (1, 4)],
            )
        ),
    ],
)
def test_errors(options, shapes, message):
    with pytest.raises(LayerError) as error:
        build_layer(
            f'type: "BoxAnnotatorOHEM" box_annotator_ohem_param {{ {options} }}',
            [np.zeros(s) for s in shapes],
        )
    assert str(error.value) == f"layer 'layer' (BoxAnnotatorOHEM): {message}"


def test_it_has_no_gradient():
    rig = build_layer(
        'type: "BoxAnnotatorOHEM" box_annotator_ohem_param { roi_per_img: 3 }',
        [REGIONS, LOSSES, LABELS, WEIGHTS],
    )
    tops = rig.forward()
    with pytest.raises(LayerError) as error:
        rig.backward(tops, wanted=[1])
    assert str(error.value) == "layer 'layer' (BoxAnnotatorOHEM): has no gradient"
