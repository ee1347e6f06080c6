"""`pycaffe-lite upgrade-solver`: a solver of an older format in today's."""

from __future__ import annotations

import click

from pycaffe_lite.cli import upgrade_net
from pycaffe_lite.cli.command import CaffeCommand
from pycaffe_lite.cli.output import start_log
from pycaffe_lite.errors import PrototxtError
from pycaffe_lite.proto import caffe_pb2, prototxt, upgrade


@click.command("upgrade-solver", cls=CaffeCommand)
@click.argument("old", metavar="IN")
@click.argument("new", metavar="OUT")
def command(old: str, new: str) -> None:
    """Upgrades a solver from an older format.

    IN is a solver's prototxt, or the same in binary form, with the old `solver_type`; OUT is written in the
    same form with `type` instead, whole or not at all, or to stdout if it is "-". Comments are lost. The
    exit status is 2 if IN cannot be read.
    """
    start_log()
    try:
        solver = upgrade_net.read_binary(old, caffe_pb2.SolverParameter, caffe_pb2.SolverParameter.FromString)
        if solver is None:
            upgrade_net.write_text(new, prototxt.read_written_solver(old))
        else:
            upgrade.upgrade_solver(solver, old)
            upgrade_net.write(new, solver.SerializeToString())
    except PrototxtError as error:
        raise upgrade_net.Unreadable(str(error)) from None
