"""`pycaffe-lite test`: mean outputs."""

import subprocess
from pathlib import Path

import pytest

HEAD = """
layer {
  name: "bonus" type: "InnerProduct" bottom: "ip" top: "bonus" include { RULE }
  inner_product_param { num_output: 1 }
}
"""


@pytest.fixture
def weights(folder, run):
    run("train", "solver.prototxt")
    return "small_iter_4.caffemodel"


def test_means_of_the_batches(weights, run):
    result = run("test", "-model", "net.prototxt", "-weights", weights, "-iterations", 3)
    assert result.code == 0
    begin = result.messages.index("Running for 3 iterations.") + 1
    batches = [message for message in result.messages[begin:] if message.startswith("Batch")]
    losses = [float(line.partition("loss = ")[2]) for line in batches if "loss" in line]
    accuracies = [float(line.partition("accuracy = ")[2]) for line in batches if "accuracy" in line]
    assert [line.partition(" = ")[0] for line in batches] == [
        f"Batch {i}, {name}" for i in range(3) for name in ("accuracy", "loss")
    ]
    accuracy, loss = f"{sum(accuracies) / 3:.4g}", f"{sum(losses) / 3:.4g}"
    end = [message for message in result.messages[begin:] if not message.startswith("Batch")]
    assert end[0].startswith(f"Loss: {loss}")
    assert end[1:] == result.out
    assert result.out[0].startswith(f"accuracy = {accuracy}")
    assert result.out[1].startswith(f"loss = {loss}")
    assert result.out[1].endswith(" loss)")


def test_a_net_without_data_is_refused(weights, run):
    """A deploy net's outputs would be those of zeros."""
    head, _, tail = Path("net.prototxt").read_text().partition("layer {")
    shape = "input_param { shape { dim: 1 dim: 1 dim: 6 dim: 6 } }"
    deploy = f'{head}layer {{ name: "data" type: "Input" top: "data" {shape} }}\n'
    Path("deploy.prototxt").write_text(deploy + "layer {" + tail.split("layer {")[1])
    result = run("test", "deploy.prototxt", "-weights", weights, level=2)
    assert result.code == 1
    assert result.out == []
    assert result.err[-1].endswith(
        "deploy.prototxt: there is nothing to test the net on: no layer reads data, and 'data' is for a "
        "program to fill; name a net with a data layer, such as the one that was trained"
    )


def test_fifty_batches_by_default(weights, run):
    result = run("test", "net.prototxt", "-weights", weights)
    assert sum("loss" in message for message in result.messages if message.startswith("Batch")) == 50


def test_log_and_results_are_one_where_both_go_to_one_file(weights, program, environment, tmp_path):
    command = [*program, "test", "net.prototxt", "-weights", weights, "-iterations", "1"]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, timeout=120
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert sum("loss = " in line for line in lines) == 2  # of the batch, the mean
    assert all(line.startswith("I") for line in lines[:2] + lines[-2:])


@pytest.mark.parametrize(
    ("rule", "flags", "kept"),
    [
        ('stage: "more"', [], False),
        ('stage: "more"', ["-stage=more"], True),
        ("min_level: 1", [], False),
        ("min_level: 1", ["-level", "1"], True),
    ],
)
def test_level_and_stages(weights, run, rule, flags, kept):
    Path("net.prototxt").write_text(Path("net.prototxt").read_text() + HEAD.replace("RULE", rule))
    result = run("test", "net.prototxt", "-weights", weights, "-iterations", 1, *flags)
    assert result.code == 0
    assert any(line.startswith("bonus = ") for line in result.out) == kept


def test_of_a_large_output_the_first_values_are_shown(weights, run):
    unread = """
    layer { name: "map" type: "DummyData" top: "map"
            dummy_data_param { shape { dim: 60 dim: 60 } data_filler { value: 2 } } }
    """
    Path("net.prototxt").write_text(Path("net.prototxt").read_text() + unread)
    result = run("test", "net.prototxt", "-weights", weights, "-iterations", 2)
    more = (
        "    ... and 3595 more values of 'map' (3600 in all); "
        "a Silence layer keeps an output that nobody reads out of the log"
    )
    assert result.out[2:] == ["map = 2"] * 5 + [more]
    assert result.messages.count("Batch 1, map = 2") == 5
    assert result.messages.count(more) == 3
