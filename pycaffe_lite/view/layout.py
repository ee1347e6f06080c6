"""Layered layout of directed graphs: nodes in ranks along the edges, as few crossings as can be, and routes.

Ranks follow the edges, once circles are cut open. An edge over several ranks passes through a point in each,
which takes part in the ordering like a node. In ranks, nodes are sorted by the middle of their neighbours,
forth and back; then each rank is set as close to its neighbours as the nodes' sizes allow, by least squares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

Point = tuple[float, float]
Edge = tuple[str, str]

# In pixels: around the picture, between neighbours in a rank, and between ranks.
MARGIN, NODE_GAP, RANK_GAP = 16.0, 18.0, 42.0
# Sweeps over all ranks: for their order, and for their places.
ORDER_SWEEPS, PLACE_SWEEPS = 12, 150
# How much an edge is worth to be straight, by how many of its ends are points of a long edge.
STRAIGHTNESS = (1.0, 2.0, 8.0)


class Box(NamedTuple):
    """Where a node is: its middle and its size."""

    x: float
    y: float
    width: float
    height: float


@dataclass
class Layout:
    """Where everything is, in pixels from the upper left corner.

    Attributes:
        boxes: by node. routes: for each edge the points that it passes: its two ends, and two for each rank
            between them, where it enters and where it leaves. width, height: of the picture.
    """

    boxes: dict[str, Box]
    routes: list[list[Point]]
    width: float
    height: float


def lay_out(
    sizes: Mapping[str, tuple[float, float]],
    edges: Sequence[Edge],
    rankdir: str = "TB",
    labels: Sequence[tuple[float, float]] | None = None,
) -> Layout:
    """Finds places for nodes and edges.

    Args:
        sizes: width and height of each node, in pixels. edges: pairs of nodes.
        rankdir: where edges lead: TB, BT, LR or RL.
        labels: for each edge the size of what stands beside its beginning; (0, 0) for none.
    """
    is_sideways = rankdir in ("LR", "RL")

    def turned(point: Point) -> Point:
        """Width and height as sizes across and along the ranks, and the other way round."""
        return (point[1], point[0]) if is_sideways else point

    across_along = {key: turned(size) for key, size in sizes.items()}
    label_sizes = [turned(size) for size in labels or [(0.0, 0.0)] * len(edges)]
    layered = _Layers(across_along, edges, label_sizes)
    layered.order()
    layered.place()
    boxes = {key: Box(*turned(layered.middle(key)), *size) for key, size in sizes.items()}
    routes = [[turned(point) for point in route] for route in layered.routes()]
    width, height = turned((layered.breadth, layered.depth))
    layout = Layout(boxes, routes, width, height)
    if rankdir in ("BT", "RL"):
        _turn_round(layout, is_sideways=is_sideways)
    return layout


def _turn_round(layout: Layout, *, is_sideways: bool) -> None:
    def turned(x: float, y: float) -> Point:
        return (layout.width - x, y) if is_sideways else (x, layout.height - y)

    for key, box in layout.boxes.items():
        x, y = turned(box.x, box.y)
        layout.boxes[key] = box._replace(x=x, y=y)
    layout.routes = [[turned(*point) for point in route] for route in layout.routes]


class _Layers:
    """Nodes in ranks; `across` is the axis along a rank, `along` that from rank to rank.

    A node is a number: those of the graph come first, then the points of long edges.
    """

    def __init__(self, sizes: Mapping[str, Point], edges: Sequence[Edge], labels: Sequence[Point]) -> None:
        self._numbers = {key: i for i, key in enumerate(sizes)}
        self._nodes = len(sizes)
        ends = [(self._numbers[a], self._numbers[b]) for a, b in edges]
        rank = _ranks(self._nodes, ends)
        self._breadths = [size[0] for size in sizes.values()]
        self._lengths = [size[1] for size in sizes.values()]
        # A label stands right of its edge's beginning: the node is as wide as if it was on both sides.
        self._room = list(self._breadths)
        self._gaps = [RANK_GAP] * (max(rank, default=0) + 1)
        for (a, b), (breadth, length) in zip(ends, labels, strict=True):
            self._room[a] = max(self._room[a], 2 * breadth)
            upper = min(rank[a], rank[b])
            self._gaps[upper] = max(self._gaps[upper], length and length + RANK_GAP / 2)
        self._paths = [self._path(a, b, rank) for a, b in ends]
        self._ranks: list[list[int]] = [[] for _ in self._gaps]
        for node, number in enumerate(rank):
            self._ranks[number].append(node)
        self._upper: list[list[tuple[int, float]]] = [[] for _ in rank]
        self._lower: list[list[tuple[int, float]]] = [[] for _ in rank]
        for path in self._paths:
            for ends_of_piece in pairwise(path):
                a, b = sorted(ends_of_piece, key=rank.__getitem__)
                if rank[a] != rank[b]:
                    weight = STRAIGHTNESS[(a >= self._nodes) + (b >= self._nodes)]
                    self._lower[a].append((b, weight))
                    self._upper[b].append((a, weight))
        self._x = [0.0] * len(rank)

    def _path(self, a: int, b: int, rank: list[int]) -> list[int]:
        """The nodes that an edge passes: its ends, and new points in the ranks between them."""
        step = 1 if rank[a] < rank[b] else -1
        between = range(rank[a] + step, rank[b], step) if rank[a] != rank[b] else ()
        points = []
        for number in between:
            points.append(len(rank))
            rank.append(number)
            for sizes in (self._breadths, self._lengths, self._room):
                sizes.append(0.0)
        return [a, *points, b]

    # ------------------------------------------------------------------------------------------ the order

    def order(self) -> None:
        """Sorts each rank so that few edges cross: the best of several sweeps."""
        best, fewest = [list(rank) for rank in self._ranks], self._crossings()
        for sweep in range(ORDER_SWEEPS):
            downwards = sweep % 2 == 0
            near = self._upper if downwards else self._lower
            for rank in self._ranks if downwards else reversed(self._ranks):
                self._sort(rank, near)
            crossings = self._crossings()
            if crossings < fewest:
                best, fewest = [list(rank) for rank in self._ranks], crossings
            if not fewest:
                break
        self._ranks = best

    def _sort(self, rank: list[int], near: list[list[tuple[int, float]]]) -> None:
        place = self._places()
        middles = {
            node: sum(place[other] for other, _ in near[node]) / len(near[node])
            if near[node]
            else place[node]
            for node in rank
        }
        rank.sort(key=middles.__getitem__)

    def _places(self) -> list[float]:
        """The place of each node in its rank, counted from the middle."""
        place = [0.0] * len(self._x)
        for rank in self._ranks:
            for i, node in enumerate(rank):
                place[node] = i - (len(rank) - 1) / 2
        return place

    def _crossings(self) -> int:
        """How many pairs of edges cross between neighbouring ranks."""
        place, count = self._places(), 0
        for rank in self._ranks:
            ends = [
                place[b] for a in rank for b in sorted((b for b, _ in self._lower[a]), key=place.__getitem__)
            ]
            count += sum(sum(other > end for other in ends[:i]) for i, end in enumerate(ends))
        return count

    # ----------------------------------------------------------------------------------------- the places

    def place(self) -> None:
        """Sets each rank as close to the ranks beside it as the nodes' sizes allow."""
        for rank in self._ranks:
            self._set(rank, [0.0] * len(rank), [1.0] * len(rank))
        for sweep in range(PLACE_SWEEPS):
            for rank in self._ranks if sweep % 2 == 0 else reversed(self._ranks):
                wanted, weights = [], []
                for node in rank:
                    near = (*self._upper[node], *self._lower[node])
                    weight = sum(w for _, w in near)
                    wanted.append(sum(self._x[o] * w for o, w in near) / weight if near else self._x[node])
                    weights.append(weight or 0.1)
                self._set(rank, wanted, weights)
        nodes = range(len(self._x))
        least = min((self._x[i] - self._room[i] / 2 for i in nodes), default=0.0)
        self._x = [x - least + MARGIN for x in self._x]
        self.breadth = max((self._x[i] + self._room[i] / 2 for i in nodes), default=MARGIN) + MARGIN
        self._starts: list[float] = []
        self._thickness: list[float] = []
        depth = MARGIN
        for rank, gap in zip(self._ranks, self._gaps, strict=True):
            self._starts.append(depth)
            self._thickness.append(max((self._lengths[node] for node in rank), default=0.0))
            depth += self._thickness[-1] + gap
        self.depth = depth - (self._gaps[-1] if self._ranks[0] else 0) + MARGIN
        self._rank_of = {node: i for i, rank in enumerate(self._ranks) for node in rank}

    def _set(self, rank: list[int], wanted: Sequence[float], weights: Sequence[float]) -> None:
        """The places nearest to the wanted ones, by weighted squares, that keep the order and the distances.

        Neighbours that would overlap move as one block, to the mean of what they want.
        """
        offsets, offset = [], 0.0
        for i, node in enumerate(rank):
            if i:
                offset += (self._room[rank[i - 1]] + self._room[node]) / 2 + NODE_GAP
            offsets.append(offset)
        blocks: list[list[float]] = []  # mean, weight, number of nodes
        for want, start, weight in zip(wanted, offsets, weights, strict=True):
            blocks.append([want - start, weight, 1])
            while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
                mean, more, count = blocks.pop()
                last = blocks[-1]
                last[0] = (last[0] * last[1] + mean * more) / (last[1] + more)
                last[1] += more
                last[2] += count
        means = (mean for mean, _, count in blocks for _ in range(int(count)))
        for node, mean, start in zip(rank, means, offsets, strict=True):
            self._x[node] = mean + start

    def middle(self, key: str) -> Point:
        """The middle of a node of the graph."""
        return self._middle(self._numbers[key])

    def _middle(self, node: int) -> Point:
        number = self._rank_of[node]
        return self._x[node], self._starts[number] + self._thickness[number] / 2

    def routes(self) -> list[list[Point]]:
        """The points of each edge; of two that lead forth and back, that against the ranks is set aside."""
        there = {(path[0], path[-1]) for path in self._paths}
        return [self._route(path, is_pair=(path[-1], path[0]) in there) for path in self._paths]

    def _route(self, path: list[int], *, is_pair: bool) -> list[Point]:
        first, last = path[0], path[-1]
        down = self._rank_of[first] <= self._rank_of[last]
        sign = 1 if down else -1
        aside = 10.0 if is_pair and not down else -10.0 if is_pair else 0.0
        (x, y), (end_x, end_y) = self._middle(first), self._middle(last)
        points = [(x + aside, y + sign * self._lengths[first] / 2)]
        for node in path[1:-1]:
            at = self._middle(node)
            half = sign * self._thickness[self._rank_of[node]] / 2
            points += [(at[0], at[1] - half), (at[0], at[1] + half)]
        return [*points, (end_x + aside, end_y - sign * self._lengths[last] / 2)]


