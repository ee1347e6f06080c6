"""Caffe's choice of device. There is only the CPU; programs that ask for a GPU run on it as well."""

from __future__ import annotations

import logging

from pycaffe_lite import glog

log = logging.getLogger(__name__)


def set_mode_cpu() -> None:
    """Chooses the CPU, which is always used."""


def set_mode_gpu() -> None:
    """Accepts pycaffe's choice of the GPU, and logs that it is ignored."""
    glog.open_log()
    log.warning("There is no GPU support: set_mode_gpu() is ignored")


def set_device(device: int) -> None:
    """Accepts pycaffe's choice of one GPU of several, and logs that it is ignored."""
    glog.open_log()
    log.warning("There is no GPU support: set_device(%s) is ignored", device)
