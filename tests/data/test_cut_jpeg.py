"""JPEGs that are cut off, as OpenCV reads them from memory.

tests/fixtures/images/cut_jpegs.npz holds, for each, the file and what `cv2.imdecode` of OpenCV 4.6 gives,
(H, W, C): in colour (flag 1), in grey (0) and as it is (-1).
"""

import io

import numpy as np
import pytest
from paths import FIXTURES
from PIL import Image, ImageFile

from pycaffe_lite.data import image

CUT = np.load(FIXTURES / "images/cut_jpegs.npz")
NAMES = [name.removesuffix(":file") for name in CUT.files if name.endswith(":file")]


@pytest.mark.parametrize(("kind", "color"), [("color", True), ("gray", False), ("native", None)])
@pytest.mark.parametrize("name", NAMES)
def test_the_last_row_is_repeated(name, kind, color):
    picture = image.decode(CUT[f"{name}:file"].tobytes(), color, from_memory=True)
    assert picture.is_cut
    np.testing.assert_array_equal(picture.pixels, CUT[f"{name}:{kind}"])


def test_a_progressive_one_is_read_as_from_a_file():
    file = io.BytesIO()
    across = np.add.outer(np.arange(40), 3 * np.arange(40)).astype(np.uint8)
    Image.fromarray(across).save(file, "JPEG", progressive=True)
    part = file.getvalue()[:-8]
    expected = image.decode(part)
    picture = image.decode(part, from_memory=True)
    assert picture.is_cut
    np.testing.assert_array_equal(picture.pixels, expected.pixels)


def test_pillow_is_left_as_it_is():
    """A setting of Pillow's own would let cut-off files of the whole program pass."""
    image.decode(CUT["grey:file"].tobytes(), from_memory=True)
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
