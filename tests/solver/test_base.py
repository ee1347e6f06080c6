"""The training loop: order of things, display, tests, requests from outside, errors."""

import math

import numpy as np
import pytest
from small_solver import NET, feed_iteration, settings, solver, weights

from pycaffe_lite import random
from pycaffe_lite.errors import FileLookupError, SolverError
from pycaffe_lite.solver import Action, AdamSolver, SGDSolver, get_solver, solver_type_list


def log_of(caplog, run, *names):
    caplog.clear()
    with caplog.at_level("INFO", "pycaffe_lite.solver"):
        run()
    return caplog.messages


def test_types():
    assert solver_type_list() == ["AdaDelta", "AdaGrad", "Adam", "Nesterov", "RMSProp", "SAG", "SGD"]
    assert type(get_solver(settings("type: 'Adam'"))) is AdamSolver
    with pytest.raises(SolverError) as caught:
        get_solver(settings("type: 'sgd'"))
    assert str(caught.value) == (
        "unknown solver type 'sgd', did you mean 'SGD'? "
        "(known types: AdaDelta, AdaGrad, Adam, Nesterov, RMSProp, SAG, SGD)"
    )


def test_a_class_ignores_the_type_of_the_file(tmp_path):
    path = tmp_path / "solver.prototxt"
    path.write_text(f"type: 'Adam' base_lr: 1 lr_policy: 'fixed' net_param {{ {NET} }}")
    assert type(SGDSolver(path)) is SGDSolver
    assert type(get_solver(str(path))) is AdamSolver


def test_a_message_given_is_not_changed():
    message = settings()
    made = get_solver(message)
    made.param.base_lr = 7
    assert message.base_lr == pytest.approx(0.1)


