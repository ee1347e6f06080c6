import numpy as np
import pytest
from layer_check import build_layer

from pycaffe_lite.errors import DataError, LayerError

SCORES = np.arange(12, dtype=np.float32).reshape(2, 3, 2, 1)


def layer(options, bottoms=(SCORES,)):
    return build_layer(f'type: "MatWrite" mat_write_param {{ {options} }}', list(bottoms), tops=0)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_names_by_number_in_every_second_pass(folder):
    rig = layer('prefix: "out/" period: 2', [SCORES, SCORES[:, 0, 0]])
    for _ in range(3):
        rig.forward()
    assert names(folder) == [f"iter_{i}_blob_{j}.mat" for i in (0, 2) for j in (0, 1)]
    data = (folder / "iter_0_blob_0.mat").read_bytes()
    assert data[-SCORES.nbytes :] == SCORES.tobytes()
    flat = (folder / "iter_0_blob_1.mat").read_bytes()
    assert np.array([1, 1, 1, 2], "<i4").tobytes() in flat  # W x H x C x N of shape (2, 1)


def test_names_of_a_list(folder):
    (folder.parent / "list.txt").write_text("a.jpg 3\nsome/b.jpg\n")
    (folder / "some").mkdir()
    rig = layer('prefix: "out/x_" source: "list.txt" strip: 4')
    rig.forward()
    assert names(folder) == ["some", "x_a_blob_0.mat"]
    with pytest.raises(DataError, match="layer 'layer' \\(MatWrite\\): cannot write"):
        rig.forward()  # there is no folder x_some
    assert names(folder) == ["some", "x_a_blob_0.mat"]


def test_a_list_that_ends(folder):
    (folder.parent / "list.txt").write_text("a\n")
    rig = layer('prefix: "out/" source: "list.txt"')
    rig.forward()
    with pytest.raises(LayerError) as error:
        rig.forward()
    assert str(error.value) == "layer 'layer' (MatWrite): 'list.txt' has 1 names, this is pass 2"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "needs mat_write_param.prefix"),
        (
            'prefix: "" period: 0 strip: -1',
            "needs a period of 1 or more, and a strip of 0 or more, got 0 and -1",
        ),
        ('prefix: "" source: "short.txt" strip: 4', "'short.txt':2: strip 4 leaves nothing of '.jpg'"),
    ],
)
def test_errors(folder, options, message):
    (folder.parent / "short.txt").write_text("a.jpg\n.jpg\n")
    with pytest.raises(LayerError) as error:
        layer(options).forward()
    assert str(error.value) == f"layer 'layer' (MatWrite): {message}"


def test_a_list_that_is_not_there_stops_the_first_pass():
    rig = layer('prefix: "out/" source: "list.txt"')
    with pytest.raises(LayerError, match="no such file"):
        rig.forward()
