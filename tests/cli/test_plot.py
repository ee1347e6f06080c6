"""The command plot: what its pictures show."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from paths import FIXTURES
from PIL import Image

from pycaffe_lite.solver.curves import Curve, Curves, read_curves
from pycaffe_lite.view.curves import draw
from pycaffe_lite.view.traces import Choice, Run, traces_of


@pytest.fixture
def figure_of(tmp_path, monkeypatch):
    """figure_of(lines, title): the figure that is drawn of a log, without the time that a picture takes."""
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **options: figures.append(self) or path.touch())

    def figure(lines, title=""):
        log = tmp_path / "a.log"
        log.write_text("".join(f"{line}\n" for line in lines))
        draw([Run("a", read_curves(log))], tmp_path / "a.png", title)
        return figures[-1]

    return figure


@pytest.fixture
def plot(run, tmp_path, monkeypatch):
    """plot(lines): the figure that is drawn of a log, once it is in a file and has curves in it."""
    monkeypatch.chdir(tmp_path)
    figures = []
    savefig = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *args, **kw: figures.append(self) or savefig(self, *args, **kw)
    )

    def figure(lines):
        Path("a.log").write_text("".join(f"{line}\n" for line in lines))
        assert run("plot", "a.log", "a.png") == (0, ["wrote a.png"], [])
        assert shows_colours("a.png")
        return figures[-1]

    return figure


def shows_colours(picture):
    """Whether something is drawn between the axes: they and their words are grey."""
    pixels = np.asarray(Image.open(picture).convert("RGB"), int)[:, :-300]
    return (pixels.max(2) - pixels.min(2) > 60).sum() > 10


def lines_of(figure):
    """The curves: lines in the legend, by their labels."""
    lines = [line for axes in figure.axes for line in axes.lines]
    return {line.get_label(): line for line in lines if not line.get_label().startswith("_")}


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def outputs(phase, iteration, *results):
    """A display or a test as Caffe logs it."""
    head = ", Testing net (#0)" if phase == "Test" else ", loss = 100"
    return [
        f"Iteration {iteration}{head}",
        *(f"    {phase} net output #{i}: {result}" for i, result in enumerate(results)),
    ]


def test_losses_left_and_other_outputs_right(figure_of):
    log = [
        line
        for i, x in enumerate((2.0, 0.3))
        for line in (
            *outputs("Test", i, f"loss1/top-1 = {1 - x}", f"loss = {x} (* 1 = {x} loss)"),
            *outputs("Train", i, f"loss1/loss = {x + 1} (* 0.3 = 1 loss)", f"loss = {x} (* 1 = {x} loss)"),
        )
    ]
    left, right = figure_of(log, "a $ run $").axes
    names = [line.get_label() for line in left.lines]
    assert names == ["train loss (total)", "train loss1/loss", "train loss", "test loss"]
    assert [line.get_label() for line in right.lines] == ["test loss1/top-1"]
    assert (left.get_ylabel(), right.get_ylabel()) == ("loss", "loss1/top-1")
    assert (left.get_yscale(), right.get_yscale()) == ("log", "linear")
    assert left.get_title() == "a $ run $"


def test_alone_other_outputs_are_left(figure_of):
    figure = figure_of(
        outputs("Test", 0, "score = 1", "score = 2") + outputs("Test", 1, "score = 2", "score = 1")
    )
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == ["test score #0", "test score #1"]
    assert axes.get_ylabel() == "score"


def test_no_two_curves_look_the_same(figure_of):
    for count in (3, 10, 20, 39):
        log = [line for i in (1, 2) for line in outputs("Train", i, *(f"l{k} = {i}" for k in range(count)))]
        log += [line for i in (1, 2) for line in outputs("Test", i, *(f"l{k} = {i}" for k in range(count)))]
        lines = lines_of(figure_of(log))
        looks = [(line.get_color(), line.get_linestyle(), line.get_marker()) for line in lines.values()]
        assert len(set(looks)) == len(looks) == 2 * count + 1
        if len(looks) <= 20:
            assert len({colour for colour, *_ in looks}) == len(looks)


def test_colours_of_few_curves_differ_much(figure_of):
    figure = figure_of(outputs("Train", 0, "loss1 = 1", "loss2 = 2", "loss3 = 3"))
    colours = [np.array(line.get_color()) for line in lines_of(figure).values()]
    assert min(abs(a - b).max() for a, b in itertools.combinations(colours, 2)) > 0.3


def test_several_test_nets(figure_of):
    log = ["Iteration 0, Testing net (#0)", "Test net output #0: accuracy = 0.5"]
    log += ["Iteration 0, Testing net (#1)", "Test net output #0: accuracy = 0.7"]
    assert legend(figure_of(log)) == ["test net 0 accuracy", "test net 1 accuracy"]


def test_the_loss_of_the_net_is_drawn_where_it_says_more(figure_of):
    def log(*losses):
        return [
            line
            for i, (whole, output) in enumerate(losses)
            for line in (f"Iteration {i}, loss = {whole}", f"    Train net output #0: loss = {output}")
        ]

    assert legend(figure_of(log((2, 2), (1, 1)))) == ["train loss"]
    assert legend(figure_of(log((2, 2), ("nan", "nan")))) == ["train loss, 1 of 2 not finite (×)"]
    assert legend(figure_of(log((2, 2), (1.5, 1)))) == ["train loss (smoothed)", "train loss"]
    assert legend(figure_of(["Iteration 5, loss = 2"])) == ["train loss"]


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ((2.3, 0.1), "log"),
        ((2.3, 2.1), "linear"),
        ((-120.5, -130.25), "linear"),
        ((0, 0), "linear"),
        ((3, 0, -1), "linear"),
        ((100, 1, 0.01, 0, -0.01), "symlog"),
        ((1e38, -1e38, 1e-38, 0), "symlog"),
        ((1e308, 1e-308, 5, -1e308), "linear"),
        ((1e90, 1e-90, 1e-320), "symlog"),
        ((5,), "linear"),
    ],
)
def test_axes_show_every_loss(plot, values, scale):
    figure = plot(f"Iteration {i}, loss = {value}" for i, value in enumerate(values))
    (axes,) = figure.axes
    assert axes.get_yscale() == scale
    low, high = axes.get_ylim()
    assert all(low <= value <= high for value in values if abs(value) < 1e100)


def test_ticks_are_plain_numbers(plot):
    figure = plot(f"Iteration {i}, loss = {value}" for i, value in enumerate((2.5, 1, 0.3)))
    (axes,) = figure.axes
    shown = [text.get_text() for text in axes.yaxis.get_ticklabels(which="both")]
    assert [text for text in shown if text and 0.3 <= float(text) <= 2.5] == ["1", "0.5", "2"]
    (axes,) = plot(["Iteration 5, loss = 1"]).axes
    low, high = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [5]


def test_values_that_are_not_finite_are_marked(plot):
    figure = plot(
        f"Iteration {i}, loss = {v}" for i, v in enumerate((2.3, "1.#QNAN", 2.2, "inf", "-nan(ind)"))
    )
    (axes,) = figure.axes
    assert legend(figure) == ["train loss, 3 of 5 not finite (×)"]
    curve, marks = axes.lines
    assert marks.get_xdata().tolist() == [1, 3, 4]
    assert curve.get_marker() == "o"  # of no value with a neighbour would there be a line
    assert axes.get_xlim()[1] > 4


def test_no_empty_picture(fails, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.log").write_text("Iteration 0, loss = nan\nIteration 1, loss = inf\n")
    assert fails("plot", "a.log", "a.png") == "Error: cannot draw 'a.png': the log has no finite value"
    assert not Path("a.png").exists()


def test_the_rate_where_there_is_nothing_else(figure_of):
    assert legend(figure_of(f"Iteration {i}, lr = {0.1 / (i + 1)}" for i in range(3))) == ["learning rate"]


def test_many_values_of_one_output_are_drawn_as_their_range(plot):
    log = [
        line
        for i in (1, 2)
        for line in outputs("Test", i, "accuracy = 0.5", *(f"per_class = {i * k}" for k in range(41)))
    ]
    figure = plot(log)
    assert legend(figure) == ["test accuracy", "test per_class #1 to #41, mean and range"]
    mean = lines_of(figure)["test per_class #1 to #41, mean and range"]
    assert mean.get_ydata().tolist() == [20, 40]
    (band,) = figure.axes[0].collections
    assert band.get_datalim(figure.axes[0].transData).intervaly.tolist() == [0, 80]


def test_no_more_than_can_be_read(figure_of):
    figure = figure_of(outputs("Train", 0, *(f"l{k} = 1" for k in range(200))))
    assert len(legend(figure)) == 120
    assert figure.legends[0].get_title().get_text() == "the first 120 curves of the log"


def test_names_are_shown_as_they_are(plot):
    names = [
        "loss_$a_$",
        r"\alpha $\frac{$",
        "_private",
        "my loss",
        "größte",
        "\x1b[31m",
        "x" * 99 + "1",
        "损失",
    ]
    shown = legend(plot(outputs("Train", 0, *(f"{name} = {i}" for i, name in enumerate(names)))))[1:]
    assert shown[:5] == [f"train {name}" for name in names[:5]]
    assert shown[5] == r"train \x1b[31m"
    assert len(shown[6]) == 60
    assert shown[6].endswith("xx1")
    assert shown[7] in ("train 损失", r"train \u635f\u5931")  # depends on the font


def test_what_cannot_be_written(fails, plot):
    log = ["Iteration 0, loss = 1"]
    plot(log)
    assert fails("plot", "a.log", "a.doc").startswith(
        "Error: cannot draw 'a.doc': Format 'doc' is not supported"
    )
    assert fails("plot", "a.log", "none/a.png").startswith("Error: cannot write 'none/a.png': ")
    assert fails("plot", "none.log", "a.png") == "Error: no such file: 'none.log'"


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_plot(folder, run, ending):
    run("train", "solver.prototxt", "--log_file", "a.log")
    result = run("plot", "a.log", f"a.{ending}", "--title", "a run")
    assert result == (0, [f"wrote a.{ending}"], [])
    assert Path(f"a.{ending}").stat().st_size > 1000


def noisy(count=200, *, rate=True):
    """A training loss that falls, with noise of ± 0.5 in turn, and a learning rate that steps down."""
    return [
        line
        for i in range(count)
        for line in (
            f"Iteration {i}, loss = {2 - i / count + (i % 2 - 0.5)}",
            *([f"Iteration {i}, lr = {0.1 if i < count / 2 else 0.01}"] if rate else []),
        )
    ]


def test_a_training_loss_is_smoothed_over_what_was_logged(figure_of):
    figure = figure_of(noisy())
    losses, rates = figure.axes
    raw = next(line for line in losses.lines if line.get_label() == "_raw")
    smooth = lines_of(figure)["train loss"]
    assert raw.get_alpha() < 0.5
    assert np.abs(np.diff(raw.get_ydata())).min() > 0.9
    middle = smooth.get_ydata()[20:-20]
    np.testing.assert_allclose(middle, 2 - np.arange(200)[20:-20] / 200, atol=0.03)
    assert raw.get_color() == smooth.get_color()
    assert rates.get_ylabel() == "learning rate"
    assert legend(figure) == ["train loss", "learning rate"]


def test_smoothing_is_a_triangle_that_values_far_away_leave_alone():
    """Compared with sums in a plain loop; a huge value among the others counts only near itself."""
    values = np.random.default_rng(1).normal(size=301)
    values[100], values[200] = 1e30, np.nan
    curve = Curve("train", 0, "loss", None, True, np.arange(301), values, np.arange(301.0))
    empty = Curve("train", 0, "lr", None, False, *[np.array([], np.int64)] * 3)
    (trace,) = traces_of([Run("a", Curves([curve], [], empty))], Choice(smooth=7))
    shape = np.convolve(np.ones(7), np.ones(7))
    for i in (0, 3, 50, 92, 107, 196, 205, 300):
        near = [(k, shape[k - i + 6]) for k in range(i - 6, i + 7) if 0 <= k < 301 and k != 200]
        expected = sum(values[k] * w for k, w in near) / sum(w for _, w in near)
        if 0 < i < 300:
            assert trace.values[i] == pytest.approx(expected, rel=1e-9)
    assert np.isnan(trace.values[200])


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, factor in (("one", 1), ("two", 2)):
        Path("runs").mkdir(exist_ok=True)
        log = [
            line
            for i in range(3)
            for line in (
                f"I0101 00:00:0{i}.500000 1 a.cpp:1] Iteration {i}, Testing net (#0)",
                f"I0101 00:00:0{i}.500000 1 a.cpp:1]     Test net output #0: accuracy = {i / 4}",
                f"I0101 00:00:0{i}.500000 1 a.cpp:1]     Test net output #1: loss = {factor} (* 1 = 1 loss)",
                f"I0101 00:00:0{i}.600000 1 a.cpp:1] Iteration {i}, loss = {factor}",
                f"I0101 00:00:0{i}.600000 1 a.cpp:1] Iteration {i}, lr = 0.1",
            )
        ]
        Path(f"runs/{name}.log").write_text("\n".join([*log, ""]))
    Path("runs/notes.txt").write_text("no log\n")
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **kw: figures.append(self) or path.touch())
    return figures


def test_several_runs(run, runs):
    assert run("plot", "runs", "a.png") == (0, ["wrote a.png"], [])
    kinds = ("train loss", "test accuracy", "test loss", "learning rate")
    assert legend(runs[-1]) == [f"{name}: {kind}" for name in ("one", "two") for kind in kinds]
    assert [axes.get_ylabel() for axes in runs[-1].axes] == ["loss", "accuracy", "learning rate"]
    assert run("plot", "runs/one.log", "runs/two.log", "b.png").code == 0
    assert legend(runs[-1]) == legend(runs[-2])


def test_one_output(run, fails, runs):
    assert run("plot", "runs/one.log", "a.png", "--output", "accuracy", "--seconds").code == 0
    (axes,) = runs[-1].axes
    assert legend(runs[-1]) == ["test accuracy"]
    assert axes.get_xlabel() == "seconds"
    assert axes.lines[0].get_xdata().tolist() == [0, 1, 2]
    assert fails("plot", "runs/one.log", "a.png", "--output", "acc") == (
        "Error: cannot draw 'a.png': the log has no output 'acc'; it has loss, accuracy, lr"
    )


@pytest.mark.parametrize(
    ("chart", "title", "curve"),
    [
        (0, "Test accuracy vs. Iters", "test accuracy"),
        (1, "Test accuracy vs. Seconds", "test accuracy"),
        (2, "Test loss vs. Iters", "test loss"),
        (3, "Test loss vs. Seconds", "test loss"),
        (4, "Train learning rate vs. Iters", "learning rate"),
        (5, "Train learning rate vs. Seconds", "learning rate"),
        (6, "Train loss vs. Iters", "train loss"),
        (7, "Train loss vs. Seconds", "train loss"),
    ],
)
def test_caffes_charts(run, runs, chart, title, curve):
    assert run("plot", "runs/one.log", "a.png", "--chart", chart).code == 0
    (axes,) = runs[-1].axes
    assert axes.get_title() == title
    assert legend(runs[-1]) == [curve]
    assert axes.get_xlabel() == ("seconds" if chart % 2 else "iteration")


def test_a_folder_without_logs(fails, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    assert fails("plot", "empty", "a.png") == "Error: no file in folder 'empty' is the log of a training"


def test_a_log_of_caffe_and_one_of_ours_look_alike(figure_of):
    """Caffe's own prefix names the year; otherwise the lines are the same."""
    lines = (FIXTURES / "logs" / "train.log").read_text().splitlines()
    ours = [re.sub(r"^([IWEF])\d{4}(\d{4} )", r"\1\2", line) for line in lines]
    assert ours != lines
    (theirs, same) = (figure_of(text) for text in (lines, ours))
    for one, other in zip(lines_of(theirs).values(), lines_of(same).values(), strict=True):
        np.testing.assert_array_equal(one.get_data(), other.get_data())
    assert legend(theirs) == legend(same) == ["train loss", "test accuracy", "test loss", "learning rate"]
