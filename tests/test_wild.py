"""Public nets, as published: the shapes that Caffe or their fork gives them, and a pass of the smaller ones.

Shapes alone take no memory: a blob's comes into being when it is touched, and `wild_nets.build` leaves out
the fillers, on whose values no shape depends. So the largest net, of 12 GB, is among them. Nets of up to 1 GB
are run by `python tests/wild_nets.py --run`, the smaller ones here too.
"""

import numpy as np
import pytest
import wild_nets

LIMIT = 100  # megabytes
BUILT = [(net, phase) for net in wild_nets.wild_nets() for phase in net.shapes]
RUN = [(net, phase) for net, phase in BUILT if net.megabytes(phase) <= LIMIT]


def named(cases):
    return pytest.mark.parametrize(
        ("wild", "phase"), cases, ids=[f"{net.name}-{phase}" for net, phase in cases]
    )


@named(BUILT)
def test_shapes(wild, phase):
    net = wild_nets.build(wild, phase)
    blobs = {name: list(blob.shape) for name, blob in net.blobs.items()}
    params = {name: [list(blob.shape) for blob in layer] for name, layer in net.params.items()}
    if not any("_split_" in name for name in wild.shapes[phase]["blobs"]):
        blobs = {name: shape for name, shape in blobs.items() if "_split_" not in name}
    assert blobs == wild.shapes[phase]["blobs"]
    assert params == wild.shapes[phase]["params"]


@named(RUN)
def test_forward_and_backward(wild, phase):
    net = wild_nets.build(wild, phase, backward=True)
    wild_nets.run(net)
    for name in net.outputs:
        assert np.isfinite(net.blobs[name].data).all(), name
    gradients = [blob.diff for blob in net.learnable_params]
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    assert any(gradient.any() for gradient in gradients)


def test_there_are_nets():
    assert len({net.name for net, _ in BUILT}) >= 94
    assert len(RUN) >= 40
