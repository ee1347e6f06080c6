"""Fields that forks of Caffe have added to its messages: which of them change a result, and which do not.

A net that asks for a fork's computation must not quietly get Caffe's. So a field that is known to change the
result is refused until it is implemented; one that is known to be harmless is logged, with the reason; one
that nobody knows is kept, and warned of.

`fork_fields.tsv` has a row for each known one. To implement a field, give it to the schema and take its row
out. The columns: the message ('*': any) and the field; the result, one of `Result`; the value with which the
fork computes what Caffe does, if there is one; the forks that have the field; why it changes the result, or
why not; and what to write instead.
"""

from __future__ import annotations

import csv
from enum import Enum
from functools import cache
from pathlib import Path
from typing import NamedTuple

from pycaffe_lite.proto.text_tokens import Source

TABLE = Path(__file__).with_name("fork_fields.tsv")

# Old layers have the fields of today's.
_SAME_MESSAGE = {"V1LayerParameter": "LayerParameter", "V0LayerParameter": "LayerParameter"}
_TRUTHS = {"true": True, "True": True, "t": True, "1": True, "false": False, "False": False, "f": False}
_TRUTHS["0"] = False
_MOST_NAMES = 4

# Values of Caffe's own enums that forks have added, and whose: message, field, value. They change the result.
FORK_VALUES = {
    ("DataParameter", "backend", "IMAGEDB"): "MyCaffe",
    ("EltwiseParameter", "operation", "DIV"): "MyCaffe",
    ("EltwiseParameter", "operation", "MIN"): "MyCaffe",
    ("EltwiseParameter", "operation", "SORT"): "happynear",
    ("EltwiseParameter", "operation", "STOCHASTIC_SUM"): "TSN",
    ("EltwiseParameter", "operation", "SUB"): "MyCaffe",
    ("LossParameter", "normalization", "PRE_FIXED"): "Intel, R-FCN, sophgo, CaffeMex",
    ("NetState", "phase", "RUN"): "MyCaffe",
    ("NetStateRule", "phase", "RUN"): "MyCaffe",
    ("PoolingParameter", "pool", "LOWRES"): "happynear",
    ("PoolingParameter", "pool", "MDS"): "OpenVINO",
    ("ReductionParameter", "operation", "TOPK"): "TSN",
    ("SolverParameter", "solver_type", "SAG"): "NVIDIA",
    ("V1LayerParameter", "type", "BN"): "SegNet",
    ("V1LayerParameter", "type", "CORRELATION"): "FlowNet",
    ("V1LayerParameter", "type", "CONVOLUTION3D"): "C3D 1.0",
    ("V1LayerParameter", "type", "POOLING3D"): "C3D 1.0",
    ("V1LayerParameter", "type", "VIDEO_DATA"): "C3D 1.0",
    ("V1LayerParameter", "type", "MCWINDOW_DATA"): "deepsaldet",
    ("V1LayerParameter", "type", "CROP"): "the first FCN nets",
    ("V1LayerParameter", "type", "DENSE_CRF"): "DeepLab",
    ("V1LayerParameter", "type", "DOWNSAMPLE"): "FlowNet",
    ("V1LayerParameter", "type", "INTERP"): "DeepLab",
    ("V1LayerParameter", "type", "L1_LOSS"): "FlowNet",
    ("V1LayerParameter", "type", "MULTI_STAGE_MEANFIELD"): "CRF-RNN",
    ("V1LayerParameter", "type", "PRELU"): "forks of 2015",
    ("V1LayerParameter", "type", "RESHAPE"): "forks of 2015",
    ("V1LayerParameter", "type", "ROI_POOLING"): "Fast R-CNN",
    ("V1LayerParameter", "type", "SEG_ACCURACY"): "DeepLab",
    ("V1LayerParameter", "type", "SMOOTH_L1_LOSS"): "Fast R-CNN",
    ("V1LayerParameter", "type", "UNPOOLING"): "DeconvNet",
    ("V1LayerParameter", "type", "UPSAMPLE"): "SegNet",
    **{
        ("PoolingParameter", "pool", value): "happynear"
        for value in ("DEF", "DEF_ALL", "DEF_ALL2", "DEF_ALL3", "DEF_ALL4")
    },
}


class Result(Enum):
    """Whether a field changes what is computed."""

    HARMLESS = "harmless"
    CHANGES = "changes"
    CHANGES_TRAINING = "changes in TRAIN"


class ForkField(NamedTuple):
    """A field that some forks have, and Caffe does not.

    Attributes:
        result: whether it changes what is computed. as_caffe: the value with which it does not, or ''.
        forks: their names, comma-separated. why: it changes the result, or does not, in words.
        instead: what to write in its place; '' if nothing is known.
    """

    result: Result
    as_caffe: str
    forks: str
    why: str
    instead: str

    def result_of(self, value: str | None) -> Result:
        """The result of a value, as it stands in the text; None for a block or a list."""
        if value is not None and self.as_caffe and _equal(value, self.as_caffe):
            return Result.HARMLESS
        return self.result

    @property
    def shown_forks(self) -> str:
        """The forks' names, or the first few."""
        names = self.forks.split(", ")
        return ", ".join(names) if len(names) <= _MOST_NAMES else f"{', '.join(names[:3])} and others"

    def refusal(self, what: str) -> str:
        """Why a field is refused. what: the field, say `pooling_param.ceil_mode: false`."""
        cure = self.instead or "without the field, Caffe's own computation takes place"
        return f"{what} is not supported: in the forks that have it ({self.shown_forks}) {self.why}; {cure}"


def fork_field(message: str, name: str) -> ForkField | None:
    """What is known of a field that the schema lacks; None if nobody knows its name.

    Args:
        message: the name of the message's type, `PoolingParameter`. name: the field's.
    """
    rows = _rows()
    return rows.get((_SAME_MESSAGE.get(message, message), name)) or rows.get(("*", name))


@cache
def _rows() -> dict[tuple[str, str], ForkField]:
    """The table, read when a text first has a field that Caffe lacks."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        next(rows)
        return {
            (message, name): ForkField(Result(result), as_caffe, forks, why, instead)
            for message, name, result, as_caffe, forks, why, instead in rows
        }


def value_in(text: str) -> str | None:
    """The value in the text of a field, `ceil_mode: false`, without quotes; None for a block or a list."""
    _, *tokens, _ = Source(text, "").tokens()
    if tokens and tokens[0].text == ":":
        del tokens[0]
    words = "".join(token.text for token in tokens)
    if words[:1] in ("", "{", "<", "["):
        return None
    return words[1:-1] if tokens[0].kind == "string" else words


def _equal(value: str, other: str) -> bool:
    """Whether two words of the text format mean the same truth, number or name."""
    if other in ("true", "false"):
        return _TRUTHS.get(value) == _TRUTHS[other]
    try:
        return float(value.rstrip("fF")) == float(other)
    except ValueError:
        return value == other
