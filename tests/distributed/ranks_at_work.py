"""How tests start ranks."""

import os

from pycaffe_lite.distributed.launcher import launch_command


def environment(**more):
    """That of ranks in tests: one thread each, as there may be two cores; nothing of other launchers."""
    foreign = ("PMI", "SLURM", "OMPI")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**kept, "PYCAFFE_LITE_THREADS": "1", "NUMBA_THREADING_LAYER": "workqueue", **more}


def launcher(ranks):
    """The command that starts so many ranks."""
    return launch_command(ranks, "")
