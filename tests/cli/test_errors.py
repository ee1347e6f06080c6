"""What a user can do wrong, and the one line that says so: what, where, and what to do."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from pycaffe_lite.data.lmdb_writer import write_lmdb
from pycaffe_lite.proto import caffe_pb2

RENAME = "to learn this layer from scratch instead, rename it in the prototxt"


def folders_above(folder):
    """The folder and all above it, as messages list them."""
    return ", ".join(str(place) for place in (folder, *folder.parents))


@pytest.fixture
def weights(run):
    """A trained model of the folder's net."""
    assert run("train", "solver.prototxt", level=2).code == 0
    return "small_iter_4.caffemodel"


# --------------------------------------------------------------------------------------------- data


def test_missing_database(folder, edit, fails):
    edit("net.prototxt", '"db"', '"bd"')
    tried = folders_above(folder)
    assert fails("train", "solver.prototxt") == (
        f"Error: net.prototxt:3: layer 'data' (Data): no such file: 'bd' (looked in {tried})"
    )


def test_empty_database(folder, edit, fails):
    write_lmdb(folder / "empty", [])
    edit("net.prototxt", '"db"', '"empty"')
    assert fails("train", "solver.prototxt") == (
        "Error: net.prototxt:3: layer 'data' (Data): LMDB 'empty' holds no records: fill it, or name another "
        "source"
    )


def test_folder_that_is_no_database(folder, edit, fails):
    (folder / "images").mkdir()
    edit("net.prototxt", '"db"', '"images"')
    assert fails("train", "solver.prototxt") == (
        "Error: net.prototxt:3: layer 'data' (Data): 'images' is not an LMDB: it holds no file data.mdb"
    )


def test_damaged_database(folder, edit, fails):
    (folder / "bad").mkdir()
    (folder / "bad" / "data.mdb").write_bytes(b"no database" * 1000)
    edit("net.prototxt", '"db"', '"bad"')
    assert fails("train", "solver.prototxt") == (
        "Error: net.prototxt:3: layer 'data' (Data): cannot read LMDB 'bad': data.mdb is not an LMDB file"
    )


def test_the_folder_is_meant(folder, edit, fails):
    edit("net.prototxt", '"db"', '"db/data.mdb"')
    assert fails("train", "solver.prototxt") == (
        "Error: net.prototxt:3: layer 'data' (Data): 'db/data.mdb' is not a database: name the folder 'db', "
        "not its data.mdb"
    )


def test_pictures_too_large(folder, fails, run, monkeypatch):
    """The option raises the limit, or lowers it."""
    monkeypatch.setattr("pycaffe_lite.data.image._max_pixels", None)
    picture = io.BytesIO()
    Image.new("L", (6, 6)).save(picture, "PNG")
    datum = caffe_pb2.Datum(data=picture.getvalue(), encoded=True)
    write_lmdb(Path("db"), [(b"only", datum.SerializeToString())])
    assert run("train", "solver.prototxt").code == 0
    assert fails("train", "solver.prototxt", "--max_pixels", 35) == (
        "Error: net.prototxt:3: layer 'data' (Data): record 'only' of 'db': it has 6 x 6 pixels, more than "
        "35; to read it all the same, give --max_pixels or set PYCAFFE_LITE_MAX_PIXELS"
    )
    assert run("train", "solver.prototxt", "-max_pixels=36").code == 0


def write_widths(path, widths):
    """A database of black images, 6 high, with these widths."""
    datums = [caffe_pb2.Datum(channels=1, height=6, width=width, data=bytes(6 * width)) for width in widths]
    write_lmdb(Path(path), [(f"{i:08}".encode(), d.SerializeToString()) for i, d in enumerate(datums)])


def test_images_of_another_size_than_the_weights(folder, edit, weights, fails):
    write_widths("big", [8] * 4)
    edit("net.prototxt", '"db"', '"big"')
    assert fails("test", "net.prototxt", "-weights", weights) == (
        f"Error: '{weights}': layer 'ip' (InnerProduct) has blob 0 of shape (4, 36) in the file, (4, 48) in "
        f"the net; {RENAME}"
    )


