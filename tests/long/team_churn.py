"""Stresses the team of threads: changes its size, forks and exits while several threads run nets.

    python tests/long/team_churn.py [SECONDS]      300 seconds if not told

Processes of three kinds take turns until the time is over:

- `resize`: four threads run a net each, and each sets another number of threads again and again;
- `fork`: two threads do that, while the main thread forks children that run a net on teams of their own;
- `exit`: four daemon threads do that, and the main thread leaves the interpreter at a random moment.

What a net computes must be the same bits every time, and every process must end with status 0. GNU's C
library overwrites freed memory (`MALLOC_PERTURB_`), so that a thread that still uses it goes wrong. The
status is 1 if a process failed.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

KINDS = ("resize", "fork", "exit")
MOST_THREADS = 6
SECONDS = 3.0  # for which a process of the first two kinds runs
LIMIT = 60  # seconds after which a process is taken to hang


class Churn:
    """Threads that run nets and change the number of threads, and what they have counted."""

    def __init__(self, seed: int, seconds: float) -> None:
        from nets_in_threads import net_of

        import pycaffe_lite as caffe

        self.caffe, self.net_of = caffe, net_of
        self.seed, self.seconds = seed, seconds
        self.counts: Counter[str] = Counter()
        self.ended = threading.Event()
        caffe.set_random_seed(7)
        self.right = self.digest(net_of("sum", caffe.TEST))

    def digest(self, net) -> bytes:
        return net.forward()["o"].tobytes()

    def new_net(self):
        self.caffe.set_random_seed(7)
        return self.net_of("sum", self.caffe.TEST)

    def work(self, number: int) -> None:
        chance, net = random.Random(f"{self.seed} {number}"), self.new_net()
        while not self.ended.is_set():
            self.caffe.set_num_threads(chance.randint(1, MOST_THREADS))
            for _ in range(chance.randint(1, 4)):
                self.counts["passes"] += 1
                self.counts["wrong"] += self.digest(net) != self.right
            self.counts["sizes"] += 1
            if chance.random() < 0.2:
                time.sleep(chance.random() / 200)  # so that members fall asleep

    def start(self, count: int) -> list[threading.Thread]:
        threads = [threading.Thread(target=self.work, args=(i,), daemon=True) for i in range(count)]
        for thread in threads:
            thread.start()
        return threads

    def resize(self) -> None:
        threads = self.start(4)
        time.sleep(self.seconds)
        self.ended.set()
        for thread in threads:
            thread.join()

    def fork(self) -> None:
        threads, net, end = self.start(2), self.new_net(), time.monotonic() + self.seconds
        while time.monotonic() < end:
            self.caffe.set_num_threads(random.randint(1, MOST_THREADS))
            child = os.fork()
            if child == 0:
                signal.alarm(LIMIT // 4)
                os._exit(0 if all(self.digest(net) == self.right for _ in range(3)) else 1)
            self.counts["forks"] += 1
            self.counts["wrong"] += os.waitpid(child, 0)[1] != 0
            self.counts["passes"] += 3
        self.ended.set()
        for thread in threads:
            thread.join()

    def exit(self) -> None:
        self.start(4)
        time.sleep(random.Random(self.seed).random() / 2)


def run_one(kind: str, seed: int, seconds: float = SECONDS) -> None:
    """Do what a process of a kind does, and print what it has counted."""
    churn = Churn(seed, seconds)
    getattr(churn, kind)()
    print(*(f"{name}={churn.counts[name]}" for name in ("passes", "sizes", "forks", "wrong")), flush=True)


def main(seconds: float) -> int:
    end, seed, failed = time.monotonic() + seconds, 0, 0
    totals: Counter[str] = Counter()
    while time.monotonic() < end:
        kind = KINDS[seed % len(KINDS)]
        variables = {"NUMBA_THREADING_LAYER": "workqueue", "MALLOC_PERTURB_": str(1 + seed % 255)}
        command = [sys.executable, "-X", "faulthandler", __file__, kind, str(seed)]
        try:
            done = subprocess.run(
                command, env={**os.environ, **variables}, capture_output=True, text=True, timeout=LIMIT
            )
            status, output, errors = done.returncode, done.stdout, done.stderr
        except subprocess.TimeoutExpired:
            status, output, errors = "it hangs", "", ""
        counts = {name: int(count) for name, count in (word.split("=") for word in output.split())}
        totals.update(counts)
        totals[kind] += 1
        if status != 0 or counts.get("wrong", 1):
            failed += 1
            print(f"{kind} {seed}: status {status}, {counts}\n{errors[-2000:]}", flush=True)
        seed += 1
    kinds = ", ".join(f"{totals[kind]} {kind}" for kind in KINDS)
    print(f"{seed} processes ({kinds}): {failed} failed")
    print(f"{totals['passes']} passes, {totals['sizes']} changes of size, {totals['forks']} forks")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) > 2:
        run_one(sys.argv[1], int(sys.argv[2]), *map(float, sys.argv[3:]))
    else:
        sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 300.0))