def test_the_seed_makes_runs_repeat():
    one, two, other = solver(), solver(), solver("random_seed: 4")
    for a, b in zip(weights(one.net), weights(two.net), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(weights(one.net)[0], weights(other.net)[0])
    random.set_random_seed(3)
    np.testing.assert_array_equal(weights(solver("random_seed: -1").net)[0], weights(one.net)[0])


def test_an_update_in_double_precision_follows_the_equations():
    made = solver("weight_decay: 0.01 clip_gradients: 0.05 iter_size: 2 type: 'Nesterov'", dtype=np.float64)
    feed_iteration(made.net, 0)
    before = weights(made.net)
    made.net.clear_param_diffs()
    made.net.forward_backward()
    made.net.forward_backward()
    raw = [blob.diff.copy() for blob in made.net.learnable_params]
    made.net.clear_param_diffs()
    made.step(1)
    clip = made.param.clip_gradients / math.sqrt(sum((g**2).sum() for g in raw))
    assert clip < 1
    rate, mu, decay = made.param.base_lr, made.param.momentum, made.param.weight_decay
    for k, (w, g) in enumerate(zip(before, raw, strict=True)):
        lr_mult, decay_mult = [(1, 1), (2, 0), (1, 1), (1, 1)][k]
        g = g * clip / 2 + decay * decay_mult * w
        h = rate * lr_mult * g
        np.testing.assert_allclose(made.history[k], h, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(
            made.net.learnable_params[k].data, w - (1 + mu) * h, rtol=1e-12, atol=1e-15
        )


def test_histories_of_two_moments_stand_one_after_the_other():
    made = solver("type: 'Adam'")
    shapes = [blob.shape for blob in made.net.learnable_params]
    assert [h.shape for h in made.history] == shapes + shapes
    made.step(1)
    gradient = made.history[0] / np.float32(1 - np.float32(0.9))
    second = made.history[len(shapes)] / np.float32(1 - np.float32(0.999))
    np.testing.assert_allclose(second, gradient**2, rtol=1e-3)


def test_callbacks_stand_round_the_gradients():
    made = solver(feed=False)
    seen = []
    first = made.net.learnable_params[0]

    def on_start():
        feed_iteration(made.net, made.iter)
        seen.append(("start", made.iter, bool(first.diff.any())))

    made.add_callback(on_start, lambda: seen.append(("ready", made.iter, bool(first.diff.any()))))
    made.step(2)
    assert seen == [("start", 0, False), ("ready", 0, True), ("start", 1, False), ("ready", 1, True)]


def test_lines_of_a_run(caplog):
    made = solver(
        "display: 2 max_iter: 4 test_iter: 3 test_interval: 2 test_compute_loss: true "
        "snapshot_after_train: false"
    )
    lines = log_of(caplog, made.solve)
    loss = made.last_test_scores[0][0].value
    assert lines[:6] == [
        "Solving small",
        "Learning Rate Policy: fixed",
        "Iteration 0, Testing net (#0)",
        lines[3],
        lines[4],
        lines[5],
    ]
    assert lines[3].startswith("Test loss: ")
    assert lines[4].startswith("    Test net output #0: loss = ")
    assert lines[5].startswith("Iteration 0 (0 iter/s, ")
    assert lines[6].startswith("    Train net output #0: loss = ")
    assert lines[7] == "Iteration 0, lr = 0.1"
    assert lines[-5].startswith("Iteration 4, loss = ")
    assert lines[-4] == "Iteration 4, Testing net (#0)"
    assert lines[-3] == f"Test loss: {loss:g}"
    assert lines[-2] == f"    Test net output #0: loss = {loss:g} (* 1 = {loss:g} loss)"
    assert lines[-1] == "Optimization Done."


def test_an_output_that_nobody_reads_is_not_a_line_for_each_value(caplog):
    unread = """layer { name: "map" type: "DummyData" top: "map"
                dummy_data_param { shape { dim: 40 dim: 50 } data_filler { value: 2 } } }"""
    made = solver("display: 1 test_iter: 3 test_interval: 1", net=NET + unread)
    lines = log_of(caplog, lambda: made.step(1))
    for phase in ("Train", "Test"):
        outputs = [line for line in lines if line.startswith(f"    {phase} net output")]
        assert outputs[1:] == [f"    {phase} net output #{i}: map = 2" for i in range(1, 6)]
    assert sum("... and 1995 more values of 'map' (2000 in all)" in line for line in lines) == 2
    assert len(made.last_test_scores[0]) == 2001
    assert made.last_test_scores[0][-1].value == 2


def test_clipping_and_multistep_lines(caplog):
    made = solver("clip_gradients: 0.001 lr_policy: 'multistep' gamma: 0.5 stepvalue: 1 display: 1")
    lines = log_of(caplog, lambda: made.step(2))
    clipping = [
        line for line in lines if line.startswith("Gradient clipping: scaling down gradients (L2 norm ")
    ]
    assert len(clipping) == 2
    assert " > 0.001) by scale factor " in clipping[0]
    assert [line for line in lines if "MultiStep" in line or "lr =" in line] == [
        "Iteration 0, lr = 0.1",
        "MultiStep Status: Iteration 1, step = 1",
        "Iteration 1, lr = 0.05",
    ]


def test_the_smoothed_loss_is_a_running_mean_that_restarts_with_each_step():
    made = solver("average_loss: 3 base_lr: 0.01")
    raw, smoothed = [], []

    def note():
        raw.append(made.window.losses[(made.iter - made.window.start) % 3])
        smoothed.append(made.smoothed_loss)

    made.add_callback(lambda: None, note)
    made.step(5)
    want = [np.mean(raw[max(0, i - 2) : i + 1]) for i in range(5)]
    np.testing.assert_allclose(smoothed, want, rtol=1e-12)
    made.step(1)
    assert smoothed[-1] == raw[-1]


def test_debug_info_only_where_shown(caplog):
    made = solver("debug_info: true display: 2 test_iter: 1 test_interval: 100 test_initialization: false")
    assert made.test_nets[0].debug_info
    with caplog.at_level("INFO"):
        made.step(1)
        assert any(line.startswith("    [Forward] Layer ip1, top blob h data: ") for line in caplog.messages)
        caplog.clear()
        made.step(1)
    assert not any("[Forward]" in line for line in caplog.messages)


def test_tests_use_the_train_nets_weights_and_come_when_due(caplog):
    made = solver("test_iter: 2 test_interval: 2 test_initialization: false")
    tested = []
    made.after_test.append(lambda index, scores: tested.append((made.iter, index, scores[0].name)))
    made.step(5)
    assert tested == [(2, 0, "loss"), (4, 0, "loss")]
    for mine, theirs in zip(weights(made.net), weights(made.test_nets[0]), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert made.last_test_scores[0][0].value > 0


class Requests:
    """Answers a solver's polls from a list, then with nothing."""

    def __init__(self, *actions):
        self.actions = list(actions)

    def __call__(self):
        return self.actions.pop(0) if self.actions else Action.NONE


def test_stop_after_an_update_then_snapshot(caplog, tmp_path):
    requests = Requests(Action.NONE, Action.STOP)
    made = solver(f"snapshot_prefix: '{tmp_path}/s'", action_request=requests)
    lines = log_of(caplog, made.solve)
    assert made.iter == 2
    assert lines[-1] == "Optimization stopped early."
    assert (tmp_path / "s_iter_2.solverstate").exists()


def test_a_requested_snapshot_does_not_stop(tmp_path):
    requests = Requests(Action.SNAPSHOT)
    made = solver(f"snapshot_prefix: '{tmp_path}/s' max_iter: 3", action_request=requests)
    made.solve()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "s_iter_1.caffemodel",
        "s_iter_1.solverstate",
        "s_iter_3.caffemodel",
        "s_iter_3.solverstate",
    ]


def test_stop_while_testing_abandons_the_test_and_makes_no_update(caplog, tmp_path):
    requests = Requests(Action.NONE, Action.SNAPSHOT, Action.STOP)
    made = solver(f"snapshot_prefix: '{tmp_path}/s' test_iter: 3 test_interval: 5", action_request=requests)
    tested = []
    made.after_test.append(lambda index, scores: tested.append(index))
    lines = log_of(caplog, made.solve)
    assert (made.iter, tested) == (0, [])
    assert "Test interrupted." in lines
    assert (tmp_path / "s_iter_0.solverstate").exists()


def test_share_weights():
    made, other = solver(), solver("random_seed: 9")
    made.share_weights(other.net)
    np.testing.assert_array_equal(weights(made.net)[0], weights(other.net)[0])
    other.net.params["ip1"][0].data[...] = 3
    assert (made.net.params["ip1"][0].data == 3).all()


def test_weights_of_the_settings_go_into_all_nets(tmp_path, caplog):
    trained = solver("random_seed: 8")
    trained.net.save(tmp_path / "a.caffemodel")
    text = f"weights: '{tmp_path}/a.caffemodel' test_iter: 1 test_interval: 9"
    with caplog.at_level("INFO", "pycaffe_lite.solver"):
        made = solver(text)
    for net in (made.net, made.test_nets[0]):
        np.testing.assert_array_equal(weights(net)[0], weights(trained.net)[0])
    assert caplog.messages.count(f"Finetuning from {tmp_path}/a.caffemodel") == 2
    with pytest.raises(FileLookupError, match=r"^no such file: '/no/file'$"):
        solver("weights: '/no/file'")


def test_lr_follows_the_policy():
    made = solver("lr_policy: 'step' gamma: 0.5 stepsize: 2")
    made.step(2)
    assert made.rate == pytest.approx(0.1)
    assert made.lr == pytest.approx(0.05)
    assert made.current_step == 1


def test_gpu_mode_is_said_once(caplog):
    lines = log_of(caplog, lambda: solver("solver_mode: GPU"))
    assert lines.count("solver_mode GPU ignored: CPU only") == 1
    assert not any("GPU" in line for line in log_of(caplog, solver))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("average_loss: 0", "average_loss must be at least 1, got 0"),
        ("iter_size: 0", "iter_size must be at least 1, got 0"),
        ("type: 'AdaGrad'", "solver type AdaGrad takes no momentum, got 0.9"),
        ("type: 'RMSProp'", "solver type RMSProp takes no momentum, got 0.9"),
        (
            "type: 'RMSProp' momentum: 0 rms_decay: 1",
            "solver type RMSProp needs 0 <= rms_decay < 1, got 1",
        ),
        (
            "type: 'Adam' momentum: 1",
            "solver type Adam needs momentum < 1 and momentum2 <= 1, got 1 and 0.999",
        ),
        ("snapshot: 5", "snapshots need a snapshot_prefix in the solver's settings"),
        (
            "snapshot: 5 snapshot_prefix: '/no/such/folder/x'",
            "cannot write snapshots with snapshot_prefix '/no/such/folder/x': No such file or directory; "
            "make the folder, or name another",
        ),
    ],
)
def test_settings_that_cannot_be(text, message):
    with pytest.raises(SolverError) as caught:
        solver(text)
    assert str(caught.value) == message