def test_images_of_another_size_than_the_net(folder, edit, fails):
    write_widths("mixed", [6] * 4 + [5] * 4)
    edit("net.prototxt", '"db"', '"mixed"')
    assert fails("train", "solver.prototxt") == (
        "Error: net.prototxt:7: layer 'ip' (InnerProduct): needs 36 values from axis 1 on, got bottom shape "
        "(4, 1, 6, 5)"
    )


def test_images_of_several_sizes_in_one_batch(folder, edit, fails):
    write_widths("mixed", [6, 6, 5, 6])
    edit("net.prototxt", '"db"', '"mixed"')
    assert fails("train", "solver.prototxt") == (
        "Error: net.prototxt:3: layer 'data' (Data): record '00000002' of 'mixed' has shape (1, 6, 5), "
        "record '00000000' of the same batch has (1, 6, 6): make all records of one size, or batch_size 1"
    )


def test_label_outside_the_classes(folder, edit, fails):
    edit("net.prototxt", "num_output: 4", "num_output: 3")
    assert fails("train", "solver.prototxt") == (
        "Error: net.prototxt:11: layer 'accuracy' (Accuracy): label 3 at (3,) is out of range: 3 "
        "classes, 0 to 2; set ignore_label to skip it"
    )


def test_ignored_label_may_be_outside_the_classes(folder, edit, run):
    ignoring = "accuracy_param { ignore_label: 3 } include {"
    edit("net.prototxt", "num_output: 4", "num_output: 3", "include {", ignoring)
    edit("net.prototxt", 'top: "loss"', 'top: "loss" loss_param { ignore_label: 3 }')
    assert run("train", "solver.prototxt", level=2).err == []


# ---------------------------------------------------------------------------------------------- net


def test_blob_that_no_layer_makes(folder, edit, fails):
    edit("net.prototxt", 'bottom: "ip"', 'bottom: "ipp"')
    assert fails("train", "solver.prototxt") == (
        "Error: net.prototxt:15: layer 'loss' (SoftmaxWithLoss): bottom 0 is blob 'ipp', which no layer "
        "before it makes (did you mean 'ip'?)"
    )


def test_two_layers_that_make_one_blob(folder, edit, fails):
    edit("net.prototxt", 'top: "ip"', 'top: "label"')
    assert fails("time", "net.prototxt") == (
        "Error: net.prototxt:7: layer 'ip' (InnerProduct): makes blob 'label', which layer 'data' already "
        "makes; a layer works in place only if bottom and top have one name at one index, and no other "
        "layer reads the blob before it"
    )


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        (
            'type: "Convolution" convolution_param { num_output: 2 kernel_size: 9 pad: 1 }',
            "(Convolution): output would be empty: bottom shape (4, 1, 6, 6) with kernel 9x9, stride 1x1, "
            "pad 1x1, dilation 1x1",
        ),
        (
            'type: "Pooling" pooling_param { kernel_size: 9 }',
            "(Pooling): output would be empty: bottom shape (4, 1, 6, 6) with kernel 9x9, stride 1x1, "
            "pad 0x0",
        ),
    ],
)
def test_window_that_yields_no_output(folder, edit, fails, layer, says):
    edit("net.prototxt", 'name: "ip" type: "InnerProduct"', f'name: "window" {layer}')
    edit("net.prototxt", 'inner_product_param { num_output: 4 weight_filler { type: "xavier" } }', "")
    assert fails("time", "net.prototxt") == f"Error: net.prototxt:7: layer 'window' {says}"


def test_unknown_layer_type(folder, edit, fails):
    edit("net.prototxt", "InnerProduct", "InnerProd")
    assert fails("time", "net.prototxt") == (
        "Error: net.prototxt:7: layer 'ip': unknown layer type 'InnerProd', did you mean 'InnerProduct'? "
        "('pycaffe-lite layers' lists all known types)"
    )


