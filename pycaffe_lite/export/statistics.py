"""What BatchNorm's stored sums stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Moments = npt.NDArray[np.float64]


def averages(sums: Sequence[npt.NDArray[Any]]) -> tuple[Moments, Moments]:
    """The means and variances of channels, (C,) each, from Caffe's three blobs; 0 where there are none yet.

    Args:
        sums: those of means and of variances, (C,), and the factor by which to divide them, (1,).
    """
    mean, variance, factor = (np.asarray(part, np.float64).ravel() for part in sums)
    averaging = 1 / factor[0] if factor[0] else 0.0
    return averaging * mean, averaging * variance
