"""How far a pass whose layers run together is from one that runs them one by one.

    python tests/long/fusion.py [--images 1]

Builds the nets of models/ as the benchmarks do (random weights and inputs, statistics of batch normalization
that are not zeros) and prints, for each: how many of the blobs differ at all, and the largest difference: of
one layer's results where both runs give it the same input, and at the end of the net. Both are relative to
the blob's largest value.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
from benchmarks.net_files import build
from benchmarks.works import WORKS
from pycaffe_lite.net.fusion import forward_parts


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """The largest difference, relative to the largest value."""
    return float(np.abs(a.astype(float) - b).max() / max(float(np.abs(b).max()), 1e-30))


@click.command()
@click.option("--images", default=1, show_default=True)
def main(images: int) -> None:
    """Prints the table."""
    click.echo("| net | blobs that differ | one run of layers | at the net's end |")
    click.echo("|---|---:|---:|---:|")
    for work in WORKS:
        if work.train or work.batch != images:
            continue
        net = build(work)
        net.forward()
        together = {name: blob.data.copy() for name, blob in net.blobs.items()}
        for layer in net.layer_dict:
            net.forward(start=layer, end=layer)
        alone = {name: blob.data.copy() for name, blob in net.blobs.items()}
        differ = sum(not np.array_equal(together[name], alone[name]) for name in together)
        end = max(difference(together[name], alone[name]) for name in net.outputs)
        # Each run of layers by itself, from the same input.
        most = 0.0
        nodes = net.graph.nodes
        for part in forward_parts(nodes):
            if len(part.nodes) == 1:
                continue
            part.run()
            results = [blob.data.copy() for blob in part.nodes[0].top]
            for node in part.nodes:
                node.reshape()
                node.layer.forward(node.bottom, node.top)
            again = (blob.data for blob in part.nodes[0].top)
            most = max(most, *(difference(a, b) for a, b in zip(results, again, strict=True)))
        name = work.title.removesuffix(", forward")
        click.echo(f"| {name} | {differ} of {len(together)} | {most:.1e} | {end:.1e} |")


if __name__ == "__main__":
    main()
