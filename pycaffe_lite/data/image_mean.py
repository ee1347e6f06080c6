"""The mean of a database's records, as Caffe's compute_image_mean has it."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pycaffe_lite.data.database import Reader, first_records
from pycaffe_lite.data.datum import Datum, DatumReader
from pycaffe_lite.data.lmdb_pages import key_text
from pycaffe_lite.errors import DataError

log = logging.getLogger(__name__)

_RECORDS_PER_LINE = 10_000


def image_mean(reader: Reader, records: int, done: Callable[[], None]) -> npt.NDArray[np.float32]:
    """The mean of all records, in float32: summed in the order of their keys, then divided.

    Args:
        reader: at the first record. records: how many there are. done: is called after each.

    Returns:
        (1, C, H, W), of the shape of the first record; others need as many values, as in Caffe.

    Raises:
        DataError: a record cannot be read, or has another number of values than the first.
    """
    datums = DatumReader()
    first = _read(datums, reader, *reader.peek())
    if first.encoded:
        log.info("Decoding Datum")
    total = np.zeros(first.values.size, np.float32)
    log.info("Starting iteration")
    for count, (key, value) in enumerate(first_records(reader, records), 1):
        values = _read(datums, reader, key, value).values
        if values.size != total.size:
            raise DataError(
                f"record '{key_text(key)}' of '{reader.path}' has shape {values.shape}, the first has "
                f"{first.values.shape}: a mean needs records of one size; convert-imageset makes them with "
                "--resize_height and --resize_width"
            )
        total += values.ravel()
        if count % _RECORDS_PER_LINE == 0 or count == records:
            log.info("Processed %d files.", count)
        done()
    total /= np.float32(records)
    return total.reshape(1, *first.values.shape)


def channel_means(mean: npt.NDArray[np.float32]) -> list[float]:
    """For each channel of a mean, (1, C, H, W), the mean of its values, summed one by one in float32."""
    planes = mean.reshape(mean.shape[1], -1)
    sums = np.add.accumulate(planes, axis=1, dtype=np.float32)[:, -1]
    return [float(total / np.float32(planes.shape[1])) for total in sums]


def _read(datums: DatumReader, reader: Reader, key: bytes, value: bytes) -> Datum:
    try:
        return datums.read(value)
    except DataError as error:
        raise DataError(f"record '{key_text(key)}' of '{reader.path}': {error}") from None
