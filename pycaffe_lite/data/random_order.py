"""Records of a database in a random order, as forks of Caffe take them: all shuffled, or out of a pool."""

from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pycaffe_lite.data.database import Reader, Record
from pycaffe_lite.data.share import WHOLE, Share
from pycaffe_lite.errors import ArgumentError, DataError
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.random import RandomStream

log = logging.getLogger(__name__)

# States: checksum and number of all keys, the shuffler's seed, passes ended, the place that comes next.
_SHUFFLED = struct.Struct("<IQIQQ")
# Lengths of what follows: the key that comes next, the stream, the order; then the number of keys.
_POOL = struct.Struct("<IIII")
_LENGTH = struct.Struct("<I")


class RandomReader:
    """Takes the records of a reader in another order; it is read like one, and its state can be kept.

    Args:
        reader: of the database, at its first record.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.path: Path = reader.path
        self.counts_at_once = reader.counts_at_once

    @property
    def key(self) -> bytes:
        """The key of the record that comes next."""
        return self.peek()[0]

    def peek(self) -> Record:
        """Key and value of the record that comes next."""
        raise NotImplementedError

    def read(self, count: int) -> list[Record]:
        """Keys and values of the next `count` records."""
        raise NotImplementedError

    def skip(self, count: int) -> None:
        """Steps over the next `count` records."""
        self.read(count)

    def state(self) -> bytes:
        """Where it stands."""
        raise NotImplementedError

    def set_state(self, state: bytes) -> None:
        """Goes on from where `state()` was taken.

        Raises:
            DataError: that does not fit the database; then it is where it was.
        """
        raise NotImplementedError

    def seek(self, key: bytes) -> None:
        """There is no going to a key: the order is the state's."""
        raise DataError(f"the records of '{self.path}' come in a random order")

    def count(self) -> int:
        """How many records there are."""
        return self._reader.count()

    def keys(self) -> list[bytes]:
        """The keys of all records, in the order of the database."""
        return self._reader.keys()


def in_random_order(
    reader: Reader,
    param: caffe_pb2.DataParameter,
    phase: int,
    stream: RandomStream,
    share: Share = WHOLE,
) -> Reader:
    """A reader of the records in the order that `shuffle` or `shuffle_pool_size` ask for.

    Args:
        reader: of the database, at its first record.
        param: the layer's data_param. phase: of the layer.
        stream: of the thread that reads, from which the shuffler's seed is drawn where there is one.
        share: which of the records the layer takes; all shares shuffle alike.

    Raises:
        DataError: the two fields, which come from different forks, are both set; or there is a pool, and
            several shares.
    """
    if param.shuffle and param.shuffle_pool_size > 1:
        raise DataError("data_param has both shuffle and shuffle_pool_size: leave one out")
    if param.shuffle_pool_size > 1:
        if share.count > 1:
            raise DataError("data_param.shuffle_pool_size is not for several ranks: write shuffle instead")
        size = param.shuffle_pool_size * param.batch_size
        log.info("Taking records from a pool of %d", size)
        return PoolReader(reader, stream.raw(), size)
    if not param.shuffle:
        return reader
    of_nvidia = param.HasField("cache")
    if of_nvidia and not (param.cache and phase == caffe_pb2.TRAIN):
        log.info("data_param.shuffle has no effect without cache: true, and in TEST, as in NVIDIA's fork")
        return reader
    log.info("Shuffling data")
    at_once = param.backend == caffe_pb2.DataParameter.LMDB and not of_nvidia
    return ShuffledReader(reader, share.agree(stream.raw()), at_once)


