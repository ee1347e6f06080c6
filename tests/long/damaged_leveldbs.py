"""Reads many damaged LevelDBs, in this process, and says what came of it.

Each is a copy of one of Caffe's databases of `tests/fixtures` of which one file has a few bytes replaced or
its end cut off. Half of them are read without looking at checksums, so that damage gets further than it can.
What may come is the records, or a DataError of one line that names the database, within SECONDS. Where
checksums are looked at, the records are those of the whole database; of a log that is cut off between two of
them, the first ones. Anything else ends this program.

    python tests/long/damaged_leveldbs.py [FILES [SEED]]

prints a line of counts. 20,000 files take about five minutes.
"""

from __future__ import annotations

import collections
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from pycaffe_lite.data import leveldb_log, leveldb_tables
from pycaffe_lite.data.leveldb_reader import LevelDbReader
from pycaffe_lite.errors import DataError

DB = Path(__file__).parents[1] / "fixtures" / "data_layers" / "db"
NAMES = (
    "raw_leveldb_tables",
    "raw_leveldb_log",
    "raw_leveldb_restart",
    "deep_leveldb",
    "large_values_leveldb_log",
)
SECONDS = 5.0


class AnyChecksum:
    """Is never another one."""

    def __ne__(self, other: object) -> bool:
        return False


def damaged(content: bytes, random: np.random.Generator) -> bytes:
    data = bytearray(content)
    if random.random() < 0.3:
        return bytes(data[: random.integers(len(data))])
    for _ in range(random.integers(1, 6)):
        data[random.integers(len(data))] = random.choice([0, 1, 127, 128, 255, random.integers(256)])
    return bytes(data)


def read(path: Path) -> list[tuple[bytes, bytes]] | str:
    """The records, or the error's message."""
    try:
        reader = LevelDbReader(path)
        return reader.read(reader.count())
    except DataError as error:
        return str(error)


def main(files: int = 20_000, seed: int = 0) -> None:
    """Reads so many damaged databases."""
    random = np.random.default_rng(seed)
    whole = {name: read(DB / name) for name in NAMES}
    kinds: collections.Counter[str] = collections.Counter()
    slowest, masked = 0.0, leveldb_log.masked
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "db")
        for i in range(files):
            name = NAMES[i % len(NAMES)]
            shutil.copytree(DB / name, path)
            file = random.choice([file for file in sorted(path.iterdir()) if file.stat().st_size])
            file.write_bytes(damaged(file.read_bytes(), random))
            is_checked = i // len(NAMES) % 2 == 0
            leveldb_log.masked = leveldb_tables.masked = masked if is_checked else lambda crc: AnyChecksum()
            start = time.perf_counter()
            found = read(path)
            slowest = max(slowest, time.perf_counter() - start)
            message = found if isinstance(found, str) else ""
            wrong = is_checked and not message and whole[name][: len(found)] != found
            if wrong or slowest > SECONDS or "\n" in message or (message and f"'{path}'" not in message):
                shutil.copytree(path, "damaged_leveldb")
                sys.exit(f"file {i} ({file.name}, kept in damaged_leveldb): {slowest:.1f} s, {message!r}")
            what = re.sub(r"[0-9]+", "N", message.replace(str(path), "DB")) or "no error"
            kinds[what] += 1
            shutil.rmtree(path)
    errors = files - kinds["no error"]
    print(f"{files} files, seed {seed}: {errors} errors, {kinds['no error']} read, slowest {slowest:.2f} s")
    for kind, count in kinds.most_common(12):
        print(f"{count:8} {kind}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
