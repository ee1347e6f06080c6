"""Curves from logs of all kinds and ages."""

import math
import random

import numpy as np
import pytest
from paths import FIXTURES

from pycaffe_lite.errors import DataError
from pycaffe_lite.solver.curves import read_curves

CAFFES = FIXTURES / "logs"

# What the real Caffe wrote of a run with two test nets, and a resumed run after it.
TWO_TEST_NETS = """\
Solving two
Iteration 0, Testing net (#0)
    Test net output #0: accuracy = 0.065
    Test net output #1: loss = 2.32768 (* 1 = 2.32768 loss)
Iteration 0, Testing net (#1)
    Test net output #0: loss = 2.37389 (* 1 = 2.37389 loss)
    Test net output #1: top5 = 0.52
Iteration 0 (nan iter/s, 0s/5 iters), loss = 2.37718
    Train net output #0: loss = 2.37718 (* 1 = 2.37718 loss)
Iteration 0, lr = 0.05
Iteration 5 (5 iter/s, 0s/5 iters), loss = 2.02844
    Train net output #0: loss = 2.02844 (* 1 = 2.02844 loss)
Iteration 5, lr = 0.05
Iteration 10, Testing net (#0)
    Test net output #0: accuracy = 0.52
    Test net output #1: loss = 1.71357 (* 1 = 1.71357 loss)
Iteration 10, Testing net (#1)
    Test net output #0: loss = 2.07477 (* 1 = 2.07477 loss)
    Test net output #1: top5 = 0.7
"""


@pytest.fixture
def curves_of(tmp_path):
    """curves_of(text): the curves of a log; each line gets glog's prefix unless it is given as bytes."""

    def read(text):
        path = tmp_path / "a.log"
        if isinstance(text, str):
            prefix = "I0405 08:00:{:02}.500000  3100 solver.cpp:239] "
            text = "".join(
                f"{prefix.format(i % 60)}{line}\n" for i, line in enumerate(text.splitlines())
            ).encode()
        path.write_bytes(text)
        return read_curves(path)

    return read


def points(curves):
    """The points of every curve by its label."""
    return {
        f"{curves.label(curve)}{' whole' if curve.number is None else ''}": curve.points()
        for curve in (*curves.train, *curves.test)
    }


def test_test_nets_and_outputs_have_curves_of_their_own(curves_of):
    curves = curves_of(TWO_TEST_NETS)
    assert points(curves) == {
        "train loss whole": [(0, 2.37718), (5, 2.02844)],
        "train loss": [(0, 2.37718), (5, 2.02844)],
        "test net 0 accuracy": [(0, 0.065), (10, 0.52)],
        "test net 0 loss": [(0, 2.32768), (10, 1.71357)],
        "test net 1 loss": [(0, 2.37389), (10, 2.07477)],
        "test net 1 top5": [(0, 0.52), (10, 0.7)],
    }
    assert curves.lr.points() == [(0, 0.05), (5, 0.05)]
    assert [curve.net for curve in curves.test] == [0, 0, 1, 1]
    assert repr(curves.test[0]) == "<test net 0 accuracy #0: 0: 0.065, 10: 0.52>"


def test_an_output_of_several_values_has_a_curve_for_each(curves_of):
    log = "".join(
        f"Iteration {i}, Testing net (#0)\n    Test net output #0: accuracy = 0.5\n"
        + "".join(f"    Test net output #{k}: per_class = {k + i}\n" for k in (1, 2, 3))
        for i in (0, 100)
    )
    curves = curves_of(log)
    assert points(curves) == {
        "test accuracy": [(0, 0.5), (100, 0.5)],
        **{f"test per_class #{k}": [(0, k), (100, k + 100)] for k in (1, 2, 3)},
    }
    assert [curve.number for curve in curves.test] == [0, 1, 2, 3]


