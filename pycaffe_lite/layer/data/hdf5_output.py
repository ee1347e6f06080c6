"""HDF5Output: blobs into a file."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence

from pycaffe_lite.errors import DataError
from pycaffe_lite.formats.atomic import atomic_write
from pycaffe_lite.formats.hdf5_format import file_parts
from pycaffe_lite.formats.wireblob import write_part
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2

log = logging.getLogger(__name__)

_AXES = 4
_NAMES = ("data", "label")


@register_layer("HDF5Output", param="hdf5_output_param")
class HDF5OutputLayer(Layer[caffe_pb2.HDF5OutputParameter]):
    """Writes its bottoms into an HDF5 file, as the data sets `data` and `label`; whole or not at all.

    One forward pass writes it; a second one is refused, as in Caffe, where a file holds one batch.

    Bottom: the data and the labels, (N, ...), of at most 4 axes; in the file, missing ones have length 1.
    Source: BVLC/caffe src/caffe/layers/hdf5_output_layer.cpp
    """

    exact_bottoms = 2
    exact_tops = 0

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        name = self.param.file_name
        if not name:
            raise self.error("needs hdf5_output_param.file_name")
        folder = os.path.dirname(name) or "."
        if not os.path.isdir(folder):
            raise self.error(f"cannot write '{name}': there is no folder '{folder}'")
        self._has_written = False

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        data, labels = bottom
        for blob in bottom:
            if len(blob.shape) > _AXES:
                raise self.error(f"takes bottoms of at most {_AXES} axes, got shape {blob.shape}")
        if data.shape[:1] != labels.shape[:1]:
            raise self.error(f"needs as many labels as items, got shapes {data.shape} and {labels.shape}")

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        name = self.param.file_name
        if self._has_written:
            raise self.error(
                f"has written its batch to '{name}', and a file holds one, as in Caffe: run one forward "
                "pass, or write net.blobs with h5py"
            )
        log.info("Saving HDF5 file %s", name)
        tree = {
            key: blob.data.reshape(*blob.shape, *[1] * (_AXES - len(blob.shape)))
            for key, blob in zip(_NAMES, bottom, strict=True)
        }
        try:
            with atomic_write(name, error=DataError) as file:
                for part in file_parts(tree):
                    write_part(file, part)
        except DataError as error:
            raise DataError(str(self.error(str(error)))) from None
        self._has_written = True
        log.info("Successfully saved %d rows", bottom[0].shape[0] if bottom[0].shape else 1)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        """Computes nothing: what is written has no gradient."""
