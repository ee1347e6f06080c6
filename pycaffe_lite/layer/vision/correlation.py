"""Correlation and Correlation1D: where the patches of one picture are in another."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from pycaffe_lite.blob import Array, Blob
from pycaffe_lite.kernels import correlation
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.in_place import refuse_in_place
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.vision.spatial import check_padding
from pycaffe_lite.layer.without_effect import note_without_effect, refuse_fields
from pycaffe_lite.proto import caffe_pb2

SUBTRACT = caffe_pb2.CorrelationParameter.SUBTRACT


@register_layer("Correlation", param="correlation_param", origin="FlowNet")
class CorrelationLayer(Layer[caffe_pb2.CorrelationParameter]):
    """How like the patches of a are to displaced ones of b: y[n, (o, u), p, q] = 1/n Σ a[i] b[i + (o, u)].

    The sum runs over the n = kernel_size² C numbers of a patch; with `correlation_type: SUBTRACT` it is that
    of |a - b|. Displacements are multiples of `stride_2` up to `max_displacement`, down and then to the
    right; patches are `stride_1` apart, and begin `max_displacement` from the edges of the padded pictures.

    Bottom: a, b, (N, C, H, W). Top: y, (N, D², P, Q), D = 2 (max_displacement / stride_2, rounded down) + 1
    and P = (H + 2 pad - 2 max_displacement - kernel_size + 1) / stride_1, rounded up; Q likewise.
    Raises LayerError for a kernel_size that is missing or even, a max_displacement that is missing, strides
    of 0, bottoms of other shapes, and sizes that leave no output.
    Paper: Dosovitskiy et al., "FlowNet: Learning Optical Flow with Convolutional Networks", 2015 (arXiv
    1504.06852).
    Source: lmb-freiburg/flownet2 src/caffe/layers/correlation_layer.cpp and .cu
    """

    exact_bottoms = 2
    exact_tops = 1

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        refuse_in_place(self, bottom, top)
        p = self.param
        for name in ("kernel_size", "max_displacement"):
            if not p.HasField(name):
                raise self.error(f"needs {name} in correlation_param")
        if p.kernel_size % 2 == 0:
            raise self.error(f"needs an odd kernel_size, got {p.kernel_size}")
        if p.stride_1 < 1 or p.stride_2 < 1:
            raise self.error(f"needs strides of at least 1, got {p.stride_1} and {p.stride_2}")
        self._check_direction()
        note_without_effect(self, "do_abs")
        self.moves = np.array(self._moves(), np.int64) * p.stride_2

    def _check_direction(self) -> None:
        refuse_fields(self, "single_direction")

    def _moves(self) -> list[tuple[int, int]]:
        """The displacements, in units of stride_2: rows and columns."""
        r = self.param.max_displacement // self.param.stride_2
        return list(itertools.product(range(-r, r + 1), range(-r, r + 1)))

    def margins(self) -> tuple[int, int, int, int]:
        """Padding above and to the left, and where the first patch of a begins."""
        p = self.param
        return p.pad, p.pad, p.max_displacement, p.max_displacement

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        p, (a, b) = self.param, bottom
        if a.shape != b.shape:
            raise self.error(f"needs bottoms of one shape, got {a.shape} and {b.shape}")
        pad_h, pad_w, self.first_row, self.first_column = self.margins()
        check_padding(self, a.channels, (a.height, a.width), (pad_h, pad_w))
        P, Q = (
            -(-(size + 2 * pad - 2 * first - p.kernel_size + 1) // p.stride_1)
            for size, pad, first in (
                (a.height, pad_h, self.first_row), (a.width, pad_w, self.first_column),
            )
        )  # fmt: skip
        if P < 1 or Q < 1:
            raise self.error(
                f"output would be empty: bottom shape {a.shape} with kernel_size {p.kernel_size}, "
                f"max_displacement {p.max_displacement} and pad {p.pad}"
            )
        self.inside = (slice(None), slice(pad_h, pad_h + a.height), slice(pad_w, pad_w + a.width))
        self.padded_shape = (a.num, a.height + 2 * pad_h, a.width + 2 * pad_w, a.channels)
        top[0].reshape(a.num, len(self.moves), P, Q)

    def _padded(self, blob: Blob) -> Array:
        """The padded picture, channels last."""
        padded = np.zeros(self.padded_shape, blob.data.dtype)
        N, C, H, W = blob.num, blob.channels, blob.height, blob.width
        padded[self.inside] = blob.data.reshape(N, C, H, W).transpose(0, 2, 3, 1)
        return padded

    def _options(self) -> tuple[Any, ...]:
        p = self.param
        subtracts = p.correlation_type == SUBTRACT
        return p.kernel_size, p.stride_1, self.first_row, self.first_column, self.moves, subtracts

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        a, b = (self._padded(blob) for blob in bottom)
        correlation.forward(*(a, b, *self._options(), top[0].data))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if not any(propagate_down):
            return
        a, b = (self._padded(blob) for blob in bottom)
        gradients = [np.zeros_like(a), np.zeros_like(b)]
        correlation.backward(a, b, top[0].diff, *self._options(), *gradients)
        for blob, d, wanted in zip(bottom, gradients, propagate_down, strict=True):
            if wanted:
                blob.diff[...] = d[self.inside].transpose(0, 3, 1, 2).reshape(blob.shape)


@register_layer("Correlation1D", param="correlation_param", origin="FlowNet")
class Correlation1DLayer(CorrelationLayer):
    """How like the patches of a are to ones of b displaced along the width alone; else as Correlation.

    With `single_direction: 1`, displacements are those to the right, from 0 on; with -1 those to the left,
    from 1 to one more than max_displacement / stride_2, as in the fork (which there reads beyond the padding;
    here it is 0).

    Bottom: a, b, (N, C, H, W). Top: y, (N, D, P, Q), P = (H - kernel_size + 1) / stride_1, rounded up; Q as
    in Correlation; D as there, or half of that, rounded up, in one direction. Rows are not padded.
    Raises LayerError as Correlation, and for another single_direction than -1, 0 and 1.
    Source: lmb-freiburg/flownet2 src/caffe/layers/correlation_layer1d.cpp and .cu
    """

    def _check_direction(self) -> None:
        if self.param.single_direction not in (-1, 0, 1):
            raise self.error(f"needs a single_direction of -1, 0 or 1, got {self.param.single_direction}")

    def _moves(self) -> list[tuple[int, int]]:
        r = self.param.max_displacement // self.param.stride_2
        columns = {0: range(-r, r + 1), 1: range(r + 1), -1: range(-r - 1, 0)}[self.param.single_direction]
        return [(0, u) for u in columns]

    def margins(self) -> tuple[int, int, int, int]:
        return 0, self.param.pad, 0, self.param.max_displacement