def test_a_resumed_run_replaces_what_it_repeats(curves_of):
    def run(iterations, loss):
        return "".join(
            f"Iteration {i}, Testing net (#0)\n    Test net output #0: accuracy = {loss}\n" * (i % 20 == 0)
            + f"Iteration {i}, loss = {loss}\nIteration {i}, lr = {loss}\n"
            for i in iterations
        )

    curves = curves_of(run(range(0, 70, 10), 1) + run(range(40, 60, 10), 2))
    want = [(0, 1), (10, 1), (20, 1), (30, 1), (40, 2), (50, 2)]
    assert points(curves) == {"train loss whole": want, "test accuracy": [(0, 1), (20, 1), (40, 2)]}
    assert curves.lr.points() == want
    # Resumed twice, the second time from where the first run was.
    curves = curves_of(run(range(0, 50, 10), 1) + run(range(20, 40, 10), 2) + run(range(10, 30, 10), 3))
    assert points(curves)["train loss whole"] == [(0, 1), (10, 3), (20, 3)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, math.nan) for text in ("nan", "-nan", "NaN", "nan(ind)", "-nan(ind)", "nan(0x8000)")),
        *((text, math.nan) for text in ("1.#QNAN", "-1.#IND", "1.#QNAN0", "-1.#IND00", "1.#SNAN", "1.#R")),
        *((text, math.inf) for text in ("inf", "+inf", "Infinity", "1.#INF", "1.#INF00", "1.#J", "1e999")),
        *((text, -math.inf) for text in ("-inf", "-Infinity", "-1.#INF")),
        *(("-120.5", -120.5), ("1e-05", 1e-5), ("2.5E+03", 2500), (".5", 0.5), ("5.", 5), ("+1", 1)),
    ],
)
def test_numbers_as_programs_print_them(curves_of, text, value):
    curves = curves_of(
        f"Iteration 20, loss = {text}\n    Train net output #0: loss = {text} (* 1 = {text} loss)\n"
        f"Iteration 20, lr = {text}\nIteration 20, Testing net (#0)\nTest loss: {text}\n"
        f"    Test net output #0: loss = {text}\n"
    )
    read = [curve.values.tolist() for curve in (*curves.train, *curves.test, curves.lr)]
    assert len(read) == 5
    np.testing.assert_array_equal(read, [[value]] * 5)


@pytest.mark.parametrize("text", ["1.#X!", "0x1p3", "1.2.3", "twelve", "nano", ""])
def test_what_is_no_number_is_passed_over(curves_of, text):
    curves = curves_of(f"Iteration 0, loss = 1\nIteration 20, loss = {text}\nIteration 20, lr = 1\n")
    assert points(curves) == {"train loss whole": [(0, 1)]}


def test_logs_of_2013(curves_of):
    curves = curves_of(
        "Iteration 0, Testing net\nTest score #0: 0.11\nTest score #1: 2.30\n"
        "Iteration 100, lr = 0.01\nIteration 100, loss = 1.2\n"
        "Iteration 200, lr = 0.01\nIteration 200, loss = 0.9\n"
        "Testing net\nTest score #0: 0.61\nTest score #1: 1.10\n"
    )
    assert points(curves) == {
        "train loss whole": [(100, 1.2), (200, 0.9)],
        "test score #0": [(0, 0.11), (200, 0.61)],
        "test score #1": [(0, 2.3), (200, 1.1)],
    }


@pytest.mark.parametrize(
    "line",
    [
        "Iteration 20, loss = 2.5",
        "Iteration 20 (1.5 iter/s, 13s/20 iters), loss = 2.5",
        "Iteration 20 (1.5 iter/s, 13s/20 iter), 0.4/10.2ep, loss = 2.5",
        "[0.0] Iteration 20 (13 s), loss = 2.5 (rank: 1)",
        "Iteration 20, loss = 2.5, remaining 2 hours",
        "Iteration 20, total loss = 2.5",
        "Iteration 20, lr = 0.5, m = 0.9, loss = 2.5",
    ],
)
def test_lines_of_forks(curves_of, line):
    assert points(curves_of(line)) == {"train loss whole": [(20, 2.5)]}


def test_the_rate_may_be_followed_by_more(curves_of):
    curves = curves_of("Iteration 20, lr = 0.5, m = 0.9, lrm = 0.1, wd = 0.0005, gs = 1")
    assert curves.lr.points() == [(20, 0.5)]
    assert (curves.train, curves.test) == ([], [])


