"""How far sums of up to a million terms are from their exact values, layer type by layer type.

    python tests/long/long_sums.py [--terms 10000,100000,1000000] [--only NAME] [--constants 6]

For every kind of sum that a layer keeps, it prints the largest error, relative to the largest exact value:
of the tops, of the bottoms' gradients and of the learnable blobs'. Exact is what the same layer gives in
float64, which the tests compare with the definitions. Two columns for each number of terms: equal terms, the
worst of some constants (roundings then add up instead of cancelling), and random positive ones. The table of
docs/accuracy.md is what it prints. It takes some minutes and 4 GB of memory.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "layers"))
from layer_check import F32, F64, build_layer

Array = Any
Fill = Callable[[tuple[int, ...]], Array]


class Case(NamedTuple):
    """A layer whose sums have so many terms.

    Attributes:
        name: the row's. prototxt: of the layer. bottoms: made by a filling function.
        blobs: what the filled learnable blobs are multiplied by; 0: they are as the fillers left them.
        tops: how many.
        kinds: which errors are shown: tops, bottoms' gradients, blobs' gradients; some of "tbw".
    """

    name: str
    prototxt: str
    bottoms: Callable[[Fill], list[Array]]
    blobs: float = 0.5
    tops: int | None = None
    kinds: str = "tbw"


def layer(kind: str, param: str = "") -> str:
    """A layer's prototxt."""
    return f'type: "{kind}" {param}'


def ip(num_output: int, more: str = "") -> str:
    """That of an InnerProduct."""
    return layer("InnerProduct", f"inner_product_param {{ num_output: {num_output} {more} }}")


def conv(num_output: int, more: str, kind: str = "Convolution") -> str:
    """That of a convolution."""
    return layer(kind, f"convolution_param {{ num_output: {num_output} {more} }}")


def one(*shape: int) -> Callable[[Fill], list[Array]]:
    """One bottom."""
    return lambda fill: [fill(shape)]


