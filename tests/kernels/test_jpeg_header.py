import io

import numpy as np
import pytest
from PIL import Image

from pycaffe_lite.kernels.jpeg_header import frame

PIXELS = np.random.RandomState(0).randint(0, 256, (30, 21, 3), np.uint8)


def jpeg(pixels=PIXELS, mode="RGB", **options):
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, "JPEG", **options)
    return file.getvalue()


def found_in(file, python):
    """What is found; None in a file of another kind."""
    found = np.empty(4, np.int64)
    function = frame.py_func if python else frame
    return found.tolist() if function(np.frombuffer(file, np.uint8), found) else None


python = pytest.mark.parametrize("python", [False, True])


@python
@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        (jpeg(), [30, 21, 3, 0]),
        (jpeg(progressive=True, optimize=True), [30, 21, 3, 0]),
        (jpeg(mode="L"), [30, 21, 1, 0]),
        (jpeg(mode="CMYK"), [30, 21, 4, 0]),
        (jpeg(exif=b"Exif\0\0MM\0\x2a\0\0\0\x08\0\0"), [30, 21, 3, 1]),
        (jpeg(comment=b"a cat", icc_profile=b"p" * 300), [30, 21, 3, 0]),
        (jpeg(np.zeros((300, 2, 3), np.uint8)), [300, 2, 3, 0]),
    ],
)
def test_sizes(file, wanted, python):
    assert found_in(file, python) == wanted


@python
def test_files_of_other_kinds(python):
    file = jpeg()
    at = file.index(b"\xff\xc0")
    for other in (
        b"",
        b"\xff\xd8\xff",
        b"\x89PNG" + file[4:],
        file[:at] + b"\xff\xc9" + file[at + 2 :],  # arithmetic codes
        file[: at + 4] + b"\x0c" + file[at + 5 :],  # 12 bits
        file[: at + 5] + b"\0\0" + file[at + 7 :],  # a height that comes later
        file[: at + 9] + b"\0" + file[at + 10 :],
        file[:at] + b"\0" + file[at:],
        file[:at] + b"\xff" + file[at:],
        file[:at] + b"\xff\xd9" + file[at:],
        file[:at] + file[at : at + 19] + file[at:],  # two frames
        file[:at] + b"\xff\xe0\0\x01" + file[at:],
        file[:at] + file[at + 19 :],
    ):
        assert found_in(other, python) is None


@python
def test_a_file_that_ends_too_early(python):
    file = jpeg()
    end = file.index(b"\xff\xda") + 2
    assert all(found_in(file[:length], python) is None for length in range(0, end, 7))
