"""`pycaffe-lite explain`."""

import numpy as np
import pytest
from paths import FIXTURES, ROOT

WEIGHTS = FIXTURES / "lenet" / "lenet_iter_50.caffemodel"


@pytest.mark.parametrize("layer", ["conv1", "pool1", "ip1", "relu1", "ip2", "prob"])
def test_lenet(run, layer):
    result = run("explain", f"{ROOT}/models/lenet/lenet.prototxt", layer, "--weights", WEIGHTS, level=2)
    assert (result.code, result.err) == (0, [])
    assert result.out[0].startswith(f"layer '{layer}' (")
    found = [line for line in result.out if "the blob holds" in line]
    assert len(found) >= 2
    for line in found:
        result, held = line.strip().removeprefix("= ").split(";  the blob holds ")
        assert float(result) == pytest.approx(float(held), rel=1e-4)


def test_googlenet(run):
    result = run(
        "explain", f"{ROOT}/models/googlenet/googlenet.prototxt", "inception_5b/1x1", "--terms", 3, level=2
    )
    assert result.code == 0
    assert result.out[1] == "  x, 1 x 832 x 7 x 7;  w, 384 x 832 x 1 x 1 (kernel 1 x 1);  y, 1 x 384 x 7 x 7"
    assert sum(" = " in line and "×" in line for line in result.out) == 9


def test_data_and_loss(folder, run):
    result = run("explain", "net.prototxt", "loss", level=2)
    assert result.code == 0
    assert any(line.startswith("loss = ") for line in result.out)


def test_an_input_of_ones_own(run, fails, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((1, 28, 28)))
    lenet = f"{ROOT}/models/lenet/lenet.prototxt"
    result = run("explain", lenet, "conv1", "--weights", WEIGHTS, "--input", tmp_path / "x.npy", level=2)
    assert result.out[1] == "  x, 1 x 1 x 28 x 28;  w, 20 x 1 x 5 x 5 (kernel 5 x 5);  y, 1 x 20 x 24 x 24"
    np.save(tmp_path / "y.npy", np.zeros((3, 28, 28)))
    line = fails("explain", lenet, "conv1", "--input", tmp_path / "y.npy")
    assert line.endswith("y.npy' has shape (1, 3, 28, 28), input 'data' has (64, 1, 28, 28)")
    assert fails("explain", lenet, "conv1", "--input", "none.npy") == "Error: no such file: 'none.npy'"
    assert fails("explain", lenet, "conv3").startswith("Error: the net has no layer 'conv3'; it has data, ")


def test_a_gradient_of_ones_own(run, fails, tmp_path):
    net = tmp_path / "net.prototxt"
    net.write_text("""
        layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 } } }
        layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 1
                bias_term: false weight_filler { type: "constant" value: 3 } } }
        layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "y" top: "loss" }
    """)
    np.save(tmp_path / "x.npy", [[0.5, 2]])
    np.save(tmp_path / "dy.npy", [[4]])
    arguments = ["explain", net, "ip", "--input", tmp_path / "x.npy", "--top-diff"]
    result = run(*arguments, tmp_path / "dy.npy", level=2)
    assert "    w[0, 0] dy[0, 0] = 3 × 4 = 12" in result.out
    assert "    x[0, 1] dy[0, 0] = 2 × 4 = 8" in result.out
    assert sum("the blob holds" in line for line in result.out) == 3
    np.save(tmp_path / "dy.npy", [4])
    line = fails(*arguments, tmp_path / "dy.npy")
    assert line.endswith("the gradient given for its top has shape (1,), the top has (1, 1)")
    np.save(tmp_path / "dy.npy", ["4"])
    assert fails(*arguments, tmp_path / "dy.npy").endswith("dy.npy' holds no array of numbers")
