"""Files of detections, as PASCAL VOC, COCO and ILSVRC want them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pycaffe_lite.blob import Array
from pycaffe_lite.errors import DataError, FileLookupError, NetError, PycaffeError
from pycaffe_lite.formats.atomic import atomic_write, reason
from pycaffe_lite.layer.base import Layer
from pycaffe_lite.layer.detection.resized import check_resize, in_picture
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.paths import read_regular, resolve
from pycaffe_lite.proto.prototxt import parse

FORMATS = ("VOC", "COCO", "ILSVRC")
MOST_BYTES = 2**28  # of a list of names


class DetectionWriter:
    """Writes the detections of `num_test_image` pictures, and then those of the next ones in their place.

    Args:
        param: the layer's `save_output_param`.
        names: of the pictures, in the order in which the net sees them, with heights and widths.
        labels: the names of the classes. background: the class that has no file.
        missing: what to say of a list of names that is not there.

    Source: weiliu89/caffe src/caffe/layers/detection_output_layer.cpp
    """

    def __init__(
        self,
        param: caffe_pb2.SaveOutputParameter,
        names: list[tuple[str, int, int]],
        labels: dict[int, str],
        background: int,
        missing: str = "",
    ) -> None:
        self._param, self._names, self._labels, self._background = param, names, labels, background
        self._missing = missing
        self._count = param.num_test_image or len(names)
        self._found: list[tuple[str, int, float, Array]] = []  # picture, class, score, x y w h
        self._seen = 0

    @classmethod
    def of(
        cls, layer: Layer[Any], param: caffe_pb2.SaveOutputParameter, background: int
    ) -> DetectionWriter | None:
        """The writer that a layer's `save_output_param` means; None if it lacks folder, format or a file.

        If a file that it names is not there, `write` says so: published nets name files of their authors, and
        can be looked at all the same.

        Raises:
            LayerError: an unknown format, a file that cannot be read, fewer names than pictures, or a
                resize_param without a size.
        """
        needed = (param.output_directory, param.output_format, param.label_map_file, param.name_size_file)
        if not all(needed):
            return None
        if param.output_format not in FORMATS:
            known = ", ".join(FORMATS)
            raise layer.error(f"unknown output_format '{param.output_format}' (known: {known})")
        try:
            names = read_names(resolve(param.name_size_file, layer.context.folder))
            labels = read_labels(resolve(param.label_map_file, layer.context.folder))
        except FileLookupError as error:
            return cls(param, [], {}, background, missing=str(error))
        except PycaffeError as error:
            raise layer.error(str(error)) from None
        if max(param.num_test_image, 1) > len(names):
            have, need = len(names), max(param.num_test_image, 1)
            raise layer.error(f"'{param.name_size_file}' names {have} pictures, {need} are needed")
        check_resize(layer, param.resize_param if param.HasField("resize_param") else None)
        return cls(param, names, labels, background)

    def write(self, rows_by_image: list[Array]) -> None:
        """Takes the detections of further pictures.

        Args:
            rows_by_image: of each picture rows of 7, as DetectionOutput has them.

        Raises:
            DataError: a list of names is not there, the label map lacks a class, a box is NaN, or a file
                cannot be written.
        """
        if self._missing:
            raise DataError(f"{self._missing}; put it there, or remove save_output_param")
        param = self._param
        resize = param.resize_param if param.HasField("resize_param") else None
        for rows in rows_by_image:
            name, height, width = self._names[self._seen % len(self._names)]
            unnamed = sorted({int(label) for label in rows[:, 1]} - self._labels.keys())
            if unnamed:
                raise DataError(f"'{param.label_map_file}' has no name for class {unnamed[0]}")
            if np.isnan(rows).any():
                raise DataError(f"a box that was found in picture '{name}' is NaN")
            boxes = in_picture(rows[:, 3:], height, width, resize).astype(np.float32)
            boxes[:, 2:] -= boxes[:, :2]
            for row, box in zip(rows, _rounded(boxes), strict=True):
                self._found.append((name, int(row[1]), float(np.float32(row[2])), box))
            self._seen += 1
            if self._seen % self._count == 0:
                self._write_files()
                self._found.clear()

    def _write_files(self) -> None:
        folder, prefix = Path(self._param.output_directory), self._param.output_name_prefix
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as failure:
            raise DataError(f"cannot make the folder '{folder}': {reason(failure)}") from None
        if self._param.output_format == "VOC":
            for label, name in self._labels.items():
                of_label = [found for found in self._found if found[1] == label]
                if label != self._background:
                    _write(folder / f"{prefix}{name}.txt", "".join(_line(*found) for found in of_label))
        elif self._param.output_format == "ILSVRC":
            lines = [_line(*found, with_label=True) for found in self._found]
            _write(folder / f"{prefix}.txt", "".join(lines))
        else:
            entries = ",\n".join(self._entry(*found) for found in self._found)
            _write(folder / f"{prefix}.json", f"[\n{entries}\n    \n]\n")

    def _entry(self, name: str, label: int, score: float, box: Array) -> str:
        """A detection as boost writes it in JSON."""
        numbers = ",\n".join(f"                {value:.9g}" for value in box)
        return (
            f'        {{\n            "image_id": "{name}",\n'
            f'            "category_id": "{self._labels[label]}",\n'
            f'            "bbox": [\n{numbers}\n            ],\n            "score": {score:.9g}\n        }}'
        )


def _rounded(values: Array) -> Array:
    """The nearest hundredths, of two the one further from 0."""
    hundredths: Array = np.copysign(np.floor(np.abs(values) * 100 + 0.5), values) / 100
    return hundredths


def _line(name: str, label: int, score: float, box: Array, *, with_label: bool = False) -> str:
    x, y, w, h = (int(value) for value in box)
    what = f"{name} {label}" if with_label else name
    return f"{what} {score:.6g} {x} {y} {x + w} {y + h}\n"


def _write(path: Path, text: str) -> None:
    with atomic_write(path, error=DataError) as file:
        file.write(text.encode())


def read_names(path: Path) -> list[tuple[str, int, int]]:
    """The lines `NAME HEIGHT WIDTH` of a file.

    Raises:
        FileLookupError: there is no such file. NetError: a line is of another form, or a size not above 0.
    """
    names = []
    text = read_regular(path, MOST_BYTES, "a list of names").decode("utf-8", "replace")
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        try:
            name, height, width = words[0], int(words[1]), int(words[2])
        except (IndexError, ValueError):
            raise NetError(f"{path}:{number}: needs 'NAME HEIGHT WIDTH', got '{line}'") from None
        if height < 1 or width < 1:
            raise NetError(f"{path}:{number}: needs a height and a width above 0, got '{line}'")
        names.append((name, height, width))
    return names


def read_labels(path: Path) -> dict[int, str]:
    """The names of a LabelMap file by label.

    Raises:
        FileLookupError: there is no such file. PrototxtError: it is no LabelMap.
    """
    text = read_regular(path, MOST_BYTES, "a label map").decode("utf-8", "replace")
    items = parse(text, caffe_pb2.LabelMap, name=str(path)).message.item
    return {item.label: item.name for item in items}
