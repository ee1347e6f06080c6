"""Caffe's choice of device: CPU only; programs that ask for a GPU run all the same."""

from __future__ import annotations

import logging

from pycaffe_lite import glog

log = logging.getLogger(__name__)


def set_mode_cpu() -> None:
    """Computes on the CPU, as always."""


def set_mode_gpu() -> None:
    """Taken from pycaffe programs and ignored, which the log says: CPU only."""
    glog.open_log()
    log.warning("There is no GPU support: set_mode_gpu() is ignored")


def set_device(device: int) -> None:
    """Taken from pycaffe programs and ignored, which the log says: CPU only."""
    glog.open_log()
    log.warning("There is no GPU support: set_device(%s) is ignored", device)
