"""RecordSource: batches of the Datum records of a database."""

from __future__ import annotations

import logging
import struct
import threading

import numpy as np
import numpy.typing as npt

from pycaffe_lite.data.database import Reader, Record
from pycaffe_lite.data.datum import Datum, DatumReader, Values
from pycaffe_lite.data.item_work import Item, ItemWork
from pycaffe_lite.data.lmdb_pages import key_text
from pycaffe_lite.data.prefetch import Batch, Work
from pycaffe_lite.data.random_order import RandomReader
from pycaffe_lite.data.share import WHOLE, Share
from pycaffe_lite.data.transformer import Draws, Fit, Transformer
from pycaffe_lite.errors import DataError

log = logging.getLogger(__name__)

_KEY_LENGTH = struct.Struct("<I")
_LONGEST_KEY = 1 << 15  # LMDB's have 511 bytes at most, LevelDB knows no bound


class RecordSource:
    """Makes batches of the records of a database, transformed, from its first record on.

    The first record of a batch gives the shape of all.

    Args:
        reader: of the database.
        transformer: of the items.
        batch_size: items of a batch.
        labels: whether the batches have labels.
        share: which of the records are taken.
    """

    def __init__(
        self,
        reader: Reader,
        transformer: Transformer,
        batch_size: int,
        labels: bool,
        share: Share = WHOLE,
    ) -> None:
        self._reader = reader
        self._share = share
        reader.skip(share.before(batch_size))
        self._first_key = b"" if isinstance(reader, RandomReader) else reader.key
        self._transformer = transformer
        self._batch_size = batch_size
        self._has_labels = labels
        self._datums = DatumReader(transformer.color)
        self._has_told_of_cut = threading.Lock()  # taken for good

    def shape(self) -> tuple[int, ...]:
        """Shape of the items that the next record gives.

        Raises:
            DataError: the record cannot be read or transformed.
        """
        datum = self._decode(self._reader.peek())
        if self._transformer.color is not None and not datum.encoded:
            log.error("force_color and force_gray are for encoded records: those of this database are not")
        self._transformer.check_records(datum.encoded)
        return self._transformer.fit(self._transformer.prepared(datum.values, 0).shape).top_shape

    def state(self) -> bytes:
        """The key of the next record and the transformer's random stream."""
        return self._place() + self._transformer.state()

    def _place(self) -> bytes:
        """The key of the next record, or the state of a random order; and before it its length."""
        reader = self._reader
        key = reader.state() if isinstance(reader, RandomReader) else reader.key
        return _KEY_LENGTH.pack(len(key)) + key

    def set_state(self, state: bytes) -> str:
        """Goes on from where `state()` was taken, as far as the database and the transformer allow.

        Returns:
            What starts afresh instead, in words; empty where nothing does.
        """
        key = self._key_in(state)
        afresh = [self._go_to(key), self._set_streams(state[_KEY_LENGTH.size + len(key) :])]
        return "; ".join(filter(None, afresh))

    @staticmethod
    def _key_in(state: bytes) -> bytes:
        """The key of the next record, of a state."""
        size = _KEY_LENGTH.size
        return state[size : size + _KEY_LENGTH.unpack_from(state)[0]] if len(state) >= size else b""

    def _set_streams(self, state: bytes) -> str:
        """Lets the random streams go on; says what starts afresh instead."""
        return self._transformer.set_state(state)

    def _go_to(self, key: bytes) -> str:
        """Makes the record with a key the next, or the first where there is no such record; says why."""
        if isinstance(self._reader, RandomReader):
            try:
                self._reader.set_state(key)
            except DataError as problem:
                return f"the order of its records starts afresh: {problem}"
            return ""
        try:
            if not 0 < len(key) <= _LONGEST_KEY:
                raise DataError(f"the one saved has a key of {len(key)} bytes")
            self._reader.seek(key)
        except DataError as problem:
            self._reader.seek(self._first_key)
            return f"its first record comes next: {problem}"
        return ""

    def _read(self) -> list[Record]:
        """The records of the next batch; those of other shares are stepped over."""
        size, share = self._batch_size, self._share
        if share.count == 1:
            return self._reader.read(size)
        records: list[Record] = []
        while len(records) < size:
            records += self._reader.read(share.chunk(size))
            self._reader.skip(share.others(size))
        return records

    def size(self) -> str:
        """How many records there are, in words; nothing where they would have to be read for that."""
        return f"{self._reader.count()} records" if self._reader.counts_at_once else ""

    def join(self, state: bytes, rank: int) -> str:
        """Goes on `rank` shares behind the place that `state()` had; the random streams stay as they are.

        Returns:
            What starts afresh, in words; empty where nothing does.
        """
        afresh = self._go_to(self._key_in(state))
        self._reader.skip(rank * self._share.chunk(self._batch_size))
        return afresh

    def plan(self) -> Work:
        """Reads the records of the next batch, and draws what their transformation needs.

        Raises:
            DataError: the database cannot be read.
        """
        records = self._read()
        draws = self._transformer.draw(self._batch_size)
        if self._transformer.prepares:
            work = ItemWork(records, draws, self, self._transformer, self._has_labels, b"")
            work.state = self.state()
            return work
        state = self.state()
        alike = (
            self._datums.read_alike([value for _, value in records]) if self._datums.expects_small else None
        )
        if alike is not None:
            values, labels = alike
            return _AlikeWork(
                values, labels if self._has_labels else labels[:0], draws, self._transformer, state
            )
        return ItemWork(records, draws, self, self._transformer, self._has_labels, state)

    def read(self, key: Record) -> Item:
        """What a record holds."""
        datum = self._decode(key)
        return Item(datum.values, datum.label)

    def name(self, key: Record) -> str:
        """A record, for messages."""
        return f"record '{key_text(key[0])}' of '{self._reader.path}'"

    def other_shape(self, key: Record, fit: Fit, first: Record, wanted: Fit) -> DataError:
        """A record that has another shape than the first of its batch."""
        return DataError(
            f"{self.name(key)} has shape {fit.shape}, record '{key_text(first[0])}' of the same batch has "
            f"{wanted.shape}: make all records of one size, or batch_size 1"
        )

    def _decode(self, record: Record) -> Datum:
        key, value = record
        try:
            datum = self._datums.read(value)
        except DataError as error:
            raise DataError(f"record '{key_text(key)}' of '{self._reader.path}': {error}") from None
        if datum.is_cut and self._has_told_of_cut.acquire(blocking=False):
            log.warning(
                "record '%s' of '%s' is a JPEG that is cut off: the part that is there is used; others "
                "like it are not mentioned",
                key_text(key),
                self._reader.path,
            )
        return datum


class _AlikeWork:
    """The making of a batch of small records of bytes that are alike: all at once, with few calls."""

    pieces = 1

    def __init__(
        self,
        values: Values,
        labels: npt.NDArray[np.uint8],
        draws: Draws,
        transformer: Transformer,
        state: bytes,
    ) -> None:
        self.state = state
        self._values = values
        self._labels = labels
        self._draws = draws
        self._transformer = transformer

    def run(self, piece: int, batch: Batch) -> None:
        """Makes the whole batch."""
        values = np.ascontiguousarray(self._values, np.uint8)
        fit = self._transformer.fit(values.shape[1:])
        batch.make_room((len(values), *fit.top_shape), len(self._labels))
        self._transformer.apply(values, self._transformer.places(fit, self._draws), batch.data)
        batch.labels[:] = self._labels

    def finish(self, batch: Batch) -> None:
        """Does nothing: all is done."""
