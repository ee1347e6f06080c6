"""Updates of forks' solvers, against NumPy loops that are written from their descriptions."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from small_solver import NET, solver, weights

from pycaffe_lite import random

STEPS = 9
F32 = np.float32


def train(text, steps=STEPS):
    """Trains; returns the solver, and of each iteration the weights before, the gradients and the weights."""
    made, rows = solver(f"base_lr: 0.5 {text}", dtype=np.float64), []
    blobs = made.net.learnable_params
    made.add_callback(
        lambda: None,
        lambda: rows.append(
            SimpleNamespace(i=made.iter, w=weights(made.net), g=[b.diff.copy() for b in blobs])
        ),
    )
    for _ in range(steps):
        made.step(1)
        rows[-1].after = weights(made.net)
    return made, rows


def check(text, update, *, rtol=1e-9, steps=STEPS):
    """Compares training with update(row, k, w, g, history of the parameter), which returns what w loses."""
    made, rows = train(text, steps)
    histories = [{} for _ in rows[0].w]
    for row in rows:
        for k, (w, g) in enumerate(zip(row.w, row.g, strict=True)):
            wanted = w - update(row, k, w, g, histories[k])
            np.testing.assert_allclose(row.after[k], wanted, rtol=rtol, atol=1e-12)
    return made


def norm(array):
    return math.sqrt((array**2).sum())


LR_MULT, DECAY_MULT = [1, 2, 1, 1], [1, 0, 1, 1]  # of the small net's parameters


def momentum(history, g, eta, mu):
    history["h"] = mu * history.get("h", 0.0) + eta * g
    return history["h"]


def test_momentum_policies():
    mu, most = float(F32(0.9)), float(F32(0.95))

    def poly(row, k, w, g, history):
        return momentum(history, g, 0.5 * LR_MULT[k], mu + (most - mu) * (row.i / 10) ** 2)

    def opt(row, k, w, g, history):
        return momentum(history, g, 0.5 * LR_MULT[k], (1 - math.sqrt(0.5) / 2) ** 2)

    def capped(row, k, w, g, history):
        return momentum(history, g, 0.5 * LR_MULT[k], 0.25)

    check("momentum_policy: 'poly' max_momentum: 0.95 momentum_power: 2", poly)
    check("momentum_policy: 'opt'", opt)
    check("momentum_policy: 'opt' max_momentum: 0.25 type: 'SAG'", capped)


def test_weight_decay_policy():
    def poly(row, k, w, g, history):
        decay = (0.125 + 0.375 * (row.i / 10) ** 2) * DECAY_MULT[k]
        return momentum(history, g + decay * w, 0.5 * LR_MULT[k], 0.5)

    policy = "weight_decay_policy: 'poly' max_weight_decay: 0.5 weight_decay_power: 2"
    check(f"momentum: 0.5 weight_decay: 0.125 {policy}", poly)


def test_weight_decay_that_momentum_does_not_take():
    def update(row, k, w, g, history):
        eta = 0.5 * LR_MULT[k]
        return momentum(history, g, eta, 0.5) + eta * 0.125 * DECAY_MULT[k] * w

    check("momentum: 0.5 weight_decay: 0.125 regularization_type: 'WD'", update)
    check("momentum: 0.5 weight_decay: 0.125 regularization_type: 'WD' type: 'SAG'", update)


def nu_of(t, length, factor):
    """ν of update t, from the first one on, as the fork's loop has it."""
    start = 0
    for now in range(1, t + 1):
        nu = 0.5 + 0.5 * math.cos(math.pi * (now - start) / length)
        if now >= start + length:
            start, length, nu = start + length, length * factor, 1.0
    return nu


def test_decoupled_weight_decay_of_sgd():
    def update(row, k, w, g, history):
        nu = nu_of(row.i + 1, 3, 2)
        new = 0.5 * LR_MULT[k] * nu * g + 0.125 * DECAY_MULT[k] * nu * w
        return momentum(history, new, 1, 0.5)

    options = "regularization_type: 'decoupled' decoupled_wd_t0: 3"
    check(f"momentum: 0.5 weight_decay: 0.125 {options}", update)


def test_decoupled_weight_decay_is_none_for_other_types():
    def update(row, k, w, g, history):
        before = history.get("h", 0.0)
        h = momentum(history, g, 0.5 * LR_MULT[k], 0.5)
        return 1.5 * h - 0.5 * before

    check("type: 'Nesterov' momentum: 0.5 weight_decay: 0.125 regularization_type: 'decoupled'", update)


