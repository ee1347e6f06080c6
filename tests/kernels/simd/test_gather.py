"""The gradient of max pooling by gathering, against the same by scattering."""

import numpy as np
import pytest

from pycaffe_lite.kernels.runtime.decorators import serial_kernel
from pycaffe_lite.kernels.simd.gather import LANES, STRIDE, _covered, gather_plane
from tests.kernels.guarded import guarded_nans, margins_untouched


@serial_kernel
def gather(dy, index, at, row, kernel, pad_h, pad_w, dx, to, H, W):
    gather_plane(dy, index, at, row, kernel, pad_h, pad_w, dx, to, H, W)


@pytest.mark.parametrize("kernel", [2, 3])
@pytest.mark.parametrize("phase", [0, 1])
def test_which_windows_cover_a_block(kernel, phase):
    """Two at most along each axis: others would be compared in vain."""
    covered = _covered(kernel, phase)
    assert len(covered) <= 2
    assert list(covered) == sorted(covered)
    for k in range(-3, 4):
        window = range(STRIDE * k, STRIDE * k + kernel)
        assert covered.get(k, []) == [i for i in (0, 1) if phase + i in window]


def output_size(size, kernel, pad):
    """How many windows begin before the end of the image and its first padding, as Caffe counts."""
    count = -(-(size + 2 * pad - kernel) // STRIDE) + 1
    return count - (pad > 0 and (count - 1) * STRIDE >= size + pad)


def windows_of(random, sizes, kernel, pads, dtype):
    """Gradients of all windows, the pixels that they name (some none), and the gradient of the image."""
    counts = [output_size(size, kernel, pad) for size, pad in zip(sizes, pads, strict=True)]
    dy = random.integers(1, 100, counts).astype(dtype)
    index, dx = np.full(counts, -1, np.int32), np.zeros(sizes, dtype)
    for p, q in np.ndindex(*counts):
        inside = [
            range(max(0, STRIDE * o - pad), min(size, STRIDE * o - pad + kernel))
            for o, size, pad in zip((p, q), sizes, pads, strict=True)
        ]
        if random.random() < 0.9:
            h, w = (random.choice(list(pixels)) for pixels in inside)
            index[p, q] = h * sizes[1] + w
            dx[h, w] += dy[p, q]
    return dy, index, dx


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("kernel", "pads"), [(2, (0, 0)), (3, (0, 0)), (3, (1, 1)), (2, (1, 0)), (3, (0, 1))]
)
@pytest.mark.parametrize("sizes", [(4, 2 * LANES), (5, 2 * LANES + 3), (8, 4 * LANES), (7, 5 * LANES - 1)])
def test_it_is_what_scattering_gives(sizes, kernel, pads, dtype):
    dy, index, dx = windows_of(np.random.default_rng(kernel), sizes, kernel, pads, dtype)
    rows, row = dy.shape
    # What is read before and after the windows is like the windows of other planes: it names other pixels.
    margin = row + 1 + LANES
    beyond = np.full(margin + (sizes[0] + pads[0]) // 2 * row + (sizes[1] + pads[1]) // 2 + LANES, 1, dtype)
    many_dy = np.concatenate([beyond, dy.ravel(), beyond])
    names = np.full(beyond.size, -1, np.int32)
    many_index = np.concatenate([names, index.ravel(), names])
    out = guarded_nans(dx.size + 3, dtype)
    gather(many_dy, many_index, beyond.size, row, kernel, *pads, out, 3, *sizes)
    assert np.array_equal(out[3:].reshape(sizes), dx)
    assert np.isnan(out[:3]).all()
    assert margins_untouched(out)
    assert rows >= 2


def test_windows_of_neighbouring_planes_do_not_count():
    """All planes lie side by side in dy and index; those beside name pixels of the same numbers."""
    random = np.random.default_rng(0)
    planes = [windows_of(random, (4, 16), 3, (1, 1), np.float32) for _ in range(5)]
    dy, index = (np.concatenate([plane[i].ravel() for plane in planes]) for i in (0, 1))
    rows, row = planes[0][0].shape
    for number in (1, 2, 3):
        out = guarded_nans(64, np.float32)
        gather(dy, index, number * rows * row, row, 3, 1, 1, out, 0, 4, 16)
        assert np.array_equal(out.reshape(4, 16), planes[number][2])
