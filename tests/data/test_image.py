import io
import re
import struct
import sys
import tracemalloc
import zlib

import numpy as np
import pytest
from paths import FIXTURES
from PIL import Image, ImageFile

from pycaffe_lite import set_max_pixels
from pycaffe_lite.data import image
from pycaffe_lite.errors import ArgumentError, DataError, FileLookupError
from pycaffe_lite.extras import missing

IMAGES = FIXTURES / "images"


def encoded(pixels, mode=None, kind="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(pixels, mode).save(file, kind, **options) if mode else Image.fromarray(pixels).save(
        file, kind, **options
    )
    return file.getvalue()


def planes(file, color=None):
    """Those of a file that is whole."""
    picture = image.decode(file, color)
    assert not picture.is_cut
    return picture.pixels.transpose(2, 0, 1)


def refuses(message, *args):
    with pytest.raises(DataError, match=f"^{message}$"):
        image.decode(*args)


@pytest.fixture
def rgb():
    return np.random.RandomState(0).randint(0, 256, (5, 7, 3), np.uint8)


@pytest.mark.parametrize(("name", "color"), [("colour", True), ("grey", False)])
def test_png_files_as_opencv_reads_them(name, color):
    """What Caffe's ImageData layer gave for these five files, in three batches of two."""
    wanted = np.load(IMAGES / f"{name}.npz")["data"]
    wanted = wanted.reshape(-1, *wanted.shape[2:])
    files = [(IMAGES / f"img{i}.png").read_bytes() for i in range(5)]
    for want, file in zip(wanted, files + files[:1], strict=True):
        np.testing.assert_array_equal(planes(file, color), want)


def test_native_planes(rgb):
    np.testing.assert_array_equal(planes(encoded(rgb)), rgb.transpose(2, 0, 1)[::-1])
    gray = rgb[..., 0]
    np.testing.assert_array_equal(planes(encoded(gray)), gray[None])
    rgba = np.dstack([rgb, gray])
    np.testing.assert_array_equal(planes(encoded(rgba)), rgba.transpose(2, 0, 1)[[2, 1, 0, 3]])


def test_colour_leaves_opacity_out(rgb):
    rgba = np.dstack([rgb, rgb[..., 0]])
    np.testing.assert_array_equal(planes(encoded(rgba), True), rgb.transpose(2, 0, 1)[::-1])
    assert planes(encoded(rgba), False).shape == (1, 5, 7)


def test_gray_file_in_colour(rgb):
    np.testing.assert_array_equal(planes(encoded(rgb[..., 1]), True), np.stack([rgb[..., 1]] * 3))


def test_palette(rgb):
    picture = Image.fromarray(rgb).quantize(16)
    file = io.BytesIO()
    picture.save(file, "PNG")
    wanted = np.asarray(picture.convert("RGB")).transpose(2, 0, 1)[::-1]
    np.testing.assert_array_equal(planes(file.getvalue()), wanted)


@pytest.mark.parametrize("transparency", [2, bytes(range(16))])
def test_a_palette_with_opacity(rgb, transparency):
    """Without it, and without a warning of Pillow's, of which every one is an error here."""
    palette = Image.fromarray(rgb).quantize(16)
    file = io.BytesIO()
    palette.save(file, "PNG", transparency=transparency)
    bgr = np.asarray(palette.convert("RGB"))[..., ::-1].transpose(2, 0, 1)
    np.testing.assert_array_equal(planes(file.getvalue(), True), bgr)
    assert planes(file.getvalue(), False).shape == (1, 5, 7)
    np.testing.assert_array_equal(planes(file.getvalue())[:3], bgr)


def test_jpeg_gray_is_its_brightness_plane():
    flat = np.full((8, 8, 3), (200, 30, 60), np.uint8)
    file = encoded(flat, kind="JPEG", quality=100, subsampling=0)
    brightness = np.asarray(Image.open(io.BytesIO(file)).convert("YCbCr"))[..., 0]
    assert np.abs(planes(file, False)[0].astype(int) - brightness).max() <= 1


def test_bmp_gray_is_rounded():
    flat = np.full((2, 2, 3), (10, 20, 31), np.uint8)
    wanted = round(10 * 0.299 + 20 * 0.587 + 31 * 0.114)
    np.testing.assert_array_equal(planes(encoded(flat, kind="BMP"), False), wanted)


SIXTEEN = np.random.RandomState(1).randint(0, 1 << 16, (6, 5), np.uint16)


def big_endian_tiff(pixels):
    file = io.BytesIO()
    Image.frombytes("I;16B", pixels.shape[::-1], pixels.astype(">u2").tobytes()).save(file, "TIFF")
    return file.getvalue()


