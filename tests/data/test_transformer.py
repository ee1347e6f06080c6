import re

import numpy as np
import pytest

from pycaffe_lite.data.transformer import Transformer
from pycaffe_lite.errors import DataError, FileLookupError
from pycaffe_lite.formats import binaryproto
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.caffe_pb2 import TEST, TRAIN, TransformationParameter
from pycaffe_lite.random import RandomStream

ITEMS = np.random.RandomState(0).randint(0, 256, (3, 2, 6, 7), np.uint8)
F = np.float32


def run(items=ITEMS, phase=TEST, folder=None, seed=1, **fields):
    transformer = Transformer(TransformationParameter(**fields), phase, folder)
    transformer.seed_from(RandomStream(seed))
    return applied(transformer, items)


def applied(transformer, items):
    """What becomes of a batch; the same of its items one by one, as records and as pictures hold them."""
    fit, draws = transformer.fit(items.shape[1:]), transformer.draw(len(items))
    out = np.empty((len(items), *fit.top_shape), np.float32)
    places = transformer.places(fit, draws)
    transformer.apply(items, places, out)
    pictures = np.ascontiguousarray(items.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    for kind in (items, pictures):
        again = np.empty_like(out)
        for i, item in enumerate(kind):
            transformer.apply_to_one(item, places, i, again[i])
        np.testing.assert_array_equal(again, out)
        if items.dtype == np.uint8:
            crops = np.empty(out.shape, np.uint8)
            for i, item in enumerate(kind):
                transformer.cut(item, None, places, i, crops[i])
            transformer.finish(crops, places, again)
            np.testing.assert_array_equal(again, out)
    return out


def test_nothing_asked_for():
    np.testing.assert_array_equal(run(), ITEMS)


def test_scale_after_the_mean():
    wanted = (ITEMS.astype(F) - F(33.3)) * F(0.1)
    np.testing.assert_array_equal(run(scale=0.1, mean_value=[33.3]), wanted)


def test_mean_value_per_channel():
    wanted = ITEMS - np.array([10, 20.5], F)[:, None, None]
    np.testing.assert_array_equal(run(mean_value=[10, 20.5]), wanted)


@pytest.mark.parametrize("shape", [(1, 2, 6, 7), (2, 6, 7)])
def test_mean_file_is_cropped_with_the_items(tmp_path, shape):
    mean = np.random.RandomState(1).uniform(0, 255, shape).astype(F)
    binaryproto.write(tmp_path / "mean.binaryproto", mean[None] if mean.ndim == 3 else mean)
    wanted = (ITEMS - mean)[:, :, 1:5, 1:5]
    np.testing.assert_array_equal(run(folder=tmp_path, mean_file="mean.binaryproto", crop_size=4), wanted)


def test_crop_in_phase_test_is_the_centre():
    np.testing.assert_array_equal(run(crop_size=3), ITEMS[:, :, 1:4, 2:5])


def test_draws_of_an_item_are_mirror_row_column():
    stream = RandomStream(RandomStream(1).raw())
    out = run(phase=TRAIN, crop_size=4, mirror=True)
    for item, got in zip(ITEMS, out, strict=True):
        mirror, row, column = stream.below(2), stream.below(3), stream.below(4)
        wanted = item[:, row : row + 4, column : column + 4]
        np.testing.assert_array_equal(got, wanted[:, :, ::-1] if mirror else wanted)


def test_mirror_draws_in_phase_test_too():
    stream = RandomStream(RandomStream(1).raw())
    for item, got in zip(ITEMS, run(mirror=True), strict=True):
        np.testing.assert_array_equal(got, item[:, :, ::-1] if stream.below(2) else item)


@pytest.mark.parametrize(
    ("phase", "fields", "draws"),
    [
        (TRAIN, {}, 0),
        (TRAIN, {"crop_size": 3}, 1),
        (TEST, {"crop_size": 3}, 0),
        (TRAIN, {"mirror": True}, 1),
        (TEST, {"mirror": True}, 1),
        (TRAIN, {"mirror": True, "crop_size": 3}, 1),
    ],
)
def test_seed_is_drawn_where_something_is_random(phase, fields, draws):
    transformer = Transformer(TransformationParameter(**fields), phase, None)
    stream, wanted = RandomStream(5), RandomStream(5)
    transformer.seed_from(stream)
    wanted.raw_array(draws)
    assert stream.state() == wanted.state()


def test_state_brings_the_same_draws_back():
    transformer = Transformer(TransformationParameter(mirror=True, crop_size=2), TRAIN, None)
    transformer.seed_from(RandomStream(3))
    applied(transformer, ITEMS)
    state = transformer.state()
    wanted = applied(transformer, ITEMS)
    transformer.set_state(state)
    np.testing.assert_array_equal(applied(transformer, ITEMS), wanted)


def test_state_of_another_transformer():
    plain = Transformer(TransformationParameter(), TRAIN, None)
    assert plain.set_state(RandomStream(1).state()) == ""
    drawing = Transformer(TransformationParameter(mirror=True), TRAIN, None)
    drawing.seed_from(RandomStream(3))
    before = drawing.state()
    for state in (b"", b"short"):
        assert drawing.set_state(state) == "its random crops and mirroring start afresh"
        assert drawing.state() == before


def test_items_may_change_their_size():
    transformer = Transformer(TransformationParameter(mean_value=[1, 2]), TEST, None)
    for items in (ITEMS, ITEMS[:, :, :3], ITEMS):
        np.testing.assert_array_equal(applied(transformer, items), items - np.array([1, 2], F)[:, None, None])


@pytest.mark.parametrize(
    ("fields", "color"), [({}, None), ({"force_color": True}, True), ({"force_gray": True}, False)]
)
def test_color(fields, color):
    assert Transformer(TransformationParameter(**fields), TEST, None).color is color


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"mean_file": "m", "mean_value": [1]},
            "transform_param has both mean_file and mean_value: leave one out",
        ),
        (
            {"force_color": True, "force_gray": True},
            "transform_param has both force_color and force_gray: leave one out",
        ),
        ({"crop_size": 7}, "crop_size 7 does not fit records of shape (2, 6, 7): make it 6 at most"),
        ({"mean_value": [1, 2, 3]}, "3 mean_values do not fit records of shape (2, 6, 7): give one, or 2"),
    ],
)
def test_what_does_not_fit(fields, message):
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        run(**fields)


