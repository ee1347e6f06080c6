"""`pycaffe-lite summary`."""

import json

import pytest
from paths import ROOT


@pytest.mark.parametrize(("net", "layers", "params"), [("lenet", 9, "431 k"), ("googlenet", 143, "7.00 M")])
def test_table(run, net, layers, params):
    result = run("summary", f"{ROOT}/models/{net}/{net}.prototxt", "--phase", "TEST", level=2)
    assert (result.code, result.err) == (0, [])
    lines = [line.split() for line in result.out if line.strip()]
    assert lines[0][1:] == ["(TEST)"]
    assert lines[1] == ["layer", "type", "bottoms", "→", "tops", "output", "params", "mult-adds", "bytes"]
    (totals,) = (line for line in lines if line[:2] == [str(layers), "layers"])
    assert " ".join(totals).startswith(f"{layers} layers {params} ")
    assert result.out[-1].startswith("Memory: ")


def test_json(run):
    result = run("summary", f"{ROOT}/models/lenet/lenet.prototxt", "--json", level=2)
    summary = json.loads("\n".join(result.out))
    assert summary["params"] == 431_080
    assert summary["layers"][1]["shapes"] == [[64, 20, 24, 24]]


def test_data_remarks_and_warnings(folder, edit, run):
    result = run("summary", "net.prototxt", level=2)
    assert result.out[-1].startswith("Memory: ")
    assert "4x1x6x6, 4" in "\n".join(result.out)
    edit("net.prototxt", '"db"', '"none"', "batch_size: 4", "batch_size: 5")
    result = run("summary", "net.prototxt", "--shape", "data=5,2,3,3", level=2)
    assert result.out[-1].startswith("The data of layer 'data' (Data) is not there: blob 'label' is taken")
    edit("net.prototxt", '"none"', '"db"')
    result = run("summary", "net.prototxt", level=2)
    assert result.out[-1].startswith(
        "Warning: Layer 'data' (Data) reads 12 items in batches of 5: 2 are left"
    )


def test_many_warnings(run, tmp_path):
    net = tmp_path / "net.prototxt"
    net.write_text("".join(f'layer {{ name: "i{i}" type: "Input" top: "x{i}" }}' for i in range(25)))
    result = run("summary", net, level=2)
    assert sum(line.startswith("Warning: No layer reads blob") for line in result.out) == 20
    assert result.out[-1] == "There are 5 more warnings; --json has all."


def test_names_are_shown_as_text(run, tmp_path):
    net = tmp_path / "net.prototxt"
    net.write_text(
        'name: "[red]a<b>" layer { name: "\\033[2J[b]x" type: "Input" top: "x" '
        "input_param { shape { dim: 1 } } }"
    )
    result = run("summary", net, level=2)
    assert result.code == 0
    assert "[red]a<b> (TRAIN)" in result.out[0]
    assert r"\x1b[2J[b]x" in "\n".join(result.out)


@pytest.mark.parametrize("shape", ["data", "data=", "=1", "data=1,a", "data=0,1"])
def test_a_shape_that_is_none(folder, misused, shape):
    expected = f"Error: Invalid value for '--shape': '{shape}' is not of the form data=1,3,224,224"
    assert misused("summary", "net.prototxt", "--shape", shape) == expected
