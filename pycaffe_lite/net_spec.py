"""Nets written in Python: each layer is a call, what it returns is the input of others; pycaffe's NetSpec.

    from pycaffe_lite import NetSpec, layers as L, params as P

    net = NetSpec()
    net.data = L.Input(shape=dict(dim=[1, 1, 28, 28]))
    net.conv1 = L.Convolution(net.data, num_output=20, kernel_size=5, weight_filler=dict(type="xavier"))
    net.pool1 = L.Pooling(net.conv1, pool=P.Pooling.MAX, kernel_size=2, stride=2)
    print(net.to_proto())

A layer's parameters are those of its own message (`convolution_param` for Convolution) or, where that has no
such field, of the layer's message: `loss_weight`, `include`, `param`, `convolution_param` itself. A dict
stands for a message, a list for a repeated field. Whether names and values are right shows in `to_proto`.

Source: BVLC/caffe python/caffe/net_spec.py
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from google.protobuf.message import Message

from pycaffe_lite.errors import ArgumentError, ArgumentTypeError, NameLookupError
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.text_slips import nearest

__all__ = [
    "Function",
    "Layers",
    "NetSpec",
    "Parameters",
    "Top",
    "assign_proto",
    "layers",
    "param_name_dict",
    "params",
    "to_proto",
]


def param_name_dict() -> dict[str, str]:
    """The layer types whose parameters have a message of the type's name, and its field: ReLU → relu.

    The field's full name is `relu_param`, the message's `ReLUParameter`. Where a fork has a second field with
    this message, as `relu6_param` is one, the first one is the type's own.
    """
    names: dict[str, str] = {}
    for field in caffe_pb2.LayerParameter.DESCRIPTOR.fields:
        if field.name.endswith("_param") and field.message_type is not None:
            type_name = field.message_type.name.removesuffix("Parameter")
            names.setdefault(type_name, field.name.removesuffix("_param"))
    return names


_param_names = param_name_dict()


def to_proto(*tops: Top) -> caffe_pb2.NetParameter:
    """The net that computes these tops: all layers that they need, named Type1, Type2 and so on.

    Raises:
        AttributeError: a layer has no parameter of a name. TypeError: a value is of the wrong type.
    """
    return _net(dict.fromkeys(top.fn for top in tops), {})


def _net(functions: dict[Function, None], names: Mapping[Top | Function, str]) -> caffe_pb2.NetParameter:
    """The net of these layers and of those whose tops they read, each behind its inputs.

    Args:
        functions: in the order in which they are wanted. names: of tops; the others get automatic ones.
    """
    net = caffe_pb2.NetParameter()
    naming = _Naming(names)
    done: set[Function] = set()
    # Not recursive: a net may be deeper than Python's stack. A layer is asked for twice: its inputs first.
    waiting: list[tuple[Function, bool]] = [(function, False) for function in reversed(functions)]
    while waiting:
        function, inputs_done = waiting.pop()
        if function in done:
            continue
        if inputs_done:
            done.add(function)
            function._write(net.layer.add(), naming)
        else:
            waiting.append((function, True))
            waiting.extend((top.fn, False) for top in reversed(function.inputs))
    return net


class _Naming:
    """The names of one net's tops and layers: those given, else Type1, Type2, ... in the order of asking."""

    def __init__(self, names: Mapping[Top | Function, str]) -> None:
        self._names: dict[Top | Function, str] = dict(names)
        self._used: Counter[str] = Counter()

    def of(self, thing: Top | Function, type_name: str) -> str:
        """The name of a top, or of a layer that has none of its own, of a layer type."""
        if thing not in self._names:
            self._used[type_name] += 1
            self._names[thing] = f"{type_name}{self._used[type_name]}"
        return self._names[thing]


