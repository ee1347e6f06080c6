"""Which nets a solver builds from its settings, in which states."""

from dataclasses import replace

import pytest

from pycaffe_lite.errors import FileLookupError, SolverError
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import parse
from pycaffe_lite.solver.nets import SolverNets

NET = 'name: "%s" layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 } } } '


def nets(text, path=None):
    document = replace(parse(text, caffe_pb2.SolverParameter), path=path)
    return SolverNets(document, strict=False)


def build(text):
    found = nets(text)
    found.train_net()
    found.test_nets()


def error_of(text):
    with pytest.raises(SolverError) as caught:
        build(text)
    return str(caught.value)


def state_of(document):
    state = document.message.state
    return state.phase, state.level, list(state.stage)


def inline(kind, name="n", state=""):
    return f"{kind} {{ {NET % name} {state} }} "


@pytest.mark.parametrize("kind", ["net_param", "train_net_param"])
def test_a_train_net_inside_the_solver(kind, caplog):
    with caplog.at_level("INFO"):
        document = nets(inline(kind, "here")).train_net()
    assert document.message.name == "here"
    assert state_of(document) == (caffe_pb2.TRAIN, 0, [])
    assert caplog.messages == [f"Creating training net specified in {kind}."]


@pytest.mark.parametrize("kind", ["net", "train_net"])
def test_a_train_net_in_a_file_beside_the_solver(kind, tmp_path, caplog):
    (tmp_path / "n.prototxt").write_text(NET % "file")
    with caplog.at_level("INFO", "pycaffe_lite.solver"):
        document = nets(f"{kind}: 'n.prototxt'", tmp_path / "solver.prototxt").train_net()
    assert document.message.name == "file"
    assert document.path == tmp_path / "n.prototxt"
    assert caplog.messages == [f"Creating training net from {kind} file: n.prototxt"]


def test_a_missing_file(tmp_path):
    with pytest.raises(FileLookupError, match=r"^no such file: 'n.prototxt'"):
        nets("net: 'n.prototxt'", tmp_path / "solver.prototxt").train_net()


def test_none_or_two_train_nets():
    needed = "a solver needs exactly one of net, net_param, train_net and train_net_param, got "
    assert error_of("") == needed + "none"
    assert error_of("net: 'a' " + inline("train_net_param")) == needed + "net and train_net_param"


def test_states_are_merged_the_later_winning():
    state = 'state { phase: TEST level: 2 stage: "own" }'
    document = nets(inline("net_param", state=state) + 'train_state { level: 5 stage: "solver" }').train_net()
    assert state_of(document) == (caffe_pb2.TEST, 5, ["own", "solver"])


def test_test_nets_come_in_order_and_the_generic_net_fills_up(tmp_path, caplog):
    (tmp_path / "t.prototxt").write_text(NET % "file")
    text = (
        inline("net_param", "generic")
        + inline("test_net_param", "first")
        + "test_net: 't.prototxt' test_iter: 1 test_iter: 1 test_iter: 1 test_iter: 1 test_interval: 1 "
        + "test_state { stage: 'a' } test_state { phase: TRAIN } test_state { } test_state { level: 3 }"
    )
    found = nets(text, tmp_path / "solver.prototxt")
    with caplog.at_level("INFO", "pycaffe_lite.solver"):
        documents = found.test_nets()
    assert [d.message.name for d in documents] == ["first", "file", "generic", "generic"]
    assert [state_of(d) for d in documents] == [
        (caffe_pb2.TEST, 0, ["a"]),
        (caffe_pb2.TRAIN, 0, []),
        (caffe_pb2.TEST, 0, []),
        (caffe_pb2.TEST, 3, []),
    ]
    assert caplog.messages == [
        "Creating test net (#0) specified by test_net_param",
        "Creating test net (#1) specified by test_net file: t.prototxt",
        "Creating test net (#2) specified by net_param",
        "Creating test net (#3) specified by net_param",
    ]
    # The generic net's own message stays as it was.
    assert state_of(found.train_net()) == (caffe_pb2.TRAIN, 0, [])


def test_counts_of_test_nets_must_match():
    two = inline("test_net_param") * 2
    each = "test_iter needs a value for each of the 2 test nets, got "
    assert error_of(inline("net_param") + two + "test_iter: 1") == each + "1"
    assert error_of(inline("train_net_param") + two + "test_iter: 1 test_iter: 1 test_iter: 1") == each + "3"
    assert error_of(inline("net_param") + "test_iter: 1") == (
        "a solver with test nets needs test_interval above 0, got 0"
    )
    assert error_of(
        inline("net_param") + "test_iter: 1 test_interval: 1 test_state {} test_state {}"
    ) == "test_state must be given for none or for each of the 1 test nets, got 2"  # fmt: skip


def test_weights_are_lists_of_comma_separated_files(tmp_path):
    for name in "abc":
        (tmp_path / name).touch()
    found = nets("weights: 'a, b' weights: 'c'", tmp_path / "solver.prototxt")
    assert [path.name for path in found.weight_files()] == ["a", "b", "c"]


def test_a_file_is_read_once_for_all_its_nets(tmp_path, caplog):
    path = tmp_path / "n.prototxt"
    path.write_text(NET % "file" + "forks_field: 1")
    found = nets("net: 'n.prototxt' test_iter: 1 test_interval: 1", tmp_path / "solver.prototxt")
    train, (test,) = found.train_net(), found.test_nets()
    assert state_of(train) == (caffe_pb2.TRAIN, 0, [])
    assert state_of(test) == (caffe_pb2.TEST, 0, [])
    assert len([m for m in caplog.messages if "forks_field" in m]) == 1


def test_test_iter_without_a_test_net():
    assert error_of(f"{inline('train_net_param')} test_iter: 1 test_interval: 1") == (
        "test_iter is given, but there is no test net: name one as test_net, or write net instead of "
        "train_net"
    )


def test_a_negative_test_iter():
    text = f"{inline('net_param')} test_iter: -1 test_interval: 1"
    assert error_of(text) == "test_iter must not be negative, got -1"


def test_errors_have_the_place_of_the_setting(tmp_path):
    path = tmp_path / "s.prototxt"
    with pytest.raises(SolverError) as caught:
        nets("\ntest_iter: 1\ntrain_net: 'n'", path).test_nets()
    assert str(caught.value).startswith(f"{path}:2: test_iter is given")
    with pytest.raises(SolverError) as caught:
        nets("train_net: 'n'\nnet: 'n'", path).train_net()
    assert str(caught.value).startswith(f"{path}:2: a solver needs exactly one of net,")
