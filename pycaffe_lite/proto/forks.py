"""What forks of Caffe have added to its schema: whose each field is, and the number that each fork gave it.

proto/forks.proto declares these fields. `fork_numbers.tsv` has a row for each: its message, its name, its
numbers (`45:SegNet+synopsys;137:TSN`) and, for a layer's parameters, the types of layers that read them.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

TABLE = Path(__file__).with_name("fork_numbers.tsv")

# The forks, in the order in which they are thought of where several fit: what most detectors use comes first.
# MyCaffe's schema has no numbers, so its fields have those of ours.
FORKS = (
    "SSD", "RefineDet", "SegNet", "PSPNet", "MobileNet-YOLO", "R-FCN", "Cascade-R-CNN", "warp-ctc",
    "SphereFace", "Intel", "NVIDIA", "happynear", "TSN", "synopsys", "C3D", "video-caffe", "OpenVINO",
    "CaffeMex", "Cysu", "CC5.0", "sophgo", "jolibrain", "Tiny-DSOD", "CRNN", "venkai", "kuaitoukid",
    "FlowNet2", "lisa-caffe", "caffe-jacinto", "Cambricon", "DeepLab", "CRF-RNN", "ChWick",
    "DeconvNet", "AffordanceNet", "DSH", "MyCaffe",
)  # fmt: skip


class _Row(NamedTuple):
    """Of a field: the number in each fork that has it, and the types of layers that read it."""

    numbers: Mapping[str, int]
    types: tuple[str, ...]


def is_fork_field(message: str, name: str) -> bool:
    """Whether a field of our schema is one that only forks have.

    Args:
        message: the name of the message's type, `PoolingParameter`. name: the field's.
    """
    return (message, name) in _rows()


def numbers_of(message: str, name: str) -> Mapping[str, int]:
    """The number of a field in each fork that has it; empty for a field of Caffe's own.

    Args:
        message: the name of the message's type. name: the field's.
    """
    row = _rows().get((message, name))
    return row.numbers if row else {}


def fork_fields_of_schema() -> list[tuple[str, str]]:
    """All fields that only forks have, as the name of their message and theirs."""
    return list(_rows())


@cache
def params_of_type(layer_type: str) -> tuple[str, ...]:
    """The fields with parameters that forks gave to LayerParameter and that a type of layers reads."""
    return tuple(name for (_, name), row in _rows().items() if layer_type in row.types)


@cache
def _rows() -> dict[tuple[str, str], _Row]:
    """The table, by message and field."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        next(rows)
        return {
            (message, name): _Row(_by_fork(numbers), tuple(types.split()))
            for message, name, numbers, types in rows
        }


def _by_fork(numbers: str) -> dict[str, int]:
    """Reads `45:SegNet+synopsys;137:TSN`."""
    pairs = (part.split(":") for part in numbers.split(";"))
    return {fork: int(number) for number, forks in pairs for fork in forks.split("+")}
