import numpy as np
from PIL import Image

from pycaffe_lite.data.arrow import bytes_of

PIXELS = np.random.RandomState(0).randint(0, 256, (5, 7, 3), np.uint8)


def test_the_memory_of_a_picture():
    memory = bytes_of(Image.fromarray(PIXELS), 4 * 5 * 7)
    np.testing.assert_array_equal(memory.reshape(5, 7, 4)[..., :3], PIXELS)


def test_the_memory_of_a_picture_of_one_channel():
    picture = Image.fromarray(PIXELS[..., 0])
    np.testing.assert_array_equal(bytes_of(picture, 5 * 7).reshape(5, 7), PIXELS[..., 0])


def test_the_memory_of_a_picture_of_the_core():
    memory = bytes_of(Image.fromarray(PIXELS).im, 4 * 5 * 7)
    np.testing.assert_array_equal(memory.reshape(5, 7, 4)[..., :3], PIXELS)


def test_it_is_kept_without_its_picture():
    memories = [bytes_of(Image.new("RGB", (50, 40), (i, i, i)), 4 * 50 * 40) for i in range(50)]
    for i, memory in enumerate(memories):
        assert (memory.reshape(-1, 4)[:, :3] == i).all()


def test_what_has_no_such_memory():
    assert bytes_of(PIXELS, 4 * 5 * 7) is None
    assert bytes_of(Image.fromarray(PIXELS), 3 * 5 * 7) is None
    assert bytes_of(Image.fromarray(PIXELS[..., 0]), 5 * 6) is None
