import numpy as np
import pytest
from cascade import MEANS, REG, STDS, R, boxes_of, decode, layer, overlap
from layer_check import TEST, TRAIN

from pycaffe_lite.errors import LayerError


@pytest.mark.parametrize("phase", [TRAIN, TEST])
def test_decode_bbox(phase):
    deltas, regions = R.normal(size=(7, 8)), boxes_of(7)
    truth = np.column_stack([R.random((7, 5)), [0.1, 0.96, 0.2, 0.95, 0.9, 0.3, 1]])
    bottoms = [deltas, regions, truth] if phase == TRAIN else [deltas, regions]
    rig = layer("DecodeBBox", bottoms, REG + "}", phase=phase)
    right = [(n, *decode(box, t * STDS + MEANS)) for (n, *box), t in zip(regions, deltas[:, 4:], strict=True)]
    if phase == TRAIN:
        right = [row for row, own in zip(right, truth[:, 5], strict=True) if own < np.float32(0.95)]
    top = rig.forward()[0]
    assert top.shape == (len(right), 5, 1, 1)
    np.testing.assert_allclose(top[:, :, 0, 0], right)


def test_decode_bbox_keeps_something():
    deltas = np.zeros((2, 8))
    deltas[:, 6] = -9
    with pytest.raises(LayerError) as error:
        layer("DecodeBBox", [deltas, boxes_of(2)], phase=TRAIN).forward()
    assert str(error.value) == "layer 'layer' (DecodeBBox): keeps none of 2 boxes"


@pytest.mark.parametrize("aware", [True, False])
def test_bbox_accuracy(aware):
    deltas, regions = R.normal(size=(6, 12 if aware else 8)) / 3, boxes_of(6)
    truth = np.column_stack([[0, 1, 2, 1, 2, 0], boxes_of(6)[:, 1:] + 5, [0, 0.5, 0.6, 0.99, 0.7, 0]])
    rig = layer("BboxAccuracy", [deltas, regions, truth], f"{REG} cls_aware: {str(aware).lower()} }}", tops=2)
    after, before = [], []
    for i in (1, 2, 4):
        group = int(truth[i, 0]) if aware else 1
        t = deltas[i, 4 * group : 4 * group + 4] * STDS + MEANS
        after.append(overlap(decode(regions[i, 1:], t), truth[i, 1:5]))
        before.append(overlap(regions[i, 1:], truth[i, 1:5]))
    tops = rig.forward()
    np.testing.assert_allclose([top.item() for top in tops], [np.mean(after), np.mean(before)])
    truth[:, 0] = 0
    assert [top.item() for top in rig.forward([deltas, regions, truth])] == [-1, -1]
