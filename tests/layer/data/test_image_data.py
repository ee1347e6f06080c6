"""ImageData: our own ways, besides what Caffe gave (test_golden_pictures)."""

import logging

import numpy as np
import pytest
from picture_files import PLACE, Rig, write_pictures
from PIL import Image

from pycaffe_lite import random
from pycaffe_lite.data import image
from pycaffe_lite.errors import DataError, FileLookupError, LayerError
from pycaffe_lite.formats import binaryproto
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.random import RandomStream
from pycaffe_lite.solver import get_solver

HERE = PLACE.format("ImageData")
RANDOM = "transform_param { crop_size: 6 mirror: true }"


def layer(folder, own="batch_size: 4", more="", **options):
    return Rig(folder, "ImageData", f'image_data_param {{ source: "list.txt" {own} }} {more}', **options)


@pytest.fixture
def pixels(tmp_path):
    return write_pictures(tmp_path)


def test_a_batch(tmp_path, pixels):
    data, labels = layer(tmp_path).forward()
    np.testing.assert_array_equal(data, np.stack(pixels[:4]).transpose(0, 3, 1, 2))
    assert labels.tolist() == [0, 1, 2, 3]


def test_no_thread_before_the_first_pass(tmp_path, pixels):
    rig = layer(tmp_path)
    assert rig.layer._prefetcher is None
    assert rig.top[0].shape == (4, 3, 8, 10)
    assert rig.top[1].shape == (4,)


@pytest.mark.parametrize(
    ("own", "more", "draws"),
    [
        ("", "", 1),
        ("shuffle: true", "", 2),
        ("rand_skip: 3", "", 2),
        ("shuffle: true rand_skip: 3", RANDOM, 5),
        ("", RANDOM, 3),
    ],
)
def test_draws_of_the_main_stream(tmp_path, pixels, own, more, draws):
    layer(tmp_path, own, more, seed=9)
    wanted = random.RandomStream(9)
    wanted.raw_array(draws)
    assert random.stream().raw() == wanted.raw()


def test_each_epoch_has_all_pictures(tmp_path, pixels):
    labels = layer(tmp_path, "batch_size: 7 shuffle: true").labels(3)
    epochs = [labels[i : i + 7] for i in (0, 7, 14)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_root_folder_and_list_beside_the_prototxt(tmp_path, pixels, monkeypatch):
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "own.txt").write_text("1.png 4\r\n")
    monkeypatch.chdir("/")
    for root in (f"{tmp_path}/", "", "../"):
        text = f'image_data_param {{ source: "own.txt" root_folder: "{root}" }}'
        data, labels = Rig(tmp_path / "nets", "ImageData", text).forward()
        np.testing.assert_array_equal(data[0], pixels[1].transpose(2, 0, 1))
        assert labels == [4]


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_batches_do_not_depend_on_threads(tmp_path, pixels, threads, number_of_threads):
    """Nor on how many are made ahead."""
    rig = layer(tmp_path, "batch_size: 9 shuffle: true", RANDOM)
    wanted = [rig.forward() for _ in range(6)]
    number_of_threads(threads)
    rig = layer(tmp_path, "batch_size: 9 shuffle: true", RANDOM + "data_param { prefetch: 1 }")
    for data, labels in wanted:
        again = rig.forward()
        np.testing.assert_array_equal(again[0], data)
        np.testing.assert_array_equal(again[1], labels)


def test_jpegs_that_are_cut_off_are_told_of_once(tmp_path, caplog):
    for i in range(3):
        Image.effect_noise((64, 64), 50).save(tmp_path / f"{i}.jpg")
        content = (tmp_path / f"{i}.jpg").read_bytes()
        (tmp_path / f"{i}.jpg").write_bytes(content[:-200])
    (tmp_path / "list.txt").write_text("0.jpg 0\n1.jpg 1\n2.jpg 2\n")
    with caplog.at_level(logging.WARNING):
        layer(tmp_path, "batch_size: 3").forward()
    assert caplog.messages == [
        f"line 1 of '{tmp_path}/list.txt': '{tmp_path}/0.jpg' is a JPEG that is cut off: what is missing is "
        "grey, as in Caffe; others like it are not mentioned"
    ]


