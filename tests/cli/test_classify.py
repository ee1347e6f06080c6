"""`pycaffe-lite classify` and `pycaffe-lite filters`."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from paths import FIXTURES, ROOT
from PIL import Image

import pycaffe_lite as caffe

LENET = (f"{ROOT}/models/lenet/lenet.prototxt", FIXTURES / "lenet" / "lenet_iter_50.caffemodel")
PICTURES = FIXTURES / "pycaffe" / "data" / "images"


@pytest.fixture
def digit(tmp_path):
    pixels = np.zeros((28, 28), np.uint8)
    pixels[5:23, 13:16] = 255
    Image.fromarray(pixels).save(tmp_path / "one.png")
    return tmp_path / "one.png"


@pytest.fixture(scope="module")
def googlenet(tmp_path_factory):
    path = tmp_path_factory.mktemp("googlenet") / "g.caffemodel"
    caffe.Net(f"{ROOT}/models/googlenet/googlenet.prototxt", caffe.TEST).save(path)
    return path


def test_the_best_classes_with_bars(run, digit, tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("".join(f"digit {i}\n" for i in range(10)))
    result = run(
        "classify", *LENET, digit, "--input-scale", 1 / 256, "--labels", labels, "--center-only", level=2
    )
    assert result.code == 0
    name, best, *others = result.out
    assert name == str(digit)
    score, bar, _, label = best.split()
    assert (bar[0], label) == ("█", "1")
    assert float(score) > 0.5
    assert len(others) == 4


def test_tables(run, digit, tmp_path):
    files = [tmp_path / name for name in ("o.csv", "o.json", "o.npy")]
    options = ["--csv", files[0], "--json", files[1], "--npy", files[2], "--top", 3]
    result = run("classify", *LENET, digit, digit, "--input_scale", 1 / 256, *options, level=2)
    assert result.out[-3:] == [f"wrote {file}" for file in files]
    rows = list(csv.DictReader(files[0].read_text().splitlines()))
    assert [(row["image"], row["rank"]) for row in rows] == [(str(digit), str(i)) for i in (1, 2, 3)] * 2
    found = json.loads(files[1].read_text())
    scores = np.load(files[2])
    assert scores.shape == (2, 10)
    assert found[0]["score"] == pytest.approx(scores[0].max())
    assert found[0]["class"] == scores[0].argmax()


def test_scores_that_are_not_finite(run, digit, tmp_path):
    """Those of a training that has diverged, say."""
    table = tmp_path / "o.json"
    result = run("classify", *LENET, digit, "--raw-scale", "nan", "--json", table, level=2)
    assert result.code == 0
    assert [line.split() for line in result.out[1:3]] == [["nan", "0"], ["nan", "1"]]
    assert [row["score"] for row in json.loads(table.read_text())] == [None] * 5


def test_drawings(run, digit, tmp_path):
    options = [(f"--{what}", tmp_path / f"{what}.png") for what in ("activations", "saliency", "occlusion")]
    scale = ("--input-scale", 1 / 256)
    result = run("classify", *LENET, digit, *scale, *(part for pair in options for part in pair), level=2)
    assert result.out[-3:] == [f"wrote {file}" for _, file in options]
    for _, file in options:
        with Image.open(file) as picture:
            pixels = np.asarray(picture.convert("RGB"), int)
        assert (pixels.max(2) - pixels.min(2) > 100).sum() > 100  # coloured


def test_a_folder_with_a_broken_picture(run, digit, tmp_path):
    (tmp_path / "two.png").write_bytes(b"x")
    result = run("classify", *LENET, tmp_path, "--input-scale", 1 / 256, level=2)
    assert result.code == 1
    assert result.out[0] == str(digit)
    assert result.err[0].startswith(f"{tmp_path}/two.png: cannot read")
    assert result.err[1] == "Error: 1 of 2 pictures could not be read"


def test_googlenet(run, googlenet, tmp_path):
    picture = next(PICTURES.glob("big.png"))
    model = f"{ROOT}/models/googlenet/googlenet.prototxt"
    drawings = ("--activations", tmp_path / "a.png", "--saliency", tmp_path / "s.png")
    result = run(
        "classify", model, googlenet, picture, "--mean", "104,117,123", "--center-only", *drawings, level=2
    )
    assert result.code == 0
    assert len(result.out) == 1 + 5 + 2
    result = run("filters", googlenet, "conv1/7x7_s2", tmp_path / "f.png", level=2)
    assert result.out == [f"wrote {tmp_path / 'f.png'}"]
    with Image.open(tmp_path / "f.png") as sheet:
        assert sheet.width > 8 * 40


def test_misuse(misused, fails, digit, tmp_path):
    assert misused("classify", *LENET, digit, digit, "--saliency", "a.png") == (
        "Error: --activations, --saliency and --occlusion draw one picture, not 2."
    )
    assert misused("classify", *LENET, digit, "--images-dim", "5").endswith("'5' is not of the form 256,256")
    assert misused("classify", *LENET, digit, "--channel_swap", "a,b").endswith("is not of the form 2,1,0")
    assert fails("classify", *LENET, "none.png") == "Error: no such file: 'none.png'"


def test_filters(run, fails, tmp_path):
    result = run("filters", LENET[1], "conv2", tmp_path / "f.png", level=2)
    assert (result.code, result.out) == (0, [f"wrote {tmp_path / 'f.png'}"])
    line = fails("filters", LENET[1], "conv3", Path("f.png"))
    assert line.endswith("has no layer 'conv3' (did you mean 'conv2'?)")
