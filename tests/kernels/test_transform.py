import numpy as np
import pytest

from pycaffe_lite.kernels import transform

rng = np.random.RandomState(0)


def reference(items, mean, scale, rows, columns, mirrored, shape):
    N, _, height, width = shape
    mean = np.broadcast_to(mean, items.shape[1:])
    out = np.empty(shape, np.float32)
    for n in range(N):
        window = (slice(None), slice(rows[n], rows[n] + height), slice(columns[n], columns[n] + width))
        out[n] = (items[n][window].astype(np.float32) - mean[window]) * np.float32(scale)
        if mirrored[n]:
            out[n] = out[n, :, :, ::-1]
    return out


@pytest.mark.parametrize("python", [False, True])
@pytest.mark.parametrize("mean", ["none", "channel", "image"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_crop_mirror_mean_scale(dtype, mean, python):
    items = rng.uniform(0, 255, (4, 3, 9, 10)).astype(dtype)
    shapes = {"none": (3, 1, 1), "channel": (3, 1, 1), "image": (3, 9, 10)}
    means = rng.uniform(0, 100, shapes[mean]).astype(np.float32) * (mean != "none")
    for height, width in ((9, 10), (5, 6), (4, 7), (1, 1)):
        rows = rng.randint(0, 9 - height + 1, 4)
        columns = rng.randint(0, 10 - width + 1, 4)
        mirrored = np.array([True, False, True, False])
        out = np.full((4, 3, height, width), np.nan, np.float32)
        function = transform.transform.py_func if python else transform.transform
        function(items, means, np.float32(1 / 3), rows, columns, mirrored, out)
        wanted = reference(items, means, 1 / 3, rows, columns, mirrored, out.shape)
        np.testing.assert_array_equal(out, wanted)


@pytest.mark.parametrize("python", [False, True])
@pytest.mark.parametrize("mean", ["channel", "image"])
@pytest.mark.parametrize("channels", [1, 3, 4, "three of four"])
def test_a_picture(channels, mean, python):
    memory = pixels = rng.randint(0, 256, (9, 10, 4 if channels == "three of four" else channels), np.uint8)
    if channels == "three of four":
        channels, pixels = 3, memory[..., 2::-1]
    means = rng.uniform(0, 100, (channels, *((9, 10) if mean == "image" else (1, 1)))).astype(np.float32)
    function = transform.picture.py_func if python else transform.picture
    for row, column, mirrored in ((0, 0, 0), (3, 2, 1)):
        out = np.full((channels, 6, 8), np.nan, np.float32)
        function(memory, means, np.float32(1 / 3), row, column, mirrored, out)
        planes = pixels.transpose(2, 0, 1)[np.newaxis]
        shape = (1, *out.shape)
        wanted = reference(planes, means, 1 / 3, [row], [column], [mirrored], shape)[0]
        np.testing.assert_array_equal(out, wanted)


@pytest.mark.parametrize("python", [False, True])
@pytest.mark.parametrize("mean", ["channel", "image"])
@pytest.mark.parametrize("channels", [1, 3, 4, "three of four"])
def test_cut_and_finish_are_transform_in_two_steps(channels, mean, python):
    memory = pixels = rng.randint(
        0, 256, (2, 9, 10, 4 if channels == "three of four" else channels), np.uint8
    )
    if channels == "three of four":
        channels, pixels = 3, memory[..., 2::-1]
    means = rng.uniform(0, 100, (channels, *((9, 10) if mean == "image" else (1, 1)))).astype(np.float32)
    rows, columns, mirrored = np.array([0, 3]), np.array([2, 1]), np.array([0, 1])
    crops, out = np.full((2, channels, 6, 8), 7, np.uint8), np.full((2, channels, 6, 8), np.nan, np.float32)
    cut, finish = transform.cut, transform.finish
    if python:
        cut, finish = cut.py_func, finish.py_func
    for i in range(2):
        cut(memory[i], rows[i], columns[i], crops[i])
    finish(crops, means, np.float32(1 / 3), rows, columns, mirrored, out)
    planes = pixels.transpose(0, 3, 1, 2)
    wanted = reference(planes, means, 1 / 3, rows, columns, mirrored, out.shape)
    np.testing.assert_array_equal(out, wanted)