def test_fields_without_effect_are_said(tmp_path, pixels, caplog):
    more = "transform_param { force_color: true } data_param { batch_size: 3 }"
    with caplog.at_level(logging.WARNING):
        layer(tmp_path, "scale: 2", more)
    start = "layer 'data' (ImageData): "
    end = " has no effect, as in Caffe"
    assert caplog.messages == [
        f"{start}image_data_param.scale{end}: write transform_param.scale",
        f"{start}data_param.batch_size{end}",
        f"{start}transform_param.force_color{end}: write image_data_param.is_color",
    ]


def test_waiting_is_measured(tmp_path, pixels):
    rig = layer(tmp_path)
    assert rig.layer.seconds_waited == 0
    rig.forward()
    waited = rig.layer.seconds_waited
    assert waited > 0
    rig.layer.set_state(rig.layer.state())
    assert rig.layer.seconds_waited == waited


# --------------------------------------------------------------------------------------------- exact resume


@pytest.mark.parametrize("own", ["", "shuffle: true", "rand_skip: 5", "shuffle: true rand_skip: 5"])
@pytest.mark.parametrize("passes", [0, 1, 2, 9])
def test_an_epoch_resumed_in_the_middle(tmp_path, pixels, own, passes):
    """Batches of 4 of 7 pictures: whole epochs end in the middle of a batch."""
    rig = layer(tmp_path, f"batch_size: 4 {own}", RANDOM)
    for _ in range(passes):
        rig.forward()
    state = rig.layer.state()
    wanted = [rig.forward() for _ in range(5)]
    other = layer(tmp_path, f"batch_size: 4 {own}", RANDOM, seed=77)
    other.forward()
    assert other.layer.set_state(state) == ""
    assert other.layer.state() == state
    for data, labels in wanted:
        again = other.forward()
        np.testing.assert_array_equal(again[0], data)
        np.testing.assert_array_equal(again[1], labels)


def test_the_state_is_small(tmp_path, pixels):
    assert len(layer(tmp_path, "shuffle: true", RANDOM).layer.state()) < 2600


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda state: b"", "the state saved has 0 bytes"),
        (lambda state: b"????" + state[4:], "'{}/list.txt' has changed since the state was saved"),
        (
            lambda state: state[:12] + b"\xff" * 8 + state[20:],
            "shuffle was set otherwise when the state was saved",
        ),
    ],
)
def test_states_of_something_else(tmp_path, pixels, change, problem):
    rig = layer(tmp_path, "batch_size: 4 shuffle: true")
    first = rig.forward()
    problem = f"its list starts afresh: {problem.format(tmp_path)}"
    assert rig.layer.set_state(change(rig.layer.state())) == problem
    np.testing.assert_array_equal(rig.forward()[1], first[1])


