"""Reads damaged training logs: each gives rising curves, or an error of one line.

    python tests/long/damaged_logs.py [COUNT]

COUNT logs (100,000: a minute and a half of one core) are made of the logs in tests/fixtures/logs: lines lost,
repeated and swapped, words and bytes changed, the end cut off, encoded as UTF-16. Now and then one is drawn,
and shown to a page. Prints what came of them.
"""

import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from pycaffe_lite.errors import DataError
from pycaffe_lite.solver.curves import read_curves
from pycaffe_lite.view.curves import draw
from pycaffe_lite.view.dashboard import answers
from pycaffe_lite.view.dashboard.runs import FileRun, read_log
from pycaffe_lite.view.traces import Run

LOGS = Path(__file__).parents[1] / "fixtures" / "logs"
WORDS = (
    "nan",
    "-nan(ind)",
    "1.#QNAN",
    "inf",
    "-1",
    "0",
    "1e38",
    "Iteration 5",
    "Testing net (#3)",
    " = ",
    "#",
    "$",
)
DRAW_EVERY = 501
SLOW_SECONDS = 5.0


def damaged(lines: list[str], chance: random.Random) -> bytes:
    """A log of some of the lines, damaged."""
    first = chance.randrange(len(lines))
    kept = lines[first : first + chance.randrange(1, 60)]
    for _ in range(chance.randrange(12)):
        i, j = chance.randrange(len(kept)), chance.randrange(len(kept))
        what = chance.randrange(4)
        if what == 0:
            kept[i], kept[j] = kept[j], kept[i]
        elif what == 1:
            kept.insert(i, kept[j])
        elif what == 2 and len(kept) > 1:
            del kept[i]
        else:
            words = kept[i].split(" ")
            words[chance.randrange(len(words))] = chance.choice(WORDS)
            kept[i] = " ".join(words)
    data = bytearray("\n".join(kept).encode(chance.choice(["utf-8", "utf-8", "utf-16", "utf-16-be"])))
    for _ in range(chance.choice([0, 0, 1, 5, 50])):
        place = chance.randrange(len(data) + 1)
        data[place : place + chance.randrange(4)] = chance.randbytes(chance.randrange(4))
    return bytes(data[: chance.randrange(len(data) + 1)] if chance.random() < 0.3 else data)


def main(count: int) -> None:
    """Makes and reads `count` logs."""
    lines = [line for path in sorted(LOGS.glob("*.log")) for line in path.read_text().splitlines()]
    telling = [line for line in lines if "Iteration" in line or "output #" in line]
    chance, seen = random.Random(1), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        log, picture = Path(folder) / "a.log", Path(folder) / "a.png"
        for i in range(count):
            log.write_bytes(damaged(telling if i % 4 else lines, chance))
            begin = time.monotonic()
            try:
                curves = read_curves(log)
                seen["read"] += 1
                for curve in (*curves.train, *curves.test, curves.lr):
                    assert (np.diff(curve.iterations) > 0).all()
                    assert len(curve.iterations) == len(curve.values) == len(curve.seconds)
                if i % DRAW_EVERY == 0:
                    draw([Run("log", curves)], picture)
                    shown = {0: FileRun("log", log, read_log)}
                    json.dumps([answers.curves(shown, 600), answers.net(shown[0])], allow_nan=False)
                    seen["drawn"] += 1
            except DataError as error:
                message = str(error)
                seen[message.partition("' ")[2] if message.isprintable() else repr(message)] += 1
            assert time.monotonic() - begin < SLOW_SECONDS
    for what, times in seen.most_common():
        print(f"{times:7} {what}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
