"""Shares: together they take every record once an epoch, in the order of a single reader."""

import copy

import numpy as np
import pytest
from share_sources import KINDS, write_sources

from pycaffe_lite import random
from pycaffe_lite.blob import Blob
from pycaffe_lite.data import c_rand
from pycaffe_lite.data.share import WHOLE, Share
from pycaffe_lite.errors import DataError
from pycaffe_lite.layer.base import LayerContext
from pycaffe_lite.layer.registry import create_layer
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse

BATCH = 3


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    write_sources(folder)
    return folder


def layer(folder, kind, share):
    return layer_of(KINDS[kind], folder, share)


def layer_of(text, folder, share):
    c_rand.seed()
    random.set_random_seed(1)
    param = parse(text.replace("FOLDER", str(folder)), caffe_pb2.LayerParameter).message
    param.phase = caffe_pb2.TRAIN
    made = create_layer(param, LayerContext(share=share))
    tops = [Blob() for _ in param.top]
    made.set_up([], tops)
    return made, tops


def labels(made, tops, batches):
    """The labels of so many batches; each record has one of its own."""
    found = []
    for _ in range(batches):
        made.forward([], tops)
        found += tops[1].data.ravel().astype(int).tolist()
    return found


def deal(row, count, chunk):
    """Deals records out: a list for each share."""
    return [[r for i, r in enumerate(row) if i // chunk % count == k] for k in range(count)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [2, 3])
def test_in_turn(sources, kind, count):
    """Record k goes to share k mod N, over the ends of epochs as well."""
    whole = labels(*layer(sources, kind, WHOLE), 6 * count)
    dealt = deal(whole, count, 1)
    for rank in range(count):
        made, tops = layer(sources, kind, Share(rank, count))
        assert labels(made, tops, 6) == dealt[rank]


@pytest.mark.parametrize("kind", KINDS)
def test_by_batches(sources, kind):
    """Share k has the batches k, k + N, ... of a single reader, item by item."""
    whole = labels(*layer(sources, kind, WHOLE), 10)
    dealt = deal(whole, 2, BATCH)
    for rank in range(2):
        assert labels(*layer(sources, kind, Share(rank, 2, by_batch=True)), 5) == dealt[rank]


@pytest.mark.parametrize("kind", KINDS)
def test_more_shares_than_records(sources, kind):
    whole = labels(*layer(sources, kind, WHOLE), 20)
    assert labels(*layer(sources, kind, Share(19, 20)), 1) == deal(whole, 20, 1)[19]


@pytest.mark.parametrize("kind", KINDS)
def test_going_on_exactly(sources, kind):
    made, tops = layer(sources, kind, Share(1, 2))
    labels(made, tops, 4)
    state = made.state()
    expected = labels(made, tops, 4)
    again, tops = layer(sources, kind, Share(1, 2))
    assert again.set_state(state) == ""
    assert labels(again, tops, 4) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_joining_among_others_than_before(sources, kind):
    """Three shares go on where two have stopped: no record is left out, none comes twice."""
    whole = labels(*layer(sources, kind, WHOLE), 4 * 2 + 4 * 3)
    first, tops = layer(sources, kind, Share(0, 2))
    labels(first, tops, 4)
    dealt = deal(whole[4 * 2 * BATCH :], 3, 1)
    for rank in range(3):
        made, tops = layer(sources, kind, Share(rank, 3))
        labels(made, tops, 1)
        assert made.join(first.state(), rank) == ""
        assert labels(made, tops, 4) == dealt[rank]


def test_sizes_in_words(sources):
    sizes = {kind: layer(sources, kind, WHOLE)[0].source_size() for kind in KINDS}
    assert sizes["Data"] == "11 records"
    assert sizes["LevelDB"] == ""  # they would have to be read for that
    assert sizes["ImageData"].startswith("11 pictures in a list with checksum ")
    assert sizes["HDF5Data"] == "2 files of HDF5 data, the first of 4 rows"


def test_the_order_is_agreed_on(sources):
    """Shares whose random streams differ shuffle alike, by what the first has drawn."""
    agreed = []

    def agree(number):
        agreed.append(number)
        return agreed[0]

    shares = [Share(rank, 2, agree=agree) for rank in range(2)]
    rows = [labels(*layer(sources, "shuffled ImageData", share), 11) for share in shares]
    assert np.bincount(rows[0] + rows[1]).tolist() == [6] * 11


def test_copies_take_the_same_share():
    share = Share(1, 2, agree=lambda number: number)
    assert copy.deepcopy(LayerContext(share=share)).share is share


def test_what_several_ranks_cannot_have(sources):
    """A pool of records on each rank would be of its own."""
    text = KINDS["Data"].replace("backend: LMDB", "backend: LMDB shuffle_pool_size: 2")
    with pytest.raises(DataError, match="shuffle_pool_size is not for several ranks: write shuffle instead"):
        layer_of(text, sources, Share(0, 2))
