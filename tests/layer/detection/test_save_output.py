"""Files of detections, against those that SSD's fork wrote (tests/fixtures/save_output)."""

import json
import shutil

import numpy as np
import pytest
from layer_check import build_layer
from paths import FIXTURES

from pycaffe_lite.errors import LayerError, NetError
from pycaffe_lite.layer.detection.save_output import read_labels, read_names
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2

GOLDEN = FIXTURES / "save_output"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the cases without the files that are to be written, as working directory."""
    shutil.copytree(GOLDEN, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("out_*"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["voc", "voc_resize", "coco", "coco_resize", "ilsvrc"])
def test_what_the_fork_wrote(folder, name):
    net = Net(f"{name}.prototxt", caffe_pb2.TEST)
    with np.load("inputs.npz") as inputs:
        for blob in net.inputs:
            net.blobs[blob].data[...] = inputs[f"in:{blob}"]
    net.forward()
    recorded = {file.name: file.read_text() for file in (GOLDEN / f"out_{name}").iterdir()}
    written = {file.name: file.read_text() for file in (folder / f"out_{name}").iterdir()}
    assert written.keys() == recorded.keys()
    for file, text in recorded.items():
        if name.startswith("coco"):
            for got, right in zip(json.loads(written[file]), json.loads(text), strict=True):
                assert (got["image_id"], got["category_id"]) == (right["image_id"], right["category_id"])
                np.testing.assert_allclose(got["bbox"], right["bbox"], atol=0.011)
                assert got["score"] == pytest.approx(right["score"], rel=1e-6)
        else:
            for got, right in zip(written[file].splitlines(), text.splitlines(), strict=True):
                got, right = got.split(), right.split()
                assert got[0] == right[0]
                np.testing.assert_allclose(
                    [float(v) for v in got[1:]], [float(v) for v in right[1:]], rtol=1e-5
                )


PRIOR = np.array([[[0.0, 0, 0.5, 0.5], [0.1] * 4]]).reshape(1, 2, 4)
NAMES = 'label_map_file: "labels" name_size_file: "names"'
LABELS = 'item { name: "none" label: 0 } item { name: "cat" label: 1 }\n'


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels").write_text(LABELS)
    (tmp_path / "names").write_text("one 100 200\n\ntwo 50 50\n")
    return tmp_path


def layer(options, scores, offsets=(0, 0, 0, 0)):
    count = len(scores)
    if "output_format" not in options:
        options += ' output_format: "VOC"'
    return build_layer(
        f'type: "DetectionOutput" detection_output_param {{ num_classes: 3 confidence_threshold: 0.1 '
        f'save_output_param {{ output_directory: "out/here" output_name_prefix: "p_" {options} }} }}',
        [np.tile(offsets, (count, 1)), scores, PRIOR],
    )


def test_files_are_written_when_all_pictures_were_seen(files):
    rig = layer(NAMES + ' output_format: "VOC"', [[0.9, 0.8, 0.0]])
    rig.forward()
    assert not (files / "out").exists()
    rig.forward()
    (file,) = (files / "out" / "here").iterdir()  # none for the background
    assert file.name == "p_cat.txt"
    assert file.read_text() == "one 0.8 0 0 100 50\ntwo 0.8 0 0 25 25\n"
    rig.forward()
    rig.forward()  # the next round takes their place
    assert file.read_text() == "one 0.8 0 0 100 50\ntwo 0.8 0 0 25 25\n"


def test_num_test_image(files):
    layer(NAMES + ' output_format: "ILSVRC" num_test_image: 1', [[0, 0.8, 0.0]]).forward()
    assert (files / "out" / "here" / "p_.txt").read_text() == "one 1 0.8 0 0 100 50\n"


def test_hundredths_are_rounded_away_from_zero(files):
    (files / "names").write_text("one 1 1\n")
    rig = layer(NAMES + ' output_format: "COCO"', [[0, 0.8, 0.0]], [1.25, 0, 0, 0])
    rig.forward()
    (entry,) = json.loads((files / "out" / "here" / "p_.json").read_text())
    assert entry["bbox"][0] == pytest.approx(0.13)  # of 0.125


def test_the_background_of_the_layer_has_no_file(files):
    (files / "names").write_text("one 100 200\n")
    build_layer(
        'type: "DetectionOutput" detection_output_param { num_classes: 2 background_label_id: 1 '
        f'save_output_param {{ output_directory: "out" {NAMES} output_format: "VOC" }} }}',
        [np.zeros((1, 4)), [[0.9, 0.9]], PRIOR],
    ).forward()
    assert [file.name for file in (files / "out").iterdir()] == ["none.txt"]


@pytest.mark.parametrize(
    "options",
    ["", 'label_map_file: "labels"', 'name_size_file: "names"', f'{NAMES} output_format: ""'],
)
def test_without_all_that_is_needed_nothing_is_written(files, options):
    layer(options, [[0, 0.8, 0.0]] * 2).forward()
    assert not (files / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (f'{NAMES} output_format: "CSV"', "unknown output_format 'CSV' (known: VOC, COCO, ILSVRC)"),
        (f"{NAMES} num_test_image: 3", "'names' names 2 pictures, 3 are needed"),
        ('label_map_file: "labels" name_size_file: "empty"', "'empty' names 0 pictures, 1 are needed"),
        (
            'label_map_file: "labels" name_size_file: "torn"',
            "torn:1: needs 'NAME HEIGHT WIDTH', got 'one 100'",
        ),
        (
            'label_map_file: "labels" name_size_file: "flat"',
            "flat:1: needs a height and a width above 0, got 'one 0 5'",
        ),
        (
            f"{NAMES} resize_param {{ resize_mode: FIT_LARGE_SIZE_AND_PAD height: 3 }}",
            "needs height and width above 0 in resize_param, got 3 and 0",
        ),
    ],
)
def test_errors_at_setup(files, options, message):
    for name, text in (("empty", "\n"), ("torn", "one 100\n"), ("flat", "one 0 5\n")):
        (files / name).write_text(text)
    with pytest.raises(LayerError) as error:
        layer(options, [[0, 0.8, 0.0]])
    assert str(error.value) == f"layer 'layer' (DetectionOutput): {message}"


def test_a_label_map_that_lacks_a_class(files):
    rig = layer(NAMES, [[0, 0, 0.8]])
    with pytest.raises(LayerError) as error:
        rig.forward()
    assert str(error.value) == ("layer 'layer' (DetectionOutput): 'labels' has no name for class 2")


def test_a_box_that_is_nan(files):
    rig = layer(NAMES, [[0, 0.8, 0]], [np.nan, 0, 0, 0])
    with pytest.raises(LayerError) as error:
        rig.forward()
    assert str(error.value) == (
        "layer 'layer' (DetectionOutput): a box that was found in picture 'one' is NaN"
    )


def test_a_folder_that_cannot_be_made(files):
    (files / "out").write_text("")
    rig = layer(NAMES + " num_test_image: 1", [[0, 0.8, 0]])
    with pytest.raises(LayerError) as error:
        rig.forward()
    assert str(error.value) == (
        "layer 'layer' (DetectionOutput): cannot make the folder 'out/here': Not a directory"
    )


def test_files_that_are_not_there(files):
    """The net is built; its first pass, which would write, ends."""
    rig = layer('label_map_file: "labels" name_size_file: "nowhere"', [[0, 0.8, 0]])
    with pytest.raises(LayerError) as error:
        rig.forward()
    assert str(error.value).startswith("layer 'layer' (DetectionOutput): no such file: 'nowhere'")
    assert str(error.value).endswith("; put it there, or remove save_output_param")
    assert not (files / "out").exists()


def test_reading_names_and_labels(files):
    assert read_names(files / "names") == [("one", 100, 200), ("two", 50, 50)]
    assert read_labels(files / "labels") == {0: "none", 1: "cat"}
    (files / "names").write_text("one x 3\n")
    with pytest.raises(NetError) as error:
        read_names(files / "names")
    assert str(error.value) == f"{files / 'names'}:1: needs 'NAME HEIGHT WIDTH', got 'one x 3'"
