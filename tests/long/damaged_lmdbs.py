"""Reads many damaged databases, in this process, and says what came of it.

Each is a copy of a small LMDB with a few bits turned, numbers or pages replaced, stretches overwritten, or
its end cut off (see `tests/data/lmdb_damage.py`); all its records are read and made into batches. Some of
the files are damaged only while they are read. What may come is the records, or a DataError of one line that
names the database, within SECONDS. Anything else ends this program: another exception, or a signal.

    python tests/long/damaged_lmdbs.py [FILES [SEED]]

prints a line of counts. 100,000 files take about 15 minutes.
"""

from __future__ import annotations

import collections
import re
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))
import lmdb_damage

SECONDS = 5.0
WHILE_READ = 10  # one in so many


def overwrite(file: Path, contents: list[bytes], stop: threading.Event) -> None:
    """Gives a file one content after the other, in place, until told to stop."""
    with open(file, "r+b", buffering=0) as stream:
        while not stop.is_set():
            for content in contents:
                stream.seek(0)
                stream.write(content)
                stream.truncate(len(content))


def attempt(path: Path, damaged: bytes, whole: bytes, while_read: bool) -> str:
    """The error's message; empty where there was none."""
    file = path / "data.mdb"
    file.write_bytes(whole if while_read else damaged)
    if not while_read:
        return lmdb_damage.read(path)
    stop = threading.Event()
    writer = threading.Thread(target=overwrite, args=(file, [damaged, b"", bytes(len(whole)), whole], stop))
    writer.start()
    try:
        return lmdb_damage.read(path, changing=True)
    finally:
        stop.set()
        writer.join()


def main(files: int = 100_000, seed: int = 0) -> None:
    """Reads so many damaged databases."""
    random = np.random.default_rng(seed)
    kinds: collections.Counter[str] = collections.Counter()
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "db")
        whole = lmdb_damage.make(path)
        for i in range(files):
            damaged = lmdb_damage.damaged(whole, random)
            start = time.perf_counter()
            message = attempt(path, damaged, whole, i % WHILE_READ == 0)
            slowest = max(slowest, time.perf_counter() - start)
            if slowest > SECONDS or "\n" in message or (message and f"'{path}'" not in message):
                Path("damaged.mdb").write_bytes(damaged)
                sys.exit(f"file {i} (kept as damaged.mdb): {slowest:.1f} s, {message!r}")
            kinds[re.sub(r"[0-9]+", "N", message.replace(str(path), "DB")) or "no error"] += 1
            if sys.stderr.isatty():
                print(f"\r{i + 1}", end="", file=sys.stderr)
    errors = files - kinds["no error"]
    print(f"{files} files, seed {seed}: {errors} errors, {kinds['no error']} read, slowest {slowest:.2f} s")
    for kind, count in kinds.most_common(12):
        print(f"{count:8} {kind}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
