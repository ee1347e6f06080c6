"""`pycaffe-lite layers`: the layer types that there are, and what each takes."""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Iterable, Iterator
from typing import Any

import click
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from pycaffe_lite.cli.command import CaffeCommand
from pycaffe_lite.cli.output import echo
from pycaffe_lite.layer.base import Layer
from pycaffe_lite.layer.registry import LayerType, forms_of, layer_types, load_plugins, why_unknown
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.comments import comment_on
from pycaffe_lite.proto.text_fields import fields_of

MOST_COLUMNS = 110  # of the text; docstrings are that wide
NAME_COLUMNS = 36


@click.command("layers", cls=CaffeCommand)
@click.argument("layer_type", metavar="[TYPE]", required=False)
def command(layer_type: str | None) -> None:
    """Lists the layer types, or describes one of them.

    Without TYPE, prints a line for each type that prototxts can name: Caffe's own types first, then those of
    each fork. With it, prints what the type computes, the shapes of its bottoms, tops and learnable blobs,
    and its parameters with their defaults. Where forks gave one name to several layers, it describes each.
    """
    load_plugins()
    types = layer_types()
    if layer_type is None:
        for line in _list(types):
            echo(line)
    elif layer_type in types:
        for i, form in enumerate(forms_of(layer_type)):
            for paragraph in ([""] if i else []) + list(_description(layer_type, form)):
                for line in paragraph.split("\n"):
                    echo(line)
    else:
        raise click.UsageError(why_unknown(layer_type))


def _list(types: Iterable[str]) -> Iterator[str]:
    """A line for each type, by origin: Caffe's first, the forks' in alphabetical order."""
    by_origin: dict[str, list[tuple[str, LayerType]]] = {}
    for name in types:
        for form in forms_of(name):
            by_origin.setdefault(form.origin, []).append((name, form))
    width = max(map(len, types))
    for origin in sorted(by_origin, key=lambda origin: (origin != "Caffe", origin.lower())):
        if len(by_origin) > 1:
            yield from ([] if origin == "Caffe" else [""]) + [f"{origin}:"]
        for name, form in by_origin[origin]:
            yield f"{name:<{width}}  {_documentation(form.layer_class).partition(chr(10))[0]}"


def _description(name: str, entry: LayerType) -> Iterator[str]:
    layer_class = entry.layer_class
    yield name if entry.origin == "Caffe" else f"{name} (from {entry.origin})"
    yield ""
    yield _documentation(layer_class)
    for base in layer_class.__mro__[1:]:
        if issubclass(base, Layer) and base is not Layer:
            yield from ("", f"From {base.__name__}, on which it is built:", "", _documentation(base))
    yield ""
    yield f"Number of bottoms: {_bottoms(layer_class)}. Number of tops: {_tops(layer_class)}."
    shown: dict[str, Descriptor] = {}
    for param in (entry.param, *layer_class.also_reads):
        if param is not None:
            message = getattr(caffe_pb2.LayerParameter(), param).DESCRIPTOR
            yield from _parameters(param, message)
            shown |= {f.message_type.name: f.message_type for f in message.fields if f.message_type}
    for inner in shown.values():
        yield from _parameters(inner.name, inner)


def _documentation(layer_class: type[Layer[Any]]) -> str:
    """The class's docstring, without the paragraphs for readers of the code."""
    paragraphs = inspect.cleandoc(layer_class.__doc__ or "").split("\n\n")
    return "\n\n".join(p for p in paragraphs if not p.startswith(("Attributes:", "Source:")))


def _bottoms(layer_class: type[Layer[Any]]) -> str:
    return _number(layer_class.exact_bottoms, layer_class.min_bottoms, layer_class.max_bottoms)


def _tops(layer_class: type[Layer[Any]]) -> str:
    if layer_class.equal_bottoms_tops:
        return "the same"
    return _number(layer_class.exact_tops, layer_class.min_tops, layer_class.max_tops)


def _number(exact: int | None, least: int | None, most: int | None) -> str:
    if exact is not None:
        return str(exact)
    if most is not None:
        return f"{least or 0} to {most}"
    return "any" if least is None else f"{least} or more"


def _parameters(name: str, message: Descriptor) -> Iterator[str]:
    """A heading, and for each field of the message its type, default and meaning."""
    yield ""
    yield f"{name}:"
    required = fields_of(message).required
    formatter = click.HelpFormatter(
        indent_increment=2, width=min(shutil.get_terminal_size((MOST_COLUMNS, 0)).columns, MOST_COLUMNS)
    )
    with formatter.indentation():
        formatter.write_dl(
            [
                (f"{field.name}: {_kind(field, message)}", _meaning(field, message, field.name in required))
                for field in message.fields
            ],
            col_max=NAME_COLUMNS,
        )
    yield formatter.getvalue().rstrip("\n")


def _kind(field: FieldDescriptor, message: Descriptor) -> str:
    """The field's type as a prototxt's writer sees it, and its default: `uint32 = 1`."""
    known = fields_of(message).by_name[field.name]
    if field.enum_type:
        kind = "|".join(known.values)
    elif field.message_type:
        kind = field.message_type.name
    elif known.kind == "int":
        kind = "int" if known.low else "unsigned int"
    else:
        kind = known.kind
    if known.repeated:
        return f"{kind}, ..."
    return f"{kind} = {_default(field)}" if field.has_default_value else kind


def _default(field: FieldDescriptor) -> str:
    if field.enum_type:
        return str(field.enum_type.values_by_number[field.default_value].name)
    if isinstance(field.default_value, bool):
        return str(field.default_value).lower()
    if isinstance(field.default_value, str):
        return f'"{field.default_value}"'
    return f"{field.default_value:g}"


def _meaning(field: FieldDescriptor, message: Descriptor, required: bool) -> str:
    return comment_on(message.name, field.name) + (" Required." if required else "")