def test_mean_of_other_images(tmp_path):
    binaryproto.write(tmp_path / "m", np.zeros((1, 2, 6, 6), F))
    message = "mean_file 'm' has shape (2, 6, 6), the records have (2, 6, 7): make the mean of these records"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        run(folder=tmp_path, mean_file="m")


def write_blob(path, values):
    blob = caffe_pb2.BlobProto(data=values.ravel())
    blob.shape.dim.extend(values.shape)
    path.write_bytes(blob.SerializeToString())


@pytest.mark.parametrize("shape", [(2, 6, 7), (1, 2, 6, 7), (3, 2, 6, 7), (1, 2, 1, 6, 7)])
def test_means_of_several_axes(tmp_path, shape):
    """Of several images the first, as in Caffe; of clips of one frame, that frame."""
    mean = np.random.RandomState(1).uniform(0, 255, shape).astype(F)
    write_blob(tmp_path / "m", mean)
    wanted = ITEMS - mean.ravel()[: 2 * 6 * 7].reshape(2, 6, 7)
    np.testing.assert_array_equal(run(folder=tmp_path, mean_file="m"), wanted)


@pytest.mark.parametrize(
    ("shape", "why"),
    [
        (
            (1, 2, 16, 6, 7),
            ", the mean of clips of 16 frames: records are single images, whose mean has shape (1, C, H, W)",
        ),
        ((2, 2, 16, 6, 7), ": a mean image has shape (1, C, H, W)"),
        ((1, 1, 1, 2, 6, 7), ": a mean image has shape (1, C, H, W)"),
        ((0, 2, 6, 7), " and no values"),
    ],
)
def test_means_of_other_things(tmp_path, shape, why):
    write_blob(tmp_path / "m", np.zeros(shape, F))
    with pytest.raises(DataError) as raised:
        run(folder=tmp_path, mean_file="m")
    assert str(raised.value) == f"mean_file '{tmp_path}/m' has shape {shape}{why}"


def test_mean_that_is_not_there(tmp_path):
    with pytest.raises(FileLookupError, match=r"^no such file: 'm' "):
        run(folder=tmp_path, mean_file="m")