def test_slip_in_a_field(folder, edit, fails):
    edit("net.prototxt", "num_output:", "num_outputs:")
    assert fails("time", "net.prototxt") == (
        "Error: net.prototxt:9:25: unknown field 'num_outputs' in InnerProductParameter, did you mean "
        '\'num_output\'? — "  inner_product_param { num_outputs: 4 weight_filler { type: "xavier" } }"'
    )


def test_field_of_a_fork(folder, edit, run, fails):
    edit("net.prototxt", "num_output:", "sparse_ratio: 1 num_output:")
    result = run("time", "net.prototxt", "-iterations", "1", level=1)
    assert result.code == 0
    assert result.messages == [
        "net.prototxt:9: unknown field 'sparse_ratio' in InnerProductParameter is ignored"
    ]
    assert fails("time", "net.prototxt", "--strict") == (
        "Error: net.prototxt:9:25: unknown field 'sparse_ratio' in InnerProductParameter — "
        '"  inner_product_param { sparse_ratio: 1 num_output: 4 weight_filler { type: "xavier" } }"'
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "Error: net.prototxt: the net has no layers in phase TRAIN"),
        ("# to do", "Error: net.prototxt: the net has no layers in phase TRAIN"),
        (
            'layer { name: "a" type: "Input" include { phase: TEST } top: "x" }',
            "Error: net.prototxt: the net has no layers in phase TRAIN",
        ),
        (
            'layer { name: "a"\n  type "Input" }',
            "Error: net.prototxt:2:8: expected ':' after 'type' — \"  type \"Input\" }\"",
        ),
        (
            'layer { name: "a"',
            "Error: net.prototxt:1:1: this block is not closed: '}' is missing, the text ends at line 1 — "
            '"layer { name: "a""',
        ),
        ("\0", "Error: net.prototxt: this is a binary file, a prototxt is expected here"),
    ],
)
def test_prototxt_that_says_nothing(folder, fails, text, line):
    Path("net.prototxt").write_text(text)
    assert fails("time", "net.prototxt") == line


def test_empty_net_of_a_solver(folder, fails):
    Path("net.prototxt").write_text("")
    assert fails("train", "solver.prototxt") == (
        "Error: solver.prototxt: the net has no layers in phase TRAIN"
    )


def test_missing_net(folder, edit, fails):
    assert fails("time", "nte.prototxt") == "Error: no such file: 'nte.prototxt'"
    edit("solver.prototxt", "net.prototxt", "nte.prototxt")
    tried = folders_above(folder)
    assert fails("train", "solver.prototxt") == f"Error: no such file: 'nte.prototxt' (looked in {tried})"


def test_net_and_solver_exchanged(folder, fails):
    assert fails("train", "net.prototxt") == (
        "Error: net.prototxt:2:1: unexpected 'name': this is a net, a solver is expected here — \"name: "
        '"small""'
    )
    assert fails("time", "solver.prototxt") == (
        "Error: solver.prototxt:2:1: unexpected 'net': this is a solver, a net is expected here — \"net: "
        '"net.prototxt""'
    )


def test_folder_given_as_file(folder, fails):
    assert fails("train", ".") == "Error: cannot read '.': Is a directory"
    assert fails("time", "db") == "Error: cannot read 'db': Is a directory"
    assert fails("test", "net.prototxt", "-weights", "db") == "Error: cannot read 'db': Is a directory"
    assert fails("train", "solver.prototxt", "-snapshot", "db") == "Error: cannot read 'db': Is a directory"


# ------------------------------------------------------------------------------------------- weights


def test_weights_of_another_shape(folder, edit, weights, fails):
    edit("net.prototxt", "num_output: 4", "num_output: 5")
    line = (
        f"Error: '{weights}': layer 'ip' (InnerProduct) has blob 0 of shape (4, 36) in the file, (5, 36) "
        f"in the net; {RENAME}"
    )
    assert fails("test", "net.prototxt", "-weights", weights) == line
    assert fails("train", "solver.prototxt", "-weights", weights) == line


