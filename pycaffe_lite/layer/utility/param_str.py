"""The param_str of Python layers that hold a mapping, as Faster R-CNN's do: a line of YAML."""

from __future__ import annotations

import ast
import re
from typing import Any

from pycaffe_lite.errors import ArgumentError

_BARE_KEY = re.compile(r"([{,]\s*)([A-Za-z_]\w*)(\s*:)")
_BARE_VALUE = re.compile(r"(?<=[:\[,])(\s*)(true|false|null|~)(?=\s*[,\]}])", re.IGNORECASE)
# What PyYAML writes before a list that it reads as a tuple: the list means as much here.
_TUPLE = re.compile(r"(?<=[:\[,])(\s*)!!python/tuple(?=\s*\[)")
_VALUES = {"true": "True", "false": "False", "null": "None", "~": "None"}


def mapping_of(text: str) -> dict[str, Any]:
    """The mapping that a text means: `'feat_stride': 16`, `{scales: [8, 16]}`, or lines of the former.

    That is the part of YAML that such texts use: numbers, words in quotes, true and false, lists in brackets,
    also after PyYAML's `!!python/tuple`.

    Raises:
        ArgumentError: the text means no such mapping.
    """
    inner = text.strip()
    if not inner.startswith("{"):
        lines = (line.strip().rstrip(",") for line in inner.splitlines())
        inner = "{" + ", ".join(line for line in lines if line and not line.startswith("#")) + "}"
    inner = _TUPLE.sub(r"\1", inner)
    inner = _BARE_KEY.sub(r"\1'\2'\3", inner)
    inner = _BARE_VALUE.sub(lambda match: match[1] + _VALUES[match[2].lower()], inner)
    try:
        value = ast.literal_eval(inner)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        value = None
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ArgumentError("needs names with values, \"'feat_stride': 16\" for example")
    return value
