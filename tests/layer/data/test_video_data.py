"""VideoData of TSN and of video-caffe, against loops."""

import numpy as np
import pytest
from picture_files import Rig
from PIL import Image

from pycaffe_lite.data import image
from pycaffe_lite.errors import DataError, PycaffeError
from pycaffe_lite.layer.registry import type_of
from pycaffe_lite.proto.caffe_pb2 import TEST, TRAIN, LayerParameter
from pycaffe_lite.proto.prototxt import parse
from pycaffe_lite.random import RandomStream

LENGTHS = [12, 5, 9]


@pytest.fixture
def videos(tmp_path):
    """Three videos, frames (T, 10, 14, 3) and flow (T, 2, 10, 14), and lists of them."""
    rng = np.random.default_rng(0)
    made = []
    for n, length in enumerate(LENGTHS):
        folder = tmp_path / f"video{n}"
        folder.mkdir()
        frames = rng.integers(0, 256, (length, 10, 14, 3), np.uint8)
        flow = rng.integers(0, 256, (length, 2, 10, 14), np.uint8)
        for t in range(length):
            for name in (f"image_{t + 1:04}.png", f"{t + 1:06}.jpg"):
                with (folder / name).open("wb") as file:
                    Image.fromarray(frames[t, ..., ::-1]).save(file, "PNG")
            for i, direction in enumerate("xy"):
                Image.fromarray(flow[t, i]).save(folder / f"flow_{direction}_{t + 1:05}.png")
        made.append((frames, flow))
    (tmp_path / "list.txt").write_text("".join(f"video{n} {LENGTHS[n]} {n + 3}\n" for n in range(3)))
    (tmp_path / "chunks.txt").write_text("video0 3 1\nvideo2 1 0\nvideo1 2 7\n")
    for file in tmp_path.glob("video?/image_*.png"):
        file.with_suffix(".jpg").write_bytes(file.read_bytes())  # files are known by what they hold
    return made


RGB = 'source: "list.txt" batch_size: 2 new_length: 2 num_segments: 3 modality: RGB'
FLOW = 'source: "list.txt" batch_size: 2 new_length: 2 name_pattern: "flow_%c_%05d.png"'
CHUNKS = 'source: "chunks.txt" batch_size: 2 new_length: 3'


def rig(tmp_path, own, transform="", phase=TRAIN, seed=5):
    text = f"video_data_param {{ {own} }} transform_param {{ {transform} }}"
    return Rig(tmp_path, "VideoData", text, phase, seed)


def forward(found):
    found.forward()
    return [blob.data.copy() for blob in found.top]


def test_pictures_of_segments(videos, tmp_path):
    found = rig(tmp_path, RGB)
    places = RandomStream(RandomStream(5).raw())
    places.raw_array(3)
    n = 0
    for _ in range(3):
        data, label = forward(found)
        assert data.shape == (2, 18, 10, 14)
        assert label.shape == (2, 1, 1, 1)
        for item, number in zip(data, label.ravel(), strict=True):
            frames, share, wanted = videos[n][0], LENGTHS[n] // 3, []
            for segment in range(3):
                start = segment * share + places.raw() % (share - 1) if share >= 2 else 0
                wanted += [frames[start + t].transpose(2, 0, 1) for t in range(2)]
            np.testing.assert_array_equal(item, np.concatenate(wanted))
            assert number == n + 3
            n = (n + 1) % 3


def test_middle_in_test(videos, tmp_path):
    data, _ = forward(rig(tmp_path, RGB, phase=TEST))
    # Parts of 4 frames have 3 places, of which the middle one is 1.
    frames = videos[0][0][[1, 2, 5, 6, 9, 10]]
    np.testing.assert_array_equal(data[0], frames.transpose(0, 3, 1, 2).reshape(18, 10, 14))
    # A part of 1 frame is too short: all begin with the first frame.
    np.testing.assert_array_equal(data[1, :6], data[1, 6:12])
    np.testing.assert_array_equal(data[1, :3], videos[1][0][0].transpose(2, 0, 1))


def test_flow(videos, tmp_path):
    transform = "mirror: true is_flow: true mean_value: 128 crop_size: 8"
    found = rig(tmp_path, FLOW, transform)
    stream = RandomStream(5)
    stream.raw()
    places, draws = RandomStream(stream.raw()), RandomStream(stream.raw())
    places.raw()
    data, _ = forward(found)
    for item, n in zip(data, (0, 1), strict=True):
        start = places.raw() % (LENGTHS[n] - 1)
        mirror, y, x = draws.raw() % 2, draws.raw() % 3, draws.raw() % 7
        part = videos[n][1][start : start + 2].reshape(4, 10, 14)[:, y : y + 8, x : x + 8].astype(np.float32)
        if mirror:
            part[::2] = 255 - part[::2]
            part = part[:, :, ::-1]
        np.testing.assert_array_equal(item, part - 128)