def test_missing_weights(folder, edit, fails):
    assert fails("test", "net.prototxt", "-weights", "a.caffemodel") == "Error: no such file: 'a.caffemodel'"
    tried = folders_above(folder)
    line = f"Error: no such file: 'a.caffemodel' (looked in {tried})"
    assert fails("train", "solver.prototxt", "-weights", "a.caffemodel") == line
    edit("solver.prototxt", "display", 'weights: "a.caffemodel" display')
    assert fails("train", "solver.prototxt") == line


def test_truncated_weights(folder, weights, fails):
    Path("half.caffemodel").write_bytes(Path(weights).read_bytes()[:500])
    line = fails("test", "net.prototxt", "-weights", "half.caffemodel")
    head, _, tail = line.partition(": at byte ")
    assert head == "Error: 'half.caffemodel' is truncated or not a .caffemodel"
    assert tail.endswith(" are left")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (
            b"<html>Not Found</html>",
            "is a web page, not a file of weights; the download went wrong: get the file itself",
        ),
    ],
)
def test_weights_that_are_none(folder, fails, content, says):
    Path("a.caffemodel").write_bytes(content)
    assert fails("test", "net.prototxt", "-weights", "a.caffemodel") == f"Error: 'a.caffemodel' {says}"


# -------------------------------------------------------------------------------------------- solver


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "net:",
            "weight_decay: 0 #",
            " a solver needs exactly one of net, net_param, train_net and train_net_param, got none",
        ),
        (
            '"fixed"',
            '"stepp"',
            " unknown lr_policy 'stepp', did you mean 'step'? "
            "(known policies: exp, fixed, inv, multistep, poly, sigmoid, step; of forks: exp10, multifixed, "
            "plateau, pose, sgdr, smoothstep, stepdecr)",
        ),
        ('"fixed"', '"step"', " lr_policy 'step' needs stepsize above 0, got 0"),
        (
            "display",
            'type: "Adamm" display',
            "7: unknown solver type 'Adamm', did you mean 'Adam'? "
            "(known types: AdaDelta, AdaGrad, Adam, Nesterov, RMSProp, SAG, SGD)",
        ),
        ("test_interval: 2", "", " a solver with test nets needs test_interval above 0, got 0"),
        ("display", "iter_size: 0 display", "7: iter_size must be at least 1, got 0"),
    ],
)
def test_wrong_settings(folder, edit, fails, old, new, says):
    edit("solver.prototxt", old, new)
    assert fails("train", "solver.prototxt") == f"Error: solver.prototxt:{says}"


def test_missing_solver(folder, fails):
    assert fails("train", "sovler.prototxt") == "Error: no such file: 'sovler.prototxt'"


def test_wrong_value_in_a_solver(folder, edit, fails):
    edit("solver.prototxt", "0.0001", "small")
    assert fails("train", "solver.prototxt") == (
        "Error: solver.prototxt:3:10: expected a number for 'base_lr' — \"base_lr: small\""
    )


@pytest.mark.parametrize("when", ["snapshot: 2", "snapshot_after_train: true"])
def test_snapshot_folder_that_is_not_there(folder, edit, run, when):
    edit("solver.prototxt", '"small"', f'"snapshots/small" {when}')
    result = run("train", "solver.prototxt", level=0)
    assert (result.code, result.out) == (1, [])
    assert result.err[-1] == (
        "Error: solver.prototxt: cannot write snapshots with snapshot_prefix 'snapshots/small': No such "
        "file or directory; make the folder, or name another"
    )
    assert not any(message.startswith("Iteration") for message in result.messages)


def test_snapshot_folder_that_cannot_be_written(folder, edit, fails):
    edit("solver.prototxt", '"small"', '"net.prototxt/small"')
    assert fails("train", "solver.prototxt") == (
        "Error: solver.prototxt: cannot write snapshots with snapshot_prefix 'net.prototxt/small': Not a "
        "directory; make the folder, or name another"
    )


