"""Draws 500 pictures of circles, squares and triangles, and the lists train.txt and test.txt of them.

python draw.py [FOLDER]; Pillow draws. Sizes, places, colours and turns are random, and the same at every run.
"""

import math
import random
import sys
from pathlib import Path

from PIL import Image, ImageDraw

SHAPES = ("circle", "square", "triangle")
COUNT = 500
TESTED = 100


def color(low, high):
    """A random colour of three values from low to high."""
    return tuple(random.randint(low, high) for _ in range(3))


def draw(shape):
    """A picture of a dark shape on a light ground with some lines across it."""
    width, height = random.randint(40, 72), random.randint(40, 72)
    picture = Image.new("RGB", (width, height), color(150, 255))
    pen = ImageDraw.Draw(picture)
    radius = random.randint(14, 19)
    x, y = (random.randint(radius, size - radius) for size in (width, height))
    paint = color(0, 110)
    if shape == "circle":
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], paint)
    else:
        corners, start = {"square": (4, math.pi / 4), "triangle": (3, math.pi / 2)}[shape]
        start += random.uniform(-0.3, 0.3)
        angles = [start + math.tau * i / corners for i in range(corners)]
        pen.polygon([(x + radius * math.cos(a), y - radius * math.sin(a)) for a in angles], paint)
    for _ in range(4):
        ends = [(random.randrange(width), random.randrange(height)) for _ in range(2)]
        pen.line(ends, color(0, 255))
    return picture


def main():
    """Draws the pictures, and writes the lists."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    random.seed(1)
    lines = []
    for i in range(COUNT):
        label = i % len(SHAPES)
        name = f"pictures/{SHAPES[label]}_{i:03}.jpg"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        draw(SHAPES[label]).save(folder / name, quality=90)
        lines.append(f"{name} {label}\n")
    (folder / "train.txt").write_text("".join(lines[TESTED:]))
    (folder / "test.txt").write_text("".join(lines[:TESTED]))


main()