def kept(log, *words):
    """The lines of a log that a filter leaves."""
    return "\n".join(line for line in log.splitlines() if any(word in line for word in words))


def test_filtered_logs(curves_of):
    whole = points(curves_of(TWO_TEST_NETS))
    train = {name: curve for name, curve in whole.items() if name.startswith("train")}
    assert points(curves_of(kept(TWO_TEST_NETS, ", loss = "))) == {
        "train loss whole": train["train loss whole"]
    }
    # Outputs come before `lr`, and those of tests before the loss.
    assert points(curves_of(kept(TWO_TEST_NETS, "lr = ", "Train"))) == {"train loss": train["train loss"]}
    filtered = points(curves_of(kept(TWO_TEST_NETS, "loss = ", "output")))
    assert filtered.pop("test net 1 top5") == [(0, 0.52), (5, 0.7)]  # the best guess: no line says 10
    assert {name: curve[0] for name, curve in filtered.items()} == {name: whole[name][0] for name in filtered}
    with pytest.raises(DataError, match=r"keep the lines with 'Iteration' when you filter a log$"):
        curves_of(kept(TWO_TEST_NETS, "output"))


def test_prefixes_of_other_programs_do_not_matter(curves_of):
    bare = curves_of(TWO_TEST_NETS.encode())
    grepped = curves_of("".join(f"web_1  | 12:{line}\n" for line in TWO_TEST_NETS.splitlines()).encode())
    assert points(bare) == points(grepped) == points(curves_of(TWO_TEST_NETS))
    assert np.isnan(bare.lr.seconds).all()


def test_outputs_that_are_losses(curves_of):
    losses = ("softmax (* 0.3 = 1 loss)", "rpn_cls_loss", "loss1/loss1", "SoftmaxLoss", "loss_bbox")
    others = ("loss1/top-1", "loss3/top5", "loss_accuracy", "accuracy", "loss2/classifier")
    lines = []
    for i, output in enumerate((*losses, *others)):
        name, _, suffix = output.partition(" ")
        lines.append(f"    Train net output #{i}: {name} = 1 {suffix}")
    # What the log calls a loss while training is one in a test, too.
    curves = curves_of(
        "\n".join(["Iteration 0, loss = 1", *lines, "Iteration 0, Testing net (#0)"])
        + "\n    Test net output #0: softmax = 1\n    Test net output #1: score = 1"
    )
    assert [curve.is_loss for curve in curves.train] == [True] * 6 + [False] * 5
    assert [curve.is_loss for curve in curves.test] == [True, False]


@pytest.mark.parametrize("name", ["my loss", "loss_$a_$", "损失", "a = b", "x: y", "(a)", "#3"])
def test_names(curves_of, name):
    curves = curves_of(f"Iteration 0, loss = 1\n    Train net output #0: {name} = 0.5 (* 1 = 0.5 loss)")
    assert [(curve.name, curve.points()) for curve in curves.train[1:]] == [(name, [(0, 0.5)])]
    assert curves.train[1].is_loss


def test_a_log_of_two_encodings(curves_of):
    first, second = TWO_TEST_NETS[:500], TWO_TEST_NETS[500:]
    assert "\n" in second
    read = curves_of((first.rpartition("\n")[0] + "\n").encode() + b"\xff\xfe" + second.encode("utf-16-le"))
    assert points(read)["train loss whole"] == [(0, 2.37718), (5, 2.02844)]


def test_bytes_that_are_no_text_keep_names_apart(curves_of):
    log = b"Iteration 0, loss = 1\n" + b"".join(
        b"    Train net output #%d: loss\xe4%c = 1\n" % (i, letter) for i, letter in enumerate(b"\xf6\xfc")
    )
    assert [curve.name for curve in curves_of(log).train[1:]] == [r"loss\xe4\xf6", r"loss\xe4\xfc"]


