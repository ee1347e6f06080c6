"""`pycaffe-lite upgrade-solver`."""

from pathlib import Path

import pytest

from pycaffe_lite.proto import caffe_pb2

OLD = 'base_lr: 0.1  # not too much\nnet: "net.prototxt"\nsolver_type: ADAGRAD\nwarmup { steps: 3 }\n'
NEW = 'base_lr: 0.1\nnet: "net.prototxt"\ntype: "AdaGrad"\nwarmup { steps: 3 }\n'


def test_text(folder, run):
    Path("old").write_text(OLD)
    result = run("upgrade-solver", "old", "new")
    assert (result.code, result.out) == (0, ["wrote new"])
    assert result.messages == [
        "old:4: unknown field 'warmup' in SolverParameter is ignored",
        "old: upgraded 'solver_type' to type 'AdaGrad'",
    ]
    assert Path("new").read_text() == NEW


def test_a_present_solver_stays_as_it_is(folder, run):
    Path("old").write_text(NEW)
    assert run("upgrade-solver", "old", "old", level=2) == (0, ["wrote old"], [])
    assert Path("old").read_text() == NEW


def test_binary(folder, run):
    old = caffe_pb2.SolverParameter(base_lr=0.5, solver_type=caffe_pb2.SolverParameter.ADAM)
    Path("old").write_bytes(old.SerializeToString())
    assert run("upgrade-solver", "old", "new", level=2).code == 0
    new = caffe_pb2.SolverParameter.FromString(Path("new").read_bytes())
    assert new == caffe_pb2.SolverParameter(base_lr=0.5, type="Adam")


@pytest.mark.parametrize("content", [b"net: ", b"type: 'SGD' solver_type: ADAM", b"\x08\x00\x00"])
def test_unreadable(folder, run, content):
    Path("old").write_bytes(content)
    result = run("upgrade-solver", "old", "new", level=3)
    assert (result.code, result.out, len(result.err)) == (2, [], 1)
    assert result.err[0].startswith("Error: old:")
    assert not Path("new").exists()
