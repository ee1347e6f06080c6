"""Draws the pictures of the pages on backpropagation, from the numbers that the pages' own programs compute.

    python docs/pictures.py

tests/test_site.py checks that the pictures are up to date.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from svg import BLUE, CELL, GREEN, INK, MARK, ORANGE, PALE, PURPLE, Drawing, number, shade

import pycaffe_lite as caffe

ROOT = Path(__file__).parents[1]
FOLDER = Path(__file__).parent / "backpropagation"
WEIGHTS = ROOT / "tests" / "fixtures" / "lenet" / "lenet_iter_50.caffemodel"
Names = dict[str, Any]

SCENES: dict[str, tuple[str, Callable[[Names], Drawing]]] = {}


def scene(page: str, picture: str) -> Callable[[Callable[[Names], Drawing]], Callable[[Names], Drawing]]:
    """Registers a function that draws a picture from the names that a page's program defines."""

    def register(draw: Callable[[Names], Drawing]) -> Callable[[Names], Drawing]:
        SCENES[f"{picture}.svg"] = (f"{page}.md", draw)
        return draw

    return register


# --------------------------------------------------------------------------------- the fully connected layer


@scene("fully-connected", "fully-connected")
def fully_connected(names: Names) -> Drawing:
    """The three sums: which numbers make one of y, of dx and of dw."""
    d = Drawing(760, 350, "A fully connected layer: x, w and y, and which numbers make one of each gradient")
    x, w, y, dy, dx, dw = (names[name] for name in ("x", "w", "y", "dy", "dx", "dw"))
    d.text(20, 30, "forward:  y[0, 1] reads row 0 of x and row 1 of w", anchor="start")
    d.grid(20, 66, x, title="x", fill=BLUE, marked=[(0, k) for k in range(3)])
    d.grid(150, 66, w, title="w", fill=ORANGE, marked=[(1, k) for k in range(3)])
    d.grid(280, 66, y, title="y", fill=GREEN, marked=[(0, 1)])
    d.text(20, 182, "backward:  dx[0, 1] reads row 0 of dy and column 1 of w", anchor="start")
    d.grid(20, 218, dy, title="dy", fill=PURPLE, marked=[(0, 0), (0, 1)])
    d.grid(150, 218, w, title="w", fill=ORANGE, marked=[(0, 1), (1, 1)])
    d.grid(280, 218, dx, title="dx", fill=PURPLE, marked=[(0, 1)])
    d.text(420, 182, "dw[1, 2] reads columns: 1 of dy, 2 of x", anchor="start")
    d.grid(420, 218, dy, title="dy", fill=PURPLE, marked=[(0, 1), (1, 1)])
    d.grid(515, 218, x, title="x", fill=BLUE, marked=[(0, 2), (1, 2)])
    d.grid(640, 218, dw, title="dw", fill=PURPLE, marked=[(1, 2)])
    d.note(420, 86, ["rows of x, y and dy: the items of the batch", "rows of w and dw: the outputs",
                     "columns of x, w, dx and dw: the inputs"])  # fmt: skip
    d.note(20, 326, ["dw adds up over the items. That is the only place where they meet."])
    return d


@scene("fully-connected", "heat-map")
def heat_map(names: Names) -> Drawing:
    """The detector of plus signs on a larger picture."""
    d = Drawing(760, 260, "A detector of plus signs, as a kernel that slides over a larger picture")
    picture, plus, scores = names["picture"], names["plus"], names["heat_map"]
    top = 50
    blank = [(int(r), int(c)) for r, c in np.argwhere(picture == 0)]
    d.grid(20, top, picture, title="the picture", fill=BLUE, pale=blank)
    d.frame(20, top, (0, 0, 3, 3))
    d.frame(20, top, (1, 4, 3, 3))
    d.line(275, top + 85, 318, top + 85, tip=True)
    d.grid(330, top + 34, plus, title="the weights: a kernel", shaded=True)
    d.note(330, top + 160, ["bias −4, ReLU,", "then times 2"])
    d.line(450, top + 85, 493, top + 85, tip=True)
    d.grid(520, top + 34, scores, title="the heat map", shaded=True, marked=[(0, 0), (1, 4)])
    d.note(520, top + 160, ["one score for each place", "of the 3 by 3 window"])
    return d


