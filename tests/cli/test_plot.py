"""The command plot: what its pictures show."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from pycaffe_lite.cli.picture import draw
from pycaffe_lite.solver.curves import read_curves


@pytest.fixture
def figure_of(tmp_path, monkeypatch):
    """figure_of(lines, title): the figure that is drawn of a log, without the time that a picture takes."""
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path, **options: figures.append(self) or path.touch())

    def figure(lines, title=""):
        log = tmp_path / "a.log"
        log.write_text("".join(f"{line}\n" for line in lines))
        draw(read_curves(log), tmp_path / "a.png", title)
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
