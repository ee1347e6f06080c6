"""The configuration of Faster R-CNN's layers: `cfg`, with the names and defaults of py-faster-rcnn.

    from pycaffe_lite import rcnn_cfg

    rcnn_cfg.TEST.RPN_POST_NMS_TOP_N = 100

changes it for all layers of the phase, from their next forward pass on. In a prototxt, a layer's param_str
may hold such values as well, for it alone: `param_str: "'feat_stride': 16, 'RPN_POST_NMS_TOP_N': 100"`.

Source: rbgirshick/py-faster-rcnn lib/fast_rcnn/config.py, as far as the layers read it
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from pycaffe_lite.errors import ArgumentError

Four = tuple[float, float, float, float]


@dataclass(slots=True)
class RcnnPhase:
    """What the layers of both phases read.

    Attributes:
        RPN_PRE_NMS_TOP_N, RPN_POST_NMS_TOP_N: how many proposals count before suppression, and how many stay;
            0: all.
        RPN_NMS_THRESH: above this overlap with a better one, a proposal is dropped.
        RPN_MIN_SIZE: the least side of a proposal, in pixels of the unscaled picture.
    """

    RPN_PRE_NMS_TOP_N: float = 6000
    RPN_POST_NMS_TOP_N: float = 300
    RPN_NMS_THRESH: float = 0.7
    RPN_MIN_SIZE: float = 16


@dataclass(slots=True)
class RcnnTraining(RcnnPhase):
    """What the layers of training read besides.

    Attributes:
        RPN_POSITIVE_OVERLAP, RPN_NEGATIVE_OVERLAP: the least overlap with an object of an anchor that has
            one, and the overlap below which an anchor is background.
        RPN_CLOBBER_POSITIVES: whether an anchor below the latter is background even if it is some object's
            best.
        RPN_BATCHSIZE, RPN_FG_FRACTION: how many anchors are labelled, and the share of those with an object.
        RPN_BBOX_INSIDE_WEIGHTS: of the four offsets of anchors with an object.
        RPN_POSITIVE_WEIGHT: the share of anchors with an object in the loss of offsets; -1: by their number.
        BATCH_SIZE, FG_FRACTION: how many regions are sampled, and the share of those with an object.
        FG_THRESH: the least overlap of a region that has an object.
        BG_THRESH_HI, BG_THRESH_LO: background overlaps by less than the one, and by the other at least.
        BBOX_INSIDE_WEIGHTS: of the four offsets of regions with an object.
        BBOX_NORMALIZE_TARGETS_PRECOMPUTED, BBOX_NORMALIZE_MEANS, BBOX_NORMALIZE_STDS: whether these are
            subtracted from the offsets of regions, and divide them.
    """

    RPN_PRE_NMS_TOP_N: float = 12000
    RPN_POST_NMS_TOP_N: float = 2000
    RPN_POSITIVE_OVERLAP: float = 0.7
    RPN_NEGATIVE_OVERLAP: float = 0.3
    RPN_CLOBBER_POSITIVES: bool = False
    RPN_BATCHSIZE: float = 256
    RPN_FG_FRACTION: float = 0.5
    RPN_BBOX_INSIDE_WEIGHTS: Four = (1.0, 1.0, 1.0, 1.0)
    RPN_POSITIVE_WEIGHT: float = -1.0
    BATCH_SIZE: float = 128
    FG_FRACTION: float = 0.25
    FG_THRESH: float = 0.5
    BG_THRESH_HI: float = 0.5
    BG_THRESH_LO: float = 0.1
    BBOX_INSIDE_WEIGHTS: Four = (1.0, 1.0, 1.0, 1.0)
    BBOX_NORMALIZE_TARGETS_PRECOMPUTED: bool = False
    BBOX_NORMALIZE_MEANS: Four = (0.0, 0.0, 0.0, 0.0)
    BBOX_NORMALIZE_STDS: Four = (0.1, 0.1, 0.2, 0.2)


@dataclass(slots=True)
class RcnnConfig:
    """The values of both phases.

    Attributes:
        TRAIN, TEST: of nets that train, and of others.
    """

    TRAIN: RcnnTraining = field(default_factory=RcnnTraining)
    TEST: RcnnPhase = field(default_factory=RcnnPhase)

    def update(self, values: Mapping[str, Mapping[str, Any]]) -> None:
        """Takes over values, `{"TRAIN": {"RPN_BATCHSIZE": 64}}`, as a file of py-faster-rcnn's holds them.

        Raises:
            ArgumentError: no phase or value is called so.
        """
        for phase, own in values.items():
            if phase not in ("TRAIN", "TEST"):
                raise ArgumentError(f"the configuration has the parts TRAIN and TEST, got {phase!r}")
            setattr(self, phase, changed(getattr(self, phase), own))


def changed(config: RcnnPhase, values: Mapping[str, Any]) -> Any:
    """A copy of a phase's values, with other ones for those given.

    Raises:
        ArgumentError: no value is called so.
    """
    names = [own.name for own in fields(config)]
    for name in values:
        if name not in names:
            raise ArgumentError(f"the configuration has no {name!r}; it has {', '.join(names)}")
    return replace(config, **values)


cfg = RcnnConfig()