@pytest.mark.parametrize("policy", ["scale", "clip"])
@pytest.mark.parametrize("turbo", [False, True])
def test_larc(policy, turbo):
    mu, eta = float(F32(0.9)), 0.125

    def update(row, k, w, g, history):
        norms = norm(w), norm(g)
        q = (1 - mu) * eta * norms[0] / norms[1] if min(norms) > 0 else 1.0
        if turbo:
            h = history.get("h", np.zeros_like(w))
            cosine = (g * h).sum() / (norm(g) * norm(h)) if norm(g) * norm(h) > 0 else 0.0
            history["c"] = 0.95 * history.get("c", 0.0) + 0.05 * cosine
            q -= 0.9 * history["c"]
        rate = 0.5 * q if policy == "scale" else min(0.5, q)
        return momentum(history, g + 0.0625 * DECAY_MULT[k] * w, rate, mu)

    more = f"larc_policy: '{policy}' larc_turbo: {str(turbo).lower()}"
    check(f"weight_decay: 0.0625 larc: true larc_eta: 0.125 {more}", update)


def test_larc_of_clipped_gradients():
    def update(row, k, w, g, history):
        total = math.sqrt(sum((one**2).sum() for one in row.g))
        g = g * min(1, 0.03125 / total)
        q = 0.5 * 0.125 * norm(w) / norm(g) if norm(w) > 0 else 1.0
        return momentum(history, g, 0.5 * q, 0.5)

    check("momentum: 0.5 larc: true larc_eta: 0.125 clip_gradients: 0.03125", update)


@pytest.mark.parametrize("turbo", [False, True])
def test_larc_of_sag(turbo):
    def update(row, k, w, g, history):
        h = history.get("h", np.zeros_like(w))
        q = 0.125 * norm(w) / norm(h) if norm(w) > 0 and norm(h) > 0 else 1.0
        if turbo and row.i > 1:
            cosine = (g * h).sum() / (norm(g) * norm(h)) if norm(g) * norm(h) > 0 else 0.0
            history["c"] = 0.95 * history.get("c", 0.0) + 0.05 * cosine
            q *= 1 - 0.9 * history["c"]
        return momentum(history, g, 0.5 * q, 0.5)

    options = f"larc: true larc_eta: 0.125 larc_turbo: {str(turbo).lower()}"
    check(f"type: 'SAG' momentum: 0.5 {options}", update)


def test_local_lr_auto():
    def update(row, k, w, g, history):
        norms = norm(w), norm(g)
        q = 0.25 * norms[0] / (norms[1] + 0.125 * norms[0]) if min(norms) > 0 else 1.0
        return momentum(history, g + 0.125 * DECAY_MULT[k] * w, 0.5 * q, 0.5)

    check("momentum: 0.5 weight_decay: 0.125 local_lr_auto: true local_gw_ratio: 0.25", update)


def test_a_rate_of_its_own_does_not_wake_a_parameter_that_is_not_learnt():
    net = NET.replace("param { lr_mult: 1 }", "param { lr_mult: 0 }")
    for option in ("larc: true", "local_lr_auto: true"):
        made = solver(f"base_lr: 0.5 {option}", net=net)
        before = weights(made.net)
        made.step(2)
        assert np.array_equal(before[0], weights(made.net)[0])
        assert not np.array_equal(before[2], weights(made.net)[2])


def adam(row, k, w, g, history, *, amsgrad=False, adabelief=False, rectified=False, gc=False, decay=0.0):
    """Adam's update as jolibrain's kernel for GPUs has it."""
    beta1, beta2, t = float(F32(0.9)), 0.75, row.i + 1
    if gc:
        g = g - g.mean()
    history["m"] = m = beta1 * history.get("m", 0.0) + (1 - beta1) * g
    d = g - m if adabelief else g
    v, old = 0.75 * history.get("v", 0.0) + 0.25 * d**2, history.get("v", 0.0)
    history["v"] = v = np.maximum(v, old) if amsgrad else v
    correction = math.sqrt(1 - beta2**t) / (1 - beta1**t)
    step = 0.5 * LR_MULT[k] * correction * m / (np.sqrt(v) + float(F32(1e-8)))
    if rectified:
        last = 2 / (1 - beta2) - 1
        rho = last - 2 * t * beta2**t / (1 - beta2**t)
        if rho > 4:
            top, bottom = (rho - 4) * (rho - 2) * last, (last - 4) * (last - 2) * rho
            step = step * math.sqrt(top / bottom)
        else:
            step = 0.5 * LR_MULT[k] * correction * m
    return step


ADAM = "type: 'Adam' momentum: 0.9 momentum2: 0.75 "


@pytest.mark.parametrize("option", ["amsgrad", "adabelief", "gc"])
@pytest.mark.parametrize("rectified", [False, True])
def test_options_of_adam(option, rectified):
    def update(row, k, w, g, history):
        return adam(row, k, w, g, history, rectified=rectified, **{option: True})

    check(f"{ADAM} {option}: true " + ("" if rectified else "rectified: false"), update)


def test_adam_is_rectified_in_jolibrains_fork_alone():
    def rectified(*args):
        return adam(*args, rectified=True)

    made = check(f"{ADAM} rectified: true", rectified, steps=20)
    assert made._rectifier() is not None
    check(f"{ADAM} lookahead: true lookahead_steps: 99", rectified)
    check(ADAM, adam)


