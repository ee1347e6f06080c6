"""Classifying pictures from files, with the defaults of pycaffe's script.

Source: BVLC/caffe python/classify.py
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pycaffe_lite.classifier import Classifier
from pycaffe_lite.errors import ArgumentError, DataError, FileLookupError
from pycaffe_lite.formats import binaryproto
from pycaffe_lite.io import load_image
from pycaffe_lite.net.net import StrPath
from pycaffe_lite.proto.paths import read_regular
from pycaffe_lite.view.attention import scores

__all__ = ["Picture", "Scored", "classify", "image_classifier", "pictures_in", "read_labels", "read_mean"]

Array = npt.NDArray[np.floating]

# Those of Caffe's script; for nets of one channel there is no order of channels.
RAW_SCALE = 255.0
CHANNEL_SWAP = (2, 1, 0)
IMAGE_SIDE = 256
BATCH = 8  # pictures
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_LARGEST_LABELS = 1 << 26  # bytes


class Picture(NamedTuple):
    """A picture to be classified: its name, and what reads it as `io.load_image` does."""

    name: str
    load: Callable[[], Array]


class Scored(NamedTuple):
    """The scores of a picture, (classes,), or the error that came instead."""

    name: str
    scores: npt.NDArray[np.float32] | None
    error: DataError | None = None

    def top(self, count: int) -> list[tuple[int, float]]:
        """The classes of the best scores, best first, each with its score."""
        if self.scores is None:
            return []
        best = np.argsort(-self.scores, kind="stable")[:count]
        return [(int(i), float(self.scores[i])) for i in best]


def image_classifier(
    net: StrPath,
    weights: StrPath,
    *,
    mean: Array | None = None,
    raw_scale: float | None = RAW_SCALE,
    input_scale: float | None = None,
    channel_swap: Sequence[int] | None = None,
    image_dims: Sequence[int] | None = None,
) -> Classifier:
    """A classifier with the defaults of Caffe's script.

    Args:
        net, weights, mean, raw_scale, input_scale: as for `Classifier`.
        channel_swap: None for (2, 1, 0), which makes BGR of RGB, where the net takes three channels.
        image_dims: None for 256 x 256 where the net takes somewhat less of it, more than 128; else for the
            size that the net takes.

    Raises:
        ArgumentError: a setting does not fit the net; and as `Classifier`.
    """
    classifier = Classifier(net, weights, image_dims, mean, input_scale, raw_scale)
    name = classifier.inputs[0]
    shape = classifier.blobs[name].shape
    if len(shape) != 4 or shape[1] not in (1, 3):
        raise ArgumentError(f"pictures have 1 or 3 channels, the net's input '{name}' has shape {shape}")
    if channel_swap is None and shape[1] == 3:
        channel_swap = CHANNEL_SWAP
    if channel_swap is not None:
        classifier.transformer.set_channel_swap(name, channel_swap)
    if image_dims is None and all(IMAGE_SIDE // 2 < side <= IMAGE_SIDE for side in shape[2:]):
        classifier.image_dims = (IMAGE_SIDE, IMAGE_SIDE)
    if any(side < crop for side, crop in zip(classifier.image_dims, shape[2:], strict=True)):
        height, width = classifier.image_dims
        raise ArgumentError(
            f"pictures of {height} x {width} are smaller than the net's input, {shape[2]} x {shape[3]}"
        )
    return classifier


def pictures_in(paths: Iterable[Path], color: bool) -> list[Picture]:
    """The pictures of files and folders, those of a folder by their names.

    Args:
        paths: pictures; folders of pictures; .npy files with pictures, (N, H, W, C) from 0 to 1.
        color: whether they are read with three channels, or one.

    Raises:
        FileLookupError: a path is not there. DataError: a folder has no picture, or an array does not fit.
    """
    pictures: list[Picture] = []
    for path in files_in(paths):
        if path.suffix.lower() == ".npy":
            images = _read_array(path)
            if images.ndim != 4 or images.shape[3] != (3 if color else 1):
                channels = 3 if color else 1
                raise DataError(f"'{path}' has shape {images.shape}, needed is (N, H, W, {channels})")
            pictures += [_from_array(f"{path}[{i}]", image) for i, image in enumerate(images)]
        else:
            pictures.append(_from_file(path, color))
    return pictures


def files_in(paths: Iterable[Path]) -> list[Path]:
    """The same paths, with the pictures of a folder, by their names, in its place.

    Raises:
        FileLookupError: a path is not there. DataError: a folder has no picture.
    """
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise FileLookupError(f"no such file: '{path}'")
        if not path.is_dir():
            files.append(path)
            continue
        inside = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES)
        if not inside:
            raise DataError(f"folder '{path}' has no pictures ({', '.join(SUFFIXES)})")
        files += inside
    return files


def _from_file(path: Path, color: bool) -> Picture:
    return Picture(str(path), lambda: load_image(path, color))


def _from_array(name: str, image: Array) -> Picture:
    return Picture(name, lambda: image.astype(np.float32))


def classify(
    classifier: Classifier, pictures: Sequence[Picture], *, oversample: bool = True, batch: int = BATCH
) -> Iterator[Scored]:
    """The scores of pictures, in their order.

    Threads read and prepare pictures ahead, while the net runs on those before.

    Args:
        classifier: of `image_classifier`. pictures: of any number.
        oversample: average over ten crops of each, else take the centre. batch: pictures that go through the
            net at once.

    Yields:
        For each picture its scores, or the error if it cannot be read.
    """

    def prepare(picture: Picture) -> Array:
        return classifier.prepare([picture.load()], oversample)

    ahead: deque[tuple[Picture, Future[Array]]] = deque()
    left = iter(pictures)
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:

        def fill() -> None:
            while len(ahead) < 2 * batch + workers and (picture := next(left, None)) is not None:
                ahead.append((picture, pool.submit(prepare, picture)))

        try:
            fill()
            while ahead:
                part = [ahead.popleft() for _ in range(min(batch, len(ahead)))]
                fill()
                yield from _score(classifier, part, 10 if oversample else 1)
        finally:
            pool.shutdown(cancel_futures=True)


def _score(classifier: Classifier, part: Sequence[tuple[Picture, Future[Array]]], crops: int) -> list[Scored]:
    errors: dict[int, DataError] = {}
    ready: list[Array] = []
    for i, (_, future) in enumerate(part):
        try:
            ready.append(future.result())
        except DataError as error:
            errors[i] = error
        except OSError as error:
            errors[i] = DataError(f"cannot read '{error.filename}': {error.strerror}")
    found: Iterator[npt.NDArray[np.float32]] = iter(())
    if ready:
        output = scores(classifier, np.concatenate(ready))
        found = iter(output.reshape(len(ready), crops, -1).mean(axis=1))
    return [
        Scored(picture.name, None, errors[i]) if i in errors else Scored(picture.name, next(found))
        for i, (picture, _) in enumerate(part)
    ]


def read_mean(text: str) -> Array:
    """A mean: numbers, one for each channel, `104,117,123`; or a .npy or .binaryproto file.

    Returns:
        (C,), or what the file holds: (C, H, W), say.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        return np.array([float(number) for number in text.split(",")], np.float32)
    except ValueError:
        pass
    path = Path(text)
    if path.suffix.lower() == ".npy":
        return _read_array(path)
    mean = binaryproto.read(path)
    return mean[0] if mean.ndim == 4 else mean


def _read_array(path: Path) -> Array:
    try:
        array = np.load(path)
    except FileNotFoundError:
        raise FileLookupError(f"no such file: '{path}'") from None
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read '{path}': {error}") from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise DataError(f"'{path}' holds no array of numbers")
    return array.astype(np.float32)


def read_labels(path: StrPath, classes: int) -> list[str]:
    """The names of classes, one a line.

    Raises:
        DataError: the file cannot be read, or has another number of lines than there are classes.
    """
    content = read_regular(Path(path), _LARGEST_LABELS, "a list of labels", error=DataError)
    labels = content.decode("utf-8-sig", "backslashreplace").splitlines()
    while labels and not labels[-1].strip():
        labels.pop()
    if len(labels) != classes:
        raise DataError(f"'{path}' has {len(labels)} labels, the net has {classes} classes")
    return [label.strip() for label in labels]