def test_a_log_cut_anywhere_has_no_wrong_value(curves_of):
    log = TWO_TEST_NETS.encode()
    whole = points(curves_of(log))
    for cut in range(0, len(log), 3):
        try:
            read = points(curves_of(log[:cut]))
        except DataError:
            assert b"= 0.065\n" not in log[:cut]
            continue
        names = {name.replace("test ", "test net 0 ") if name not in whole else name for name in read}
        for name, curve in zip(names, read.values(), strict=True):
            assert any(curve == want[: len(curve)] for want in whole.values()), (cut, name, curve)
    assert points(curves_of(log[:-1]))["test net 1 top5"] == [(0, 0.52)]  # 0.7 may have been 0.71


def test_damaged_logs(curves_of):
    chance = random.Random(1)
    log = TWO_TEST_NETS.encode()
    for _ in range(100):
        damaged = bytearray(log)
        for _ in range(chance.randrange(1, 20)):
            place = chance.randrange(len(damaged))
            damaged[place : place + chance.randrange(4)] = chance.randbytes(chance.randrange(4))
        try:
            curves = curves_of(bytes(damaged))
        except DataError:
            continue
        for curve in (*curves.train, *curves.test):
            assert (np.diff(curve.iterations) > 0).all()


def test_times(curves_of):
    curves = read_curves(CAFFES / "train.log")
    loss = curves.train[1]
    # As Caffe's parse_log.py has them.
    np.testing.assert_allclose(loss.seconds[:3], [0.181624, 0.383195, 0.582278], atol=1e-9)
    np.testing.assert_allclose(curves.test[0].seconds, [0.154441, 1.310623, 2.53076], atol=1e-9)
    # Without a year, over its end; the first time is that of the first line where no solving is said.
    curves = curves_of(
        b"I1231 23:59:59.000000 1 solver.cpp:1] Iteration 0, loss = 1\n"
        b"I0101 00:00:01.250000 1 solver.cpp:1] Iteration 1, loss = 1\n"
        b"I0102 00:00:01.250000 1 solver.cpp:1] Iteration 2, loss = 1\n"
        b"Iteration 3, loss = 1\n"
        b"I0231 99:00:01.250000 1 solver.cpp:1] Iteration 4, loss = 1\n"
    )
    assert curves.train[0].seconds[:3].tolist() == [0, 2.25, 86402.25]
    assert math.isnan(curves.train[0].seconds[3])


def test_an_output_shown_in_part(curves_of):
    curves = curves_of(
        "Iteration 0, loss = 1\n    Train net output #0: map = 1\n"
        "    ... and 89999 more values of 'map' (90000 in all); a Silence layer keeps it out of the log\n"
        "    Train net output #90000: loss = 1\n"
    )
    assert points(curves) == {"train loss whole": [(0, 1)], "train map": [(0, 1)], "train loss": [(0, 1)]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n\n", "is not a training log: it has no line like "),
        (bytes(range(256)) * 50, "is not a training log: it has no line like "),
        (b"\0" * 10_000, "is not a training log: it has no line like "),
        (b"Iteration 5, loss = 1 " * 50_000, "is not a training log: it has no line like "),
        (b"Iteration 0, Testing net (#0)\n", "is not a training log: it has no line like "),
        (b"Iteration " + b"9" * 5000 + b", loss = 1\n", "is not a training log: it has no line like "),
    ],
)
def test_files_that_are_no_logs(curves_of, content, said):
    with pytest.raises(DataError) as caught:
        curves_of(content)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_long_lines_are_passed_over(curves_of):
    long = b"x" * 100_000 + b"Iteration 7, loss = 7\n"
    read = curves_of(b"Iteration 5, loss = 1\n" + long + b"Iteration 6, loss = 2\n")
    assert points(read) == {"train loss whole": [(5, 1), (6, 2)]}


def test_a_decimal_comma_is_no_end_of_a_number(tmp_path):
    """As some programs write it: 0 would be another number."""
    log = tmp_path / "a.log"
    log.write_text("Iteration 10, loss = 0,5\nIteration 20, loss = 2\n")
    (curve,) = read_curves(log).train
    assert list(zip(curve.iterations, curve.values, strict=True)) == [(20, 2.0)]