class ShuffledReader(RandomReader):
    """Shuffles all records, and again behind the last, each time from the order that was left before.

    Args:
        reader: of the database, at its first record.
        seed: of the stream that shuffles.
        at_once: whether the first pass is shuffled, too, as in Intel's fork; in TSN's and NVIDIA's it is in
            the order of the keys.

    Source: intel/caffe src/caffe/data_reader.cpp, DBShuffle; yjxiong/caffe src/caffe/layers/data_layer.cpp;
    NVIDIA/caffe src/caffe/data_reader.cpp, DataCache
    """

    def __init__(self, reader: Reader, seed: int, at_once: bool) -> None:
        super().__init__(reader)
        self._keys = reader.keys()
        self._checksum = zlib.crc32(b"\0".join(self._keys))
        self._at_once = at_once
        self._begin(seed)

    def _begin(self, seed: int) -> None:
        self._seed, self._stream = seed, RandomStream(seed)
        self._order: npt.NDArray[np.int64] = np.arange(len(self._keys))
        self._passes, self._next = 0, 0
        if self._at_once:
            self._shuffle()

    def _shuffle(self) -> None:
        self._order = self._order[self._stream.permutation(len(self._order))]

    def peek(self) -> Record:
        """Key and value of the record that comes next."""
        self._reader.seek(self._keys[self._order[self._next]])
        return self._reader.peek()

    def read(self, count: int) -> list[Record]:
        """Keys and values of the next `count` records."""
        records = []
        for _ in range(count):
            records.append(self.peek())
            self.skip(1)
        return records

    def skip(self, count: int) -> None:
        """Steps over the next `count` records, which are not read."""
        self._next += count
        while self._next >= len(self._order):
            self._next -= len(self._order)
            self._passes += 1
            self._shuffle()

    def state(self) -> bytes:
        """How often the records were shuffled, and which comes next."""
        return _SHUFFLED.pack(self._checksum, len(self._keys), self._seed, self._passes, self._next)

    def set_state(self, state: bytes) -> None:
        """Goes on from where `state()` was taken.

        Raises:
            DataError: the database has other keys now.
        """
        if len(state) != _SHUFFLED.size:
            raise DataError(f"the state saved of its order has {len(state)} bytes")
        checksum, count, seed, passes, following = _SHUFFLED.unpack(state)
        if (checksum, count) != (self._checksum, len(self._keys)) or following >= count:
            raise DataError(f"'{self.path}' has changed since the state was saved")
        self._begin(seed)
        for _ in range(passes):
            self._shuffle()
        self._passes, self._next = passes, following


class PoolReader(RandomReader):
    """Takes records at random out of a pool, in which each that is taken is replaced by the next of the file.

    Until the pool is full, records come in the order of the file, and go into the pool as well. Then the list
    of its places is shuffled for each batch, whose records are those of the first places.

    Args:
        reader: of the database, at its first record.
        seed: of the stream that shuffles.
        size: records of the pool.

    Source: Cysu/caffe src/caffe/layers/data_layer.cpp
    """

    def __init__(self, reader: Reader, seed: int, size: int) -> None:
        super().__init__(reader)
        self._stream = RandomStream(seed)
        self._order: npt.NDArray[np.int64] = np.arange(size)
        self._pool: list[Record] = []

    def peek(self) -> Record:
        """Key and value of the record of the file that comes next."""
        return self._reader.peek()

    def read(self, count: int) -> list[Record]:
        """Keys and values of the records of the next batch."""
        new = self._reader.read(count)
        if len(self._pool) < len(self._order):
            self._pool += new
            return new
        self._order = self._order[self._stream.permutation(len(self._order))]
        taken = []
        for place, record in zip(self._order[:count].tolist(), new, strict=True):
            taken.append(self._pool[place])
            self._pool[place] = record
        return taken

    def state(self) -> bytes:
        """What is in the pool, by the keys, and what comes next of the file."""
        stream, order = self._stream.state(), self._order.astype("<u4").tobytes()
        head = _POOL.pack(len(self._reader.key), len(stream), len(order), len(self._pool))
        return head + self._reader.key + stream + order + _joined(key for key, _ in self._pool)

    def set_state(self, state: bytes) -> None:
        """Goes on from where `state()` was taken.

        Raises:
            DataError: a record of the pool is not there any more, or the pool has another size.
        """
        if len(state) < _POOL.size:
            raise DataError(f"the state saved of its pool has {len(state)} bytes")
        *lengths, count = _POOL.unpack_from(state)
        ends = np.cumsum([_POOL.size, *lengths]).tolist()
        following, stream, order = (state[a:b] for a, b in pairwise(ends))
        if len(order) != 4 * len(self._order) or count > len(self._order):
            raise DataError("shuffle_pool_size or batch_size was set otherwise when the state was saved")
        here, pool = self._reader.key, []
        try:
            for key in _parted(state[ends[-1] :], count):
                self._reader.seek(key)
                pool.append(self._reader.peek())
            self._reader.seek(following)
            self._stream.set_state(stream)
        except (DataError, ArgumentError) as problem:
            self._reader.seek(here)
            raise DataError(str(problem)) from None
        places = np.frombuffer(order, "<u4").astype(np.int64)
        if not np.array_equal(np.sort(places), np.arange(len(places))):
            raise DataError("the state saved of its pool is damaged")
        self._order, self._pool = places, pool


def _joined(keys: Iterable[bytes]) -> bytes:
    return b"".join(_LENGTH.pack(len(key)) + key for key in keys)


def _parted(text: bytes, count: int) -> list[bytes]:
    """The keys of which `_joined` has made a text."""
    keys, at = [], 0
    for _ in range(count):
        length = int.from_bytes(text[at : at + _LENGTH.size], "little")
        at += _LENGTH.size
        keys.append(text[at : at + length])
        at += length
    if at != len(text):
        raise DataError("the state saved of its pool is cut off")
    return keys
