import numpy as np
from cascade import MEANS, REG, STDS, layer, overlap

TRUTH = np.array(
    [
        [0, 10, 10, 39, 49, 1, 0, 0],
        [0, 50, 20, 89, 59, 2, 0, 0],
        [1, 20, 5, 59, 44, 2, 1, 0],
        [-1, 0, 0, 0, 0, 0, 0, 0.0],
    ]
)
REGIONS = np.vstack(
    [
        [[0, *(TRUTH[0, 1:5] + d)] for d in (2, 5, 12, 20)],
        [[0, *(TRUTH[1, 1:5] - d)] for d in (1, 9, 15)],
        [[1, *(TRUTH[2, 1:5] + d)] for d in (3, 20)],
        [[0, 90, 80, 99, 99]],
    ]
)


def proposal_target(text="", tops=7, regions=REGIONS, truth=TRUTH, reg=f"{REG} }}"):
    options = f"cls_num: 3 img_width: 100 img_height: 100 num_img_per_batch: 2 {text}"
    return layer("ProposalTarget", [regions, truth], f"proposal_target_param {{ {options} }} {reg}", tops)


def test_all_regions():
    tops = proposal_target("batch_size: -1 append_gtbox: false pickup_discard: false").forward()
    rois, labels, targets, inside, outside, truth, weights = (top.reshape(len(top), -1) for top in tops)
    best = [
        max((overlap(box[1:], t[1:5]), -g) for g, t in enumerate(TRUTH[:3]) if t[0] == box[0])
        for box in REGIONS
    ]
    objects = [i for i, (o, g) in enumerate(best) if o >= 0.5 and not TRUTH[-g, 6]]
    background = [i for i, (o, _) in enumerate(best) if np.float32(0.1) <= o < 0.5]
    rows = objects + background
    assert len(objects) >= 3
    assert len(background) >= 2
    np.testing.assert_allclose(rois, REGIONS[rows])
    own = [TRUTH[-best[i][1]] for i in objects]
    np.testing.assert_array_equal(labels[:, 0], [t[5] for t in own] + [0] * len(background))
    matched = [(t[5], *t[1:5], best[i][0]) for i, t in zip(objects, own, strict=True)]
    np.testing.assert_allclose(truth[: len(own)], matched)
    assert not truth[len(own) :].any()
    for k, (i, t) in enumerate(zip(objects, own, strict=True)):
        size, c = REGIONS[i, 3:] - REGIONS[i, 1:3] + 1, int(t[5])
        true_size = t[3:5] - t[1:3] + 1
        centre, true_centre = REGIONS[i, 1:3] + size / 2, t[1:3] + true_size / 2
        wanted = np.concatenate([(true_centre - centre) / size, np.log(true_size / size)])
        np.testing.assert_allclose(targets[k, 4 * c : 4 * c + 4], (wanted - MEANS) / STDS)
        np.testing.assert_array_equal(np.flatnonzero(inside[k]), np.arange(4 * c, 4 * c + 4))
    np.testing.assert_array_equal(inside, outside)
    n = len(rows)
    np.testing.assert_allclose(weights[: len(own), 0], 0.25 * n / len(own))
    np.testing.assert_allclose(weights[len(own) :, 0], 0.75 * n / len(background))


def test_sampled_regions():
    tops = proposal_target("batch_size: 8 iou_weighted: true").forward()
    labels, weights = tops[1].ravel(), tops[6].ravel()
    assert len(labels) == 8
    assert (labels > 0).sum() == 2
    np.testing.assert_allclose([weights[labels > 0].sum(), weights[labels == 0].sum()], [2, 6])


def test_offsets_of_one_class_only():
    tops = proposal_target(
        "batch_size: -1 bbox_thr_hg: 0.8", reg="bbox_reg_param { cls_aware: false }"
    ).forward()
    assert tops[2].shape[1] == 8
    inside, overlap_ = tops[3].reshape(-1, 8), tops[5].reshape(-1, 6)[:, 5]
    assert not inside[:, :4].any()
    np.testing.assert_array_equal(inside[:, 4] == 1, (overlap_ > 0) & (overlap_ <= np.float32(0.8)))


def test_a_random_region():
    rig = proposal_target("append_gtbox: false", regions=np.zeros((0, 5)), truth=TRUTH[3:])
    rois, labels = (top.reshape(-1) for top in rig.forward()[:2])
    assert labels == [0]
    assert (rois[3:] - rois[1:3] + 1 >= 32).all()
