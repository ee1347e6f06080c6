import math

import numpy as np
import pytest
from layer_check import build_layer, check_layer

from pycaffe_lite.errors import LayerError

R = np.random.default_rng(0)
SHAPE = (2, 3, 2, 2)
A, B = R.normal(size=SHAPE) * 2, R.normal(size=SHAPE)
LOST = B.copy()
LOST[0, 1, 0, 1] = LOST[1, :, 1, 1] = math.nan


def distance(a, b, plateau=0.0, by_entries=False):
    d = (a - b).ravel()
    valid = d[~np.isnan(d)]
    total = sum(abs(v) for v in valid if abs(v) >= plateau)
    return total / (len(valid) / 3 if by_entries else 2)


def lengths(a, b, epsilon=0.01, plateau=0.0, weight=1.0):
    total = 0.0
    for n, h, w in np.ndindex(2, 2, 2):
        s = weight * np.nansum((a - b)[n, :, h, w] ** 2)
        total += math.sqrt((s if s >= plateau**2 else 0) + epsilon)
    return total / 2


@pytest.mark.parametrize(
    ("options", "right"),
    [
        ("", distance),
        ("plateau: 1", lambda a, b: distance(a, b, plateau=1)),
        ("normalize_by_num_entries: true", lambda a, b: distance(a, b, by_entries=True)),
        ("l2_per_location: true", lambda a, b: lengths(a, b, np.float32(0.01))),
        ("l2_per_location: true epsilon: 0.5", lambda a, b: lengths(a, b, 0.5)),
        ("l2_per_location: true plateau: 2.5", lambda a, b: lengths(a, b, np.float32(0.01), 2.5)),
        (
            "l2_per_location: true l2_prescale_by_channels: true",
            lambda a, b: lengths(a, b, np.float32(0.01), weight=1 / 3),
        ),
    ],
)
def test_flownets_distances(options, right):
    text = f'type: "L1Loss" l1_loss_param {{ {options} }}'
    check_layer(text, [A, B], lambda bottoms, _: [right(*bottoms)], threshold=1e-5)
    rig = build_layer(text, [A, LOST], dtype=np.float64)
    np.testing.assert_allclose(rig.forward()[0], right(A, LOST))
    (da, db), _ = rig.backward([np.array(3.0)])
    assert not da[np.isnan(LOST)].any()
    np.testing.assert_array_equal(da, -db)


def test_one_bottom_is_compared_with_zeros():
    check_layer('type: "L1Loss" bottom: "a"', [A], lambda bottoms, _: [distance(bottoms[0], 0 * bottoms[0])])


def power(a, b, p, q, p_epsilon=0.0, q_epsilon=0.01, weight=1.0):
    total = 0.0
    for n, h, w in np.ndindex(2, 2, 2):
        s = sum((abs(v) + p_epsilon) ** p for v in (a - b)[n, :, h, w])
        total += (weight * s + q_epsilon) ** q
    return total / 2


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ("p: 2 q: 0.5", {}),
        ("p: 1 q: 0.25 p_epsilon: 0.5 q_epsilon: 0.25", {"p_epsilon": 0.5, "q_epsilon": 0.25}),
        ("p: 2 q: 1 l2_prescale_by_channels: true", {"weight": 1 / 3}),
        ("p: 2 q: 1 pq_episode_starts_at_iter: 0 normalize_by_num_entries: true", {"weight": 0.25}),
    ],
)
def test_powers(options, numbers):
    p, q = (float(options.split(f"{name}: ")[1].split()[0]) for name in "pq")
    numbers = {"q_epsilon": np.float32(0.01), **numbers}
    if "normalize_by" in options:  # 24 numbers over 3 channels, in place of 2 images
        numbers = {**numbers, "weight": 0.25, "q_epsilon": np.float32(0.01) / 4}
    check_layer(
        f'type: "LpqLoss" lpq_loss_param {{ {options} }}',
        [A, B],
        lambda bottoms, _: [power(*bottoms, p, q, **numbers)],
        threshold=1e-5,
    )


@pytest.mark.parametrize(
    ("text", "bottoms", "message"),
    [
        ('type: "L1Loss" l1_loss_param {}', [A, B[:, :2]], "needs bottoms of one shape"),
        ('type: "L1Loss" l1_loss_param {}', [A[:0], B[:0]], "cannot take the mean of no records"),
        ('type: "LpqLoss"', [A, B], "needs one p and one q"),
        (
            'type: "LpqLoss" lpq_loss_param { p: [1, 2] q: [1, 1] pq_episode_starts_at_iter: [0, 9] }',
            [A, B],
            "those that change with pq_episode_starts_at_iter are not supported",
        ),
    ],
)
def test_errors(text, bottoms, message):
    with pytest.raises(LayerError) as error:
        build_layer(text, bottoms)
    assert message in str(error.value)
