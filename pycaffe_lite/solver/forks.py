"""Which fork a solver's settings were written for, where one field means different things in several."""

from __future__ import annotations

from pycaffe_lite.proto import caffe_pb2

# Fields that only one fork reads.
_JOLIBRAINS = (
    *("period", "p_mult", "lr_mult", "lookahead", "lookahead_steps", "lookahead_alpha", "amsgrad"),
    *("rectified", "adabelief", "gc", "decoupled_wd_t0", "decoupled_wd_mult", "lr_dropout"),
)
_NVIDIAS = (
    *("rampup_interval", "rampup_lr", "momentum_policy", "max_momentum", "momentum_power"),
    *("weight_decay_policy", "weight_decay_power", "max_weight_decay"),
    *("larc", "larc_policy", "larc_eta", "larc_turbo"),
)


def is_jolibrains(param: caffe_pb2.SolverParameter) -> bool:
    """Whether the settings have something that only jolibrain's fork knows."""
    return (
        any(param.HasField(name) for name in _JOLIBRAINS)
        or param.lr_policy == "sgdr"
        or param.regularization_type == "decoupled"
    )


def is_nvidias(param: caffe_pb2.SolverParameter) -> bool:
    """Whether the settings have something that only NVIDIA's fork, or caffe-jacinto, knows."""
    return any(param.HasField(name) for name in _NVIDIAS) or param.type == "SAG"
