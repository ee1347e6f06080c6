"""WindowData: our own ways, besides what Caffe gave (test_golden_pictures)."""

import copy
import logging
import sys

import numpy as np
import pytest
from picture_files import PLACE, Rig, write_pictures

from pycaffe_lite.errors import DataError, LayerError
from pycaffe_lite.extras import missing
from pycaffe_lite.formats import binaryproto

HERE = PLACE.format("WindowData")
LIST = """# 0 0.png 3 8 10 3
1 0.9 1 1 5 6
0 0.1 0 0 9 7
0 0.2 4 2 8 7
# 1 1.png 3 8 10 2
2 0.6 2 3 7 4
0 0.0 0 5 3 7
"""


def layer(folder, own="", transform="crop_size: 6 mirror: true", **options):
    text = (
        f'window_data_param {{ source: "windows.txt" batch_size: 9 fg_fraction: 0.4 {own} }} '
        f"transform_param {{ {transform} }}"
    )
    return Rig(folder, "WindowData", text, **options)


@pytest.fixture
def folder(tmp_path):
    write_pictures(tmp_path, 2)
    (tmp_path / "windows.txt").write_text(LIST)
    return tmp_path


def test_background_first(folder):
    labels = layer(folder).forward()[1]
    assert (labels[:6] == 0).all()
    assert (labels[6:] > 0).all()


@pytest.mark.parametrize("threads", [1, 5])
@pytest.mark.parametrize("own", ["", "cache_images: true"])
def test_batches_do_not_depend_on_threads(folder, own, threads, number_of_threads):
    rig = layer(folder, "context_pad: 1")
    wanted = [rig.forward() for _ in range(6)]
    number_of_threads(threads)
    rig = layer(folder, f"context_pad: 1 {own}")
    for data, labels in wanted:
        again = rig.forward()
        np.testing.assert_array_equal(again[0], data)
        np.testing.assert_array_equal(again[1], labels)


def test_cached_files_are_read_once(folder):
    rig = layer(folder, "cache_images: true")
    first = [rig.forward() for _ in range(5)]
    state = layer(folder, "cache_images: true").layer.state()
    for name in ("0.png", "1.png"):
        (folder / name).unlink()
    rig.layer.set_state(state)
    np.testing.assert_array_equal(rig.forward()[0], first[0][0])


@pytest.mark.parametrize("passes", [0, 3])
def test_resumed_in_the_middle(folder, passes):
    rig = layer(folder)
    for _ in range(passes):
        rig.forward()
    state = rig.layer.state()
    wanted = [rig.forward() for _ in range(4)]
    other = layer(folder, seed=77)
    other.forward()
    assert other.layer.set_state(state) == ""
    for data, labels in wanted:
        again = other.forward()
        np.testing.assert_array_equal(again[0], data)
        np.testing.assert_array_equal(again[1], labels)


def test_states_of_something_else(folder):
    rig = layer(folder)
    afresh = "its windows are drawn afresh: "
    problem = f"{afresh}'{folder}/windows.txt' has changed since the state was saved"
    assert rig.layer.set_state(b"????" + rig.layer.state()[4:]) == problem
    problem = f"{afresh}3 bytes are not the state of a random stream"
    assert rig.layer.set_state(rig.layer.state()[:4] + b"???") == problem