def _ranks(nodes: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The rank of each node: as far on as the longest way to it, once circles are cut open.

    Layers that work in place make circles: their edge back to their blob is left out of account. A node to
    which nothing leads is in the rank before the first that it leads to.
    """
    targets: list[list[int]] = [[] for _ in range(nodes)]
    for source, target in edges:
        targets[source].append(target)
    forward: list[list[int]] = [[] for _ in range(nodes)]
    finished: list[int] = []  # each behind all that it leads to
    state = [0] * nodes  # 1: on the way, 2: finished
    for start in range(nodes):
        stack = [(start, iter(targets[start]))] if state[start] == 0 else []
        state[start] = max(state[start], 1)
        while stack:
            node, rest = stack[-1]
            target = next((t for t in rest if state[t] != 1), -1)
            if target < 0:
                state[node] = 2
                finished.append(node)
                stack.pop()
                continue
            forward[node].append(target)
            if state[target] == 0:
                state[target] = 1
                stack.append((target, iter(targets[target])))
    rank, is_led_to = [0] * nodes, [False] * nodes
    for node in reversed(finished):
        for target in forward[node]:
            rank[target] = max(rank[target], rank[node] + 1)
            is_led_to[target] = True
    for node in finished:
        if not is_led_to[node] and forward[node]:
            rank[node] = min(rank[target] for target in forward[node]) - 1
    return rank
