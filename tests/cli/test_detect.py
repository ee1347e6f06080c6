"""`pycaffe-lite detect`."""

import json

import numpy as np
import pytest
from PIL import Image
from test_detections import NET, picture

from pycaffe_lite.net.net import Net


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(NET)
    net = Net("net.prototxt", 1)
    weights = net.params["first"][0].data
    weights[...] = 0
    weights[1, 0, 0, 0] = weights[5, 1, 0, 0] = 1 / 255
    net.params["prior"][0].data[0, 0] = [0.1, 0.2, 0.5, 0.6, 0.5, 0, 2, 1]
    net.save("net.caffemodel")
    Image.fromarray(picture(blue=102, green=204)).save("a.png")
    Image.fromarray(picture()).save("b.png")
    return tmp_path


def test_table(run, here):
    (here / "names.txt").write_text("background\ncat\ndog\n")
    result = run("detect", "net.prototxt", "net.caffemodel", "a.png", "b.png", "--labels", "names.txt")
    assert result.code == 0
    rows = [line.split() for line in result.out if ".png" in line]
    assert rows == [
        ["a.png", "dog", "0.800", "20.0", "0.0", "40.0", "20.0"],
        ["a.png", "cat", "0.400", "4.0", "4.0", "20.0", "12.0"],
        ["b.png", "nothing"],
    ]


def test_json_and_drawings(run, here):
    (here / "more").mkdir()
    Image.fromarray(picture(green=255)).save("more/a.png")
    options = ("--json", "--out", "drawn", "--threshold", "0.5", "--mean", "0,0,51", "--scale", "1")
    result = run("detect", "net.prototxt", "net.caffemodel", "a.png", "more/a.png", *options)
    assert result.code == 0
    (line,) = result.out
    first, second = json.loads(line)
    box = [20.0, 0.0, 40.0, 20.0]
    assert first == {"image": "a.png", "objects": [{"label": 2, "name": "2", "score": 0.8, "box": box}]}
    assert second["objects"][0]["score"] == 1
    assert sorted(path.name for path in (here / "drawn").iterdir()) == ["a.png", "a_2.png"]
    assert not np.array_equal(np.asarray(Image.open("drawn/a.png")), np.asarray(Image.open("a.png")))


def test_a_folder_stands_for_its_pictures(run, here):
    (here / "readme.txt").write_text("no picture")
    result = run("detect", "net.prototxt", "net.caffemodel", ".", "--json")
    assert [entry["image"] for entry in json.loads(result.out[0])] == ["a.png", "b.png"]
    assert result.err == []


def test_mean_files(run, here):
    np.save("mean.npy", np.full((3, 4, 4), 51))
    result = run("detect", "net.prototxt", "net.caffemodel", "a.png", "--json", "--mean", "mean.npy")
    assert json.loads(result.out[0])[0]["objects"][0]["score"] == 0.6


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("a.png", "--mean", "none.npy"), "Error: cannot read the mean 'none.npy': "),
        (("none.png",), "Error: no such file: 'none.png'"),
        (("a.png", "--mean", "1,2"), "Error: mean must be a number, 3 numbers or of shape (3, H, W), got "),
    ],
)
def test_errors(run, here, arguments, says):
    result = run("detect", "net.prototxt", "net.caffemodel", *arguments)
    assert result.code == 1
    assert result.err[-1].startswith(says)


def test_misuse(run, here):
    assert run("detect", "net.prototxt", "net.caffemodel").code == 2
    assert run("detect", "net.prototxt", "net.caffemodel", "a.png", "--channel_swap", "0,1").code == 2
    (here / "empty").mkdir()
    assert "has no pictures" in run("detect", "net.prototxt", "net.caffemodel", "empty").err[-1]