NET = """
layer { name: "data" type: "ImageData" top: "data" top: "label" transform_param { crop_size: 6 mirror: true }
        image_data_param { source: "list.txt" batch_size: 3 shuffle: true } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
        inner_product_param { num_output: CLASSES weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


def test_a_training_resumed_from_its_snapshot(tmp_path, pixels):
    (tmp_path / "net.prototxt").write_text(NET.replace("CLASSES", "7"))
    (tmp_path / "solver.prototxt").write_text(
        f'net: "{tmp_path}/net.prototxt" snapshot_prefix: "{tmp_path}/s" random_seed: 4 base_lr: 0.0001 '
        'lr_policy: "fixed" max_iter: 8 snapshot: 4 display: 0'
    )
    solvers = [get_solver(tmp_path / "solver.prototxt") for _ in range(2)]
    solvers[0].solve()
    solvers[1].solve(f"{tmp_path}/s_iter_4.solverstate")
    for name in ("data", "label"):
        np.testing.assert_array_equal(*(solver.net.blobs[name].data for solver in solvers))
    np.testing.assert_array_equal(*(solver.net.params["ip"][0].data for solver in solvers))


# ------------------------------------------------------------------------------------------------ bad input


def refuses(message, function, *args, kind=DataError, **options):
    with pytest.raises(kind) as raised:
        function(*args, **options)
    assert str(raised.value) == message
    assert type(raised.value) is kind


def test_no_list(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = f"{HERE}no such file: 'list.txt' (looked in {tmp_path})"
    refuses(message, layer, None, kind=FileLookupError)


def test_a_picture_that_is_missing(tmp_path, pixels, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "2.png").unlink()
    rig = layer(tmp_path, "batch_size: 2")
    rig.forward()
    message = f"{HERE}line 3 of 'list.txt': no such file: '2.png' (looked in {tmp_path}, "
    for _ in range(2):
        with pytest.raises(FileLookupError) as raised:
            rig.forward()
        assert str(raised.value).startswith(message)


@pytest.mark.parametrize(
    ("content", "name", "hint"),
    [
        ("0.png 0\n".encode("utf-16-le"), "0\0.\0p\0n\0g\0", "save the list as UTF-8, not UTF-16"),
        (b"0.png\t0\n", "0.png\t0", "a space must stand before the label, not a tab"),
        (
            b"0.png 0\r1.png 1\r",
            "0.png 0\r1.png",
            "save the list with line feeds at the ends of its lines, not carriage returns alone",
        ),
    ],
)
def test_lists_that_other_programs_write(tmp_path, pixels, content, name, hint):
    (tmp_path / "list.txt").write_bytes(content)
    message = f"{HERE}line 1 of '{tmp_path}/list.txt': no such file: {name!r}; {hint}"
    refuses(message, layer, tmp_path, kind=FileLookupError)


def test_a_size_too_large_for_memory(tmp_path, pixels):
    message = (
        f"{HERE}cannot resize to 1000000 x 1000000 pixels, more than 67108864; to do it all the same, give "
        "--max_pixels or set PYCAFFE_LITE_MAX_PIXELS"
    )
    refuses(message, layer, tmp_path, "new_height: 1000000 new_width: 1000000")


def test_a_picture_that_cannot_be_decoded(tmp_path, pixels):
    path = tmp_path / "1.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError) as raised:
        layer(tmp_path).forward()
    message = f"{HERE}line 2 of '{tmp_path}/list.txt': picture '{path}': cannot decode an image of 60 bytes: "
    assert str(raised.value).startswith(message)


def test_of_several_bad_pictures_the_first_is_named(tmp_path, pixels):
    """However many threads look at them."""
    for i in (1, 2, 4, 6):
        (tmp_path / f"{i}.png").write_bytes(b"no picture")
    for _ in range(5):
        with pytest.raises(DataError, match=rf"^{PLACE.format('ImageData')[:5]}.*line 2 of "):
            layer(tmp_path, "batch_size: 7").forward()


def test_pictures_of_two_sizes(tmp_path, pixels):
    Image.new("RGB", (5, 6)).save(tmp_path / "2.png")
    message = (
        f"{HERE}line 3 of '{tmp_path}/list.txt': picture '2.png' has shape (3, 6, 5), '0.png' of the same "
        "batch has (3, 8, 10): give new_height and new_width, or crop_size, or batch_size 1"
    )
    refuses(message, layer(tmp_path).forward)
    layer(tmp_path, "batch_size: 4 new_height: 5 new_width: 4").forward()


def test_crops_of_pictures_of_all_sizes(tmp_path):
    """As Caffe takes them; only a mean_file fits one size alone."""
    sizes = [(8, 10), (6, 6), (9, 7), (12, 20)]
    pixels = []
    for i, (height, width) in enumerate(sizes):
        pixels.append(np.random.RandomState(i).randint(0, 256, (height, width, 3), np.uint8))
        Image.fromarray(pixels[-1][..., ::-1]).save(tmp_path / f"{i}.png")
    (tmp_path / "list.txt").write_text("".join(f"{i}.png {i}\n" for i in range(4)))
    stream = random.RandomStream(int(random.RandomStream(1).raw_array(2)[1]))
    data, _ = layer(tmp_path, "batch_size: 4", RANDOM).forward()
    for item, picture, (height, width) in zip(data, pixels, sizes, strict=True):
        mirror, row, column = stream.below(2), stream.below(height - 5), stream.below(width - 5)
        part = picture[row : row + 6, column : column + 6].transpose(2, 0, 1)
        np.testing.assert_array_equal(item, part[..., ::-1] if mirror else part)
    binaryproto.write(tmp_path / "mean.binaryproto", np.zeros((1, 3, 8, 10), np.float32))
    transform = 'transform_param { crop_size: 6 mean_file: "mean.binaryproto" }'
    message = (
        f"{HERE}line 2 of '{tmp_path}/list.txt': picture '1.png': mean_file 'mean.binaryproto' has shape "
        "(3, 8, 10), the pictures have (3, 6, 6): make the mean of these pictures"
    )
    refuses(message, layer(tmp_path, "batch_size: 4", transform).forward)
    message = (
        f"{HERE}line 2 of '{tmp_path}/list.txt': picture '1.png': crop_size 7 does not fit pictures of shape "
        "(3, 6, 6): make it 6 at most"
    )
    refuses(message, layer(tmp_path, "batch_size: 4", "transform_param { crop_size: 7 }").forward)


def test_a_crop_larger_than_the_pictures(tmp_path, pixels):
    message = f"{HERE}crop_size 9 does not fit pictures of shape (3, 8, 10): make it 8 at most"
    refuses(message, layer, tmp_path, "", "transform_param { crop_size: 9 }")


def test_a_mean_of_another_shape(tmp_path, pixels):
    binaryproto.write(tmp_path / "mean.binaryproto", np.zeros((1, 3, 8, 8), np.float32))
    message = (
        f"{HERE}mean_file 'mean.binaryproto' has shape (3, 8, 8), the pictures have (3, 8, 10): make the "
        "mean of these pictures"
    )
    refuses(message, layer, tmp_path, "", 'transform_param { mean_file: "mean.binaryproto" }')
    message = f"{HERE}2 mean_values do not fit pictures of shape (3, 8, 10): give one, or 3"
    refuses(message, layer, tmp_path, "", "transform_param { mean_value: 1 mean_value: 2 }")


def test_a_picture_beyond_the_limit_of_pixels(tmp_path, pixels, monkeypatch):
    monkeypatch.setattr("pycaffe_lite.data.image._max_pixels", 100)
    Image.new("RGB", (11, 10)).save(tmp_path / "1.png")
    message = (
        f"{HERE}line 2 of '{tmp_path}/list.txt': picture '{tmp_path}/1.png': it has 11 x 10 pixels, more "
        "than 100; to read it all the same, give --max_pixels or set PYCAFFE_LITE_MAX_PIXELS"
    )
    refuses(message, layer(tmp_path).forward)


def test_labels_beyond_the_classes(tmp_path, pixels):
    (tmp_path / "net.prototxt").write_text(NET.replace("CLASSES", "2"))
    random.set_random_seed(1)
    net = Net(tmp_path / "net.prototxt", caffe_pb2.TRAIN)
    with pytest.raises(LayerError) as raised:
        net.forward()
    labels = net.blobs["label"].data
    bad = int(np.flatnonzero(labels > 1)[0])
    assert str(raised.value) == (
        f"{tmp_path}/net.prototxt:6: layer 'loss' (SoftmaxWithLoss): label {labels[bad]:g} at ({bad},) is "
        "out of range: 2 classes, 0 to 1; set ignore_label to skip it"
    )


# ------------------------------------------------------------------------------------ sizes of forks' fields


@pytest.mark.parametrize(
    ("own", "shape"),
    [
        ("short_side: 4", (4, 5)),
        ("short_side: 16 new_height: 3 new_width: 3", (16, 20)),
        ("min_height: 16 min_width: 12", (16, 20)),
        ("min_height: 9 min_width: 30", (24, 30)),
        ("min_height: 8 min_width: 9", (8, 10)),
    ],
)
def test_sizes_that_follow(tmp_path, pixels, own, shape):
    """Of pictures of 8 x 10."""
    data, _ = layer(tmp_path, own).forward()
    assert data.shape == (1, 3, *shape)


def test_sizes_by_half(tmp_path, pixels):
    with pytest.raises(LayerError, match=r"min_height and min_width above 0, or neither, got 3 and 0$"):
        layer(tmp_path, "min_height: 3")


def test_crops_of_many_sizes_are_cut_from_resized_pictures(tmp_path):
    pixels = write_pictures(tmp_path, size=(16, 20))
    transform = "crop_size: 8 multi_scale: true scale_ratios: [1, 0.5] bgr2rgb: true mean_value: 7"
    own = 'image_data_param { source: "list.txt" batch_size: 3 new_height: 12 new_width: 18 }'
    rig = Rig(tmp_path, "ImageData", f"{own} transform_param {{ {transform} }}")
    main = RandomStream(1)
    main.raw()
    draws = RandomStream(main.raw())
    rig.forward()
    for item, picture in zip(rig.top[0].data, pixels, strict=False):
        small = image.resize(picture, 12, 18)[:, :, ::-1]
        height, width = [(12, 12), (12, 8), (8, 12), (8, 8)][draws.raw() % 4]  # 6 is nearly 8
        y, x = draws.raw() % (12 - height + 1), draws.raw() % (18 - width + 1)
        part = np.ascontiguousarray(small[y : y + height, x : x + width])
        np.testing.assert_array_equal(item, image.resize(part, 8, 8).transpose(2, 0, 1) - 7.0)
