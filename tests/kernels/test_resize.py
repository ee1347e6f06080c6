import numpy as np

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