@pytest.mark.parametrize(("settings", "max_iter"), [("max_iter: 0", 0), ("max_iter: -3", -3), ("", 0)])
def test_nothing_to_train(folder, edit, run, settings, max_iter):
    edit("solver.prototxt", "max_iter: 4", settings)
    result = run("train", "solver.prototxt", level=1)
    assert result.code == 0
    assert result.messages == [
        f"solver.prototxt: max_iter is {max_iter}, iteration 0 is done: nothing to train"
    ]


def test_loss_that_is_no_number(folder, edit, fails):
    edit("solver.prototxt", "0.0001", "1e38")
    line = fails("train", "solver.prototxt")
    assert line.startswith("Error: solver.prototxt: iteration ")
    assert line.endswith("a lower base_lr or clip_gradients may help, and the last snapshot is untouched")


# ----------------------------------------------------------------------------------------- snapshots


def test_snapshots_that_cannot_be_resumed(folder, edit, weights, fails):
    assert fails("train", "solver.prototxt", "-snapshot", "a.solverstate") == (
        "Error: no such file: 'a.solverstate'"
    )
    assert fails("train", "solver.prototxt", "-snapshot", weights) == (
        f"Error: '{weights}' is a file of weights, not a solver state; fine-tune from it with --weights, or "
        "name the .solverstate written with it"
    )
    edit("solver.prototxt", "display", 'type: "Adam" display')
    assert fails("train", "solver.prototxt", "-snapshot", "small_iter_4.solverstate") == (
        "Error: 'small_iter_4.solverstate' holds 2 history blobs, a solver of type Adam needs 4 for this "
        "net: it was written for another net or solver type"
    )


def test_snapshot_whose_weights_are_gone(folder, weights, fails):
    os.unlink(weights)
    assert fails("train", "solver.prototxt", "-snapshot", "small_iter_4.solverstate") == (
        f"Error: no such file: '{weights}', the weights of 'small_iter_4.solverstate'"
    )


def test_no_latest_snapshot(folder, fails):
    assert fails("train", "solver.prototxt", "-snapshot", "latest") == (
        "Error: there is no complete snapshot 'small_iter_*.solverstate' to resume from"
    )


def test_snapshot_that_cannot_be_written_later(folder, edit, fails):
    edit("solver.prototxt", "display", "snapshot: 2 display")
    Path("small_iter_4.caffemodel").mkdir()
    assert fails("train", "solver.prototxt") == (
        "Error: solver.prototxt: cannot write 'small_iter_4.caffemodel': Is a directory"
    )
    assert Path("small_iter_2.solverstate").exists()


# --------------------------------------------------------------------------------- around the command


