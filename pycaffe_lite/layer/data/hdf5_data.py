"""HDF5Data: rows of the data sets of HDF5 files."""

from __future__ import annotations

import logging
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pycaffe_lite.data import c_rand
from pycaffe_lite.data.hdf5_arrays import Floats, read_arrays
from pycaffe_lite.errors import DataError, FileLookupError
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.paths import read_regular, resolve

log = logging.getLogger(__name__)

_LARGEST_LIST = 64 << 20  # bytes
# Number of files, place in their order, number of rows, place in their order; behind it the order of the
# files, that of the rows (int64 each), and C's generator.
_STATE = struct.Struct("<4q")
_ORDER = np.dtype("<i8")


@register_layer("HDF5Data", param="hdf5_data_param")
class HDF5DataLayer(Layer[caffe_pb2.HDF5DataParameter]):
    """Batches of the rows of HDF5 files, one file after another, again from the first after the last.

    `source` lists the files. A file is read whole when its turn comes. With `shuffle` the order of the files
    is shuffled, and that of the rows of each; from C's rand(), as in Caffe: `random_seed` changes nothing.

    Top: one for each data set, which it is named after: (N, ...), float32, where a row has the shape (...).
    Source: BVLC/caffe src/caffe/layers/hdf5_data_layer.cpp
    """

    exact_bottoms = 0
    min_tops = 1
    takes_share = True

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        if self.layer_param.HasField("transform_param"):
            raise self.error("takes no transform_param: transform the values before they are written")
        if not self.param.batch_size:
            raise self.error("needs hdf5_data_param.batch_size > 0")
        self._names = list(self.layer_param.top)
        # Shares have to shuffle alike, whatever else goes on in their processes.
        self._chance = c_rand.of_process if self.context.share.count == 1 else c_rand.Generator()
        try:
            self._files = self._read_list()
            self._file_order = np.arange(len(self._files))
            self._row_shapes: list[tuple[int, ...]] = []
            if self.param.shuffle:
                self._chance.shuffle(self._file_order)
            self._load(0)
            self._pass_over(self.context.share.before(self.param.batch_size))
        except (DataError, FileLookupError) as error:
            raise self._placed(error) from None
        for blob, array in zip(top, self._arrays, strict=True):
            blob.reshape(self.param.batch_size, *array.shape[1:])

    def _read_list(self) -> list[str]:
        path = resolve(self.param.source, self.context.folder)
        log.info("Loading list of HDF5 filenames from: %s", self.param.source)
        content = read_regular(path, _LARGEST_LIST, "a list of files", error=DataError)
        files = content.decode("utf-8", "surrogateescape").split()
        if not files:
            raise DataError(f"the list '{path}' is empty: write the names of HDF5 files into it")
        log.info("Number of HDF5 files: %d", len(files))
        return files

    def _load(self, place: int) -> None:
        """Reads the file at a place in the order of files; its rows come in their own order, or shuffled."""
        self._file = place
        path = resolve(self._files[self._file_order[place]], self.context.folder)
        arrays = read_arrays(path, self._names)
        shapes = [array.shape[1:] for array in arrays]
        self._row_shapes = self._row_shapes or shapes
        for name, shape, wanted in zip(self._names, shapes, self._row_shapes, strict=True):
            if shape != wanted:
                raise DataError(
                    f"data set '{name}' of '{path}' has rows of shape {shape}, those of the files before "
                    f"have {wanted}"
                )
        self._path: Path = path
        self._arrays: list[Floats] = arrays
        self._row = 0
        self._row_order: npt.NDArray[np.int64] = np.arange(len(arrays[0]))
        if self.param.shuffle:
            self._chance.shuffle(self._row_order)

    def _placed(self, error: DataError | FileLookupError) -> DataError | FileLookupError:
        return type(error)(str(self.error(str(error))))

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """Keeps the tops."""

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        N, done = self.param.batch_size, 0
        share = self.context.share
        try:
            while done < N:
                end = done + share.chunk(N)
                while done < end:
                    rows = self._row_order[self._row : self._row + end - done]
                    for blob, array in zip(top, self._arrays, strict=True):
                        blob.data[done : done + len(rows)] = array[rows]
                    done += len(rows)
                    self._pass_over(len(rows))
                self._pass_over(share.others(N))
        except (DataError, FileLookupError) as error:
            raise self._placed(error) from None

    def _pass_over(self, count: int) -> None:
        """Steps over so many rows; behind the last one of a file comes the next file."""
        self._row += count
        while self._row >= len(self._row_order):
            behind = self._row - len(self._row_order)
            self._go_on()
            self._row = behind

    def _go_on(self) -> None:
        """What comes behind the last row of a file."""
        if len(self._files) > 1:
            following = self._file + 1
            if following == len(self._files):
                following = 0
                if self.param.shuffle:
                    self._chance.shuffle(self._file_order)
            self._load(following)
        self._row = 0
        if self.param.shuffle:  # once more, where they have just been read, too
            self._chance.shuffle(self._row_order)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        """Computes nothing: there is no bottom."""

    def state(self) -> bytes:
        """The row that the next forward pass starts with, the orders of files and rows, and C's rand()."""
        head = _STATE.pack(len(self._file_order), self._file, len(self._row_order), self._row)
        orders = [order.astype(_ORDER).tobytes() for order in (self._file_order, self._row_order)]
        return b"".join([head, *orders, self._chance.state()])

    def set_state(self, state: bytes) -> str:
        before = self.state()
        try:
            self._restore(state)
        except (DataError, FileLookupError) as problem:
            self._restore(before)
            return f"its first row comes next: {problem}"
        return ""

    def join(self, state: bytes, rank: int) -> str:
        afresh = self.set_state(state)
        if not afresh:
            self._pass_over(rank * self.context.share.chunk(self.param.batch_size))
        return afresh

    def source_size(self) -> str:
        return f"{len(self._files)} files of HDF5 data, the first of {len(self._row_order)} rows"

    def _restore(self, state: bytes) -> None:
        files, file, rows, row = _STATE.unpack(state[: _STATE.size].ljust(_STATE.size, b"\0"))
        wanted = _STATE.size + (files + rows) * _ORDER.itemsize + c_rand.STATE_BYTES
        if files != len(self._files) or not 0 <= file < files or not 0 <= row < rows or len(state) != wanted:
            raise DataError(f"the state is not one of {len(self._files)} files")
        orders = np.frombuffer(state, _ORDER, files + rows, _STATE.size).astype(np.int64)
        for order in (orders[:files], orders[files:]):
            if not np.array_equal(np.sort(order), np.arange(len(order))):
                raise DataError("the state is damaged")
        self._file_order = orders[:files].copy()
        self._load(file)
        if len(self._row_order) != rows:
            raise DataError(f"'{self._path}' has {len(self._row_order)} rows, it had {rows}")
        self._row_order, self._row = orders[files:].copy(), row
        self._chance.set_state(state[-c_rand.STATE_BYTES :])
