"""Small pictures and their lists, and a layer that reads them, for tests of data layers."""

from pathlib import Path

import numpy as np
from PIL import Image

from pycaffe_lite import random
from pycaffe_lite.blob import Blob
from pycaffe_lite.layer.base import LayerContext
from pycaffe_lite.layer.registry import create_layer
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse

PLACE = "net.prototxt:3: layer 'data' ({}): "


def write_pictures(folder: Path, count: int = 7, size: tuple[int, int] = (8, 10)) -> list[np.ndarray]:
    """Writes 0.png, 1.png, ... and list.txt, in which each has its number as label; returns the pixels."""
    rng = np.random.RandomState(1)
    pixels = [rng.randint(0, 256, (*size, 3), np.uint8) for _ in range(count)]
    for i, picture in enumerate(pixels):
        Image.fromarray(picture[..., ::-1]).save(folder / f"{i}.png")
    (folder / "list.txt").write_text("".join(f"{i}.png {i}\n" for i in range(count)))
    return pixels


class Rig:
    """A data layer and its tops."""

    def __init__(self, folder, kind, prototxt, phase=caffe_pb2.TRAIN, seed=1):
        message = parse(f'name: "data" type: "{kind}" {prototxt}', caffe_pb2.LayerParameter).message
        message.phase = phase
        random.set_random_seed(seed)
        self.layer = create_layer(message, LayerContext(folder=folder, where="net.prototxt:3: "))
        self.top = [Blob(), Blob()]
        self.layer.set_up([], self.top)

    def forward(self):
        self.layer.forward([], self.top)
        return [blob.data.copy() for blob in self.top]

    def labels(self, batches):
        """Those of the next batches, one after the other."""
        return [int(label) for _ in range(batches) for label in self.forward()[1]]
