"""Making batches in the test's own thread."""


def fill(source, batch):
    """Makes the next batch of a source, in the room of an old one."""
    work = source.plan()
    for piece in range(work.pieces):
        work.run(piece, batch)
    work.finish(batch)
    batch.state = work.state
