"""Draws rows of five digits into HDF5 files: train.h5 and test.h5, which train.txt and test.txt name.

python draw.py [FOLDER [TRAIN TEST]], with the numbers of rows to train and to test on. Pillow draws, h5py
writes. Sizes, places, turns and noise are random, and the same at every run. `data` is (count, 1, 32, 100),
from 0 for paper to 1 for ink; `label` is (count, 5).
"""

import sys
from pathlib import Path

import h5py
import numpy as np
from PIL import Image, ImageDraw, ImageFont

HEIGHT, WIDTH, DIGITS = 32, 100, 5
COUNTS = (4000, 500)  # to train and to test on
NOISE = 0.1


def digit(random, value):
    """A digit of some size, turned a little, light on black."""
    font = ImageFont.load_default(size=int(random.integers(20, 29)))
    left, top, right, bottom = font.getbbox(str(value))
    picture = Image.new("L", (right - left + 6, bottom - top + 6))
    ImageDraw.Draw(picture).text((3 - left, 3 - top), str(value), fill=255, font=font)
    return picture.rotate(random.uniform(-12, 12), Image.Resampling.BILINEAR, expand=True)


def row(random, values):
    """A picture of the digits side by side, with some noise."""
    picture = Image.new("L", (WIDTH, HEIGHT))
    pieces = [digit(random, value) for value in values]
    x = random.integers(0, max(WIDTH - sum(piece.width - 3 for piece in pieces), 1))
    for piece in pieces:
        y = (HEIGHT - piece.height) // 2 + random.integers(-2, 3)
        picture.paste(255, (int(x), int(y)), piece)
        x += piece.width - random.integers(2, 5)
    ink = np.asarray(picture, np.float32) / 255
    return np.clip(ink * random.uniform(0.6, 1) + random.normal(0, NOISE, ink.shape), 0, 1)


def main():
    """Draws all rows, and writes the files."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    counts = [int(word) for word in sys.argv[2:4]] or COUNTS
    random = np.random.default_rng(1)
    for name, count in zip(("train", "test"), counts, strict=True):
        labels = random.integers(0, 10, (count, DIGITS))
        rows = np.array([row(random, values) for values in labels], np.float32)
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["data"], file["label"] = rows[:, None], labels.astype(np.float32)
        (folder / f"{name}.txt").write_text(f"{name}.h5\n")


main()
