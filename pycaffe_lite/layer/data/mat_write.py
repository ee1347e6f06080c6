"""MatWrite: blobs into MATLAB's files."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from pycaffe_lite.errors import DataError, PycaffeError
from pycaffe_lite.formats.atomic import atomic_write
from pycaffe_lite.formats.matlab import mat_parts
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.paths import read_regular, resolve

log = logging.getLogger(__name__)

_AXES = 4
_MOST_BYTES = 2**28  # of a list of names


@register_layer("MatWrite", param="mat_write_param", origin="DeepLab and PSPNet")
class MatWriteLayer(Layer[caffe_pb2.MatWriteParameter]):
    """Writes each bottom into a MATLAB file of its own, `PREFIX NAME _blob_ I .mat`, as the array `data`.

    NAME is that of the pass: its line of `source`, up to the first space and without the last `strip`
    letters, or iter_0, iter_1 and so on. Files are written in every `period`th pass, the first one included,
    whole or not at all.

    Bottom: one or more, of at most 4 axes, (N, C, H, W); in MATLAB they are W x H x C x N, missing axes of
    length 1. Top: none. Raises LayerError for a period below 1, a list that is not there or has too few
    names, and names that are too short for `strip`; the list is read in the first pass, so that a net can
    be looked at without it. Raises DataError for a file that cannot be written.
    Source: hszhao/PSPNet src/caffe/layers/mat_write_layer.cpp
    """

    min_bottoms = 1
    exact_tops = 0

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        p = self.param
        if not p.HasField("prefix"):
            raise self.error("needs mat_write_param.prefix")
        if p.period < 1 or p.strip < 0:
            raise self.error(
                f"needs a period of 1 or more, and a strip of 0 or more, got {p.period} and {p.strip}"
            )
        self._passes = 0
        self._names: list[str] | None = None

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        for blob in bottom:
            if len(blob.shape) > _AXES:
                raise self.error(f"takes bottoms of at most {_AXES} axes, got shape {blob.shape}")

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        if self._passes % self.param.period == 0:
            name = self.param.prefix + self._name()
            for i, blob in enumerate(bottom):
                path = f"{name}_blob_{i}.mat"
                log.info("Saving MATLAB file %s", path)
                values = blob.data.reshape(*blob.shape, *[1] * (_AXES - len(blob.shape)))
                try:
                    with atomic_write(path, error=DataError) as file:
                        for part in mat_parts("data", values):
                            file.write(part)
                except DataError as error:
                    raise DataError(str(self.error(str(error)))) from None
        self._passes += 1

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        """Computes nothing: what is written has no gradient."""

    def _name(self) -> str:
        """What the files of this pass are called."""
        source = self.param.source
        if not source:
            return f"iter_{self._passes}"
        if self._names is None:
            self._names = self._read_names()
        if self._passes >= len(self._names):
            raise self.error(f"'{source}' has {len(self._names)} names, this is pass {self._passes + 1}")
        return self._names[self._passes]

    def _read_names(self) -> list[str]:
        p = self.param
        try:
            data = read_regular(resolve(p.source, self.context.folder), _MOST_BYTES, "a list of names")
        except PycaffeError as error:
            raise self.error(str(error)) from None
        names = [(line.split() or [""])[0] for line in data.decode("utf-8", "replace").splitlines()]
        for number, name in enumerate(names, start=1):
            if len(name) <= p.strip:
                raise self.error(f"'{p.source}':{number}: strip {p.strip} leaves nothing of '{name}'")
        log.info("MatWrite will save a maximum of %d files.", len(names))
        return [name[: len(name) - p.strip] for name in names]
