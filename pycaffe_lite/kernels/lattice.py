"""Gaussian filters over points of many dimensions, by a permutohedral lattice.

A point's value is shared out to the d + 1 corners of the simplex that it lies in; at the corners, values are
blurred with (1/2, 1, 1/2) along each of the d + 1 directions; and the points read them back. Corners are
points of the hyperplane Σ = 0 in d + 1 dimensions, whose coordinates leave one remainder by d + 1; the first
d of them name one. Features are scaled so that the whole has a standard deviation of 1.

Paper: Adams, Baek, Davis, "Fast High-Dimensional Filtering Using the Permutohedral Lattice", 2010.
"""

from typing import NamedTuple

import numpy as np

from pycaffe_lite.kernels.runtime.decorators import (
    Array,
    Tasks,
    kernel,
    serial_kernel,
    take_task,
    worker_kernel,
)
from pycaffe_lite.kernels.runtime.scratch import no_memory, workers_for


class Lattice(NamedTuple):
    """What filtering takes to know.

    Attributes:
        corners: (points, d + 1), which corners each point lies between. weights: the same shape, float32,
            how much each counts. neighbours: (d + 1, corners, 2), those before and behind in each direction;
            -1: none.
    """

    corners: Array
    weights: Array
    neighbours: Array


def lattice(features: Array) -> Lattice:
    """The lattice around points.  features: (points, d), float32."""
    points, d = features.shape
    corners, weights = np.empty((points, d + 1), np.int32), np.empty((points, d + 1), np.float32)
    slots = 1 << max(4, (2 * points * (d + 1) - 1).bit_length())
    table = np.full(slots, -1, np.int32)
    keys = np.empty((points * (d + 1), d), np.int32)
    count = _place(features, corners, weights, table, keys)
    neighbours = np.empty((d + 1, count, 2), np.int32)
    _connect(table, keys[:count], neighbours)
    return Lattice(corners, weights, neighbours)


@kernel
def _slot(table: Array, keys: Array, key: Array) -> int:
    """Where a key is in the hash table, or where it would go."""
    number = np.uint64(0)
    for k in key:
        number = (number + np.uint64(np.int64(k))) * np.uint64(0x9E3779B97F4A7C15)
        number ^= number >> np.uint64(29)
    mask = np.uint64(table.size - 1)
    at = number & mask
    while table[at] >= 0:
        same = True
        for i in range(key.size):
            same = same and keys[table[at], i] == key[i]
        if same:
            break
        at = (at + np.uint64(1)) & mask
    return int(at)


@serial_kernel
def _place(features: Array, corners: Array, weights: Array, table: Array, keys: Array) -> int:
    """Finds the simplex of each point; returns how many corners there are, whose keys are the first."""
    points, d = features.shape
    count = 0
    raised, base = np.empty(d + 1, np.float32), np.empty(d + 1, np.float32)
    rank, part, key = np.empty(d + 1, np.int64), np.empty(d + 2, np.float32), np.empty(d, np.int32)
    scale = np.empty(d, np.float32)
    for i in range(d):
        scale[i] = np.sqrt(2.0 / 3.0) * (d + 1) / np.sqrt(np.float64((i + 1) * (i + 2)))
    for n in range(points):
        total = np.float32(0)
        for j in range(d, 0, -1):
            value = features[n, j - 1] * scale[j - 1]
            raised[j] = total - np.float32(j) * value
            total += value
        raised[0] = total
        # The nearest point of remainder 0, coordinate by coordinate; `excess`: how far it is off the plane.
        excess = 0
        for i in range(d + 1):
            nearest = np.rint(raised[i] / np.float32(d + 1))
            base[i] = nearest * np.float32(d + 1)
            excess += int(nearest)
        rank[:] = 0
        for i in range(d):
            for j in range(i + 1, d + 1):
                if raised[i] - base[i] < raised[j] - base[j]:
                    rank[i] += 1
                else:
                    rank[j] += 1
        for i in range(d + 1):
            rank[i] += excess
            if rank[i] < 0:
                rank[i] += d + 1
                base[i] += np.float32(d + 1)
            elif rank[i] > d:
                rank[i] -= d + 1
                base[i] -= np.float32(d + 1)
        part[:] = 0
        for i in range(d + 1):
            off = (raised[i] - base[i]) / np.float32(d + 1)
            part[d - rank[i]] += off
            part[d - rank[i] + 1] -= off
        part[0] += np.float32(1) + part[d + 1]
        for corner in range(d + 1):
            for i in range(d):
                beyond = d + 1 if rank[i] > d - corner else 0
                key[i] = np.int32(base[i]) + corner - beyond
            at = _slot(table, keys, key)
            if table[at] < 0:
                table[at] = count
                keys[count] = key
                count += 1
            corners[n, corner] = table[at]
            weights[n, corner] = part[corner]
    return count


@serial_kernel
def _connect(table: Array, keys: Array, neighbours: Array) -> None:
    """Finds the neighbours of all corners."""
    directions, count, _ = neighbours.shape
    d = directions - 1
    key = np.empty(d, np.int32)
    for m in range(count):
        for j in range(directions):
            for side in range(2):
                step = -1 if side == 0 else 1
                for i in range(d):
                    key[i] = keys[m, i] + step
                if j < d:
                    key[j] = keys[m, j] - step * d
                neighbours[j, m, side] = table[_slot(table, keys, key)]


def filtered(corners: Array, weights: Array, neighbours: Array, x: Array, back: bool, y: Array) -> None:
    """y[c] = the filter of x[c].  x, y: (channels, points). back: the transposed filter, for gradients.

    A point with others around it gets more than their mean: divide by the filter of ones.
    """
    memory = no_memory(x.dtype, workers_for(x.size * len(neighbours)))
    _filtered(memory, corners, weights, neighbours, x, back, y)


@worker_kernel
def _filtered(
    corners: Array, weights: Array, neighbours: Array, x: Array, back: bool, y: Array, tasks: Tasks,
    _memory: Array,
) -> None:  # fmt: skip
    channels, points = x.shape
    directions, count, _ = neighbours.shape
    alpha = 1.0 / (1.0 + 2.0 ** -(directions - 1))
    values, blurred = np.zeros(count + 1, x.dtype), np.zeros(count + 1, x.dtype)
    c = take_task(tasks, channels)
    while c < channels:
        values[:] = 0
        for n in range(points):
            for corner in range(directions):
                values[corners[n, corner]] += weights[n, corner] * x[c, n]
        for step in range(directions):
            j = directions - 1 - step if back else step
            for m in range(count):  # index -1 is the last one, which is 0
                around = values[neighbours[j, m, 0]] + values[neighbours[j, m, 1]]
                blurred[m] = values[m] + x.dtype.type(0.5) * around
            values, blurred = blurred, values
            values[count] = 0
            blurred[count] = 0
        for n in range(points):
            total = 0.0
            for corner in range(directions):
                total += np.float64(weights[n, corner]) * values[corners[n, corner]]
            y[c, n] = total * alpha
        c = take_task(tasks, channels)