def assign_proto(proto: Message, name: str, val: Any) -> None:
    """Sets a field of a message: messages from dicts, repeated fields from lists, or from a single value.

    Raises:
        NameLookupError: the message has no such field (also an AttributeError).
        ArgumentTypeError: the value is of the wrong type (also a TypeError).
        ArgumentError: it is out of range. IndexError: an empty list for a repeated field.
    """
    if name not in proto.DESCRIPTOR.fields_by_name:
        close = nearest(name, proto.DESCRIPTOR.fields_by_name)
        meant = f", did you mean '{close}'?" if close else ""
        raise NameLookupError(f"{proto.DESCRIPTOR.name} has no field '{name}'{meant}")
    try:
        _assign(proto, name, val)
    except ArgumentError:
        raise
    except TypeError as error:
        raise ArgumentTypeError(f"{proto.DESCRIPTOR.name}.{name} cannot be {val!r}: {error}") from None
    except ValueError as error:
        raise ArgumentError(f"{proto.DESCRIPTOR.name}.{name} cannot be {val!r}: {error}") from None


def _assign(proto: Message, name: str, val: Any) -> None:
    field = getattr(proto, name)
    if hasattr(field, "extend") and not isinstance(val, list):
        val = [val]
    if isinstance(val, list):
        if not val:
            raise IndexError(f"an empty list for {proto.DESCRIPTOR.name}.{name}; leave it out instead")
        if isinstance(val[0], dict):
            for item in val:
                message = field.add()
                for key, value in item.items():
                    assign_proto(message, key, value)
        else:
            field.extend(val)
    elif isinstance(val, dict):
        for key, value in val.items():
            assign_proto(field, key, value)
    else:
        setattr(proto, name, val)


class Top:
    """What a layer computes: a blob of the net to be.

    Attributes:
        fn: the layer. n: which of its tops this is.
    """

    def __init__(self, fn: Function, n: int) -> None:
        self.fn = fn
        self.n = n

    def to_proto(self) -> caffe_pb2.NetParameter:
        """The net that computes this top; its layers get automatic names."""
        return to_proto(self)


class Function:
    """A layer: its type, inputs and parameters.

    Args:
        type_name: the layer type. inputs: what it reads.
        params: its parameters; besides, `ntop`, how many tops it has (1), and `in_place`, whether these are
            its inputs (False).

    Attributes:
        type_name, inputs, params: as given. ntop, in_place: taken out of them. tops: what it computes.

    Raises:
        ArgumentTypeError: an input is not a Top.
    """

    def __init__(self, type_name: str, inputs: tuple[Top, ...], params: dict[str, Any]) -> None:
        self.type_name = type_name
        for index, top in enumerate(inputs):
            if not isinstance(top, Top):
                raise ArgumentTypeError(f"{type_name} input {index} is not a Top (type is {type(top)})")
        self.inputs = inputs
        self.params = params
        self.ntop: int = params.pop("ntop", 1)
        self.in_place: bool = params.pop("in_place", False)
        self.tops = tuple(Top(self, n) for n in range(self.ntop))

    def _names_of_tops(self, naming: _Naming) -> list[str]:
        if self.in_place:
            return self._names_of_inputs(naming)
        return [naming.of(top, self.type_name) for top in self.tops]

    def _names_of_inputs(self, naming: _Naming) -> list[str]:
        names = []
        for top in self.inputs:
            # What works in place hands on its input's blob; follow these to where the blob is made.
            while top.fn.in_place:
                top = top.fn.inputs[top.n]
            names.append(naming.of(top, top.fn.type_name))
        return names

    def _write(self, layer: caffe_pb2.LayerParameter, naming: _Naming) -> None:
        """Writes the layer into its message."""
        layer.type = self.type_name
        layer.bottom.extend(self._names_of_inputs(naming))
        layer.top.extend(self._names_of_tops(naming))
        first: Top | Function = self.tops[0] if self.tops else self
        layer.name = naming.of(first, self.type_name)
        for name, value in self.params.items():
            try:
                assign_proto(self._message_with(name, layer), name, value)
            except ArgumentError as error:
                raise type(error)(f"layer '{layer.name}' ({self.type_name}): {error}") from None

    def _message_with(self, name: str, layer: caffe_pb2.LayerParameter) -> Message:
        """The message that a parameter belongs to: the type's own one, or the layer's."""
        own = _param_names.get(self.type_name)
        if own is None or name.endswith("param"):
            return layer
        message: Message = getattr(layer, f"{own}_param")
        is_layers = name in layer.DESCRIPTOR.fields_by_name and name not in message.DESCRIPTOR.fields_by_name
        return layer if is_layers else message


