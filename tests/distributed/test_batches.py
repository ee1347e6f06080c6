"""`test` and `extract-features` on several ranks give what one gives, to the last digit."""

import subprocess
import sys

import lmdb
import pytest
from ranks_at_work import environment
from small_nets import write_nets

from pycaffe_lite.net.batch_shares import why_not_shared
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.solver import get_solver

pytestmark = pytest.mark.ranks


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A net with trained weights, trained.caffemodel."""
    folder = tmp_path_factory.mktemp("batches")
    write_nets(folder)
    settings = f'net: "{folder}/shared.prototxt" base_lr: 0.1 lr_policy: "fixed" random_seed: 2'
    (folder / "solver.prototxt").write_text(settings)
    made = get_solver(folder / "solver.prototxt")
    made.step(2)
    made.net.save(folder / "trained.caffemodel")
    return folder


def command(folder, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "pycaffe_lite", *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        env=environment(),
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return done


def results(done):
    """Lines of the log with the results of each batch, and the output."""
    lines = [line.partition("] ")[2] for line in done.stderr.splitlines()]
    return [
        line for line in lines if line.startswith(("Batch ", "Loss: ", "loss_a = ", "loss_b = "))
    ], done.stdout


def test_testing(folder):
    arguments = "test", "shared.prototxt", "--weights", "trained.caffemodel", "--iterations", "7"
    alone = results(command(folder, *arguments))
    assert len(alone[0]) == 2 * 7 + 3
    assert results(command(folder, *arguments, "--ranks", "3")) == alone


def test_features(folder):
    def extract(name, *options):
        arguments = "trained.caffemodel", "shared.prototxt", "sa,loss_b", f"{name}_a,{name}_b", "5", "lmdb"
        done = command(folder, "extract-features", *arguments, *options)
        contents = []
        for database in (f"{name}_a", f"{name}_b"):
            with lmdb.open(str(folder / database), readonly=True, lock=False) as env, env.begin() as txn:
                contents.append(list(txn.cursor()))
        return contents, done.stdout.replace(name, "")

    alone = extract("alone")
    assert [len(content) for content in alone[0]] == [15, 5]
    assert extract("two", "--ranks", "2") == alone


NETS = {
    'layer { name: "d" type: "DummyData" top: "x" dummy_data_param { shape { dim: 2 } } }': "",
    'layer { name: "d" type: "DummyData" top: "x" dummy_data_param { shape { dim: 2 } data_filler { type: '
    '"gaussian" } } }': "layer 'd' (DummyData) cannot leave batches out",
    'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 } } }': (
        "layer 'x' (Input) cannot leave batches out"
    ),
    'layer { name: "d" type: "DummyData" top: "x" top: "c" dummy_data_param { shape { dim: 2 dim: 2 dim: 3 } '
    'shape { dim: 2 dim: 2 } } } layer { name: "l" type: "LSTM" bottom: "x" bottom: "c" top: "h" '
    "recurrent_param { num_output: 2 } }": "layer 'l' (LSTM) keeps something from batch to batch",
}


@pytest.mark.parametrize("text", NETS)
def test_nets_whose_batches_depend_on_each_other(text):
    assert why_not_shared(Net.from_text(text, caffe_pb2.TEST)) == NETS[text]
