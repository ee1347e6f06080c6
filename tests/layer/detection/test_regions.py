"""The bottoms of layers that pool over regions."""

import numpy as np
import pytest
from layer_check import build_layer

from pycaffe_lite.errors import LayerError

POOL = 'type: "ROIPooling" roi_pooling_param { pooled_h: 2 pooled_w: 2 }'
X = np.zeros((2, 3, 4, 4))


@pytest.mark.parametrize(
    ("x", "regions", "message"),
    [
        ((2, 3, 4), (1, 5), "needs a feature map of 4 axes, got shape (2, 3, 4)"),
        ((2, 3, 4, 4), (1, 4), "needs regions of 5 numbers, image x1 y1 x2 y2, got shape (1, 4)"),
        ((2, 3, 4, 4), (), "needs regions of 5 numbers, image x1 y1 x2 y2, got shape ()"),
    ],
)
def test_shapes_that_do_not_fit(x, regions, message):
    with pytest.raises(LayerError) as error:
        build_layer(POOL, [np.zeros(x), np.zeros(regions)])
    assert str(error.value) == f"layer 'layer' (ROIPooling): {message}"


@pytest.mark.parametrize("image", [2, -1, np.nan, 1e30])
def test_an_image_that_there_is_not(image):
    rig = build_layer(POOL, [X, [[0, 0, 0, 1, 1], [image, 0, 0, 1, 1]]])
    with pytest.raises(LayerError) as error:
        rig.forward()
    assert str(error.value) == (
        f"layer 'layer' (ROIPooling): needs regions of images 0 to 1, got image {np.float32(image):g}"
    )


@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 1, 1), (3, 1, 5)])
def test_regions_of_several_axes(shape):
    rig = build_layer(POOL, [X, np.zeros(shape)])
    assert rig.forward()[0].shape == (3, 3, 2, 2)