def png(width, height, bits, kind, rows):
    """A PNG as Pillow does not write it. rows: of bytes, each with a zero before it."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def png_of_16_bit_colours(pixels):
    """pixels: (H, W, 3) uint16."""
    H, W, _ = pixels.shape
    return png(W, H, 16, 2, b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels))


@pytest.mark.parametrize("file", [encoded(SIXTEEN), big_endian_tiff(SIXTEEN)], ids=["PNG", "TIFF"])
def test_the_upper_8_of_16_bits(file):
    upper = (SIXTEEN >> 8).astype(np.uint8)
    np.testing.assert_array_equal(planes(file, False), upper[np.newaxis])
    np.testing.assert_array_equal(planes(file, True), np.stack([upper] * 3))


def test_the_upper_8_of_16_bits_of_colours():
    pixels = np.random.RandomState(2).randint(0, 1 << 16, (6, 5, 3), np.uint16)
    file = png_of_16_bit_colours(pixels)
    upper = (pixels >> 8).astype(np.uint8).transpose(2, 0, 1)
    np.testing.assert_array_equal(planes(file, True), upper[::-1])
    gray = np.tensordot([0.299, 0.587, 0.114], upper, 1)
    assert np.abs(planes(file, False)[0] - gray).max() <= 1


@pytest.mark.parametrize("file", [encoded(SIXTEEN), png_of_16_bit_colours(np.dstack([SIXTEEN] * 3))])
def test_sixteen_bits_are_not_taken_as_they_are(file):
    refuses(
        "it has 16 bits a value, which Caffe does not take as they are: set force_color or force_gray in "
        "transform_param",
        file,
    )


def test_more_than_16_bits():
    file = encoded(np.zeros((3, 4), np.float32), kind="TIFF")
    refuses("cannot decode an image of mode 'F': only those of 8 or 16 bits a value are read", file, True)


def test_pictures_are_turned_where_colours_are_forced(rgb):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    file = encoded(rgb, kind="PNG", exif=exif)
    wanted = rgb.transpose(2, 0, 1)[::-1]
    np.testing.assert_array_equal(planes(file), wanted)
    np.testing.assert_array_equal(planes(file, True), np.rot90(wanted, -1, (1, 2)))


def test_inks():
    inks = np.random.RandomState(3).randint(0, 256, (1, 1, 4), np.uint8).repeat(8, 0).repeat(8, 1)
    file = encoded(255 - inks, "CMYK", "JPEG", quality=100, subsampling=0)
    c, m, y, k = (255 - np.asarray(Image.open(io.BytesIO(file)))[0, 0]).astype(int)
    wanted = [k - ((255 - ink) * k >> 8) for ink in (y, m, c)]
    assert planes(file)[:, 0, 0].tolist() == wanted


def test_no_image():
    refuses("its 9 bytes are not those of an image", b"not a png")


def test_formats_that_nobody_expects():
    """Pillow would run other programs for some of them."""
    refuses("its 21 bytes are not those of an image", b"%!PS-Adobe-3.0 EPSF-3")


@pytest.fixture
def photo():
    """64 x 80, smooth, as a JPEG and as rows."""
    across = np.linspace(0, 150, 80) + np.linspace(0, 100, 64)[:, np.newaxis]
    pixels = np.stack([across, 255 - across, across[::-1]], axis=2).astype(np.uint8)
    return encoded(pixels, kind="JPEG", quality=95), pixels


@pytest.mark.parametrize("color", [None, True, False])
def test_jpegs_that_are_cut_off(photo, color):
    """The rows that are there, then grey: what OpenCV gives, with a warning on stderr."""
    file, _ = photo
    whole = image.decode(file, color)
    assert not whole.is_cut
    is_there = []
    for length in range(len(file) * 2 // 3, len(file), 97):
        part = image.decode(file[:length], color)
        assert part.is_cut
        assert part.pixels.shape == whole.pixels.shape
        rows = (part.pixels == whole.pixels).all(axis=(1, 2))
        is_there.append(int(rows.argmin()) if not rows.all() else 64)
        missing = part.pixels[is_there[-1] + 32 :]
        assert (missing.max(axis=1) == missing.min(axis=1)).all()
    assert is_there == sorted(is_there)
    assert is_there[0] > 8
    without_end = image.decode(file[:-2], color)
    assert without_end.is_cut
    np.testing.assert_array_equal(without_end.pixels, whole.pixels)


def test_progressive_jpegs_that_are_cut_off(photo):
    """All rows are there, less sharp."""
    _, pixels = photo
    file = encoded(pixels, kind="JPEG", progressive=True, quality=95)
    scan = file.rindex(b"\xff\xda") + 20
    for length in range(scan, len(file), 23):
        part = image.decode(file[:length])
        assert part.is_cut
        assert np.abs(part.pixels.astype(int) - pixels[..., ::-1]).max() < 60


def test_pillow_is_left_as_it_is(photo):
    """A setting of Pillow's own would let cut-off files of the whole program pass."""
    image.decode(photo[0][:-200])
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_a_jpeg_of_which_nothing_is_there(photo):
    with pytest.raises(DataError, match=r"^cannot decode an image of 100 bytes: "):
        image.decode(photo[0][:100])


