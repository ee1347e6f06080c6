"""Eight nets of different types do their first passes in eight threads, with nothing compiled yet.

    python tests/long/first_passes.py [ROUNDS]      20 rounds, if not told

Each round is a process with an empty cache folder, which takes about half a minute. What the nets have
computed must equal, bit for bit, what a single thread gives. Status 1 where a round failed.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NETS = Path(__file__).parents[1] / "nets_in_threads.py"


def run(*args: str, **variables: str) -> str:
    """The digests that a process prints; or how it ended."""
    command = [sys.executable, "-X", "faulthandler", str(NETS), *args]
    done = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else f"status {done.returncode}\n{done.stderr}"


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    right = run("--one-by-one")
    failed = 0
    for i in range(rounds):
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            got = run(PYCAFFE_LITE_CACHE_DIR=folder)
        seconds = time.monotonic() - began
        failed += got != right
        print(f"round {i + 1}: {'right' if got == right else got} after {seconds:.0f} s", flush=True)
    print(f"{rounds - failed} of {rounds} rounds right")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
