import io
import os
import random
import struct

import pytest
from leveldb_files import batch, delete, put

from pycaffe_lite.data.leveldb_log import (
    AheadFile,
    LevelDbError,
    LogWriter,
    masked,
    read_log,
    span,
    writes_of,
)
from pycaffe_lite.formats.wire import WireError
from pycaffe_lite.kernels.crc32c import crc32c

BLOCK = 1 << 15


def log_of(*records, size=0):
    file = io.BytesIO()
    log = LogWriter(file, size)
    for record in records:
        log.add(record)
    return file.getvalue()


@pytest.fixture
def read(tmp_path):
    def read_bytes(content):
        (tmp_path / "000003.log").write_bytes(content)
        descriptor = os.open(tmp_path / "000003.log", os.O_RDONLY)
        try:
            return list(read_log(descriptor, "000003.log"))
        finally:
            os.close(descriptor)

    return read_bytes


def test_a_record_in_one_piece():
    """Checksum (masked), size, kind 1, payload."""
    crc = masked(crc32c(b"\1abc"))
    assert log_of(b"abc") == struct.pack("<IHB", crc, 3, 1) + b"abc"
    assert masked(0) == 0xA282EAD8
    assert masked(1) == 0xA282EAD8 + (1 << 17)
    assert masked(1 << 31) == 0xA282EAD8 + (1 << 16)


SIZES = [0, 1, BLOCK - 7, BLOCK - 8, BLOCK - 13, BLOCK - 14, 3 * BLOCK]


@pytest.mark.parametrize("size", SIZES)
def test_records_come_back_over_the_edges_of_blocks(read, size):
    records = [b"a" * size, b"b", b"", random.Random(1).randbytes(70_000), b"last"]
    found = read(log_of(*records))
    assert [record.content for record in found] == records
    whole = log_of(*records)
    for record in found:
        assert b"".join(whole[start : start + n] for start, n in record.pieces) == record.content
        assert all(start // BLOCK == (start + max(n, 1) - 1) // BLOCK for start, n in record.pieces)
    assert found[-1].end == len(whole)


def test_a_log_is_gone_on_with(read):
    first = log_of(b"x" * (BLOCK - 20))
    assert [r.content[-1:] for r in read(first + log_of(b"yy", b"z", size=len(first)))] == [b"x", b"y", b"z"]


def test_room_asked_for_ahead_is_no_record(read):
    assert [record.content for record in read(log_of(b"abc") + bytes(100_000))] == [b"abc"]


@pytest.mark.parametrize("cut", [1, 5, 8, 70_001])
def test_a_log_that_is_cut_off(read, cut):
    whole = log_of(b"x" * 80_000, b"yy")
    with pytest.raises(LevelDbError, match=r"^000003.log ends in the middle of a record"):
        read(whole[:-cut])


def test_a_changed_byte_is_noticed(read):
    whole = log_of(b"abc", b"def")
    for place in range(len(whole)):
        with pytest.raises(LevelDbError):
            read(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])


def test_the_writes_of_a_batch():
    content = batch(7, put(b"a", b"one"), delete(b"b"), put(b"", b""))
    found = list(writes_of(content))
    assert [(number, key) for number, key, _, _ in found] == [(7, b"a"), (8, b"b"), (9, b"")]
    assert [content[start:end] for _, _, start, end in found[::2]] == [b"one", b""]
    assert found[1][2:] == (0, -1)


@pytest.mark.parametrize(
    "content",
    [
        b"short",
        batch(1, put(b"a", b"b")) + b"x",
        batch(1, put(b"a", b"b"))[:-1],
        batch(1, b"\2\1a"),
        struct.pack("<QI", 1, 2) + put(b"a", b"b"),
    ],
)
def test_what_is_no_batch(content):
    with pytest.raises(WireError):
        list(writes_of(content))


def test_a_text_with_its_length():
    assert span(memoryview(b"x\2abc"), 1, 5) == (2, 4)
    with pytest.raises(WireError):
        span(memoryview(b"\5abc"), 0, 4)


def test_reading_ahead_gives_the_same_bytes_with_fewer_calls(tmp_path, monkeypatch):
    content = random.Random(0).randbytes(600_000)
    (tmp_path / "x").write_bytes(content)
    descriptor = os.open(tmp_path / "x", os.O_RDONLY)
    calls, pread = [], os.pread
    monkeypatch.setattr(os, "pread", lambda *args: calls.append(args[1]) or pread(*args))
    file = AheadFile(descriptor)
    for start in range(0, 600_000, 4096):
        assert file.read(start, 4090) == content[start : start + 4090]
    assert len(calls) < 6
    for start, size in ((500_000, 10), (3, 100_000), (599_990, 50), (0, 0)):
        assert file.read(start, size) == content[start : start + size]
    os.close(descriptor)
