import logging

import numpy as np
import pytest
from listed import ListReader, datum

from pycaffe_lite.data.image_mean import channel_means, image_mean
from pycaffe_lite.errors import DataError

ITEMS = np.random.default_rng(0).integers(0, 256, (5, 2, 3, 4), np.uint8)


def reader_of(items):
    return ListReader((b"%d" % i, datum(item)) for i, item in enumerate(items))


def test_the_mean_is_summed_in_float32_in_order():
    items = (ITEMS / np.float32(7)).astype(np.float32)
    total = np.zeros(items[0].shape, np.float32)
    for item in items:
        total += item
    done = []
    mean = image_mean(reader_of(items), 5, lambda: done.append(1))
    np.testing.assert_array_equal(mean, (total / np.float32(5))[np.newaxis], strict=True)
    assert len(done) == 5


def test_records_need_as_many_values_as_the_first_and_no_more(caplog):
    caplog.set_level(logging.INFO)
    turned = [ITEMS[0], ITEMS[1].reshape(3, 2, 4)]
    mean = image_mean(reader_of(turned), 2, lambda: None)
    assert mean.shape == (1, 2, 3, 4)
    np.testing.assert_array_equal(mean[0], (ITEMS[0] / 2 + ITEMS[1] / 2))
    assert caplog.messages == ["Starting iteration", "Processed 2 files."]
    with pytest.raises(
        DataError, match=r"record '1' of 'db' has shape \(2, 3, 3\), the first has \(2, 3, 4\)"
    ):
        image_mean(reader_of([ITEMS[0], ITEMS[1][:, :, 1:]]), 2, lambda: None)


def test_a_record_that_cannot_be_read_is_named():
    reader = ListReader([(b"a", datum(ITEMS[0])), (b"b", b"\xff")])
    with pytest.raises(DataError, match=r"^record 'b' of 'db': "):
        image_mean(reader, 2, lambda: None)


def test_means_of_channels():
    mean = np.stack([np.full((3, 4), 0.1), np.arange(12.0).reshape(3, 4)])[np.newaxis].astype(np.float32)
    total = np.float32(0)
    for _ in range(12):
        total += np.float32(0.1)
    assert channel_means(mean) == [float(total / np.float32(12)), 5.5]
