"""What the layers of Cascade R-CNN refuse."""

import numpy as np
import pytest
from cascade import layer

from pycaffe_lite.errors import LayerError

FIELDS = "cls_num: 3 field_w: 12 field_h: 8 field_w: 20 field_h: 24 stride: 8"


@pytest.mark.parametrize(
    ("name", "shapes", "text", "message"),
    [
        (
            "DecodeBBox", [(3, 8), (3, 4)], "",
            "needs 3 rows of 5 numbers, as its first bottom has, got shape (3, 4)",
        ),
        (
            "DecodeBBox", [(3, 8), (3, 5)], "bbox_reg_param { bbox_mean: 1 bbox_std: 1 }",
            "needs four numbers bbox_mean and four bbox_std above 0, got [1.0] and [1.0]",
        ),
        (
            "DecodeBBox", [(3, 8), (3, 5), (3, 6)], "",
            "takes ground truth, its third bottom, in training only",
        ),
        (
            "BoxGroupOutput", [(1, 2, 2, 2), (1, 4, 2, 2)], "",
            "needs two bottoms for each box_group_param, 0, got 2",
        ),
        (
            "BoxGroupOutput", [(1, 2, 2, 2), (1, 4, 2, 2)],
            'box_group_output_param { nms_type: "GIOU" box_group_param { field_w: 1 field_h: 1 stride: 1 } }',
            "unknown nms_type 'GIOU' (known: IOU, IOMU, IOFU)",
        ),
        (
            "BoxGroupOutput", [(1, 2, 2, 2), (1, 4, 2, 2)],
            "box_group_output_param { box_group_param { field_w: 1 stride: 1 } }",
            "needs as many field_w as field_h, and a stride, all of 1 or more, got [1], [] and 1",
        ),
        ("HardMining", [(3,), (3, 5), (3,)], "", "takes a bottom more than tops, got 3 and 1"),
        (
            "ScaleRoute", [(3, 5)], "scale_route_param { low_scale: 3 high_scale: 2 }",
            "needs 0 < low_scale <= high_scale, got 3 and 2",
        ),
        (
            "DetectionGroupLoss", [(2, 3, 2, 2), (2, 4, 2, 2), (2, 5, 2, 2)],
            f"detection_group_loss_param {{ {FIELDS} }}",
            "needs a bottom of shape (2, 6, 2, 2), got (2, 5, 2, 2)",
        ),
        (
            "DetectionGroupLoss", [(2, 3, 2, 2), (2, 4, 2, 2), (2, 6, 2, 2)],
            f'detection_group_loss_param {{ {FIELDS} neg_mining_type: "hard" }}',
            "unknown neg_mining_type 'hard' (known: random, bootstrap, mixture)",
        ),
        (
            "ProposalTarget", [(3, 5), (2, 8)], "proposal_target_param { cls_num: 2 batch_size: 0 }",
            "needs batch_size of 1 or more, or -1, got 0",
        ),
        (
            "DetectionEvaluate", [(3, 7), (2, 8), (1, 2)], "detection_evaluate_param { num_classes: 2 }",
            "needs a name_size_file with lines NAME HEIGHT WIDTH",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit(name, shapes, text, message):
    with pytest.raises(LayerError) as error:
        layer(name, [np.zeros(shape) for shape in shapes], text, tops=6 if name == "ProposalTarget" else None)
    assert str(error.value) == f"layer 'layer' ({name}): {message}"
