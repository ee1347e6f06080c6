"""`pycaffe-lite test`: mean outputs of a trained net over some batches."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

import click

from pycaffe_lite.cli.command import CaffeCommand
from pycaffe_lite.cli.nets import load_net
from pycaffe_lite.cli.options import (
    gpu_option,
    iterations_option,
    max_pixels_option,
    net_state_options,
    one_of,
    strict_option,
    threads_option,
)
from pycaffe_lite.cli.output import echo, progress_bar, results_wanted, say_mode, start_log
from pycaffe_lite.cli.ranks import ranks_options, several_ranks, start_ranks
from pycaffe_lite.distributed.batches import evaluate_together, net_for_batches
from pycaffe_lite.errors import NetError
from pycaffe_lite.net.evaluate import Scores, ScoreSum, evaluate
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2

log = logging.getLogger(__name__)


@click.command("test", cls=CaffeCommand)
@click.argument("model_argument", metavar="MODEL", required=False)
@click.option("--model", metavar="FILE", help="The net's prototxt; the same as the argument.")
@click.option("--weights", metavar="FILE", help="The .caffemodel to test.  [required]")
@iterations_option("Number of batches to run.")
@ranks_options
@net_state_options
@gpu_option
@threads_option
@max_pixels_option
@strict_option
def command(
    model_argument: str | None,
    model: str | None,
    weights: str | None,
    iterations: int,
    level: int,
    stage: str,
    gpu: str,
    strict: bool,
) -> None:
    """Tests a net with trained weights.

    Runs some batches through the net of the prototxt MODEL in the TEST phase and prints the mean of each
    output, such as its accuracy. With --ranks N, or started by an MPI launcher, N processes share the
    batches.
    """
    model = one_of(model, model_argument, "model")
    if not weights:
        raise click.UsageError("Missing the weights to test: give them as --weights.")
    start_ranks()
    load = partial(load_net, model, caffe_pb2.TEST, level, stage, weights, strict)
    with several_ranks() as ranks:
        start_log()
        say_mode(gpu)
        if ranks is None:
            net, compute = load(), evaluate
        else:
            net, workers = net_for_batches(ranks, load)
            compute = partial(evaluate_together, ranks, workers)
        _check_data(net, model)
        _test(net, iterations, compute, shows=ranks is None or ranks.rank == 0)


def _test(net: Net, iterations: int, compute: Callable[..., ScoreSum], *, shows: bool) -> None:
    """Runs the batches, and writes what comes of them where `shows` says so."""
    log.info("Running for %d iterations.", iterations)
    with progress_bar("testing", iterations) as advance:

        def on_batch(index: int, scores: Scores) -> None:
            for line in scores.lines(lambda _, score: f"Batch {index}, {score.name} = {score.value:g}"):
                log.info("%s", line)
            advance()

        total = compute(net, iterations, on_batch)
    if not shows:
        return
    log.info("Loss: %g", total.mean_loss())
    results = list(total.means().lines())
    for line in results:
        log.info("%s", line)
    if results_wanted():
        for line in results:
            echo(line)


def _check_data(net: Net, file: str) -> None:
    """Makes sure that the net has data to be tested on.

    Raises:
        NetError: all that comes into it is for the caller to fill, as in a deploy net.
    """
    tops = {name for layer, names in net.top_names.items() if not net.bottom_names[layer] for name in names}
    if net.inputs and tops == set(net.inputs):
        names = ", ".join(f"'{name}'" for name in net.inputs)
        raise NetError(
            f"{file}: there is nothing to test the net on: no layer reads data, and {names} is for a program "
            "to fill; name a net with a data layer, such as the one that was trained"
        )