def digits(count: int) -> Any:
    """The first images of MNIST's test set, side by side: (28, 28 count), from 0 to 1."""
    with gzip.open(ROOT / "models" / "lenet" / "mnist" / "t10k-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(16 + 784 * count)[16:], np.uint8)
    return np.concatenate(list(pixels.reshape(count, 28, 28)), axis=1) / np.float32(256)


def strips(image: Any, levels: int = 5) -> Iterator[tuple[int, int, int, int]]:
    """The pixels of an image in a few levels of grey, as runs: row, first column, end, level."""
    grey = np.round(image * levels).astype(int)
    for row, line in enumerate(grey):
        edges = np.flatnonzero(np.diff(line, prepend=-1, append=-1))
        for first, end in pairwise(edges):
            if line[first]:
                yield row, int(first), int(end), int(line[first])


@scene("fully-connected", "lenet-heat-map")
def lenet_heat_map(names: Names) -> Drawing:
    """LeNet, made fully convolutional, over five digits."""
    image = digits(5)
    net = names["wide"]
    net.blobs["data"].data[...] = image
    probabilities = net.forward()["prob"][0, :, 0]
    pixel, left, top = 5, 40, 20
    d = Drawing(left + 140 * pixel + 20, top + 28 * pixel + 250, "LeNet's probabilities over five digits")
    d.rect(left, top, 140 * pixel, 28 * pixel)
    for row, first, end, level in strips(image):
        grey = f"#{(255 - 47 * level):02x}" + f"{(255 - 47 * level):02x}" * 2
        d.rect(
            left + first * pixel, top + row * pixel, (end - first) * pixel, pixel, fill=grey, stroke="none"
        )
    map_top, cell = top + 28 * pixel + 20, 20
    for kind in range(10):
        d.text(left - 12, map_top + kind * cell + 15, str(kind))
        for place in range(probabilities.shape[1]):
            x = left + (place * 4 + 12) * pixel
            share = round(float(probabilities[kind, place]), 1)
            d.rect(x, map_top + kind * cell, 4 * pixel, cell, fill=shade(share, 1.0), stroke="#e4e6ea")
    for digit in range(5):
        x = left + (digit * 28 + 12) * pixel
        d.rect(x, map_top, 4 * pixel, 10 * cell, stroke=INK, thick=2)
    d.text(
        left + 70 * pixel,
        map_top + 10 * cell + 20,
        "class by class, at the middle of each window; framed: windows with one whole digit",
        size=13,
    )
    return d


# --------------------------------------------------------------------------------------------- convolution


@scene("convolution", "convolution")
def convolution(names: Names) -> Drawing:
    """The kernel at one place."""
    d = Drawing(560, 250, "A kernel of 3 by 3 on a picture of 5 by 5")
    d.grid(20, 50, names["x"][0, 0], title="x", fill=BLUE)
    d.frame(20, 50, (1, 1, 3, 3))
    d.text(215, 140, "·", size=26)
    d.grid(240, 84, names["w"][0, 0], title="w", fill=ORANGE)
    d.line(355, 135, 395, 135, tip=True)
    d.grid(410, 84, names["y"][0, 0], title="y", fill=GREEN, marked=[(1, 1)])
    d.text(20, 240, "nine products at each of nine places", anchor="start", size=13)
    return d


@scene("convolution", "participation")
def participation(names: Names) -> Drawing:
    """In how many products each pixel takes part."""
    d = Drawing(500, 260, "The number of products that each pixel takes part in")
    d.grid(30, 50, names["pixel_used"], title="stride 1, no padding", shaded=True)
    d.text(30 + 2.5 * CELL, 240, f"{names['pixel_used'].sum()} products", size=13)
    d.grid(300, 50, names["counts"], title="stride 2, padding 1", shaded=True)
    d.text(300 + 2.5 * CELL, 240, f"{names['counts'].sum()} products", size=13)
    return d


def padded(values: Any, rim: int) -> tuple[Any, list[tuple[int, int]]]:
    """An array with a rim of zeros, and where the rim is."""
    larger = np.pad(values, rim)
    inside = np.pad(np.ones_like(values, bool), rim)
    return larger, [(int(row), int(column)) for row, column in np.argwhere(~inside)]


@scene("convolution", "gradient")
def gradient(names: Names) -> Drawing:
    """The gradient of the picture as a convolution."""
    d = Drawing(690, 320, "The padded gradient, the turned kernel, and the gradient of the picture")
    larger, rim = padded(names["dy"][0, 0], 2)
    d.grid(20, 50, larger, title="dy, padded by 2", fill=PURPLE, pale=rim)
    d.frame(20, 50, (0, 0, 3, 3))
    d.text(282, 172, "·", size=26)
    d.grid(306, 118, names["turned"][0, 0], title="w, turned", fill=ORANGE)
    d.line(425, 169, 468, 169, tip=True)
    d.grid(490, 84, names["dx"], title="dx", fill=PURPLE, marked=[(0, 0)])
    d.text(
        20, 308, "At the first place only the last weight lies on a number of dy.", anchor="start", size=13
    )
    return d


@scene("convolution", "im2col")
def im2col(names: Names) -> Drawing:
    """The patches as columns."""
    d = Drawing(800, 420, "The patches of the picture as columns of a matrix")
    cell = 30
    d.grid(20, 130, names["x"][0, 0], title="x", fill=BLUE, cell=cell)
    d.frame(20, 130, (0, 0, 3, 3), cell)
    d.line(185, 205, 225, 205, tip=True)
    column = [(k, 0) for k in range(9)]
    d.grid(500, 40, names["col"], title="col: a column for each place", fill=BLUE, cell=cell, marked=column)
    d.grid(215, 330, names["w"].reshape(1, 9), title="w: a row for each kernel", fill=ORANGE, cell=cell)
    d.text(492, 351, "→", size=22)
    d.grid(500, 330, names["y"].reshape(1, 9), fill=GREEN, cell=cell, marked=[(0, 0)])
    d.text(500 + 4.5 * cell, 385, "y", bold=True)
    d.note(240, 200, ["each patch of 3 by 3", "becomes a column of nine"])
    return d


@scene("convolution", "stride")
def stride(names: Names) -> Drawing:
    """The gradient spread out for a stride of two."""
    d = Drawing(800, 320, "The gradient with zeros between, and the gradient of the picture")
    d.grid(20, 118, names["dy"][0, 0], title="dy", fill=PURPLE)
    d.line(132, 169, 165, 169, tip=True)
    larger, rim = padded(names["spread"][0, 0], 1)
    between = [(row, column) for row, column in np.ndindex(7, 7) if row % 2 == 0 or column % 2 == 0]
    d.grid(180, 50, larger, title="spread by 2, padded by 1", fill=PURPLE, pale={*rim, *between})
    d.frame(180, 50, (0, 0, 3, 3))
    d.text(435, 172, "·", size=26)
    d.grid(450, 118, names["turned"][0, 0], title="w, turned", fill=ORANGE)
    d.line(562, 169, 595, 169, tip=True)
    d.grid(610, 84, names["strided_dx"][0, 0], title="dx", fill=PURPLE, marked=[(0, 0)])
    return d


# ------------------------------------------------------------------------------- pooling, ReLU, softmax


@scene("pooling-relu-softmax", "pooling")
def pooling(names: Names) -> Drawing:
    """Where the gradient goes."""
    d = Drawing(700, 420, "Mean pooling spreads a gradient, maximum pooling routes it")
    x, dy, winner = names["x"][0], names["dy"][0], names["winner"][0]
    won = [divmod(int(place), 4) for place in winner.ravel()]
    for top, kind, y, dx in ((50, "mean", names["mean"][0], names["dx_mean"][0]),
                             (250, "maximum", names["largest"][0], names["dx_max"][0])):  # fmt: skip
        is_max = kind == "maximum"
        d.grid(20, top, x, title="x", fill=BLUE, marked=won if is_max else ())
        d.line(168, top + 68, 208, top + 68, tip=True)
        d.text(188, top + 58, kind, size=12)
        d.grid(220, top + 34, y, title="y", fill=GREEN)
        d.grid(360, top + 34, dy, title="dy", fill=PURPLE)
        d.line(440, top + 68, 480, top + 68, tip=True)
        d.grid(500, top, dx, title=f"dx, sum {number(dx.sum())}", shaded=True, marked=won if is_max else ())
        for left in (20, 500):
            for row in (0, 2):
                for column in (0, 2):
                    d.rect(left + column * CELL, top + row * CELL, 2 * CELL, 2 * CELL, stroke=INK, thick=2)
    return d


@scene("pooling-relu-softmax", "softmax")
def softmax(names: Names) -> Drawing:
    """Probabilities and gradients as bars."""
    d = Drawing(700, 250, "Probabilities and gradients of two items")
    p, dscores, labels = names["p"][:, :, 0], names["dscores"][:, :, 0], names["labels"].ravel()
    for n in range(2):
        left = 30 + n * 345
        d.text(left, 28, f"item {n}, its label is class {labels[n]}", anchor="start", bold=True)
        for c in range(3):
            top = 48 + c * 62
            is_label = c == labels[n]
            d.text(left + 10, top + 22, f"{c}", bold=is_label)
            length = round(float(p[n, c]) * 160)
            d.rect(left + 25, top, length, 20, fill=GREEN)
            value = number(round(float(p[n, c]), 4))
            d.text(left + 30 + length, top + 15, f"p = {value}", anchor="start", size=12)
            middle, length = left + 165, round(abs(float(dscores[n, c])) * 260)
            push = float(dscores[n, c])
            d.rect(middle if push > 0 else middle - length, top + 26, length, 20,
                   fill=shade(push, 0.4), stroke=MARK if is_label else PALE)  # fmt: skip
            value = number(round(push, 4))
            side = length + 6 if push > 0 else 6
            d.text(middle + side, top + 41, f"dx = {value}", anchor="start", size=12)
    what = "The gradient pushes the label's score up (dx below 0) and the others' down."
    d.text(30, 242, what, anchor="start", size=13)
    return d


# ------------------------------------------------------------------------------------------- the solver


@scene("solver", "solver")
def solver(names: Names) -> Drawing:
    """The steps of weight and bias, in parts."""
    d = Drawing(720, 270, "Two steps of the weight and of the bias, in parts from momentum and gradient")
    step, before, after = names["step"], names["before"], names["after"]
    scale, left = 300, 60
    for k, name in enumerate(("w", "b")):
        line = 80 + k * 105
        d.text(30, line + 5, name, bold=True, size=16)
        d.line(left, line, left + 2.1 * scale, line, color=PALE)
        for tick in range(5):
            x = left + tick * scale / 2
            d.line(x, line - 3, x, line + 3, color=PALE)
            d.text(x, line + 32, number(tick / 2), size=12, color=PALE)
        momentum = (0.0, 0.9 * step[k])
        for t in range(2):
            start, end = before[2 * t + k], after[2 * t + k]
            carried = start - momentum[t]
            y = line - 20 + t * 0
            if momentum[t]:
                d.rect(left + carried * scale, y, momentum[t] * scale, 12, fill=ORANGE, stroke="none")
            d.rect(left + end * scale, y, (carried - end) * scale, 12, fill=BLUE, stroke="none")
            d.line(left + start * scale, y + 6, left + end * scale + 2, y + 6, tip=True)
            shown = number(round(step[2 * t + k], 4))
            d.text(left + (start + end) / 2 * scale, y - 5, f"step {t + 1}: {shown}", size=12)
        for value in (before[k], after[k], after[2 + k]):
            d.rect(left + value * scale - 3, line - 3, 6, 6, fill=MARK, stroke="none")
            d.text(left + value * scale, line + 17, number(round(value, 4)), size=12)
    d.rect(60, 246, 14, 12, fill=BLUE, stroke="none")
    d.text(80, 257, "from the gradient: base_lr · lr_mult · g", anchor="start", size=13)
    d.rect(370, 246, 14, 12, fill=ORANGE, stroke="none")
    d.text(390, 257, "from momentum: 0.9 of the step before", anchor="start", size=13)
    return d


# ------------------------------------------------------------------------------------------------- LSTM


@scene("lstm", "lstm")
def lstm(names: Names) -> Drawing:
    """Three steps side by side, forward above and backward below."""
    d = Drawing(800, 400, "Three steps of an LSTM with the values that flow between them")
    shown = ("x", "i", "f", "o", "g", "cell", "output", "dh_out", "dc_out", "delta", "dz_g")
    rounded = {name: [number(round(float(v), 4)) for v in names[name]] for name in shown}
    for t in range(3):
        left = 60 + t * 250
        d.rect(left, 90, 160, 190, fill="#f6f7f9", stroke=INK, thick=1.5)
        d.text(left + 80, 110, f"t = {t + 1}", bold=True)
        for k, gate in enumerate("ifog"):
            d.rect(left + 14 + k * 34, 124, 30, 22, fill=ORANGE)
            d.text(left + 29 + k * 34, 140, gate, size=13)
            d.text(left + 29 + k * 34, 160, rounded[gate][t], size=9)
        d.text(left + 80, 196, f"c = {rounded['cell'][t]}", size=13)
        d.text(left + 80, 218, f"h = {rounded['output'][t]}", size=13)
        d.text(left + 80, 244, f"δ = {rounded['delta'][t]}", size=13, color=MARK)
        d.text(left + 80, 266, f"dz_g = {rounded['dz_g'][t]}", size=13, color=MARK)
        d.line(left + 80, 330, left + 80, 282, tip=True)
        d.text(left + 80, 348, f"x = {rounded['x'][t]}")
        d.line(left + 80, 90, left + 80, 52, tip=True)
        d.text(left + 80, 40, f"h = {rounded['output'][t]}")
        if t == 2:
            d.text(left + 92, 70, "dh = 1", color=MARK, anchor="start", size=13)
        else:
            gap = left + 162
            for y, name, value, gradient in ((178, "c", "cell", "dc_out"), (248, "h", "output", "dh_out")):
                forward, back = f"{name} {rounded[value][t]}", f"d{name} {rounded[gradient][t]}"
                d.line(gap, y - 20, gap + 84, y - 20, tip=True)
                d.text(gap + 42, y - 26, forward, size=12)
                d.line(gap + 84, y, gap, y, tip=True, color=MARK, dashed=True)
                d.text(gap + 42, y + 14, back, size=12, color=MARK)
    d.text(
        60,
        385,
        "black: forward; red: what comes back from a loss that is the last h",
        anchor="start",
        size=13,
    )
    return d


# ------------------------------------------------------------------------------------------------- all


def program_of(page: str) -> Names:
    """The names that a page's Python defines, run in a folder of its own."""
    text = (FOLDER / page).read_text()
    names: Names = {"__name__": "__main__"}
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        os.chdir(folder)
        try:
            lenet = Path("models", "lenet")
            lenet.mkdir(parents=True)
            shutil.copy(ROOT / lenet / "lenet.prototxt", lenet)
            shutil.copy(WEIGHTS, lenet / "lenet_solver_iter_10000.caffemodel")
            for block in re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
                exec(block, names)
        finally:
            os.chdir(here)
    return names


def drawn() -> Iterator[tuple[str, str]]:
    """Each picture's name, and the picture."""
    programs: dict[str, Names] = {}
    for picture, (page, draw) in SCENES.items():
        if page not in programs:
            programs[page] = program_of(page)
        yield picture, draw(programs[page]).svg()


if __name__ == "__main__":
    caffe.init_log(2)
    for picture, svg in drawn():
        (FOLDER / picture).write_text(svg)
