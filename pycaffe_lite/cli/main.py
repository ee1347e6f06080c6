"""The command group `pycaffe-lite`."""

from __future__ import annotations

import click

import pycaffe_lite
from pycaffe_lite.cli import (
    classify,
    compute_image_mean,
    convert,
    convert_imageset,
    dashboard,
    dataset,
    db,
    deploy,
    detect,
    device_query,
    draw,
    dump,
    explain,
    export,
    extract_features,
    filters,
    fold,
    gradcheck,
    import_onnx,
    layers,
    mean,
    merge,
    parse_log,
    plot,
    split,
    summary,
    test,
    time,
    train,
    upgrade_net,
    upgrade_solver,
)
from pycaffe_lite.cli.command import CaffeGroup

# Programs of Caffe with the arguments of a command here.
_SAME = {
    "upgrade-net-proto-text": "upgrade-net",
    "upgrade-net-proto-binary": "upgrade-net",
    "upgrade-solver-proto-text": "upgrade-solver",
}
# Programs with others, and words that people try.
_MEANT = {
    "classification": "classify NET WEIGHTS IMAGE",
    "convert-cifar-data": "dataset cifar10",
    "convert-mnist-data": "dataset mnist",
    "create-cifar10": "dataset cifar10",
    "create-mnist": "dataset mnist",
    "draw-net": "draw NET PICTURE",
    "help": "--help",
    "plot-training-log": "plot LOG PICTURE --chart N",
    "version": "--version",
}


@click.group(
    cls=CaffeGroup,
    same=_SAME,
    meant=_MEANT,
    epilog="""
    \b
    Examples:
      pycaffe-lite train solver.prototxt
      pycaffe-lite train solver.prototxt --snapshot latest
      pycaffe-lite test net.prototxt --weights net.caffemodel
      pycaffe-lite time net.prototxt

    Caffe's own command lines work too: train -solver=solver.prototxt -gpu 0
    """,
)
@click.version_option(pycaffe_lite.__version__, prog_name="pycaffe-lite")
def main() -> None:
    """Runs Caffe's nets and solvers: prototxt, caffemodel, databases in, Caffe's numbers out."""


for module in (
    train,
    test,
    time,
    summary,
    draw,
    classify,
    filters,
    device_query,
    layers,
    explain,
    gradcheck,
    dataset,
    convert_imageset,
    compute_image_mean,
    mean,
    extract_features,
    db,
    detect,
    export,
    fold,
    deploy,
    dump,
    import_onnx,
    convert,
    merge,
    split,
    plot,
    dashboard,
    parse_log,
    upgrade_net,
    upgrade_solver,
):
    main.add_command(module.command)
