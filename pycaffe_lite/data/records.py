"""RecordSource: batches of the Datum records of a database."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterable

import numpy as np

from pycaffe_lite.data.database import Reader, Record
from pycaffe_lite.data.datum import Datum, DatumReader, Values
from pycaffe_lite.data.lmdb_pages import key_text
from pycaffe_lite.data.prefetch import Batch
from pycaffe_lite.data.transformer import Shape, Transformer
from pycaffe_lite.errors import DataError

log = logging.getLogger(__name__)

_KEY_LENGTH = struct.Struct("<I")
_LONGEST_KEY = 511  # of an LMDB


class RecordSource:
    """Makes batches of the records of a database, transformed, from its first record on.

    The first record of a batch gives the shape of all.

    Args:
        reader: of the database.
        transformer: of the items.
        batch_size: items of a batch.
        labels: whether the batches have labels.
    """

    def __init__(self, reader: Reader, transformer: Transformer, batch_size: int, labels: bool) -> None:
        self._reader = reader
        self._first_key = reader.key
        self._transformer = transformer
        self._batch_size = batch_size
        self._has_labels = labels
        self._datums = DatumReader(transformer.color)
        self._staging: Values = np.empty(0, np.uint8)
        self._has_told_of_cut = False

    def shape(self) -> Shape:
        """Shape of the items that the next record gives.

        Raises:
            DataError: the record cannot be read or transformed.
        """
        datum = self._decode(self._reader.peek())
        if self._transformer.color is not None and not datum.encoded:
            log.error("force_color and force_gray are for encoded records: those of this database are not")
        return self._transformer.top_shape(datum.values.shape)

    def state(self) -> bytes:
        """The key of the next record and the transformer's random stream."""
        key = self._reader.key
        return _KEY_LENGTH.pack(len(key)) + key + self._transformer.state()

    def set_state(self, state: bytes) -> str:
        """Goes on from where `state()` was taken, as far as the database and the transformer allow.

        Returns:
            What starts afresh instead, in words; empty where nothing does.
        """
        size = _KEY_LENGTH.size
        end = size + (_KEY_LENGTH.unpack_from(state)[0] if len(state) >= size else 0)
        afresh = [self._go_to(state[size:end]), self._transformer.set_state(state[end:])]
        return "; ".join(filter(None, afresh))

    def _go_to(self, key: bytes) -> str:
        """Makes the record with a key the next, or the first where there is no such record; says why."""
        try:
            if not 0 < len(key) <= _LONGEST_KEY:
                raise DataError(f"the one saved has a key of {len(key)} bytes")
            self._reader.seek(key)
        except DataError as problem:
            self._reader.seek(self._first_key)
            return f"its first record comes next: {problem}"
        return ""

    def fill(self, batch: Batch) -> None:
        """Makes the next batch.

        Raises:
            DataError: a record cannot be read, or has another shape than the first of the batch.
        """
        items = self._alike_items(batch) if self._datums.expects_small else self._items(batch)
        shape = (len(items), *self._transformer.top_shape(items.shape[1:]))
        if batch.data.shape != shape:
            batch.data = np.empty(shape, np.float32)
        self._transformer.apply(items, batch.data)
        batch.state = self.state()

    def _alike_items(self, batch: Batch) -> Values:
        """As `_items`, with fewer calls where the records are small and alike."""
        records = self._reader.read(self._batch_size)
        alike = self._datums.read_alike([value for _, value in records])
        if alike is None:
            return self._items(batch, records)
        values, labels = alike
        items = self._room(values.shape, values.dtype)
        items[...] = values
        if self._has_labels:
            batch.labels = labels.astype(np.float32)
        return items

    def _items(self, batch: Batch, records: Iterable[Record] | None = None) -> Values:
        """The next records' values in one array; their labels go into the batch.

        Args:
            batch: gets the labels.
            records: those of the batch where they are read already; otherwise they are read one by one, as
                they may be large.
        """
        N = self._batch_size
        if records is None:
            records = (self._reader.read(1)[0] for _ in range(N))
        labels = np.empty(N if self._has_labels else 0, np.float32)
        items, first = self._staging, b""
        for i, (key, value) in enumerate(records):
            datum = self._decode((key, value))
            values = datum.values
            if i == 0:
                items, first = self._room((N, *values.shape), values.dtype), key
            elif values.shape != items.shape[1:]:
                raise DataError(
                    f"record '{key_text(key)}' of '{self._reader.path}' has shape {values.shape}, record "
                    f"'{key_text(first)}' of the same batch has {items.shape[1:]}: make all records of one "
                    "size, or batch_size 1"
                )
            if values.dtype != items.dtype:  # bytes and floats in one batch
                items = items.astype(np.float32)
            items[i] = values
            if self._has_labels:
                labels[i] = datum.label
        batch.labels = labels
        return items

    def _room(self, shape: tuple[int, ...], dtype: np.dtype) -> Values:
        if self._staging.shape != shape or self._staging.dtype != dtype:
            self._staging = np.empty(shape, dtype)
        return self._staging

    def _decode(self, record: Record) -> Datum:
        key, value = record
        try:
            datum = self._datums.read(value)
        except DataError as error:
            raise DataError(f"record '{key_text(key)}' of '{self._reader.path}': {error}") from None
        if datum.is_cut and not self._has_told_of_cut:
            self._has_told_of_cut = True
            log.warning(
                "record '%s' of '%s' is a JPEG that is cut off: what is missing is grey, as in Caffe; others "
                "like it are not mentioned",
                key_text(key),
                self._reader.path,
            )
        return datum
