"""`pycaffe-lite layers`: the layer types that there are."""

from __future__ import annotations

import click

from pycaffe_lite.cli.command import CaffeCommand
from pycaffe_lite.layers.registry import layer_type_list


@click.command("layers", cls=CaffeCommand)
def command() -> None:
    """Lists the layer types that there are."""
    for name in layer_type_list():
        click.echo(name)
