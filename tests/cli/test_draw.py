"""`pycaffe-lite draw`."""

import pytest
from paths import ROOT


@pytest.mark.parametrize(
    ("file", "start"),
    [
        ("net.svg", b"<svg"),
        ("net.png", b"\x89PNG"),
        ("net.pdf", b"%PDF"),
        ("net.dot", b"digraph LeNet {"),
        ("net.html", b"<!DOCTYPE html>"),
    ],
)
def test_formats(run, tmp_path, file, start):
    result = run("draw", f"{ROOT}/models/lenet/lenet.prototxt", tmp_path / file)
    assert (result.code, result.out, result.err) == (0, [f"wrote {tmp_path / file}"], [])
    assert (tmp_path / file).read_bytes().startswith(start)


def test_googlenet(run, tmp_path):
    result = run(
        "draw", f"{ROOT}/models/googlenet/googlenet.prototxt", tmp_path / "net.html", "--rankdir", "LR"
    )
    assert result.code == 0
    assert "inception_5b/output" in (tmp_path / "net.html").read_text()


def test_phase_and_blobs(folder, run):
    assert (
        run("draw", "net.prototxt", "test.dot", "--phase", "TEST", "--no-blobs", "--rankdir", "TB").code == 0
    )
    text = (folder / "test.dot").read_text()
    assert "rankdir=TB;" in text
    assert r'"data\n(Data)" -> "accuracy\n(Accuracy)" [label=4];' in text
    assert run("draw", "net.prototxt", "train.dot").code == 0
    text = (folder / "train.dot").read_text()
    assert "accuracy" not in text
    assert r'"data\n(Data)" -> data [label="4x1x6x6"];' in text


def test_without_its_data(folder, edit, run):
    edit("net.prototxt", '"db"', '"none"')
    result = run("draw", "net.prototxt", "net.svg")
    assert result.out[0].startswith("The net is drawn without shapes: net.prototxt:3: layer 'data' (Data)")
    result = run("draw", "net.prototxt", "net.svg", "--shape", "data=4,1,6,6")
    assert result.out[-1] == "wrote net.svg"
    assert "4x1x6x6" in (folder / "net.svg").read_text()


def test_what_cannot_be_written(folder, fails):
    assert fails("draw", "net.prototxt", "net.doc").startswith("Error: cannot draw 'doc': ")
    assert fails("draw", "net.prototxt", "none/net.svg").startswith("Error: cannot write 'none/net.svg': ")
    assert fails("draw", "none.prototxt", "net.svg").startswith("Error: no such file: 'none.prototxt'")
