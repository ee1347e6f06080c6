"""DummyData: constant or random values."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_lite import fillers
from pycaffe_lite.blob import Blob
from pycaffe_lite.errors import NetError
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2


@register_layer("DummyData", param="dummy_data_param")
class DummyDataLayer(Layer[caffe_pb2.DummyDataParameter]):
    """Fills its tops by fillers: with constants once, at setup, and with others anew in every forward.

    Tops of the latter kind hold zeros before the first forward.

    Top: one or more. Their shapes come from `shape`, or else from `num`, `channels`, `height` and `width`;
    each of these is given once for all tops or once for each, and so is `data_filler`. Without a filler, tops
    hold zeros.
    Raises LayerError for any other number of shapes or fillers, and for both kinds of shape.
    Source: BVLC/caffe src/caffe/layers/dummy_data_layer.cpp
    """

    exact_bottoms = 0
    min_tops = 1

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        for i, blob in enumerate(top):
            blob.reshape(self._shape(i, len(top)))
        given = list(self.param.data_filler) or [caffe_pb2.FillerParameter(type="constant")]
        self._check_count("data_filler", len(given), len(top))
        self.fillers = given if len(given) == len(top) else given * len(top)
        for blob, filler in zip(top, self.fillers, strict=True):
            if filler.type == "constant":
                self._fill(blob, filler)

    def _shape(self, index: int, tops: int) -> tuple[int, ...]:
        p = self.param
        legacy = {"num": p.num, "channels": p.channels, "height": p.height, "width": p.width}
        if not any(legacy.values()):
            self._check_count("shape", len(p.shape), tops)
            return tuple(p.shape[index if len(p.shape) > 1 else 0].dim)
        if p.shape:
            raise self.error("needs its shapes as shape or as num, channels, height and width, got both")
        for name, values in legacy.items():
            self._check_count(name, len(values), tops)
        return tuple(values[index if len(values) > 1 else 0] for values in legacy.values())

    def _check_count(self, name: str, got: int, tops: int) -> None:
        if got not in (1, tops):
            raise self.error(f"needs {name} once or once for each of its {tops} tops, got it {got} times")

    def _fill(self, blob: Blob, filler: caffe_pb2.FillerParameter) -> None:
        try:
            fillers.fill(blob, filler)
        except NetError as error:
            raise self.error(str(error)) from None

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """Keeps the tops as they were set up."""

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        for blob, filler in zip(top, self.fillers, strict=True):
            if filler.type != "constant":
                self._fill(blob, filler)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        """Computes nothing: there is no bottom."""