def test_half_an_image(rgb):
    file = encoded(rgb)
    with pytest.raises(DataError, match=f"^cannot decode an image of {len(file) // 2} bytes: "):
        image.decode(file[: len(file) // 2])


def test_without_pillow(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    message = missing("reading encoded images", "Pillow", "image")
    refuses(re.escape(message), b"")


# ------------------------------------------------------------------------------------------ large pictures


VARIABLE = "PYCAFFE_LITE_MAX_PIXELS"


def large(width, height):
    """A white PNG, of a bit for each pixel: 100 kB are enough for 800 million."""
    return png(width, height, 1, 0, (b"\0" + b"\xff" * -(-width // 8)) * height)


@pytest.fixture
def limit(monkeypatch):
    """Restores the limit."""
    monkeypatch.setattr(image, "_max_pixels", None)
    monkeypatch.delenv("PYCAFFE_LITE_MAX_PIXELS", raising=False)
    return monkeypatch


TOO_LARGE = "it has {} pixels, more than {}; to read it all the same, give --max_pixels or set " + VARIABLE


@pytest.mark.parametrize("size", [(9000, 9000), (90_000, 2000)])
def test_pictures_too_large_for_memory(limit, size):
    file = large(*size)
    assert len(file) < 100_000
    tracemalloc.start()
    refuses(re.escape(TOO_LARGE.format("{} x {}".format(*size), 1 << 26)), file, True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_the_limit_can_be_set(limit):
    file = large(30, 20)
    assert planes(file).shape == (1, 20, 30)
    set_max_pixels(599)
    refuses(re.escape(TOO_LARGE.format("30 x 20", 599)), file)
    set_max_pixels(600)
    assert planes(file).shape == (1, 20, 30)
    for number in (0, -1):
        with pytest.raises(ArgumentError, match=f"^max_pixels must be 1 or more, got {number}$"):
            set_max_pixels(number)


def test_the_limit_in_the_environment(limit):
    limit.setenv("PYCAFFE_LITE_MAX_PIXELS", "599")
    refuses(re.escape(TOO_LARGE.format("30 x 20", 599)), large(30, 20))
    limit.setenv("PYCAFFE_LITE_MAX_PIXELS", "many")
    message = "the environment variable PYCAFFE_LITE_MAX_PIXELS is not a number above 0: 'many'"
    refuses(message, large(30, 20))


def test_more_than_pillow_allows(limit):
    """Its own limit is not asked, and not changed."""
    pillows, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, 100
    try:
        assert planes(large(30, 20)).shape == (1, 20, 30)
        assert Image.MAX_IMAGE_PIXELS == 100
    finally:
        Image.MAX_IMAGE_PIXELS = pillows


# ------------------------------------------------------------------------------------------------ resizing


def opencvs(pixels, height, width):
    """The rule, pixel by pixel."""
    H, W, _ = pixels.shape
    out = np.empty((height, width, pixels.shape[2]), np.int64)
    for y, x in np.ndindex(height, width):
        rows = [np.zeros(pixels.shape[2], np.int64), np.zeros(pixels.shape[2], np.int64)]
        top, rest_y = split(y, H, height)
        left, rest_x = split(x, W, width)
        if left < 0 or left >= W - 1:
            left, rest_x = min(max(left, 0), W - 1), np.float32(0)
        for i in (0, 1):
            row = pixels[min(max(top + i, 0), H - 1)].astype(np.int64)
            rows[i] = row[left] * weight(1 - rest_x) + row[min(left + 1, W - 1)] * weight(rest_x)
        parts = [(weight(w) * (row >> 4)) >> 16 for w, row in zip((1 - rest_y, rest_y), rows, strict=True)]
        out[y, x] = np.clip((parts[0] + parts[1] + 2) >> 2, 0, 255)
    return out


def split(place, source, target):
    at = np.float32((place + 0.5) * (1 / (target / source)) - 0.5)
    return int(np.floor(at)), at - np.floor(at)


def weight(share):
    return int(np.rint(np.float32(share) * np.float32(2048)))


@pytest.mark.parametrize("size", [(7, 9), (2, 3), (1, 1), (20, 5), (13, 13)])
@pytest.mark.parametrize("shape", [(7, 9, 3), (7, 9, 1), (7, 9, 4), (1, 4, 3), (5, 1, 1)])
def test_other_sizes(shape, size):
    pixels = np.random.RandomState(4).randint(0, 256, shape, np.uint8)
    np.testing.assert_array_equal(image.resize(pixels, *size), opencvs(pixels, *size))


def test_a_size_too_large_for_memory():
    with pytest.raises(DataError) as raised:
        image.resize(np.zeros((2, 2, 3), np.uint8), 10**6, 10**6)
    assert str(raised.value) == (
        "cannot resize to 1000000 x 1000000 pixels, more than 67108864; to do it all the same, give "
        "--max_pixels or set PYCAFFE_LITE_MAX_PIXELS"
    )


def test_half_the_size_is_the_mean_of_four():
    pixels = np.random.RandomState(4).randint(0, 256, (6, 10, 3), np.uint8)
    wanted = (pixels.reshape(3, 2, 5, 2, 3).astype(int).sum((1, 3)) + 2) // 4
    np.testing.assert_array_equal(image.resize(pixels, 3, 5), wanted)


def test_the_same_size_is_the_same_picture():
    pixels = np.zeros((3, 4, 1), np.uint8)
    assert image.resize(pixels, 3, 4) is pixels


# ------------------------------------------------------------------------------------------- Pillow's memory


def test_pixels_that_are_not_packed(rgb):
    for file in (encoded(rgb), encoded(rgb, kind="JPEG")):
        pixels = image.decode(file, True, packed=False).pixels
        np.testing.assert_array_equal(pixels, image.decode(file, True).pixels)
        assert pixels.strides == (4 * 7, 4, -1)
        memory = image.memory_of(pixels.transpose(2, 0, 1))
        np.testing.assert_array_equal(memory[..., 2::-1], pixels)


def test_other_pixels_have_no_such_memory(rgb):
    packed = image.decode(encoded(rgb), True).pixels
    base = np.zeros(5 * 7 * 4, np.uint8)
    for pixels in (packed, packed[..., ::-1], base.reshape(5, 7, 4)[..., 3:0:-1], base.reshape(5, 7, 4)):
        assert image.memory_of(pixels.transpose(2, 0, 1)) is None
    gray = image.decode(encoded(rgb), False, packed=False).pixels
    assert image.memory_of(gray.transpose(2, 0, 1)) is None


def test_a_large_picture_lies_in_several_pieces():
    """Pillow gives each its own memory; only `tobytes` is left then."""
    file = encoded(np.tile(np.arange(250, dtype=np.uint8)[:, None, None], (12, 2500, 3)))
    pixels = image.decode(file, True, packed=False).pixels
    assert pixels.shape == (3000, 2500, 3)
    assert image.memory_of(pixels.transpose(2, 0, 1)) is None
    assert (pixels[:, 7, 1] == np.arange(3000) % 250).all()


# --------------------------------------------------------------------------------------------------- files


def test_errors_name_the_file(tmp_path):
    path = tmp_path / "cat.png"
    with pytest.raises(FileLookupError, match=f"^no such file: '{path}'$"):
        image.read(path)
    path.write_bytes(b"not a png")
    with pytest.raises(DataError, match=f"^picture '{path}': its 9 bytes are not those of an image$"):
        image.read(path)


def test_a_file(tmp_path, rgb):
    (tmp_path / "cat.png").write_bytes(encoded(rgb))
    np.testing.assert_array_equal(image.read(tmp_path / "cat.png").pixels, rgb[..., ::-1])


def test_a_file_by_its_name(tmp_path, rgb):
    (tmp_path / "cat.png").write_bytes(encoded(rgb))
    (tmp_path / "text.png").write_bytes(b"not a png")
    np.testing.assert_array_equal(image.read_named("cat.png", tmp_path).pixels, rgb[..., ::-1])
    assert image.read_named("cat.png", tmp_path, False).pixels.shape == (5, 7, 1)
    for name in ("dog.png", "text.png"):
        assert image.read_named(name, tmp_path) is None


@pytest.mark.parametrize("factor", [0.7, 1.3, 2.55])
def test_scaled_by_a_factor_as_opencv_does(factor):
    cv2 = pytest.importorskip("cv2")
    pixels = np.random.default_rng(0).integers(0, 256, (23, 31, 3), np.uint8)
    wanted = cv2.resize(pixels, None, fx=factor, fy=factor)
    np.testing.assert_array_equal(image.resize(pixels, *wanted.shape[:2], factor), wanted)
    assert (image.resize(pixels, *wanted.shape[:2]) != wanted).any()
