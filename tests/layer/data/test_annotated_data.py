"""AnnotatedData: what SSD's fork gave, then our own ways.

`tests/fixtures/annotated/` holds databases and, for each net in `index.json`, what the fork returned:
`data@K` and `label@K` after forward pass K, behind `seedS:` where something was random.
"""

import json
import logging
import shutil

import numpy as np
import pytest
from paths import FIXTURES
from picture_files import PLACE

from pycaffe_lite import random
from pycaffe_lite.blob import Blob
from pycaffe_lite.data.lmdb_writer import write_lmdb
from pycaffe_lite.errors import DataError, LayerError
from pycaffe_lite.layer.base import LayerContext
from pycaffe_lite.layer.registry import create_layer
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse

FOLDER = FIXTURES / "annotated"
CASES = json.loads((FOLDER / "index.json").read_text())
# Cubic interpolation is OpenCV's to one step of grey.
STEPS = {"warp_cubic": 1}
HERE = PLACE.format("AnnotatedData")
ALL = """
resize_param { height: 12 width: 16 interp_mode: [NEAREST, AREA, CUBIC] }
distort_param {
  brightness_prob: 0.5 brightness_delta: 32 contrast_prob: 0.5 contrast_lower: 0.5 contrast_upper: 1.5
  hue_prob: 0.5 hue_delta: 18 saturation_prob: 0.5 saturation_lower: 0.5 saturation_upper: 1.5
  random_order_prob: 0.5
}
expand_param { prob: 0.5 max_expand_ratio: 3 }
noise_param { saltpepper: true saltpepper_param { fraction: 0.1 value: 255 } }
emit_constraint { emit_type: CENTER }
mirror: true crop_h: 10 crop_w: 9 mean_value: 100
"""
SAMPLERS = """
batch_sampler { max_sample: 1 max_trials: 1 }
batch_sampler {
  sampler { min_scale: 0.3 max_scale: 1 min_aspect_ratio: 0.5 max_aspect_ratio: 2 }
  sample_constraint { min_jaccard_overlap: 0.3 } max_sample: 1 max_trials: 50
}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with copies of the databases: reading leaves a lock file in them."""
    for path in FOLDER.glob("*_lmdb"):
        shutil.copytree(path, tmp_path / path.name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", sorted(CASES))
def test_golden(name, folder):
    case = CASES[name]
    with np.load(FOLDER / f"{name}.npz") as golden:
        seeds = golden["seeds"].tolist() if case["random"] else [None]
        for seed in seeds:
            if seed is not None:
                random.set_random_seed(seed)
            net = Net(FOLDER / f"{name}.prototxt", case["phase"])
            prefix = "" if seed is None else f"seed{seed}:"
            for k in range(case["passes"]):
                net.forward()
                data, label = (golden[f"{prefix}{blob}@{k}"] for blob in ("data", "label"))
                assert net.blobs["label"].data.shape == label.shape
                np.testing.assert_allclose(net.blobs["label"].data, label, rtol=0, atol=1e-6)
                assert net.blobs["data"].data.shape == data.shape
                np.testing.assert_allclose(net.blobs["data"].data, data, rtol=0, atol=STEPS.get(name, 0))


class Rig:
    """A layer and its tops."""

    def __init__(
        self, transform="", own="", source="annotated_same_lmdb", phase=0, tops=2, batch_size=4, seed=3
    ):
        text = (
            f'name: "data" type: "AnnotatedData" transform_param {{ {transform} }} '
            f'data_param {{ source: "{source}" backend: LMDB batch_size: {batch_size} }} '
            f"annotated_data_param {{ {own} }}"
        )
        message = parse(text, caffe_pb2.LayerParameter).message
        message.phase = phase
        random.set_random_seed(seed)
        self.layer = create_layer(message, LayerContext(dtype=np.dtype(np.float32)))
        self.top = [Blob() for _ in range(tops)]
        self.layer.set_up([], self.top)

    def forward(self):
        self.layer.reshape([], self.top)
        self.layer.forward([], self.top)
        return [blob.data.copy() for blob in self.top]


@pytest.mark.parametrize("threads", [1, 3])
def test_batches_do_not_depend_on_threads(folder, threads, number_of_threads):
    rig = Rig(ALL, SAMPLERS)
    wanted = [rig.forward() for _ in range(4)]
    number_of_threads(threads)
    rig = Rig(ALL, SAMPLERS)
    for batch in wanted:
        for again, values in zip(rig.forward(), batch, strict=True):
            np.testing.assert_array_equal(again, values)


def test_random_pictures_keep_boxes_within(folder):
    rig = Rig(ALL, SAMPLERS)
    for _ in range(6):
        data, label = rig.forward()
        assert data.shape == (4, 3, 10, 9)
        rows = label.reshape(-1, 8)
        boxes = rows[rows[:, 0] >= 0][:, 3:7]
        assert ((boxes >= 0) & (boxes <= 1)).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()


@pytest.mark.parametrize("passes", [0, 1, 3])
def test_resumed_in_the_middle(folder, passes):
    rig = Rig(ALL, SAMPLERS)
    for _ in range(passes):
        rig.forward()
    state = rig.layer.state()
    wanted = [rig.forward() for _ in range(3)]
    other = Rig(ALL, SAMPLERS, seed=77)
    other.forward()
    assert other.layer.set_state(state) == ""
    for batch in wanted:
        for again, values in zip(other.forward(), batch, strict=True):
            np.testing.assert_array_equal(again, values)


def test_state_of_nothing_starts_afresh(folder):
    assert Rig(ALL, SAMPLERS).layer.set_state(b"") == (
        "its first record comes next: the one saved has a key of 0 bytes; its random crops and mirroring "
        "start afresh; its random samples and colours start afresh"
    )


def test_one_of_several_sizes_for_each_batch(folder):
    sizes = "resize_param { prob: 0.5 height: 12 width: 12 } resize_param { prob: 0.5 height: 16 width: 16 }"
    rig = Rig(sizes)
    assert {rig.forward()[0].shape for _ in range(12)} == {(4, 3, 12, 12), (4, 3, 16, 16)}


@pytest.mark.parametrize("difficult", [True, False])
def test_labels_for_yolo(folder, difficult):
    own = "" if difficult else "train_diffcult: false"
    _, label = Rig("", f"yolo_data_type: 1 yolo_data_jitter: 0 {own}", phase=1).forward()
    assert label.shape == (4, 1, 300, 5)
    record = caffe_pb2.AnnotatedDatum.FromString(records("annotated_same_lmdb")[0][1])
    wanted = [
        (
            group.group_label - 1,
            (b.xmin + b.xmax) / 2,
            (b.ymin + b.ymax) / 2,
            b.xmax - b.xmin,
            b.ymax - b.ymin,
        )
        for group in record.annotation_group
        for b in (annotation.bbox for annotation in group.annotation)
        if difficult or not b.difficult
    ]
    np.testing.assert_allclose(label[0, 0, : len(wanted)], wanted, atol=1e-6)
    assert not label[0, 0, len(wanted) :].any()


def test_without_labels(folder):
    (data,) = Rig(tops=1, phase=1).forward()
    assert data.shape == (4, 3, 18, 24)


def test_records_of_floats(folder):
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    datum = caffe_pb2.Datum(channels=2, height=3, width=4, float_data=values.ravel().tolist())
    write_lmdb(folder / "floats", [(b"0", caffe_pb2.AnnotatedDatum(datum=datum, type=0).SerializeToString())])
    data, label = Rig("scale: 2", source="floats", batch_size=1, phase=1).forward()
    np.testing.assert_array_equal(data[0], 2 * values)
    assert label.tolist() == [[[[-1.0] * 8]]]
    rig = Rig("resize_param { height: 2 width: 2 }", source="floats", batch_size=1, phase=1)
    with pytest.raises(
        DataError, match=r"record '0' of '.*floats': expand_param, resize_param and noise_param "
    ):
        rig.forward()


def records(name):
    from pycaffe_lite.data.lmdb_reader import LmdbReader

    return LmdbReader(FIXTURES / "annotated" / name).read(6)


def test_raw_records_are_not_distorted(folder, caplog):
    plain, _ = Rig(source="annotated_raw_lmdb", phase=1).forward()
    with caplog.at_level(logging.ERROR):
        rig = Rig("distort_param { contrast_prob: 1 }", source="annotated_raw_lmdb", phase=1)
        np.testing.assert_array_equal(rig.forward()[0], plain)
    assert caplog.messages == ["distort_param is for encoded records: those of this database are not"]


@pytest.mark.parametrize(
    ("transform", "own", "says"),
    [
        ("resize_param { width: 4 }", "", "resize_param needs height and width above 0, got 0 and 4"),
        (
            "resize_param { width: 4 height: 4 resize_mode: FIT_SMALL_SIZE }",
            "",
            "needs data_param.batch_size 1 for resize_mode FIT_SMALL_SIZE",
        ),
        (
            "resize_param { prob: 0.5 width: 4 height: 4 } resize_param { prob: 0.1 width: 4 height: 4 }",
            "",
            "needs resize_params whose prob sum to 1, got 0.6",
        ),
        ("expand_param { max_expand_ratio: 1 }", "", "needs max_expand_ratio above 1, got 1"),
        (
            'expand_param { max_expand_ratio: 2 } mean_file: "m"',
            "",
            "needs mean_value, not mean_file, beside expand_param: canvases differ in size",
        ),
        (
            "distort_param { contrast_lower: 2 contrast_upper: 1 }",
            "",
            "distort_param needs contrast_upper of contrast_lower or more, and that of 0 or more, got 1 "
            "and 2",
        ),
        ("distort_param { hue_delta: -1 }", "", "distort_param needs hue_delta of 0 or more, got -1"),
        ("crop_h: 4", "", "transform_param needs both crop_h and crop_w, got 4 and 0"),
        (
            "crop_h: 4 crop_w: 4 crop_size: 8",
            "",
            "transform_param has crop_size 8, and crop_h 4 and crop_w 4: leave one out",
        ),
        (
            "crop_h: 40 crop_w: 4",
            "",
            "record '00000000_img0' of 'annotated_same_lmdb': a crop of 40 x 4 does not fit records of shape "
            "(3, 18, 24): make it 18 x 24 at most",
        ),
        (
            "noise_param { saltpepper: true }",
            "",
            "noise_param.saltpepper needs saltpepper_param { value: ... }",
        ),
        (
            "noise_param { convert_to_lab: true }",
            "",
            "noise_param.convert_to_lab is not supported: in the forks that have it the result is read as "
            "something else than it is",
        ),
        (
            "",
            "batch_sampler { sampler { min_scale: 0 } }",
            "a sampler needs 0 < min_scale <= max_scale <= 1, got 0 and 1",
        ),
        (
            "",
            "batch_sampler { sampler { min_aspect_ratio: 3 max_aspect_ratio: 2 } }",
            "a sampler needs 0 < min_aspect_ratio <= max_aspect_ratio, got 3 and 2",
        ),
    ],
)
def test_errors(folder, transform, own, says):
    with pytest.raises((LayerError, DataError)) as raised:
        Rig(transform, own)
    assert str(raised.value).endswith(f"layer 'data' (AnnotatedData): {says}")


def test_a_record_that_is_none(folder):
    write_lmdb(folder / "broken", [(b"0", b"\xff\xff")])
    with pytest.raises(DataError, match=r"record '0' of 'broken' is not an AnnotatedDatum$"):
        Rig(source="broken")


def test_a_canvas_beyond_bounds(folder):
    rig = Rig("expand_param { max_expand_ratio: 1e6 }")
    with pytest.raises(
        DataError, match=r"would get a canvas of \d+ x \d+, more than \d+ pixels: lower max_expand"
    ):
        rig.forward()


def test_a_mean_of_one_number_for_each_channel(folder):
    plain, _ = Rig(phase=1).forward()
    other, _ = Rig("mean_value: [1, 2, 3] scale: 0.5", phase=1).forward()
    wanted = (plain - np.array([1, 2, 3], np.float32)[:, None, None]) * np.float32(0.5)
    np.testing.assert_array_equal(other, wanted)
