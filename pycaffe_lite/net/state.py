"""Which layers of a prototxt belong to a net: the rules of include and exclude."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pycaffe_lite.errors import NetError
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import text_of

log = logging.getLogger(__name__)


class PlacedLayer(NamedTuple):
    """A layer's message and its place in the prototxt, `net.prototxt:12: `, for errors."""

    param: caffe_pb2.LayerParameter
    where: str


def filter_layers(layers: Iterable[PlacedLayer], state: caffe_pb2.NetState) -> list[PlacedLayer]:
    """The layers that a net in `state` has.

    A layer with include rules stays if any of them holds, one with exclude rules if none of them does, and
    one without rules always. A layer's own `phase` is not a rule: it sets the phase in which the layer runs.

    Raises:
        NetError: a layer has both include and exclude rules.
    """
    kept = []
    for layer in layers:
        param = layer.param
        if param.include and param.exclude:
            raise NetError(
                f"{layer.where}layer '{param.name}' has include and exclude rules; give only one kind"
            )
        if param.include:
            keep = any(rule_holds(state, rule, param.name) for rule in param.include)
        else:
            keep = not any(rule_holds(state, rule, param.name) for rule in param.exclude)
        if keep:
            kept.append(layer)
    return kept


def rule_holds(state: caffe_pb2.NetState, rule: caffe_pb2.NetStateRule, layer_name: str) -> bool:
    """Whether `state` has all that the rule asks for; an empty rule asks for nothing."""
    stages = set(state.stage)
    if rule.HasField("phase") and rule.phase != state.phase:
        reason = f"phase ({state.phase}) differed from the phase ({rule.phase})"
    elif rule.HasField("min_level") and state.level < rule.min_level:
        reason = f"level ({state.level}) is below the min_level ({rule.min_level})"
    elif rule.HasField("max_level") and state.level > rule.max_level:
        reason = f"level ({state.level}) is above the max_level ({rule.max_level})"
    elif missing := [stage for stage in rule.stage if stage not in stages]:
        reason = f"did not contain stage '{missing[0]}'"
    elif unwanted := [stage for stage in rule.not_stage if stage in stages]:
        reason = f"contained a not_stage '{unwanted[0]}'"
    else:
        return True
    log.info("The NetState %s specified by a rule in layer %s", reason, layer_name)
    return False


def why_left_out(param: caffe_pb2.LayerParameter, state: caffe_pb2.NetState) -> str:
    """The part of an error that says which rule leaves a layer out of a net in `state`, and the cure."""
    rules = param.include or param.exclude
    kind = "include" if param.include else "exclude"
    words = " ".join(f"{kind} {{ {text_of(rule).replace(chr(10), ' ')} }}" for rule in rules)
    phase = caffe_pb2.Phase.Name(state.phase)
    return f"its rule, {words}, leaves it out of this {phase} net{_cure(rules, state)}"


def _cure(rules: Sequence[caffe_pb2.NetStateRule], state: caffe_pb2.NetState) -> str:
    """The part of an error that says how to give the stage or level that a rule asks for."""
    missing = [stage for rule in rules for stage in rule.stage if stage not in state.stage]
    if not missing:
        if any(rule.HasField("min_level") or rule.HasField("max_level") for rule in rules):
            return f", whose level is {state.level}"
        return ""
    stage = missing[0]
    in_python = f"stages=['{stage}'] in Python"
    if state.phase == caffe_pb2.TEST:
        return (
            f": in a solver give test_state {{ stage: '{stage}' }} (--stage counts for the train net only, "
            f"as in Caffe), elsewhere --stage {stage}, or {in_python}"
        )
    return f": give --stage {stage}, in a solver train_state {{ stage: '{stage}' }}, or {in_python}"