def test_centred_gradients_of_adam_hold_weight_decay():
    def update(row, k, w, g, history):
        return adam(row, k, w, g + 0.125 * DECAY_MULT[k] * w, history, gc=True)

    check(f"{ADAM} gc: true rectified: false weight_decay: 0.125", update)


def test_centred_gradients_of_adam_hold_the_decay_of_absolute_values():
    def update(row, k, w, g, history):
        return adam(row, k, w, g + 0.125 * DECAY_MULT[k] * np.sign(w), history, gc=True)

    check(f"{ADAM} gc: true rectified: false weight_decay: 0.125 regularization_type: 'L1'", update)


def test_decoupled_weight_decay_of_adam():
    def update(row, k, w, g, history):
        nu = nu_of(row.i + 1, 2, 2)
        return nu * (adam(row, k, w, g, history) + 0.125 * DECAY_MULT[k] * w)

    options = "rectified: false regularization_type: 'decoupled' decoupled_wd_t0: 2"
    check(f"{ADAM} weight_decay: 0.125 {options}", update)


def test_a_share_of_the_history_is_dropped():
    made = solver("base_lr: 0.5 momentum: 0.5 lr_dropout: 0.25 weight_decay: 0.125", dtype=np.float64)
    blobs, h = made.net.learnable_params, [0.0] * 4
    for _ in range(4):
        seen = []
        made.add_callback(lambda: None, lambda: seen.append([b.diff.copy() for b in blobs]))  # noqa: B023
        before, stream = weights(made.net), random.stream().state()
        made.step(1)
        after = random.stream().state()
        random.stream_to_set().set_state(stream)
        for k, (w, g) in enumerate(zip(before, seen[0], strict=True)):
            kept = random.stream().bernoulli(w.size, 0.25, np.float64).reshape(w.shape)
            h[k] = kept * (0.5 * h[k] + 0.5 * LR_MULT[k] * (g + 0.125 * DECAY_MULT[k] * w))
            np.testing.assert_allclose(weights(made.net)[k], w - h[k], rtol=1e-9, atol=1e-12)
        assert random.stream().state() == after


def test_lookahead():
    _, rows = train("momentum: 0.5 lookahead: true lookahead_steps: 3 lookahead_alpha: 0.25")
    slow, h = None, [0.0] * 4
    for row in rows:
        wanted = []
        for k, (w, g) in enumerate(zip(row.w, row.g, strict=True)):
            h[k] = 0.5 * h[k] + 0.5 * LR_MULT[k] * g
            wanted.append(w - h[k])
        slow = slow or wanted
        if (row.i + 1) % 3 == 0:
            slow = wanted = [0.25 * w + 0.75 * s for w, s in zip(wanted, slow, strict=True)]
        for got, w in zip(row.after, wanted, strict=True):
            np.testing.assert_allclose(got, w, rtol=1e-9, atol=1e-12)


def test_bounds_of_weights():
    _, rows = train("momentum: 0 clip_weights: 1 clamp_weights_lower: -0.25 clamp_weights_upper: 0.125")
    for row in rows:
        moved = [w - 0.5 * r * g for w, g, r in zip(row.w, row.g, LR_MULT, strict=True)]
        total = math.sqrt(sum((w**2).sum() for w in moved))
        for got, w in zip(row.after, moved, strict=True):
            np.testing.assert_allclose(got, np.clip(w * min(1, 1 / total), -0.25, 0.125), rtol=1e-9)


def test_one_bound_alone_leaves_the_other_at_its_default():
    _, rows = train("clamp_weights_lower: -0.25", steps=2)
    assert min(w.min() for w in rows[-1].after) == -0.25


def test_updates_can_be_switched_off(caplog):
    made, rows = train("disabled_update: true display: 1", steps=2)
    assert made.iter == 2
    for row in rows:
        assert all(np.array_equal(a, b) for a, b in zip(row.w, row.after, strict=True))
    assert all(norm(g) > 0 for g in rows[-1].g[:1])


def test_tests_may_start_later(caplog):
    made = solver(f"test_iter: 1 test_interval: 3 test_offset: 1 test_net_param {{ {NET} }}")
    tested = []
    made.after_test.append(lambda index, scores: tested.append(made.iter))
    made.step(8)
    assert tested == [1, 4, 7]


@pytest.mark.parametrize(("kind", "least"), [("Adam", 1e-4), ("RMSProp", 1e-4), ("AdaGrad", 1e-3)])
def test_nvidias_fork_raises_delta(kind, least):
    momentum = "momentum: 0.9" if kind == "Adam" else "momentum: 0"
    base = f"type: '{kind}' {momentum} rms_decay: 0.5"
    assert solver(base).compute_update_value(1)[-1] == pytest.approx(1e-8)
    assert solver(f"{base} rampup_interval: 1").compute_update_value(1)[-1] == least
    assert solver(f"{base} rampup_interval: 1 delta: 0.5").compute_update_value(1)[-1] == 0.5
