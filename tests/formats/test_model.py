import numpy as np
import pytest

from pycaffe_lite.formats.model import Model, StoredBlob, StoredLayer


def blob(*shape, legacy=False):
    return StoredBlob(np.zeros(shape, np.float32), legacy=legacy)


@pytest.mark.parametrize(
    ("stored", "shape", "fits"),
    [
        (blob(2, 3), (2, 3), True),
        (blob(2, 3), (3, 2), False),
        (blob(1, 2), (2,), False),  # today's shapes are taken as they are
        (blob(1, 1, 1, 10, legacy=True), (10,), True),
        (blob(1, 1, 3, 10, legacy=True), (3, 10), True),
        (blob(1, 1, 3, 10, legacy=True), (10,), False),
        (blob(10, 1, 1, 1, legacy=True), (10,), False),  # ones stand in front, not behind
        (blob(1, 1, 1, 1, legacy=True), (), True),
        (blob(2, 3, 4, 5, legacy=True), (2, 3, 4, 5), True),
        (blob(1, 2, 3, 4, 5, legacy=True), (2, 3, 4, 5), True),  # of clips of frames
        (blob(2, 3, 4, 5, legacy=True), (1, 2, 3, 4, 5), False),
    ],
)
def test_which_blobs_take_stored_values(stored, shape, fits):
    assert stored.fits(shape) is fits


def test_layers_by_name():
    first, second = StoredLayer("a", blobs=(blob(2, 3), None)), StoredLayer("b", blobs=(blob(4),))
    model = Model("net", (first, second, StoredLayer("a", "Other")))
    assert "b" in model
    assert "c" not in model
    assert model["a"] is first  # the first of a name counts
    with pytest.raises(KeyError):
        model["c"]


def test_the_number_of_values_leaves_out_what_another_layer_owns():
    layers = (
        StoredLayer("a", blobs=(blob(2, 3), None, blob(4))),
        StoredLayer("b"),
        StoredLayer("c", blobs=(blob(),)),
    )
    assert Model("net", layers).count == 11