def test_settings_found_wrong_when_training():
    with pytest.raises(SolverError) as caught:
        solver("weight_decay: 0.1 regularization_type: 'L3'").step(1)
    assert str(caught.value) == (
        "unknown regularization_type 'L3' for solvers of type SGD "
        "(known types: L1, L2, L2_unitary, WD, decoupled)"
    )
    solver("regularization_type: 'L3'").step(1)
    with pytest.raises(SolverError, match=r"^unknown lr_policy 'x'"):
        solver("lr_policy: 'x'").step(1)
    with pytest.raises(SolverError) as caught:
        solver("snapshot_prefix: '/no/such/folder/x'").solve()
    assert str(caught.value).startswith("cannot write snapshots with snapshot_prefix '/no/such/folder/x'")


@pytest.mark.parametrize("watch", ["on_start", "before_forward"])
def test_callbacks_see_gradients_of_zero_in_arrays_taken_before(watch):
    made = solver()
    made.step(1)
    kept = [blob.diff for blob in made.net.learnable_params]
    assert any(diff.any() for diff in kept)
    seen = []

    def look(*_):
        seen.append(any(diff.any() for diff in kept))

    if watch == "on_start":
        made.add_callback(look, lambda: None)
    else:
        made.net.before_forward(lambda i: look() if i == 0 else None)
    made.step(2)
    assert seen == [False, False]