@pytest.mark.parametrize(
    ("path", "says"), [("logs/train.log", "No such file or directory"), (".", "Is a directory")]
)
def test_log_file_that_cannot_be_made(folder, fails, path, says):
    assert fails("train", "solver.prototxt", "--log_file", path) == (
        f"Error: cannot write the log to '{path}': {says}"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_log_file_on_a_full_disk(folder, run):
    result = run("train", "solver.prototxt", "--log_file", "/dev/full", level=1)
    assert result.code == 0
    assert result.messages == ["cannot write the log to '/dev/full': No space left on device"]


def test_threads_variable(program, environment):
    environment = {**environment, "PYCAFFE_LITE_THREADS": "abc"}
    done = subprocess.run(
        [*program, "device-query"], capture_output=True, text=True, env=environment, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "",
        "Error: PYCAFFE_LITE_THREADS must be a whole number from 1 to 1024, got 'abc'\n",
    )


def test_gpu_is_asked_for(folder, edit, run):
    result = run("train", "solver.prototxt", "-gpu", "0,1", level=1)
    assert (result.code, result.messages) == (0, ["There is no GPU support: -gpu 0,1 is ignored"])


def test_dataset_without_its_files(tmp_path, monkeypatch, fails):
    monkeypatch.chdir(tmp_path)
    assert fails("dataset", "mnist", "-from", "here") == (
        "Error: no such file: 'here/train-images-idx3-ubyte.gz', nor without '.gz'"
    )


def test_logs_that_cannot_be_drawn(folder, fails):
    assert fails("plot", "a.log", "a.png") == "Error: no such file: 'a.log'"
    assert fails("plot", ".", "a.png") == "Error: no file in folder '.' is the log of a training"
    assert fails("plot", "net.prototxt", "a.png") == (
        "Error: 'net.prototxt' is not a training log: "
        "it has no line like 'Iteration 100, loss = 0.5' or 'Train net output #0: loss = 0.5'"
    )
    log = "I1121 solver.cpp:1] Iteration 0, lr = 0.1\nI1121 solver.cpp:1] Train net output #0: loss = 1\n"
    Path("a.log").write_text(log)
    assert fails("plot", "a.log", "pictures/a.png") == (
        "Error: cannot write 'pictures/a.png': No such file or directory"
    )
    assert fails("plot", "a.log", "a.doc").startswith(
        "Error: cannot draw 'a.doc': Format 'doc' is not supported"
    )


@pytest.mark.parametrize(
    ("module", "says"),
    [
        ("import sys\nsys.exit(0)", "module 'user_module_of_cli_test' called sys.exit(0)"),
        ("raise OSError('no disk')", "module 'user_module_of_cli_test' raised OSError: no disk"),
        (
            "import pycaffe_lite as caffe\n"
            "class L(caffe.Layer):\n"
            "    def reshape(self, bottom, top): raise RuntimeError('wrong size')",
            "L.reshape raised RuntimeError: wrong size",
        ),
    ],
)
def test_a_python_layer_that_fails(folder, run, monkeypatch, module, says):
    monkeypatch.delitem(sys.modules, "user_module_of_cli_test", raising=False)
    Path("user_module_of_cli_test.py").write_text(module)
    Path("python.prototxt").write_text(
        'layer { name: "p" type: "Python" top: "x"\n'
        'python_param { module: "user_module_of_cli_test" layer: "L" } }'
    )
    result = run("time", "python.prototxt", level=2)
    assert result.code == 1
    assert result.err[-1] == f"Error: python.prototxt:1: layer 'p' (Python): {says}"


def test_the_traceback_of_a_user_s_layer_is_shown(folder, run, monkeypatch):
    """From the user's own code on, and no more."""
    Path("layer_that_fails.py").write_text(
        "import pycaffe_lite as caffe\nclass Mine(caffe.Layer):\n    def reshape(self, bottom, top):\n"
        "        self.more()\n    def more(self):\n        raise KeyError('size')\n"
    )
    Path("python.prototxt").write_text(
        'layer { name: "p" type: "Python" top: "x"\n'
        'python_param { module: "layer_that_fails" layer: "Mine" } }'
    )
    result = run("time", "python.prototxt", level=2)
    assert result.code == 1
    assert result.err[0] == "Traceback (most recent call last):"
    places = [line.strip() for line in result.err if line.startswith("  File")]
    assert [place.rpartition(", in ")[2] for place in places] == ["reshape", "more"]
    assert "line 6, in more" in places[1]
    assert result.err[-1] == (
        "Error: python.prototxt:1: layer 'p' (Python): Mine.reshape raised KeyError: 'size'"
    )


def test_a_forks_field_that_changes_the_result(folder, edit, fails):
    edit("net.prototxt", "weight_filler {", "weight_filler { alpha: 2")
    assert fails("time", "net.prototxt") == (
        "Error: net.prototxt:9: layer 'ip' (InnerProduct): inner_product_param.weight_filler.alpha: 2 is not "
        "supported: in the forks that have it (happynear) first values depend on it; without the field, "
        "Caffe's own computation takes place"
    )


def test_a_forks_field_in_a_solver(folder, edit, fails):
    edit("solver.prototxt", "display", "stepearly: 5 display")
    assert fails("train", "solver.prototxt").startswith(
        "Error: solver.prototxt:7: stepearly: 5 is not supported"
    )