@pytest.mark.parametrize("content", ["none", "cut", "text"])
def test_a_picture_that_cannot_be_read_ends_the_batch(folder, caplog, content):
    """As in Caffe: zeros from there on, an error in the log; and nothing is drawn for what is left out."""
    rig = layer(folder)
    windows, sampler = rig.layer._source._windows, rig.layer._source._sampler
    sampler = copy.deepcopy(sampler)
    file = folder / "1.png"
    if content == "none":
        file.unlink()
    else:
        file.write_bytes(b"no picture" if content == "text" else file.read_bytes()[:100])
    with caplog.at_level(logging.ERROR):
        cut = [rig.forward() for _ in range(6)]
        rig.layer.set_state(rig.layer.state())  # ends the threads
    for data, labels in cut:
        wanted = []
        for i in range(9):
            kind = windows.background if i < 6 else windows.foreground
            drawn = sampler.below(len(kind.pictures))
            sampler.below(2)
            if windows.names[kind.pictures[drawn]] == "1.png":
                break
            wanted.append(kind.labels[drawn])
        good = len(wanted)
        assert data[:good].reshape(good, 108).any(1).all()
        assert not data[good:].any()
        assert labels.tolist() == wanted + [0] * (9 - good)
        end = f"; the last {9 - good} windows of the batch are zeros with label 0, as in Caffe"
        assert good == 9 or any(end in line and "1.png" in line for line in caplog.messages)
    if content == "text":
        start = f"'{folder}/windows.txt': picture '{file}': its 10 bytes are not those of an image; the last "
        assert caplog.messages[0].startswith(start)


def test_without_pillow(folder, monkeypatch):
    """That is no picture which cannot be read: all of them would be zeros."""
    monkeypatch.setitem(sys.modules, "PIL", None)
    refuses(HERE + missing("reading pictures", "Pillow", "image"), layer, folder)


def refuses(message, function, *args, kind=DataError):
    with pytest.raises(kind) as raised:
        function(*args)
    assert str(raised.value) == message
    assert type(raised.value) is kind


@pytest.mark.parametrize(
    ("own", "transform", "message"),
    [
        ("batch_size: 0", "crop_size: 6", "needs window_data_param.batch_size > 0"),
        ("", "", "needs transform_param.crop_size > 0, the size of the items"),
        ('crop_mode: "round"', "crop_size: 6", 'needs crop_mode "warp" or "square", got "round"'),
        ("context_pad: 3", "crop_size: 6", "needs a context_pad below half of crop_size 6, got 3"),
        ("fg_fraction: 1.5", "crop_size: 6", "needs fg_fraction from 0 to 1, got 1.5"),
    ],
)
def test_settings_that_cannot_be(folder, own, transform, message):
    text = f'window_data_param {{ source: "windows.txt" {own or "batch_size: 1"} }}'
    if "batch_size" not in text:
        text = text.replace("{ ", "{ batch_size: 1 ", 1)
    text += f" transform_param {{ {transform} }}"
    refuses(HERE + message, Rig, folder, "WindowData", text, kind=LayerError)


@pytest.mark.parametrize("shape", [(3, 5, 9), (1, 9, 9), (3, 6, 9)])
def test_a_mean_of_another_shape(folder, shape):
    binaryproto.write(folder / "mean.binaryproto", np.zeros((1, *shape), np.float32))
    message = (
        f"{HERE}mean_file 'mean.binaryproto' has shape {shape}, of whose middle no (3, 6, 6) can be taken: "
        "make the mean of larger colour pictures"
    )
    refuses(message, layer, folder, "", 'crop_size: 6 mean_file: "mean.binaryproto"')
    message = f"{HERE}2 mean_values do not fit pictures of 3 channels: give one, or 3"
    refuses(message, layer, folder, "", "crop_size: 6 mean_value: 1 mean_value: 2")


def test_a_window_outside_its_picture(folder):
    text = LIST.replace("1 1 5 6", "1 1 5 8").replace("2 3 7 4", "2 3 7 8")
    (folder / "windows.txt").write_text(text)
    with pytest.raises(DataError) as raised:
        layer(folder).forward()
    place = f"{HERE}'{folder}/windows.txt': window "
    assert str(raised.value) in {
        f"{place}{box} of picture '{i}.png', which has 10 x 8 pixels, does not lie inside the picture"
        for i, box in enumerate(("1 1 5 8", "2 3 7 8"))
    }
    layer(folder, "context_pad: 1").forward()  # what is outside is zeros then
