"""A net as a page for the browser: one file with zoom, search and each layer's numbers."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

from pycaffe_lite.printable import printable
from pycaffe_lite.view.dot import Graph
from pycaffe_lite.view.drawing import DrawnLayer, DrawnNet
from pycaffe_lite.view.numbers import as_bytes, as_count, as_shape

_PAGE = Path(__file__).with_name("net_page.html")
_SCRIPT = Path(__file__).with_name("drawing.js")


def drawing_script() -> str:
    """The script that lets a browser zoom a drawing of a net and move it."""
    return _SCRIPT.read_text(encoding="utf-8")


def net_page(net: DrawnNet, graph: Graph) -> str:
    """The page of a net, as HTML.

    Args:
        net: the net. graph: what the page draws of it, its `layer_graph` or its `blob_graph`.
    """
    data = {
        "name": printable(net.name),
        "facts": facts_of(net),
        "remarks": [printable(remark, 1000) for remark in net.remarks],
        "layers": {str(i): layer_entry(layer) for i, layer in enumerate(net.layers)},
    }
    parts = {
        "@TITLE@": escape(printable(net.name)),
        "@SVG@": graph.picture().svg(),
        # Inside of a script element, only its end tag and what looks like a comment have a meaning.
        "@DATA@": json.dumps(data).replace("<", r"\u003c"),
        "@SCRIPT@": drawing_script(),
    }
    template = _PAGE.read_text(encoding="utf-8")
    pieces = []
    for mark, text in parts.items():  # each mark stands once, in this order; a name may look like one
        before, template = template.split(mark, 1)
        pieces += [before, text]
    return "".join([*pieces, template])


def facts_of(net: DrawnNet) -> list[tuple[str, str]]:
    """What there is to say of a net as a whole: names and values."""
    summaries = [layer.summary for layer in net.layers if layer.summary]
    facts = [("layers", str(len(net.layers)))]
    if summaries:
        facts += [
            ("parameters", as_count(sum(layer.params for layer in summaries))),
            ("multiply-adds", as_count(sum(layer.multiply_adds or 0 for layer in summaries))),
            ("memory forward", as_bytes(sum(layer.memory for layer in summaries))),
        ]
    return facts


def layer_entry(layer: DrawnLayer) -> dict[str, Any]:
    """What the page says of a layer: `find` is what the search looks at, `facts` stand in the panel."""
    param, summary = layer.param, layer.summary
    tops = [
        f"{printable(top)} ({as_shape(shape)})" if (shape := layer.shape(i)) is not None else printable(top)
        for i, top in enumerate(param.top)
    ]
    facts = [
        ("type", printable(param.type)),
        ("bottoms", ", ".join(map(printable, param.bottom))),
        ("tops", ", ".join(tops)),
    ]
    if summary:
        cost = "depends on the data" if summary.multiply_adds is None else as_count(summary.multiply_adds)
        facts += [
            ("parameters", as_count(summary.params) if summary.params else ""),
            ("multiply-adds", cost),
            ("memory", as_bytes(summary.memory) if summary.memory else ""),
        ]
    return {
        "name": printable(param.name),
        "find": " ".join([param.name, param.type, *param.bottom, *param.top]),
        "facts": facts,
        "text": "\n".join(printable(line, 1000) for line in layer.text().splitlines()),
    }
