"""What only forks do to images, against loops written from what they mean."""

import numpy as np
import pytest
from google.protobuf import text_format

from pycaffe_lite.data import image
from pycaffe_lite.data.fork_transformer import ClipTransformer, crop_sizes, transformer_of
from pycaffe_lite.data.transformer import Transformer
from pycaffe_lite.errors import DataError
from pycaffe_lite.formats import binaryproto
from pycaffe_lite.proto.caffe_pb2 import TEST, TRAIN, BlobProto, TransformationParameter
from pycaffe_lite.random import RandomStream

SHAPE = (6, 24, 30)
IMAGES = np.random.default_rng(0).integers(0, 256, (40, *SHAPE), np.uint8)


def transformed(text, phase=TRAIN, images=IMAGES, folder=None):
    """The images, and the stream from which their draws came."""
    transformer = transformer_of(text_format.Parse(text, TransformationParameter()), phase, folder)
    transformer.seed_from(RandomStream(7))
    draws = transformer.draw(len(images))
    fit = transformer.fit(images.shape[1:])
    places, out = transformer.places(fit, draws), np.full((len(images), *fit.top_shape), np.nan, np.float32)
    transformer.apply(images, places, out)
    one = np.empty_like(out[0])
    transformer.apply_to_one(images[3].transpose(1, 2, 0).copy().transpose(2, 0, 1), places, 3, one)
    np.testing.assert_array_equal(one, out[3])
    return out, RandomStream(RandomStream(7).raw())


def resized(part, size):
    pixels = np.ascontiguousarray(part.transpose(1, 2, 0))
    return image.resize(pixels, size, size).transpose(2, 0, 1)


def test_sizes_of_tsn():
    # 1 and 0.875 of 256 are 256 and 224; 0.66 gives 168. Neighbours in the list go together.
    sizes = crop_sizes(256, 340, (224, 224), (1, 0.875, 0.75, 0.66), 1)
    assert sizes == [
        (256, 256), (256, 224), (224, 256), (224, 224), (224, 192), (192, 224), (192, 192), (192, 168),
        (168, 192), (168, 168),
    ]  # fmt: skip
    assert crop_sizes(300, 226, (224, 224), (1,), 0) == [(224, 224)]  # 226 is nearly 224


@pytest.mark.parametrize("fixed", ["", "fix_crop: true", "fix_crop: true more_fix_crop: true"])
@pytest.mark.parametrize("multi_scale", [True, False])
def test_tsn(fixed, multi_scale):
    text = f"crop_size: 12 mirror: true is_flow: true scale: 0.5 mean_value: 10 {fixed} max_distort: 2 "
    if multi_scale:
        text += "multi_scale: true scale_ratios: [1, 0.75, 0.5]"
    elif not fixed:
        text += "scale_ratios: 0.3"
    found, stream = transformed(text)
    sizes = [(24, 24), (24, 18), (24, 12), (18, 24), (18, 18), (18, 12), (12, 24), (12, 18), (12, 12)]
    seen = set()
    for x, y in zip(IMAGES, found, strict=True):
        mirror = stream.raw() % 2
        h, w = sizes[stream.raw() % 9] if multi_scale else (12, 12)
        if fixed:
            quarter_h, quarter_w = (24 - h) // 4, (30 - w) // 4
            grid = [(0, 0), (0, 4), (4, 0), (4, 4), (2, 2)]
            if "more" in fixed:
                grid += [(0, 2), (4, 2), (2, 0), (2, 4), (1, 1), (1, 3), (3, 1), (3, 3)]
            i, j = grid[stream.raw() % len(grid)]
            top, left = i * quarter_h, j * quarter_w
        else:
            top, left = stream.raw() % (24 - h + 1), stream.raw() % (30 - w + 1)
        part = x[:, top : top + h, left : left + w]
        values = resized(part, 12).astype(np.float32)
        if mirror:
            values[::2] = 255 - values[::2]
            values = values[:, :, ::-1]
        np.testing.assert_array_equal(y, (values - 10) * np.float32(0.5))
        seen.add((h, w, top, left))
    assert len(seen) > 3


