"""`pycaffe-lite extract-features`: what blobs of a trained net hold, into databases."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import click

from pycaffe_lite.cli.command import CaffeCommand
from pycaffe_lite.cli.nets import load_net
from pycaffe_lite.cli.options import max_pixels_option, threads_option
from pycaffe_lite.cli.output import echo, interactive, progress_bar, results_wanted, start_log
from pycaffe_lite.cli.ranks import ranks_options, several_ranks, start_ranks
from pycaffe_lite.data.database import BACKENDS
from pycaffe_lite.data.new_database import growing_database
from pycaffe_lite.distributed.batches import features_together, net_for_batches
from pycaffe_lite.net.features import check_features, features
from pycaffe_lite.proto import caffe_pb2

log = logging.getLogger(__name__)

_RECORDS_PER_LINE = 1000


@click.command("extract-features", cls=CaffeCommand)
@click.argument("weights", metavar="WEIGHTS")
@click.argument("model", metavar="MODEL")
@click.argument("blobs", metavar="BLOBS")
@click.argument("databases", metavar="DBS")
@click.argument("batches", metavar="BATCHES", type=click.IntRange(1))
@click.argument("backend", metavar="lmdb|leveldb", type=click.Choice(BACKENDS))
@click.argument("mode", metavar="[CPU|GPU", type=click.Choice(["CPU", "GPU"]), default="CPU")
@click.argument("device", metavar="[ID]]", required=False, type=int)
@ranks_options
@threads_option
@max_pixels_option
def command(
    weights: str,
    model: str,
    blobs: str,
    databases: str,
    batches: int,
    backend: str,
    mode: str,
    device: int | None,
) -> None:
    """Stores what a trained net computes.

    The net of the prototxt MODEL runs BATCHES times in the TEST phase, on the data that it names. BLOBS are
    names, comma-separated; DBS as many databases, which must not be there yet: each gets a record for each
    item of its blob: floats, without a label. With --ranks N, or started by an MPI
    launcher, N processes share the batches.
    """
    names, folders = blobs.split(","), [Path(name) for name in databases.split(",")]
    if len(names) != len(folders):
        raise click.UsageError(
            f"There are {len(names)} blobs and {len(folders)} databases: give one database for each blob."
        )
    start_ranks()
    load = partial(load_net, model, caffe_pb2.TEST, 0, "", weights, False)
    with several_ranks() as ranks:
        start_log()
        if mode == "GPU":
            log.warning(
                "There is no GPU support: %s is ignored", mode if device is None else f"{mode} {device}"
            )
        _say("Using CPU")
        if ranks is None:
            net = load()
            made = features(net, names, batches)
        else:
            net, workers = net_for_batches(ranks, load)
            made = features_together(ranks, workers, net, names, batches)
        check_features(net, names)
        if ranks is None or ranks.rank == 0:
            _store(made, names, folders, batches, backend)
        else:
            for _ in made:  # which is all that the others do
                pass


def _store(
    made: Iterable[list[list[bytes]]],
    names: Sequence[str],
    folders: Sequence[Path],
    batches: int,
    backend: str,
) -> None:
    """Writes features into databases.

    Args:
        made: for each batch and blob, the messages. names: of the blobs. folders: the databases.
        batches: how many there are. backend: the kind of the databases.
    """
    counts = [0] * len(names)
    with ExitStack() as stack:
        writers = []
        for folder in folders:
            log.info("Opening dataset %s", folder)
            writers.append(stack.enter_context(growing_database(folder, backend, "extract-features", None)))
        _say("Extracting Features")
        advance = stack.enter_context(progress_bar("extracting", batches, "batches"))
        for messages_of_blobs in made:
            for i, (writer, messages) in enumerate(zip(writers, messages_of_blobs, strict=True)):
                for message in messages:
                    writer.put(b"%010d" % counts[i], message)
                    counts[i] += 1
                    if counts[i] % _RECORDS_PER_LINE == 0:
                        _say_count(counts[i], names[i])
            advance()
    for count, name in zip(counts, names, strict=True):
        if count % _RECORDS_PER_LINE:
            _say_count(count, name)
    _say("Successfully extracted the features!")
    if results_wanted():
        for folder, count in zip(folders, counts, strict=True):
            echo(f"{folder}: {count} records")


def _say_count(count: int, name: str) -> None:
    _say(f"Extracted features of {count} query images for feature blob {name}")


def _say(line: str) -> None:
    """Writes a line of progress, which Caffe calls an error, so that it shows whatever is left out."""
    log.log(logging.INFO if interactive() else logging.ERROR, "%s", line)
