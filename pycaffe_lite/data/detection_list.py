"""Lists of pictures and their boxes, as Cascade R-CNN writes them and DetectionData and EvalData read them.

A block for each picture: `# 0`, the picture's file, its channels, height and width, the number of its boxes,
a line for each, `label ignored difficult x1 y1 x2 y2`, the number of regions that are ignored, and a line for
each of these, `x1 y1 x2 y2`. The number behind `#` says which block is meant, counted from 0.

Source: zhaoweicai/cascade-rcnn src/caffe/layers/detection_data_layer.cpp
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pycaffe_lite.data.window_list import Words
from pycaffe_lite.errors import DataError
from pycaffe_lite.proto.paths import read_regular

_LARGEST_LIST = 1 << 34  # bytes
_BOX, _REGION = 7, 4  # numbers of a box, of a region


class Listed(NamedTuple):
    """A picture of a list.

    Attributes:
        name: of its file. channels, height, width: as the list says.
        about: (n, 3) int64: label, whether the box is ignored, whether it is difficult.
        boxes: (n, 4) float32, x1, y1, x2, y2; the last column and row belong to the box.
        ignored: (m, 4) float32, regions.
    """

    name: str
    channels: int
    height: int
    width: int
    about: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float32]
    ignored: npt.NDArray[np.float32]


class DetectionList(NamedTuple):
    """A list: its pictures, and in which order their numbers stand; a checksum of the file's bytes."""

    path: Path
    pictures: list[Listed]
    order: npt.NDArray[np.int64]
    checksum: int


def read_detections(path: Path) -> DetectionList:
    """Reads a list.

    Raises:
        FileLookupError: there is no such file.
        DataError: it cannot be read, or is empty; a label is below 1; there is no picture of a number.
    """
    content = read_regular(path, _LARGEST_LIST, "a list of boxes", error=DataError)
    words = Words(path, content)
    pictures: list[Listed] = []
    order: list[int] = []
    while words.more():
        mark = words.next("'#'")
        if mark != b"#":
            raise words.error(f"'#' and a number must come here, got '{mark.decode(errors='replace')}'")
        order.append(words.integer("the number of a picture"))
        pictures.append(_picture(words))
    if not pictures:
        raise DataError(f"the list '{path}' is empty: write a block for each picture")
    for number in order:
        if number >= len(pictures):
            raise DataError(f"'{path}' has no picture {number}: number the {len(pictures)} from 0 on")
    return DetectionList(path, pictures, np.array(order), zlib.crc32(content))


def _picture(words: Words) -> Listed:
    name = words.next("a picture's file").decode("utf-8", "surrogateescape")
    channels, height, width = (
        words.integer(f"the {size} of a picture") for size in ("channels", "height", "width")
    )
    rows = words.signed(words.integer("the number of boxes") * _BOX, "boxes").reshape(-1, _BOX)
    regions = words.signed(words.integer("the number of regions") * _REGION, "regions").reshape(-1, _REGION)
    if len(rows) and rows[:, 0].min() < 1:
        raise words.error(f"labels of boxes begin with 1, got {rows[:, 0].min()}")
    boxes, ignored = rows[:, 3:].astype(np.float32), regions.astype(np.float32)
    return Listed(name, channels, height, width, rows[:, :3].copy(), boxes, ignored)