def test_tsn_in_test():
    found, _ = transformed("crop_size: 12 multi_scale: true fix_crop: true", TEST)
    np.testing.assert_array_equal(found, IMAGES[:, :, 6:18, 9:21])


def test_mean_file_of_many_scales(tmp_path):
    mean = np.random.default_rng(1).random(SHAPE).astype(np.float32)
    binaryproto.write(tmp_path / "m.binaryproto", mean[None])
    text = 'crop_size: 24 multi_scale: true scale_ratios: 1 mean_file: "m.binaryproto"'
    found, stream = transformed(text, folder=tmp_path)
    for x, y in zip(IMAGES, found, strict=True):
        stream.raw()  # of one size
        stream.raw()
        left = stream.raw() % 7
        np.testing.assert_array_equal(y, x[:, :, left : left + 24] - mean[:, :, :24])


def test_flow_of_intel():
    found, stream = transformed("mirror: true flow: true", TEST, IMAGES[:, :3])
    for x, y in zip(IMAGES[:, :3], found, strict=True):
        values = x.copy()
        if stream.raw() % 2:
            values[2] = 255 - values[2]
            values = values[:, :, ::-1]
        np.testing.assert_array_equal(y, values)


def test_pad_of_intel():
    text = "crop_size: 12 pad: 2 mirror: true mean_value: 10.3 scale: 0.7"
    found, stream = transformed(text)
    assert found.shape == (40, 6, 16, 16)
    for x, y in zip(IMAGES, found, strict=True):
        mirror, top, left = stream.raw() % 2, stream.raw() % 13, stream.raw() % 19
        values = np.pad(x[:, top : top + 12, left : left + 12], [(0, 0), (2, 2), (2, 2)]).astype(np.float32)
        wanted = np.zeros_like(values)
        for h in range(2, 15):
            for w in range(2, 15):
                wanted[:, h, w] = np.rint((values[:, h, w] - np.float32(10.3)) * np.float32(0.7))
        np.testing.assert_array_equal(y, wanted[:, :, ::-1] if mirror else wanted)
    plain, _ = transformed("pad: 1 scale: 0.5", TEST)
    np.testing.assert_array_equal(plain[:, :, 1:-1, 1:-1], IMAGES * np.float32(0.5))
    assert not (plain[:, :, [0, -1]].any())
    assert not (plain[..., [0, -1]].any())


def test_levels_of_cysu():
    found, stream = transformed("crop_size: 8 multi_scale_levels: [1, 0.5, 1.3] mirror: true")
    for x, y in zip(IMAGES, found, strict=True):
        factor = [1, 0.5, float(np.float32(1.3))][stream.raw() % 3]
        mirror = stream.raw() % 2
        H, W = round(24 * factor), round(30 * factor)
        pixels = image.resize(np.ascontiguousarray(x.transpose(1, 2, 0)), H, W, factor).transpose(2, 0, 1)
        top, left = stream.raw() % (H - 8 + 1), stream.raw() % (W - 8 + 1)
        part = pixels[:, top : top + 8, left : left + 8]
        np.testing.assert_array_equal(y, part[:, :, ::-1] if mirror else part)


def test_levels_are_drawn_in_test():
    found, stream = transformed("crop_size: 8 multi_scale_levels: 1 multi_scale_levels: 1.5", TEST)
    for x, y in zip(IMAGES, found, strict=True):
        if stream.raw() % 2 == 0:
            np.testing.assert_array_equal(y, x[:, 8:16, 11:19])


def test_crop_from_the_middle_in_training():
    transformer = transformer_of(TransformationParameter(crop_size=12, center_crop=True), TRAIN, None)
    assert type(transformer) is Transformer
    found, _ = transformed("crop_size: 12 center_crop: true")
    np.testing.assert_array_equal(found, IMAGES[:, :, 6:18, 9:21])


