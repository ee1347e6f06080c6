import numpy as np
import pytest

from pycaffe_lite.kernels import resize

rng = np.random.RandomState(0)


def axis(*pairs):
    """Neighbours and weights, of 2048."""
    first, second, weights = zip(*pairs, strict=True)
    return (
        np.array(first, np.int32),
        np.array(second, np.int32),
        np.array([(2048 - w, w) for w in weights], np.int32),
    )


def test_bilinear():
    """Against float64, from which fixed point is off by 1 at most; as machine code and as Python."""
    rows = axis((0, 1, 100), (0, 1, 2000), (2, 2, 0), (1, 2, 1024), (0, 1, 0))
    columns = axis((0, 0, 0), (3, 4, 512), (1, 2, 1024))
    for channels in (1, 3, 4):
        pixels = rng.randint(0, 256, (3, 5, channels), np.uint8)
        outs = np.empty((2, 5, 3, channels), np.uint8)
        resize.bilinear(pixels, *rows, *columns, outs[0])
        resize.bilinear.py_func(pixels, *rows, *columns, outs[1])
        np.testing.assert_array_equal(*outs)
        wanted = np.zeros(outs.shape[1:])
        for i in (0, 1):
            for j in (0, 1):
                weights = np.outer(rows[2][:, i], columns[2][:, j]) / 2048**2
                wanted += weights[..., None] * pixels[rows[i]][:, columns[j]]
        assert np.abs(outs[0] - wanted).max() <= 1


def test_half():
    pixels = rng.randint(0, 256, (4, 6, 3), np.uint8)
    outs = np.empty((2, 2, 3, 3), np.uint8)
    resize.half(pixels, outs[0])
    resize.half.py_func(pixels, outs[1])
    np.testing.assert_array_equal(*outs)
    np.testing.assert_array_equal(outs[0], (pixels.reshape(2, 2, 3, 2, 3).sum((1, 3), dtype=int) + 2) // 4)


@pytest.mark.parametrize("python", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, "three of four"])
def test_planes_of_a_part(channels, python):
    memory = pixels = rng.randint(0, 256, (6, 8, 4 if channels == "three of four" else channels), np.uint8)
    if channels == "three of four":
        channels, pixels = 3, np.ascontiguousarray(memory[..., 2::-1])
    rows = axis((0, 0, 0), (0, 1, 2000), (1, 2, 300), (1, 2, 1024), (4, 5, 7), (5, 5, 900))
    columns = axis((0, 1, 100), (1, 2, 0), (1, 2, 1024), (3, 4, 512), (7, 7, 2048))
    whole = np.empty((6, 5, channels), np.uint8)
    resize.bilinear(pixels, *rows, *columns, whole)
    for upper, left, height, width in ((0, 0, 6, 5), (2, 1, 3, 3), (4, 4, 1, 1)):
        of_rows = [array[upper : upper + height] for array in rows]
        of_columns = [array[left : left + width] for array in columns]
        out = np.empty((channels, height, width), np.uint8)
        function = resize.bilinear_planes.py_func if python else resize.bilinear_planes
        function(memory, *of_rows, *of_columns, out)
        np.testing.assert_array_equal(
            out.transpose(1, 2, 0), whole[upper : upper + height, left : left + width]
        )
    half = np.empty((3, 4, channels), np.uint8)
    resize.half(pixels, half)
    out = np.empty((channels, 2, 2), np.uint8)
    function = resize.half_planes.py_func if python else resize.half_planes
    function(memory, 1, 2, out)
    np.testing.assert_array_equal(out.transpose(1, 2, 0), half[1:, 2:])
