"""BoxSampler: constraints against loops, the fork's order of draws."""

import numpy as np
import pytest
from google.protobuf import text_format

from pycaffe_lite.data.box_sampler import BoxSampler, draw_jittered
from pycaffe_lite.errors import DataError
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.random import RandomStream

BOXES = np.array([[0.1, 0.2, 0.4, 0.6], [0.5, 0.5, 0.9, 0.95]], np.float32)


def sampler(*texts):
    return BoxSampler([text_format.Parse(text, caffe_pb2.BatchSampler()) for text in texts])


def size(box):
    return max(box[2] - box[0], 0) * max(box[3] - box[1], 0)


def shares(part, box):
    common = size([*np.maximum(part[:2], box[:2]), *np.minimum(part[2:], box[2:])])
    return {
        "jaccard_overlap": common / (size(part) + size(box) - common),
        "sample_coverage": common / size(part),
        "object_coverage": common / size(box),
    }


SIZES = "sampler { min_scale: 0.3 max_scale: 0.9 min_aspect_ratio: 0.5 max_aspect_ratio: 2 }"


@pytest.mark.parametrize("kind", ["jaccard_overlap", "sample_coverage", "object_coverage"])
@pytest.mark.parametrize(("bound", "value"), [("min", 0.3), ("max", 0.1)])
def test_constraints(kind, bound, value):
    text = f"{SIZES} max_trials: 200 sample_constraint {{ {bound}_{kind}: {value} }}"
    taken = sampler(text).draw(BOXES, RandomStream(4))
    everything = sampler(f"{SIZES} max_trials: 200").draw(BOXES, RandomStream(4))
    assert len(everything) == 200

    def is_taken(part):
        found = [shares(part, box)[kind] for box in BOXES]
        return any(share >= value if bound == "min" else share <= value for share in found)

    np.testing.assert_array_equal(taken, [part for part in everything if is_taken(part)])
    assert 0 < len(taken) < 200


def test_sizes_stay_inside():
    parts = sampler(f"{SIZES} max_trials: 300").draw(BOXES, RandomStream(1))
    assert (parts >= 0).all()
    assert (parts <= 1 + 1e-6).all()
    sides = parts[:, 2:] - parts[:, :2]
    scale = np.sqrt(sides.prod(axis=1))
    assert (scale >= 0.3 - 1e-5).all()
    assert (scale <= 0.9 + 1e-5).all()


def test_counts():
    whole = "max_sample: 1 max_trials: 1"
    never = "max_trials: 30 sample_constraint { min_jaccard_overlap: 2 }"
    assert sampler(whole, never).draw(BOXES, RandomStream(1)).tolist() == [[0, 0, 1, 1]]
    assert len(sampler(f"{SIZES} max_sample: 3 max_trials: 50").draw(BOXES, RandomStream(1))) == 3
    assert len(sampler("use_original_image: false").draw(BOXES, RandomStream(1))) == 0
    assert len(sampler(never).draw(BOXES[:0], RandomStream(1))) == 0


def test_a_kind_that_was_met_counts_for_the_next_objects():
    """As in the fork: the first box overlaps and is not covered, the second one does not matter then."""
    constraint = "sample_constraint { min_jaccard_overlap: 0.05 min_object_coverage: 1 }"
    boxes = np.array([[0, 0, 1, 0.5], [2, 2, 3, 3]], np.float32)
    text = f"sampler {{ min_scale: 0.5 max_scale: 0.5 }} max_trials: 50 {constraint}"
    both, first = (sampler(text).draw(own, RandomStream(1)) for own in (boxes, boxes[:1]))
    assert len(both) == len(first) > 0


def test_too_many():
    with pytest.raises(DataError, match=r"^batch_samplers may take 4294967295 samples: lower max_sample or"):
        sampler("max_trials: 4294967294")


def test_jittered():
    parts = np.array([draw_jittered(0.4, RandomStream(seed)) for seed in range(200)])
    sides = parts[:, 2:] - parts[:, :2]
    assert (sides >= 0.6 - 1e-6).all()
    assert (parts[:, 2:] <= 1 + 1e-6).all()
    whole = (sides == 1).all(axis=1).mean()
    assert 0.1 < whole < 0.3
