"""The forms of `Net`, and what each argument may be."""

from pathlib import Path

import numpy as np
import pytest

from pycaffe_lite.errors import ArgumentError, ArgumentTypeError
from pycaffe_lite.net.arguments import net_arguments
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto.caffe_pb2 import TEST, TRAIN

NET = """
layer { name: "d" type: "Input" top: "x" input_param { shape { dim: 1 } } }
layer { name: "s" type: "Power" bottom: "x" top: "y" include { stage: "s" min_level: 1 } }
layer { name: "r" type: "Dropout" bottom: "x" top: "z" include { phase: TRAIN } }
"""


@pytest.fixture
def files(tmp_path):
    """A net, and a file of weights for it."""
    net = tmp_path / "net.prototxt"
    net.write_text(NET)
    Net(net, TEST).save(tmp_path / "w.caffemodel")
    return str(net), str(tmp_path / "w.caffemodel")


@pytest.mark.parametrize(
    "make",
    [
        lambda f, w: Net(f, TEST),
        lambda f, w: Net(f, TEST, 0),
        lambda f, w: Net(f, TEST, 0, None),
        lambda f, w: Net(f, TEST, 0, [], w),
        lambda f, w: Net(f, TEST, weights=w),
        lambda f, w: Net(f, TEST, weights=Path(w)),
        lambda f, w: Net(f, TEST, weights=f"{w}, {w}"),
        lambda f, w: Net(network_file=f, phase=TEST, level=0, stages=None, weights=None),
        lambda f, w: Net(f, weights=w, phase=TEST),
        lambda f, w: Net(f, w, TEST),
        lambda f, w: Net(f, w, phase=TEST),
        lambda f, w: Net(network_file=f, weights=w, phase=TEST),
        lambda f, w: Net(Path(f), Path(w), np.int64(TEST)),
        lambda f, w: Net(f.encode(), w.encode(), 1),
    ],
)
def test_forms_of_a_test_net(files, make):
    net = make(*files)
    assert (net.phase, net.state.level, net.layer_names) == (TEST, 0, ["d"])


def test_level_and_stages(files):
    for net in (
        Net(files[0], TEST, 1, ["s"]),
        Net(files[0], TEST, stages=("s",), level=1),
        Net(*files, TEST, level=1, stages=["s"]),
    ):
        assert net.layer_names == ["d", "s"]
    assert Net(files[0], TRAIN).layer_names == ["d", "r"]


@pytest.mark.parametrize(
    ("arguments", "keywords", "says"),
    [
        (("f",), {}, "the phase is missing: call Net(file, caffe.TEST), "),
        (("f", None), {}, "the phase is missing: call Net("),
        (("f", "w"), {}, "the phase is missing behind 'w': call Net("),
        (("f", Path("w")), {}, "the phase is missing behind 'w': call Net("),
        (("f", "w"), {"level": 1}, "the phase is missing behind 'w': call Net("),
        (("f", "w"), {"level": TEST, "stages": ["s"]}, "the phase is missing behind 'w': call Net("),
        (("f",), {"weights": "w"}, "the phase is missing: call Net("),
        (("f", "TEST"), {}, 'phase must be caffe.TEST, not the text "TEST"'),
        (("f", "train"), {}, 'phase must be caffe.TRAIN, not the text "train"'),
        (("f", "w", "TEST"), {}, 'phase must be caffe.TEST, not the text "TEST"'),
        (("f", "TEST"), {"weights": "w"}, 'phase must be caffe.TEST, not the text "TEST"'),
        (("f", "w"), {"weights": "w"}, "phase must be caffe.TRAIN or caffe.TEST, got 'w'"),
        (("f", 2), {}, "phase must be caffe.TRAIN or caffe.TEST, got 2"),
        (("f", True), {}, "phase must be caffe.TRAIN or caffe.TEST, got True"),
        (("f", 1.0), {}, "phase must be caffe.TRAIN or caffe.TEST, got 1.0"),
        (("f", "w", TEST, 1), {}, "Net(file, weights_file, phase) takes no further values, got 1"),
        (("f", "w", TEST), {"weights": "v"}, "weights are given twice: 'w' and 'v'"),
        (("f", "w"), {"weights": "v", "phase": TEST}, "weights are given twice: 'w' and 'v'"),
        (("f", TEST), {"phase": TRAIN}, "phase is given twice: 1 and 0"),
        (("f", "w", TRAIN), {"phase": TEST}, "phase is given twice: 0 and 1"),
        (("f", TEST, 0), {"phase": TEST}, "phase is given twice: 1 and 1"),
        (
            ("f", "", TEST),
            {},
            "weights, one file or several separated by commas, must be a path, got an empty",
        ),
        (("f", TEST), {"weights": "a,"}, "weights must be files separated by commas, got 'a,'"),
        (("f", TEST, "w"), {}, "level must be a whole number, got 'w'; for a file write weights='w'"),
        (("f", TEST, 0.5), {}, "level must be a whole number, got 0.5"),
        (("f", TEST, 2**31), {}, "level must be within -2147483648 and 2147483647, got 2147483648"),
        (("f", TEST, 0), {"level": 1}, "level is given twice: 0 and 1"),
        (("f", TEST, 0, "deploy"), {}, "stages must be a list of names, not a text: write ['deploy']"),
        (("f", TEST, 0, [1]), {}, "stages must be a list of names, got a list"),
        (("f", TEST, 0, 3), {}, "stages must be a list of names, got 3"),
        (("f", TEST, 0, None, ["w"]), {}, "weights, one file or several separated by commas, must be a path"),
        (("f", TEST, 0, None, "w", 1), {}, "Net takes 5 values at most, got 6: call Net("),
        ((TEST, "f"), {}, "the first argument of Net, a prototxt, must be a path, got 1"),
        (("", TEST), {}, "the first argument of Net, a prototxt, must be a path, got an empty text"),
    ],
)
def test_wrong_calls(arguments, keywords, says):
    file, *rest = arguments
    given = {"phase": None, "level": None, "stages": None, "weights": None, **keywords}
    with pytest.raises(ArgumentError) as raised:
        net_arguments(file, rest=rest, **given)
    assert str(raised.value).startswith(says)


def test_a_phase_that_is_missing_is_a_type_error_as_in_pycaffe(files):
    with pytest.raises(TypeError):
        Net(files[0])
    with pytest.raises(ArgumentTypeError, match="phase is missing"):
        Net(*files)


def test_a_file_of_weights_may_be_called_TEST(files, tmp_path, monkeypatch):  # noqa: N802
    monkeypatch.chdir(tmp_path)
    Path(files[1]).rename("TEST")
    assert Net(files[0], "TEST", TEST).phase == TEST


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda net: net.copy_from(net), "a weights file must be a path, got a Net"),
        (lambda net: net.load_hdf5(None), "a weights file must be a path, got None"),
        (lambda net: net.save(True), "the file to save to must be a path, got True"),
        (lambda net: net.save_hdf5(3), "the file to save to must be a path, got 3"),
        (lambda net: net.share_with("w"), "share_with takes a Net, got str; copy_from reads a file"),
        (lambda net: net.forward("x"), "blobs must be a list of names, not a text: write ['x']"),
        (lambda net: net.forward(np.ones(1)), "blobs must be a list of names, got a ndarray"),
        (lambda net: net.backward("x"), "diffs must be a list of names, not a text: write ['x']"),
    ],
)
def test_other_methods(files, call, says):
    with pytest.raises(ArgumentTypeError) as raised:
        call(Net(files[0], TEST))
    assert str(raised.value) == says
