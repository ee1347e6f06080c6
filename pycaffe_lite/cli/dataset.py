"""`pycaffe-lite dataset`: databases of well-known data sets."""

from __future__ import annotations

from pathlib import Path

import click

from pycaffe_lite.cli.output import progress_bar, start_log


@click.group("dataset")
def command() -> None:
    """Makes the databases of well-known data sets."""
