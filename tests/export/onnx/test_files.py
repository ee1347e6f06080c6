"""Files of exported nets."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx_runs import run
from paths import FIXTURES

import pycaffe_lite as caffe
from pycaffe_lite.errors import WeightsError
from pycaffe_lite.export import to_onnx
from pycaffe_lite.export.onnx import files
from pycaffe_lite.export.onnx.model import Export

CASE = FIXTURES / "golden_layers" / "softmaxloss_normalize_true.prototxt"
TEXT = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 40 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 30 weight_filler { type: "gaussian" } bias_filler { type: "gaussian" } } }
layer { name: "power" type: "Power" bottom: "ip" top: "power" power_param { shift: 2 scale: 3 } }
"""


@pytest.mark.parametrize("net", [caffe.Net.from_text(TEXT, caffe.TEST), caffe.Net(CASE, caffe.TEST)])
def test_a_file_is_the_model(net, tmp_path):
    Export(net).write(tmp_path / "net.onnx")
    assert onnx.load(tmp_path / "net.onnx") == to_onnx(net)


def test_large_weights_lie_beside(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LIMIT", 4000)
    net = caffe.Net.from_text(TEXT, caffe.TEST)
    export = Export(net)
    export.write(tmp_path / "net.onnx")
    assert (tmp_path / "net.onnx").stat().st_size < 4000
    assert (tmp_path / "net.onnx.data").stat().st_size == 30 * 40 * 4
    onnx.checker.check_model(str(tmp_path / "net.onnx"))
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    data = np.ones((1, 40), np.float32)
    np.testing.assert_array_equal(session.run(None, {"data": data})[0], run(export, {"data": data})["power"])


def test_what_is_not_right_stays_away(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LIMIT", 4000)
    export, out = Export(caffe.Net.from_text(TEXT, caffe.TEST)), tmp_path / "net.onnx"
    out.write_text("an older one")

    def write_what_is_wrong():
        with files.moved_when_right(out) as file:
            export.write(file)
            raise KeyError

    with pytest.raises(KeyError):
        write_what_is_wrong()
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]
    assert out.read_text() == "an older one"
    with files.moved_when_right(out) as file:
        export.write(file)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx", "net.onnx.data"]
    onnx.checker.check_model(str(out))
    with (
        pytest.raises(WeightsError, match="cannot write"),
        files.moved_when_right(tmp_path / "no" / "net.onnx"),
    ):
        pass


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(WeightsError, match="cannot write"):
        Export(caffe.Net.from_text(TEXT, caffe.TEST)).write(tmp_path / "none" / "net.onnx")


def test_nothing_is_copied(tmp_path):
    net = caffe.Net.from_text(TEXT, caffe.TEST)
    weight = Export(net).graph.constants["ip/weight"]
    assert np.shares_memory(weight, net.params["ip"][0].data)