@pytest.mark.parametrize("split", [False, True])
def test_clips(split, tmp_path):
    param = TransformationParameter(crop_size=12, mirror=True, mean_value=[1, 2, 3])
    transformer = ClipTransformer(param, TRAIN, None, 2, split)
    transformer.seed_from(RandomStream(7))
    fit, draws = transformer.fit(SHAPE), transformer.draw(40)
    assert fit.top_shape == ((3, 2, 12, 12) if split else (6, 12, 12))
    out = np.empty((40, *fit.top_shape), np.float32)
    transformer.apply(IMAGES, transformer.places(fit, draws), out)
    stream = RandomStream(RandomStream(7).raw())
    for x, y in zip(IMAGES, out, strict=True):
        mirror, top, left = stream.raw() % 2, stream.raw() % 13, stream.raw() % 19
        part = x[:, top : top + 12, left : left + 12].astype(np.float32)
        part = part[:, :, ::-1] if mirror else part
        wanted = (
            part.reshape(3, 2, 12, 12) - np.array([1, 2, 3]).reshape(3, 1, 1, 1)
            if split
            else part - np.array([1, 2, 3, 1, 2, 3]).reshape(6, 1, 1)
        )
        np.testing.assert_array_equal(y, wanted)


@pytest.mark.parametrize("shape", [(1, 3, 2, 24, 30), (1, 3, 24, 30)])
def test_means_of_clips(shape, tmp_path):
    mean = np.random.default_rng(1).random(shape).astype(np.float32)
    message = BlobProto(data=mean.ravel().tolist())
    message.shape.dim.extend(shape)
    (tmp_path / "m.binaryproto").write_bytes(message.SerializeToString())
    transformer = ClipTransformer(TransformationParameter(mean_file="m.binaryproto"), TEST, tmp_path, 2, True)
    cube = mean[0] if len(shape) == 5 else mean[0][:, None].repeat(2, axis=1)
    np.testing.assert_array_equal(transformer.fit(SHAPE).mean, cube.reshape(6, 24, 30))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("multi_scale: true multi_scale_levels: 1", "goes with mean_value, and without multi_scale"),
        ("multi_scale_levels: 1", "multi_scale and multi_scale_levels need a crop_size"),
        ("crop_size: 4 multi_scale_levels: 0", "multi_scale_levels must be above 0, got 0"),
        ("crop_size: 24 multi_scale_levels: 0.5", "of 24 x 30 smaller than the crop of 24 x 24"),
        ("crop_size: 4 multi_scale: true scale_ratios: 2", "needs scale_ratios above 0 and up to 1, got"),
        ("crop_size: 4 multi_scale: true max_distort: -1", "multi_scale finds no size of crops for records"),
        ('pad: 1 mean_file: "a"', "pad goes with mean_value"),
    ],
)
def test_errors(text, says, tmp_path):
    binaryproto.write(tmp_path / "a", np.zeros((1, *SHAPE), np.float32))
    with pytest.raises(DataError, match=says):
        transformed(text, folder=tmp_path)


def test_records_of_the_wrong_kind():
    for text, encoded, says in (
        ("flow: true", True, "transform_param.flow has no effect on encoded records in Intel's fork"),
        ("pad: 1", False, "transform_param.pad has no effect on records that are not encoded"),
        ("cvt_bgr2rgb: true", False, "cvt_bgr2rgb has no effect on records that are not encoded in Mobile"),
        ("original_image: true crop_size: 2", False, "original_image has no effect .* in TSN's fork"),
    ):
        transformer = transformer_of(text_format.Parse(text, TransformationParameter()), TRAIN, None)
        transformer.check_records(not encoded)
        with pytest.raises(DataError, match=says):
            transformer.check_records(encoded)


def test_floats_are_not_resized():
    with pytest.raises(DataError, match="are for pictures of bytes"):
        transformed("crop_size: 8 multi_scale_levels: 2", images=IMAGES.astype(np.float32))
