"""Ways of damaging a database, and what may come of reading one; for the tests and `tests/long`."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import lmdb
import numpy as np
from one_thread import fill

from pycaffe_lite.data.database import open_database
from pycaffe_lite.data.prefetch import Batch
from pycaffe_lite.data.records import RecordSource
from pycaffe_lite.data.transformer import Transformer
from pycaffe_lite.errors import DataError
from pycaffe_lite.proto.caffe_pb2 import TRAIN, DataParameter, Datum, TransformationParameter

RECORDS = 150
_PAGE = 4096


def make(path: Path) -> bytes:
    """Makes a database of a few dozen pages, of all kinds, and with some that are free; returns its file."""
    random = np.random.default_rng(0)
    with lmdb.open(str(path), map_size=1 << 24, lock=False) as environment:
        for start in (0, 50, 100):
            with environment.begin(write=True) as transaction:
                for i in range(start, start + 50):
                    side = 60 if i % 25 == 0 else 12
                    datum = Datum(
                        channels=1, height=side, width=side, data=random.bytes(side * side), label=i
                    )
                    transaction.put(b"%08d" % (i * 7 % RECORDS), datum.SerializeToString())
    return (path / "data.mdb").read_bytes()


def _flipped(data: bytearray, random: np.random.Generator) -> None:
    for _ in range(int(random.integers(1, 9))):
        data[_place(data, random)] ^= 1 << int(random.integers(8))


def _stretch(data: bytearray, random: np.random.Generator) -> None:
    start, size = _place(data, random), int(random.choice([2, 8, 64, 1024, _PAGE, 5 * _PAGE]))
    size = min(size, len(data) - start)
    data[start : start + size] = random.choice([bytes(size), b"\xff" * size, random.bytes(size)])


def _cut(data: bytearray, random: np.random.Generator) -> None:
    del data[_place(data, random) :]


def _number(data: bytearray, random: np.random.Generator) -> None:
    """A 2-byte number that might be one: an offset, a size, the number of a page, a flag."""
    place = _place(data, random) & ~1
    value = int(random.choice([0, 1, 2, 3, 4, 16, 18, 4094, 4096, 0x7FFF, 0xFFFF, random.integers(65)]))
    if place + 2 <= len(data):
        struct.pack_into("<H", data, place, value)


def _page(data: bytearray, random: np.random.Generator) -> None:
    """A page where another one was."""
    source, target = (random.integers(len(data) // _PAGE, size=2) * _PAGE).tolist()
    data[target : target + _PAGE] = data[source : source + _PAGE]
    if random.integers(2):  # with the right number, so that it is seen by what it holds only
        struct.pack_into("<Q", data, target, target // _PAGE)


# Each with its share.
_WAYS: dict[Callable[[bytearray, np.random.Generator], None], float] = {
    _flipped: 0.3,
    _number: 0.3,
    _stretch: 0.2,
    _page: 0.15,
    _cut: 0.05,
}


def _place(data: bytearray, random: np.random.Generator) -> int:
    """A place to damage: mostly among the numbers at the beginning of a page."""
    start = int(random.integers(len(data) // _PAGE)) * _PAGE
    return start + int(random.integers(random.choice([16, 64, 200, _PAGE])))


def damaged(whole: bytes, random: np.random.Generator) -> bytes:
    """A damaged copy of a database's file."""
    data = bytearray(whole)
    for _ in range(int(random.integers(1, 4))):
        if len(data) >= _PAGE:
            list(_WAYS)[random.choice(len(_WAYS), p=list(_WAYS.values()))](data, random)
    return bytes(data)


def read(path: Path, changing: bool = False) -> str:
    """Reads all records twice, and makes batches of them as the Data layer does.

    Args:
        path: of the database.
        changing: whether it is written to meanwhile, so that the second time may give other records.

    Returns:
        The error's message; empty where there was none.
    """
    try:
        reader = open_database(path, DataParameter.LMDB)
        keys = [key for key, _ in reader.read(2 * RECORDS)]
        assert changing or keys[:RECORDS] == sorted(set(keys[:RECORDS])) == keys[RECORDS:]
        transformer = Transformer(TransformationParameter(scale=0.5), TRAIN, None)
        source = RecordSource(open_database(path, DataParameter.LMDB), transformer, 1, labels=True)
        source.shape()
        batch = Batch()
        for _ in range(RECORDS + 1):
            fill(source, batch)
    except DataError as error:
        return str(error)
    return ""
