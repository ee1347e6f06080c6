"""Making batches in the test's own thread."""

import numpy as np


def fill(source, batch):
    """Makes the next batch of a source, in the room of an old one."""
    work = source.plan()
    for piece in range(work.pieces):
        work.run(piece, batch)
    work.finish(batch)
    batch.state = work.state


def data_of(batch):
    """The items of a batch that is made."""
    out = np.empty(batch.shape, np.float32)
    batch.write_data(out)
    return out
