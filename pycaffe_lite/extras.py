"""The message for a missing package that only part of the work needs."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path


def missing(what: str, package: str, extra: str) -> str:
    """The message that something needs a package which is not installed, with the command that installs it.

    The command is for the Python that runs, whichever `pip` the user's PATH leads to, and for pycaffe-lite's
    own source, which is where it was installed from.

    Args:
        what: needs the package, "drawing". package: what is missing, "matplotlib".
        extra: the name under which pycaffe-lite's pyproject.toml lists it.
    """
    source = Path(__file__).parents[1]
    is_checkout = (source / "pyproject.toml").exists()
    where = f"in {source}" if is_checkout else "in the folder of pycaffe-lite's source"
    editable = "-e " if is_checkout else ""
    python = shlex.quote(sys.executable or "python3")
    return (
        f"{what} needs {package}, which is not installed; {where}, run: "
        f"{python} -m pip install {editable}'.[{extra}]'"
    )