def inner_products(n: int) -> Iterator[Case]:
    """Over n rows, n inputs and n outputs."""
    yield Case("InnerProduct, rows (4 to 8)", ip(8), one(n, 4), kinds="w")
    yield Case("InnerProduct, rows (48 to 33)", ip(33), one(n, 48), kinds="w")
    yield Case("InnerProduct, rows, axis 2", ip(8, "axis: 2"), one(1, n, 4), kinds="w")
    yield Case("InnerProduct, rows, transpose", ip(8, "transpose: true"), one(n, 5), kinds="w")
    for rows in (1, 3, 12, 40):
        yield Case(f"InnerProduct, inputs, batch {rows}", ip(8), one(rows, n), kinds="t")
        yield Case(f"InnerProduct, outputs, batch {rows}", ip(n), one(rows, 6), kinds="b")
    for rows in (3, 40):
        name = f"transpose, batch {rows}"
        yield Case(f"InnerProduct, inputs, {name}", ip(8, "transpose: true"), one(rows, n), kinds="t")
        yield Case(f"InnerProduct, outputs, {name}", ip(n, "transpose: true"), one(rows, 6), kinds="b")
    if n <= 100_000:

        def sequences(fill: Fill) -> list[Array]:
            return [fill((10, n // 10, 2)), np.ones((10, n // 10)), fill((n // 10, 2))]

        for kind in ("LSTM", "RNN"):
            text = layer(kind, "recurrent_param { num_output: 3 }")
            yield Case(f"{kind}, gradients", text, sequences, 0.05, kinds="w")


def convolutions(n: int) -> Iterator[Case]:
    """Over n positions, channels and output channels, with windows that go different ways."""
    for size, more in (
        (1, ""),
        (3, "pad: 1"),
        (5, "pad: 2"),
        (3, "pad: 1 stride: 2"),
        (7, "pad: 3 stride: 2"),
    ):
        scale = 2 if "stride" in more else 1
        name, window = f"Convolution {size}x{size}/{scale}", f"kernel_size: {size} {more}"
        for c, m in ((4, 8), (16, 32), (3, 5)):
            shape = (1, c, 100 * scale, n // 100 * scale)
            yield Case(f"{name}, positions, {c} to {m}", conv(m, window), one(*shape), kinds="w")
        shape = (n // 64, 16, 8 * scale, 8 * scale)
        yield Case(f"{name}, images", conv(16, window), one(*shape), kinds="w")
        for h, w in ((4, 4), (3, 33)):
            c, plane = n // size**2, f"{h}x{w}"
            yield Case(f"{name}, channels, {plane}", conv(16, window), one(1, c, h, w), kinds="t")
            yield Case(f"{name}, outputs, {plane}", conv(c, window), one(1, 3, h, w), kinds="b")
    line, depthwise = "kernel_h: 1 kernel_w: 3 pad_h: 0 pad_w: 1", "group: 4 kernel_size: 3 pad: 1"
    side, plane = int(n**0.5), (100, n // 100)
    for c, m in ((3, 5), (16, 16)):
        yield Case(f"Convolution 1x3, one line, {c} to {m}", conv(m, line), one(1, c, 1, n), kinds="w")
    yield Case("Convolution, depthwise", conv(4, depthwise), one(1, 4, *plane), kinds="w")
    yield Case("Convolution, whole image", conv(4, f"kernel_size: {side}"), one(1, 1, side, side), kinds="t")
    of_one, groups = "kernel_size: 1", "kernel_size: 1 group: 2"
    yield Case("Convolution, channels, batch 2", conv(4, of_one), one(2, n, 2, 3), kinds="t")
    yield Case("Convolution, channels, 2 groups", conv(4, groups), one(2, 2 * n, 2, 2), kinds="t")
    yield Case("Convolution, outputs, 2 groups", conv(2 * n, groups), one(2, 4, 2, 2), kinds="b")
    back = conv(8, "kernel_size: 3 pad: 1", "Deconvolution")
    yield Case("Deconvolution, positions", back, one(1, 4, *plane), kinds="w")
    yield Case("Deconvolution, channels", conv(4, of_one, "Deconvolution"), one(1, n, 3, 5), kinds="t")
    yield Case("Convolution 3-D, positions", conv(4, of_one), one(1, 2, 10, 100, n // 1000), kinds="w")
    yield Case("Convolution 3-D, images", conv(2, of_one), one(n // 8, 2, 2, 2, 2), kinds="w")
    yield Case("Convolution 3-D, channels", conv(2, of_one), one(1, n, 2, 2, 2), kinds="t")


def normalizations(n: int) -> Iterator[Case]:
    """Sums over n values of a channel, a plane or a window."""
    side = int(n**0.5)
    for name, shape in (("1x3xn", (1, 3, n)), ("nx3x1", (n, 3, 1)), ("mx3x100", (n // 100, 3, 100))):
        text = layer("Scale", "scale_param { bias_term: true }")
        yield Case(f"Scale {name}", text, one(*shape), kinds="w")
        yield Case(f"Bias {name}", layer("Bias"), one(*shape), kinds="w")
        yield Case(f"PReLU {name}", layer("PReLU"), lambda fill, shape=shape: [-fill(shape)], kinds="w")
        yield Case(f"BatchNorm {name}", layer("BatchNorm"), one(*shape), 0, kinds="w")
    spread = np.arange(side) % 7
    yield Case("MVN", layer("MVN"), lambda fill: [fill((1, 2, side, side)) + spread], kinds="t")
    within = f"lrn_param {{ local_size: {side | 1} norm_region: WITHIN_CHANNEL alpha: 3 }}"
    yield Case("LRN, within", layer("LRN", within), one(1, 1, side, side), kinds="tb")
    across = f"lrn_param {{ local_size: {n + 1} alpha: 3 }}"
    yield Case("LRN, across", layer("LRN", across), one(1, n, 1, 2), kinds="tb")

    def mean(text: str) -> str:
        return layer("Pooling", f"pooling_param {{ pool: AVE {text} }}")

    yield Case("Pooling AVE, global", mean("global_pooling: true"), one(1, 2, side, side), kinds="t")
    yield Case("Pooling AVE, global, n x 1", mean("global_pooling: true"), one(1, 2, n, 1), kinds="t")
    for stride in (1, 3):
        shape, text = (1, 1, side + 4 * stride, side + 5 * stride), f"kernel_size: {side} stride: {stride}"
        yield Case(f"Pooling AVE, stride {stride}", mean(text), one(*shape), kinds="t")
    if n <= 100_000:
        text = f"kernel_size: {side} pad: {side - 1} stride: 1"
        yield Case("Pooling AVE, gradient", mean(text), one(1, 1, side, side), kinds="b")
    spp = layer("SPP", "spp_param { pyramid_height: 1 pool: AVE }")
    yield Case("SPP", spp, one(1, 1, side, side), kinds="t")


def losses(n: int) -> Iterator[Case]:
    """Reductions and losses of n values, or n classes."""
    for kind in ("SUM", "ASUM", "SUMSQ", "MEAN"):
        param = f"reduction_param {{ operation: {kind} axis: 1 coeff: 0.25 }}"
        yield Case(f"Reduction {kind}", layer("Reduction", param), one(1, n), kinds="t")
    yield Case("Softmax, classes", layer("Softmax"), one(1, n), kinds="t")
    yield Case("Softmax, classes, 2 positions", layer("Softmax"), one(1, n, 2), kinds="t")

    def labelled(classes: int, factor: float = 1.0) -> Callable[[Fill], list[Array]]:
        return lambda fill: [fill((n, classes)) * np.float32(factor), np.arange(n) % classes]

    def pair(fill: Fill) -> list[Array]:
        return [fill((n, 2)), fill((n, 2))[:, ::-1] / 2]

    def with_matrix(fill: Fill) -> list[Array]:
        return [*labelled(3)(fill), fill((1, 1, 3, 3))]

    def pairs_of_items(fill: Fill) -> list[Array]:
        shape = (n // 100, 100, 1, 1)
        return [fill(shape), fill(shape)[::-1] / 2, np.arange(n // 100) % 2]

    softmax = layer("SoftmaxWithLoss")
    yield Case("SoftmaxWithLoss", softmax, labelled(3), kinds="t")
    yield Case("SoftmaxWithLoss, classes", softmax, lambda fill: [fill((1, n)), np.zeros(1)], kinds="t")
    yield Case("SigmoidCrossEntropyLoss", layer("SigmoidCrossEntropyLoss"), pair, kinds="t")
    yield Case("EuclideanLoss", layer("EuclideanLoss"), pair, kinds="t")
    yield Case("HingeLoss L1", layer("HingeLoss"), labelled(2), kinds="t")
    yield Case("HingeLoss L2", layer("HingeLoss", "hinge_loss_param { norm: L2 }"), labelled(2), kinds="t")
    yield Case("MultinomialLogisticLoss", layer("MultinomialLogisticLoss"), labelled(2, 0.25), kinds="t")
    yield Case("InfogainLoss", layer("InfogainLoss"), with_matrix, kinds="t")
    yield Case("ContrastiveLoss", layer("ContrastiveLoss"), pairs_of_items, kinds="t")
    weighted = layer("Power", 'top: "o" loss_weight: 0.3 power_param { scale: 1 }')
    yield Case("loss of n values", weighted, one(n), kinds="l")


def copies(n: int) -> Iterator[Case]:
    """Gradients of what is copied n times."""
    embed = layer("Embed", "embed_param { num_output: 3 input_dim: 2 }")
    yield Case("Embed, one index", embed, lambda _: [np.ones(n)], kinds="w")
    yield Case("Tile", layer("Tile", f"tile_param {{ tiles: {n} }}"), one(1, 2), kinds="b")
    yield Case(
        "Tile, outer axis", layer("Tile", f"tile_param {{ axis: 0 tiles: {n} }}"), one(1, 3), kinds="b"
    )
    picked = layer("BatchReindex")
    yield Case("BatchReindex", picked, lambda fill: [fill((2, 3)), np.zeros(n)], kinds="b")
    yield Case("Split, n / 1000 copies", layer("Split"), one(1, 50), tops=n // 1000, kinds="b")


def cases(n: int) -> Iterator[Case]:
    """All sums of n terms, n a multiple of 10,000."""
    for kinds in (inner_products, convolutions, normalizations, losses, copies):
        yield from kinds(n)


def results(case: Case, fill: Fill, dtype: np.dtype[Any]) -> dict[str, list[Array]]:
    """What a layer gives, by kind."""
    rig = build_layer(case.prototxt, case.bottoms(fill), dtype=dtype, tops=case.tops)
    if case.blobs:
        for blob in rig.layer.blobs:
            blob.data[...] = fill(blob.shape) * case.blobs
    found = {"t": rig.forward()}
    if "l" in case.kinds:
        found["l"] = [np.array(rig.layer.loss(rig.top))]
    if "BatchNorm" in case.prototxt:
        found["w"] = [rig.layer.blobs[i].data for i in (0, 1)]
    elif set(case.kinds) & set("bw"):
        wanted = [0] if "b" in case.kinds else []
        found["b"], found["w"] = rig.backward([fill(y.shape) for y in rig.top], wanted)
        found["b"] = found["b"][:1]
    return {kind: [np.array(a, np.float64) for a in found[kind]] for kind in case.kinds}


def error(case: Case, fill: Fill) -> float:
    """The largest error of a case."""
    ours, exact = results(case, fill, F32), results(case, fill, F64)
    off = 0.0
    for kind in case.kinds:
        for a, b in zip(ours[kind], exact[kind], strict=True):
            if b.size and np.abs(b).max() > 0:
                off = max(off, float(np.abs(a - b).max() / np.abs(b).max()))
    return off


def equal(constant: float) -> Fill:
    """Fills an array with one number."""
    return lambda shape: np.full(shape, np.float32(constant), np.float32)


def random(seed: int) -> Fill:
    """Fills an array with numbers from 0 to 1; always the same ones."""
    return lambda shape: np.random.default_rng(seed).random(shape, np.float32)


@click.command()
@click.option("--terms", default="10000,100000,1000000", show_default=True)
@click.option("--only", default="", help="Rows whose name has this in it.")
@click.option("--constants", default=6, show_default=True, help="As many for equal terms.")
def main(terms: str, only: str, constants: int) -> None:
    """Prints the table."""
    numbers = [int(n) for n in terms.split(",")]
    tables = [list(cases(n)) for n in numbers]
    names = list(dict.fromkeys(case.name for table in tables for case in table))
    click.echo("| sum | " + " | ".join(f"{n:,} equal | random" for n in numbers) + " |")
    click.echo("|---|" + "---:|---:|" * len(numbers))
    values = np.random.default_rng(5).uniform(0.1, 1.0, constants)
    values[:1] = 0.7
    for name in names:
        if only not in name:
            continue
        cells = []
        for table in tables:
            found = [case for case in table if case.name == name]
            if not found:
                cells += ["", ""]
                continue
            cells.append(f"{max(error(found[0], equal(c)) for c in values):.1e}")
            cells.append(f"{error(found[0], random(1)):.1e}")
        click.echo(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
