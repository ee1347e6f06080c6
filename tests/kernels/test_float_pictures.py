import colorsys

import numpy as np
import pytest

from pycaffe_lite.kernels import float_pictures

PIXELS = np.random.default_rng(0).random((7, 9, 3)).astype(np.float32)


@pytest.fixture(params=["compiled", "python"])
def kernel(request):
    def get(name):
        found = getattr(float_pictures, name)
        return found.py_func if request.param == "python" else found

    return get


def test_taps(kernel):
    rng = np.random.default_rng(1)
    rows, columns = rng.integers(0, 7, (5, 4)), rng.integers(0, 9, (6, 4))
    by_row, by_column = rng.random((5, 4)).astype(np.float32), rng.random((6, 4)).astype(np.float32)
    out = np.empty((5, 6, 3), np.float32)
    kernel("taps")(PIXELS, rows, by_row, columns, by_column, out)
    wanted = np.einsum("yixjc,yi,xj->yxc", PIXELS[rows][:, :, columns], by_row, by_column)
    np.testing.assert_allclose(out, wanted, rtol=1e-5)


def test_affine(kernel):
    across = np.array([[0, 1024, 1536, 9000, -2000], [512, 0, -512, 0, 100]])
    along = np.array([[0, 64, 0, 0, 5], [512, 1024, 2048, 6144, 100]])
    out = np.full((4, 5, 3), -1, np.float32)
    kernel("affine")(PIXELS, across, along, out)
    for y in range(4):
        for x in range(5):
            column, row = (across[0, x] + across[1, y]) // 32 / 32, (along[0, x] + along[1, y]) // 32 / 32
            left, top = int(np.floor(column)), int(np.floor(row))
            if not (0 <= left < 8 and 0 <= top < 6):
                assert (out[y, x] == -1).all()
                continue
            v, w = column - left, row - top
            upper = PIXELS[top, left] * (1 - v) + PIXELS[top, left + 1] * v
            lower = PIXELS[top + 1, left] * (1 - v) + PIXELS[top + 1, left + 1] * v
            np.testing.assert_allclose(out[y, x], upper * (1 - w) + lower * w, rtol=1e-5)
    assert (out >= 0).any()
    assert (out == -1).any()


@pytest.mark.parametrize(("rotation", "saturation"), [(0, 0.5), (30, 1), (-170, 0.3), (180, 0)])
def test_recolored(kernel, rotation, saturation):
    pixels = np.concatenate([PIXELS.reshape(-1, 3), np.full((2, 3), 0.5), np.zeros((1, 3))]).astype(
        np.float32
    )
    wanted = []
    for b, g, r in pixels.tolist():
        h, s, v = colorsys.rgb_to_hsv(r, g, b)
        wanted.append(colorsys.hsv_to_rgb((h + rotation / 360) % 1, s * saturation, v)[::-1])
    kernel("recolored")(pixels, float(rotation), float(saturation))
    np.testing.assert_allclose(pixels, wanted, atol=2e-5)
