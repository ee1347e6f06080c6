"""Caffe's choice of device: there is one, the CPU; programs that ask for a GPU run all the same."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)


def set_mode_cpu() -> None:
    """Computes on the CPU, as always."""


def set_mode_gpu() -> None:
    """Taken from pycaffe programs: says in the log that the CPU computes."""
    log.warning("There is no GPU support: set_mode_gpu() leaves the CPU in use")


def set_device(device: int) -> None:
    """Taken from pycaffe programs: says in the log that there is no such device."""
    log.warning("There is no GPU support: set_device(%d) does nothing", device)