class NetSpec:
    """A net under construction: what is assigned to an attribute, or an item, is a top of that name.

        net = NetSpec()
        net.data, net.label = L.DummyData(shape=[...], ntop=2)
        net["conv/3x3"] = L.Convolution(net.data, num_output=4, kernel_size=3)

    SSD's fork adds methods: `keys()` gives the names and `vals()` the tops; `update(name, params)` sets more
    parameters of a top's layer; `del net["name"]` forgets a name. Where a top is called `keys`, `vals` or
    `update`, that name gives the top, as in Caffe.

    Attributes:
        tops: the tops by name, in the order of their assignment.
    """

    tops: OrderedDict[str, Top]

    def __init__(self) -> None:
        vars(self)["tops"] = OrderedDict()

    def __setattr__(self, name: str, value: Top) -> None:
        self.tops[name] = value

    def __getattr__(self, name: str) -> Any:
        if name in _METHODS_OF_SSD and name not in self.tops:
            return partial(_METHODS_OF_SSD[name], self)
        return self[name]

    def __setitem__(self, key: str, value: Top) -> None:
        self.tops[key] = value

    def __getitem__(self, item: str) -> Top:
        tops: Mapping[str, Top] = vars(self).get("tops", {})  # a copy in the making has none
        if item not in tops:
            raise NameLookupError(f"the net has no top '{item}' (tops: {', '.join(tops) or 'none'})")
        return tops[item]

    def __delitem__(self, name: str) -> None:
        del self.tops[name]

    def to_proto(self) -> caffe_pb2.NetParameter:
        """The net that computes all tops that have a name.

        A layer is named after its first top, unless it has a parameter `name`. Layers that no named top needs
        are left out. `str()` of the message is the prototxt.

        Raises:
            AttributeError: a layer has no parameter of a name. TypeError: a value is of the wrong type.
        """
        names: dict[Top | Function, str] = {top: name for name, top in self.tops.items()}
        functions = dict.fromkeys(_function_of(top) for top in self.tops.values())
        return _net(functions, names)


def _keys(net: NetSpec) -> list[str]:
    return list(net.tops)


def _vals(net: NetSpec) -> list[Top]:
    return list(net.tops.values())


def _update(net: NetSpec, name: str, params: Mapping[str, Any]) -> None:
    _function_of(net[name]).params.update(params)


_METHODS_OF_SSD: dict[str, Callable[..., Any]] = {"keys": _keys, "vals": _vals, "update": _update}


def _function_of(top: Top | Function) -> Function:
    """The layer behind a top; one without tops is assigned itself."""
    if isinstance(top, Function):
        return top
    if not isinstance(top, Top):
        raise ArgumentTypeError(f"a net's names stand for tops, got {type(top)}; assign each top to a name")
    return top.fn


class Layers:
    """Makes layers: `layers.Convolution(bottom, num_output=4, kernel_size=3)`, of any type.

    A call returns the layer's top; with `ntop` above 1 a tuple of tops; with `ntop=0` the Function, to be
    assigned to a name.
    """

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def layer(*args: Top, **kwargs: Any) -> Any:
            function = Function(name, args, kwargs)
            if function.ntop == 0:
                return function
            return function.tops[0] if function.ntop == 1 else function.tops

        layer.__name__ = name
        return layer


class Parameters:
    """The values of enums: `params.Pooling.MAX` is the number of MAX in PoolingParameter."""

    def __getattr__(self, name: str) -> Any:
        message = getattr(caffe_pb2, f"{name}Parameter", None)
        if message is None:
            raise AttributeError(f"Caffe's schema has no message {name}Parameter")
        return _Values(message)


class _Values:
    """The enum values of one message, as attributes."""

    def __init__(self, message: type[Message]) -> None:
        self._message = message

    def __getattr__(self, name: str) -> Any:
        return getattr(self._message, name)


layers = Layers()
params = Parameters()
