"""Arrays as pictures."""

import sys

import numpy as np
import pytest
from paths import ROOT
from PIL import Image

from pycaffe_lite.errors import DataError, WeightsError
from pycaffe_lite.view.filters import weight_sections
from pycaffe_lite.view.tiles import (
    GAP,
    TILE_SIDE,
    Section,
    activation_picture,
    enlarged,
    filter_picture,
    grid,
    heat,
    signed,
    write_sheet,
)


def test_colours():
    assert signed(np.array([-2.0, -1.0, 0.0, 2.0, np.nan])).tolist() == [
        [0, 0, 255],
        [128, 128, 255],
        [255, 255, 255],
        [255, 0, 0],
        [128, 128, 128],
    ]
    assert heat(np.array([1.0, 2.0, 3.0, 4.0])).tolist() == [[0, 0, 0], [255, 0, 0], [255, 255, 0], [255] * 3]
    assert heat(np.zeros(2)).tolist() == [[0, 0, 0]] * 2
    assert signed(np.zeros((2, 3))).shape == (2, 3, 3)


def test_tiles_lie_row_by_row():
    tiles = np.zeros((3, 5, 5, 3), np.uint8)
    tiles[1], tiles[2] = 100, 200
    picture = grid(tiles, 2)
    side = TILE_SIDE + GAP
    assert picture.shape == (2 * side - GAP, 2 * side - GAP, 3)
    assert picture[0, 0].tolist() == [0] * 3
    assert picture[0, side].tolist() == [100] * 3
    assert picture[side, 0].tolist() == [200] * 3
    assert picture[side, side].tolist() == picture[0, TILE_SIDE].tolist() == [128] * 3


def test_small_pictures_are_enlarged_by_whole_pixels():
    picture = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    large = enlarged(picture, 5)
    assert large.shape == (6, 6, 3)
    assert np.array_equal(large[::3, ::3], picture)
    assert enlarged(large, 4) is not None
    assert enlarged(large, 4).shape == large.shape


@pytest.mark.parametrize(
    "shape", [(3, 6, 6), (100, 4, 4), (10,), (1000,), (5, 1, 1), (2, 3), (), (1, 1, 1, 1)]
)
def test_blobs_of_any_shape(shape):
    picture = activation_picture(np.random.default_rng(0).normal(size=shape))
    assert picture.dtype == np.uint8
    assert picture.ndim == 3


def test_kernels_of_three_channels_have_their_colours():
    weights = np.zeros((2, 3, 3, 3))
    weights[0, 0], weights[1, 2] = 1, 0.5  # blue, as Caffe's pictures have it, and red
    picture = filter_picture(weights)
    colours = {tuple(pixel) for pixel in picture.reshape(-1, 3).tolist()}
    assert {(128, 128, 255), (255, 128, 128)} <= colours


def test_other_weights():
    assert filter_picture(np.ones((4, 5, 3, 3))).shape[0] < filter_picture(np.ones((6, 5, 3, 3))).shape[0]
    assert filter_picture(np.ones((500, 800))).shape == (500, 800, 3)
    assert filter_picture(np.ones(20)).shape == (10, 200, 3)
    assert filter_picture(np.ones((64, 32, 1, 1))).shape[:2] == (256, 128)


def test_sheets(tmp_path):
    picture = np.full((30, 500, 3), (10, 20, 200), np.uint8)
    sections = [Section(name, picture) for name in ("a", "\x1b[2J猫", "c" * 500)]
    write_sheet(tmp_path / "a.png", sections)
    with Image.open(tmp_path / "a.png") as sheet:
        pixels = np.asarray(sheet)
    blue = (pixels == (10, 20, 200)).all(axis=2)
    assert blue.sum() == 3 * 30 * 500
    assert blue.any(axis=1).sum() == 60  # two beside each other, and the third below


def test_what_cannot_be_written(tmp_path, monkeypatch):
    section = [Section("a", np.zeros((3, 3, 3), np.uint8))]
    with pytest.raises(DataError, match=r"'\.doc' is no kind of picture that is written"):
        write_sheet(tmp_path / "a.doc", section)
    with pytest.raises(DataError, match="cannot write"):
        write_sheet(tmp_path / "none" / "a.png", section)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(DataError, match="drawing pictures needs Pillow, which is not installed"):
        write_sheet(tmp_path / "a.png", section)


@pytest.mark.parametrize("suffix", ["", ".h5"])
def test_weights_of_a_file(suffix):
    file = f"{ROOT}/tests/fixtures/lenet/lenet_iter_50.caffemodel{suffix}"
    titles = [section.title for section in weight_sections(file, "conv1")]
    assert titles == ["conv1 blob 0: 20x1x5x5", "conv1 blob 1: 20"]
    with pytest.raises(WeightsError, match=r"has no layer 'conv3' \(did you mean 'conv"):
        weight_sections(file, "conv3")
    with pytest.raises(WeightsError, match="layers with weights: conv1, conv2, ip1, ip2"):
        weight_sections(file, "nothing like it")
