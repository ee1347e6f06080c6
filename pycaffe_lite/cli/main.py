"""The command group, and how errors reach the user: one line, exit status 1."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from pycaffe_lite.errors import PycaffeError

# Command → module of this package that holds it; a command is imported when it is asked for, so that
# `pycaffe-lite --help` need not load the kernels.
COMMANDS = {
    "train": "train",
    "test": "test",
    "time": "time",
    "device-query": "device_query",
    "dataset": "dataset",
    "plot": "plot",
}


class CaffeGroup(click.Group):
    """Takes Caffe's command lines as they are: flags before the command, `device_query`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of the list."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, `_` or `-` between words."""
        module = COMMANDS.get(cmd_name.replace("_", "-"))
        if module is None:
            return None
        command: click.Command = import_module(f"pycaffe_lite.cli.{module}").command
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Moves the command to the front: gflags takes flags on either side of it."""
        if args and args[0].startswith("-") and args[0] not in ("--help", "--version"):
            for i, arg in enumerate(args):
                if arg.replace("_", "-") in COMMANDS:
                    args = [arg, *args[:i], *args[i + 1 :]]
                    break
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; errors of ours become one line."""
        try:
            return super().invoke(ctx)
        except PycaffeError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=CaffeGroup, context_settings={"help_option_names": ["--help"]})
@click.version_option(package_name="pycaffe-lite", prog_name="pycaffe-lite")
def main() -> None:
    """Runs Caffe's nets and solvers: prototxt, caffemodel and LMDB in, Caffe's numbers out."""