def test_grey_and_resized(videos, tmp_path):
    own = RGB.replace("num_segments: 3", "grayscale: true new_height: 5 new_width: 9")
    data, _ = forward(rig(tmp_path, own, phase=TEST))
    assert data.shape == (2, 2, 5, 9)
    grey = image.read(tmp_path / "video0" / "image_0006.jpg", False).pixels
    np.testing.assert_array_equal(data[0, 0], image.resize(grey, 5, 9)[..., 0])


def test_clips_with_an_axis_of_frames(videos, tmp_path):
    data, label = forward(rig(tmp_path, CHUNKS, "mean_value: [1, 2, 3]", TEST))
    assert data.shape == (2, 3, 3, 10, 14)
    for item, frames in zip(data, (videos[0][0][2:5], videos[2][0][0:3]), strict=True):
        np.testing.assert_array_equal(
            item, frames.transpose(3, 0, 1, 2) - np.array([1, 2, 3.0]).reshape(3, 1, 1, 1)
        )
    np.testing.assert_array_equal(label, [1, 0])


def test_every_second_frame(videos, tmp_path):
    own = 'source: "chunks.txt" new_length: 3 use_image: true sampling_rate: 2'
    data, _ = forward(rig(tmp_path, own, phase=TEST))
    np.testing.assert_array_equal(data[0], videos[0][0][[2, 4, 6]].transpose(3, 0, 1, 2))


@pytest.mark.parametrize("own", [RGB + " shuffle: true", CHUNKS + " shuffle: true rand_skip: 2"])
@pytest.mark.parametrize("batches", [0, 1, 4])
def test_goes_on_from_its_state(own, batches, videos, tmp_path):
    first, second = (rig(tmp_path, own, "mirror: true crop_size: 4", seed=s) for s in (5, 99))
    for _ in range(batches):
        forward(first)
    assert second.layer.set_state(first.layer.state()) == ""
    for _ in range(5):
        for a, b in zip(forward(first), forward(second), strict=True):
            np.testing.assert_array_equal(a, b)


def test_whose_layer_it_is():
    for own, origin in (
        (CHUNKS, "video-caffe and C3D"),
        ('source: "a" new_length: 8 root_folder: "b" is_color: true', "video-caffe and C3D"),
        ('source: "a" modality: FLOW', "TSN"),
        ('source: "a" num_segments: 3 new_length: 2', "TSN"),
        ('video_type: VIDEO video_file: "a"', "TSN"),
    ):
        message = parse(f'type: "VideoData" video_data_param {{ {own} }}', LayerParameter).message
        assert type_of(message).origin == origin


@pytest.mark.parametrize(
    ("own", "says"),
    [
        (
            'video_type: VIDEO video_file: "a.mp4"',
            "reads a camera or a video file in SSD's fork, which cannot",
        ),
        ("modality: RGB batch_size: 0", "needs video_data_param.batch_size > 0"),
        ("modality: RGB batch_size: 1 new_length: 0", "needs new_length and num_segments above 0, got 0, 1"),
        (
            "modality: RGB batch_size: 1 new_width: 3",
            "needs both new_height and new_width above 0, or neither",
        ),
        ('source: "none" batch_size: 1 modality: RGB', "no such file: 'none'"),
        (RGB + ' name_pattern: "a%d%d"', "name_pattern 'a%d%d' must have %d, as 'image_%04d.jpg' has"),
        (FLOW.replace("%c", ""), "must have %c and %d, as 'flow_%c_%04d.jpg' has"),
        (RGB + ' name_pattern: "no%d"', "video0/no2"),
        ('source: "video0" batch_size: 1 modality: RGB', "video0"),
        (
            'source: "words.txt" batch_size: 1 modality: RGB',
            "must be a folder, the number of its frames and a",
        ),
        ('source: "empty.txt" batch_size: 1 modality: RGB', "is empty: write a line for each clip"),
        ('source: "chunks.txt" sampling_rate: 2', "needs use_image: true"),
        (CHUNKS + " rand_skip: 1000000", "rand_skip 1000000 leaves out the first"),
    ],
)
def test_errors(own, says, videos, tmp_path):
    (tmp_path / "words.txt").write_text("video0 twelve 3\n")
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(PycaffeError) as raised:
        rig(tmp_path, own, phase=TEST)
    assert says in str(raised.value)


def test_frames_of_two_sizes(videos, tmp_path):
    Image.new("RGB", (3, 3)).save(tmp_path / "video0" / "image_0004.jpg")
    with pytest.raises(DataError, match=r"frame 'image_0004.jpg' has shape \(3, 3, 3\), the first has"):
        rig(tmp_path, CHUNKS)
