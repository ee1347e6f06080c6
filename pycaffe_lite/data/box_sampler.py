"""BoxSampler: draws the parts of a picture that `batch_sampler` asks for.

Source: weiliu89/caffe src/caffe/util/sampler.cpp; eric612/MobileNet-YOLO for jittered parts
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pycaffe_lite.data.annotations import Floats
from pycaffe_lite.errors import DataError
from pycaffe_lite.kernels import box_samples
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.random import RandomStream

_BOUNDS = ("jaccard_overlap", "sample_coverage", "object_coverage")
_MOST_PARTS = 1 << 20


class BoxSampler:
    """Draws parts of a picture by all samplers of a layer, one after the other.

    Args:
        samplers: of annotated_data_param; those with `use_original_image: false` draw nothing.

    Raises:
        DataError: scales that are not between 0 and 1, aspect ratios that are not above 0, or bounds the
            wrong way round.
    """

    def __init__(self, samplers: Sequence[caffe_pb2.BatchSampler]) -> None:
        used = [each for each in samplers if each.use_original_image]
        for each in used:
            _check(each.sampler)
        self._sizes = np.array(
            [
                (s.min_scale, s.max_scale, s.min_aspect_ratio, s.max_aspect_ratio)
                for s in (each.sampler for each in used)
            ],
            np.float32,
        ).reshape(-1, 4)
        self._bounds = np.array(
            [[_bound(each.sample_constraint, f"{end}_{name}") for name in _BOUNDS for end in ("min", "max")]
             for each in used],
            np.float32,
        ).reshape(-1, 6)  # fmt: skip
        self._limits = np.array(
            [
                (each.max_sample if each.HasField("max_sample") else each.max_trials, each.max_trials)
                for each in used
            ],
            np.int64,
        ).reshape(-1, 2)
        self._room = int(self._limits.min(axis=1).sum()) + 1
        if self._room > _MOST_PARTS:
            raise DataError(f"batch_samplers may take {self._room} samples: lower max_sample or max_trials")

    def draw(self, boxes: Floats, stream: RandomStream) -> Floats:
        """The parts, (parts, 4), that are drawn for a picture with objects, (n, 4)."""
        out = np.empty((self._room, 4), np.float32)
        tables = self._sizes, self._bounds, self._limits
        count: int = stream.use(box_samples.sample, *tables, np.ascontiguousarray(boxes), out)
        return out[:count]


def _check(sampler: caffe_pb2.Sampler) -> None:
    if not 0 < sampler.min_scale <= sampler.max_scale <= 1:
        raise DataError(
            f"a sampler needs 0 < min_scale <= max_scale <= 1, got {sampler.min_scale:g} and "
            f"{sampler.max_scale:g}"
        )
    if not 0 < sampler.min_aspect_ratio <= sampler.max_aspect_ratio < np.finfo(np.float32).max:
        raise DataError(
            "a sampler needs 0 < min_aspect_ratio <= max_aspect_ratio, got "
            f"{sampler.min_aspect_ratio:g} and {sampler.max_aspect_ratio:g}"
        )


def _bound(constraint: caffe_pb2.SampleConstraint, name: str) -> float:
    return getattr(constraint, name) if constraint.HasField(name) else float("nan")


def draw_jittered(jitter: float, stream: RandomStream) -> Floats:
    """A part of the unit square from which each side has lost up to a share: none, half of it or all.

    Args:
        jitter: the share. Of five pictures one stays whole, one loses up to half the share.
    """
    kind = int(np.searchsorted(np.cumsum(np.array([0.2, 0.2, 0.6], np.float32)), stream.uniform(1, 0, 1)[0]))
    if kind == 0:
        return np.array([0, 0, 1, 1], np.float32)
    most = jitter / 2 if kind == 1 else jitter
    width, height = (stream.uniform(1, 1 - most, 1)[0] for _ in range(2))
    x, y = (stream.uniform(1, 0, max(float(1 - side), 0.0))[0] for side in (width, height))
    return np.array([x, y, x + width, y + height], np.float32)
