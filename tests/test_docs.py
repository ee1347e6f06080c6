"""What README.md and the pages of docs/ show is run: their Python, their commands, their worked example.

A page is read in order, in a folder with the files that the pages name: small nets, weights and pictures that
stand in for the reader's own.
"""

import ast
import contextlib
import io
import logging
import os
import re
import shlex
import shutil
import subprocess
import sys
import types
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from google.protobuf import descriptor_pb2
from mnist_records import first_records
from paths import FIXTURES, ROOT
from worked_numbers import check, equations_of

import pycaffe_lite as caffe
from pycaffe_lite.cli import main
from pycaffe_lite.data.lmdb_writer import write_lmdb
from pycaffe_lite.proto.caffe_pb2 import Datum

WORKED_FOLDER = ROOT / "docs" / "backpropagation"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(WORKED_FOLDER.glob("*.md")),
    *sorted((ROOT / "models").rglob("*.md")),
]
WORKED_PAGES = [page for page in PAGES if page.parent == WORKED_FOLDER]  # with numbers to redo by hand
WORKED_EXAMPLE = "adding-a-layer.md"
SHELL = ("sh", "bash", "console", "dockerfile")
LANGUAGES = (*SHELL, "python", "text", "proto", "toml", "")

# Commands that are shown and not run, each with the reason. Of `make` and `pip`, which take minutes, only the
# names of targets and extras are checked.
NOT_RUN = {
    "python -m benchmarks": "measures for minutes",
    "pycaffe-lite time <(": "needs a shell",
    "sed ": "needs a shell",
    "pycaffe-lite classify net.prototxt": "stands for a classifier; docs/seeing.md has one that runs",
    "pycaffe-lite detect net.prototxt": "stands for a detector; tests/cli/test_detect.py has one",
    "ENV ": "a setting of an image",
    "mpiexec ": "starts processes; tests/distributed does so",
    "pycaffe-lite train solver.prototxt --ranks": "the same",
    "pycaffe-lite dashboard": "serves a page until Ctrl-C",
    "cd models/shapes": "tests/test_shapes.py follows this page",
    "cd models/digits": "tests/test_digits.py follows this page",
    "python draw.py": "the same",
    "pycaffe-lite train shapes_solver.prototxt": "the same",
    "pycaffe-lite deploy shapes_train_test": "the same",
    "pycaffe-lite classify deploy.prototxt shapes": "the same",
    "pycaffe-lite train digits_solver.prototxt": "the same",
    "python make_shapes.py": "is of another folder",
    "pycaffe-lite train ssd_shapes_solver.prototxt": "trains for a minute, with that folder's data",
    "pycaffe-lite detect ssd_shapes.prototxt": "needs the weights of that training",
}


class Block(NamedTuple):
    """A fenced block: where it is, what stands behind the fence, its lines, the last heading above it."""

    page: Path
    line: int
    language: str
    text: str
    heading: str


def blocks_of(page):
    heading, blocks, lines = "", [], page.read_text().splitlines()
    position = 0
    while position < len(lines):
        line = lines[position]
        position += 1
        if line.startswith("#"):
            heading = line
        if fence := re.match(r"( *)```(\w*)$", line):
            end = lines.index(fence[1] + "```", position)
            text = "".join(row.removeprefix(fence[1]) + "\n" for row in lines[position:end])
            blocks.append(Block(page, position, fence[2], text, heading))
            position = end + 1
    return blocks


def page_id(page):
    return str(page.relative_to(ROOT))


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
RUN_PAGES = sorted(
    {b.page for b in BLOCKS if b.language in (*SHELL, "python") and b.page.name != WORKED_EXAMPLE}
)


def commands_of(block):
    """The commands of a block, without comments and prompts."""
    text = re.sub(r"\\\n\s*", "", block.text)
    for line in text.splitlines():
        command = re.sub(r"(^|\s)#.*", "", line).strip().removeprefix("$ ").removeprefix("RUN ")
        if command:
            yield command


# ----------------------------------------------------------------------------------- the reader's own files

TRAIN_NET = """
name: "small"
layer { name: "data" type: "Data" top: "data" top: "label"
        data_param { source: "small_lmdb" batch_size: 4 backend: LMDB } transform_param { scale: 0.004 } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
        inner_product_param { num_output: 8 weight_filler { type: "xavier" } } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy"
        include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
SOLVER = """
net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 502 test_iter: 1 test_interval: 250
snapshot: 500 snapshot_prefix: "lenet" random_seed: 1
"""
DEPLOY_NET = """
name: "classes"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 12 dim: 10 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
        inner_product_param { num_output: 8 } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
"""
OLD_NET = """
name: "old"
input: "data" input_dim: 1 input_dim: 1 input_dim: 4 input_dim: 4
layers { name: "relu" type: RELU bottom: "data" top: "relu" }
"""


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """A folder with the files that the pages name."""
    folder = tmp_path_factory.mktemp("reader")
    random = np.random.default_rng(0)
    datums = [Datum(channels=3, height=12, width=10, data=random.bytes(360), label=i) for i in range(8)]
    write_lmdb(folder / "small_lmdb", ((b"%d" % d.label, d.SerializeToString()) for d in datums))
    (folder / "net.prototxt").write_text(TRAIN_NET)
    (folder / "solver.prototxt").write_text(SOLVER)
    (folder / "deploy.prototxt").write_text(DEPLOY_NET)
    (folder / "old.prototxt").write_text(OLD_NET)
    shutil.copy(FIXTURES / "logs" / "train.log", folder / "lenet.log")
    shutil.copy(FIXTURES / "onnx" / "mobilenet_v2_legacy.onnx", folder / "model.onnx")
    draw_pictures(folder)
    np.save(folder / "input.npy", np.zeros((3, 12, 10), np.float32))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("GLOG_minloglevel", "2")
        solver = caffe.get_solver("solver.prototxt")
        solver.step(500)
        for name in ("net", "bvlc"):
            solver.net.save(f"{name}.caffemodel")
    return folder


def draw_pictures(folder):
    """Pictures, lists of them, and the same once more in a folder ROOT."""
    from PIL import Image

    (folder / "pictures").mkdir()
    for i in range(4):
        Image.new("RGB", (30 + i, 40), (60 * i, 0, 0)).save(folder / "pictures" / f"{i}.png")
    for name in ("train.txt", "test.txt"):
        (folder / name).write_text("".join(f"pictures/{i}.png {i}\n" for i in range(4)))
    shutil.copytree(folder / "pictures", folder / "ROOT" / "pictures")


@pytest.fixture(scope="session")
def lenet(tmp_path_factory):
    """The folder models/lenet after `make lenet`, with fewer images and weights that are hardly trained."""
    folder = tmp_path_factory.mktemp("lenet") / "models" / "lenet"
    folder.mkdir(parents=True)
    for file in (ROOT / "models" / "lenet").glob("*.prototxt"):
        shutil.copy(file, folder)
    write_lmdb(folder / "mnist_train_lmdb", first_records("t10k", 64))
    write_lmdb(folder / "mnist_test_lmdb", first_records("t10k", 100))
    shutil.copy(FIXTURES / "lenet/lenet_iter_50.caffemodel", folder / "lenet_solver_iter_10000.caffemodel")
    return folder.parent


@pytest.fixture
def folder(files, lenet, tmp_path, monkeypatch):
    """A working directory with both, for one page."""
    from PIL import Image

    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    (tmp_path / "models").symlink_to(lenet)
    Image.fromarray(np.arange(900, dtype=np.uint8).reshape(15, 20, 3)).save(tmp_path / "cat.jpg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GLOG_minloglevel", "2")
    logger = logging.getLogger("pycaffe_lite")
    level = logger.level
    yield tmp_path
    # What a page says of logging is for this page.
    logger.setLevel(level)
    for handler in list(logger.handlers):
        if isinstance(handler, logging.NullHandler):
            logger.removeHandler(handler)


# ------------------------------------------------------------------------------------------------- the tests


def test_blocks_are_of_known_languages():
    unknown = [(page_id(b.page), b.line, b.language) for b in BLOCKS if b.language not in LANGUAGES]
    assert not unknown


@pytest.mark.parametrize("page", RUN_PAGES, ids=page_id)
def test_page(page, folder, capsys, monkeypatch):
    """What a page shows is run in its order; a block of text is what the block before it prints."""
    script = page_script(page, folder)
    # Processes that a page starts import what it has run so far.
    program = types.ModuleType("__main__")
    program.__file__ = str(script)
    monkeypatch.setitem(sys.modules, "__main__", program)
    printed = ""
    for block in blocks_of(page):
        where = f"{page_id(page)}:{block.line}"
        with contextlib.redirect_stdout(io.StringIO()) as output:
            if block.language == "python":
                # In the page's place, so that a traceback has the page's line numbers.
                exec(compile("\n" * block.line + block.text, script, "exec"), vars(program))
            elif block.language in SHELL:
                for command in commands_of(block):
                    check_command(command, f"{where}: {command}", capsys)
            elif block.language == "text":
                assert block.text == printed, f"{where}: that is not what the block before it prints"
        printed = output.getvalue()
    if page in WORKED_PAGES:
        checked = [check(equation, vars(program)) for equation in equations_of(page)]
        assert sum(checked) > 3


def page_script(page, folder):
    """A page's Python as a file, each line where it is in the page."""
    lines = []
    for block in blocks_of(page):
        if block.language == "python":
            lines += [""] * (block.line - len(lines)) + block.text.splitlines()
    script = folder / (page.stem.replace("-", "_") + ".py")
    script.write_text("\n".join(lines) + "\n")
    return script


def check_command(command, where, capsys):
    if any(command.startswith(start) for start in NOT_RUN):
        return
    program, *arguments = shlex.split(command)
    if program == "make":
        target = re.search(rf"^{arguments[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert target, where
        for room in re.findall(r"\bT=(\S+)", command):
            assert (ROOT / room).exists(), where
    elif program == "pip":
        known = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
        for extras in re.findall(r"\[([\w,]+)\]", command):
            assert set(extras.split(",")) <= set(known), where
    else:
        assert program == "pycaffe-lite", f"{where}: run it here, or say in NOT_RUN why not"
        with pytest.raises(SystemExit) as ending:
            main(arguments, prog_name="pycaffe-lite")
        assert not ending.value.code, f"{where}\n{capsys.readouterr().err}"


def test_pages_link_to_what_is_there():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page_id(page)}: {target}"


# -------------------------------------------------------------------------------------- the messages shown


def templates():
    """The texts of the package's strings as patterns, in parts between colons.

    Up to three words stand for a value.
    """
    for file in (ROOT / "pycaffe_lite").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "\0" for part in node.values]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                parts = [node.value]
            else:
                continue
            for piece in "".join(parts).split(": "):
                if len(piece.replace("\0", "")) > 5:
                    yield re.escape(piece).replace("\0", r"\S+(?: \S+){,2}")


def is_said(piece, known):
    """Whether a part of a message is a template's, or one's with another at its end."""
    starts = [match.end() for match in re.finditer(" ", piece)]
    return known.fullmatch(piece) or any(
        known.fullmatch(piece[start:]) and known.fullmatch(piece[:start] + "value") for start in starts
    )


def test_messages_are_the_package_s():
    """Those that stand indented in a page, a line each or a paragraph."""
    known = re.compile("|".join({f"(?:{template})" for template in templates()}))
    shown = 0
    for page in PAGES:
        text = re.sub(r"^( *)```.*?^\1```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        for block in re.findall(r"\n\n((?: {4}\S.*\n)+)", text):
            lines = [line.strip() for line in block.splitlines()]
            messages = lines if lines[0].startswith("layer ") else [" ".join(lines)]
            for piece in ": ".join(messages).split(": "):
                assert is_said(piece, known), f"{page_id(page)}: nothing says '{piece}'"
                shown += 1
    assert shown > 5


# --------------------------------------------------------------------------------- the worked example


def add_messages(schema, text):
    """Adds a proto's messages to a schema, and fields to the messages that are there, as protoc would."""
    file = schema.file[-1]
    for name, body in re.findall(r"^message (\w+) \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL):
        known = [message for message in file.message_type if message.name == name]
        message = known[0] if known else file.message_type.add(name=name)
        for kind, field_name, number, default in re.findall(
            r"^  optional (\w+) (\w+) = (\d+)(?: \[default = (\S+)\])?;", body, re.MULTILINE
        ):
            field = message.field.add(name=field_name, number=int(number), label=1)
            if kind == "float":
                field.type = field.TYPE_FLOAT
            else:
                field.type, field.type_name = field.TYPE_MESSAGE, f".caffe.{kind}"
            if default:
                field.default_value = default


def test_the_worked_example(tmp_path):
    """A copy of the package, changed as the page says, passes the page's own test."""
    page = ROOT / "docs" / WORKED_EXAMPLE
    ignored = shutil.ignore_patterns("__pycache__", "fixtures", "*.npz")
    for name in ("pycaffe_lite", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    places = set()
    for block in blocks_of(page):
        if block.language not in ("python", "proto"):
            continue
        place = re.search(r"`([\w/]+\.(?:py|proto))`", block.heading)
        assert place, f"{block.heading}: names no file"
        assert place[1] not in places
        places.add(place[1])
        if block.language == "proto":
            path = tmp_path / "pycaffe_lite" / "proto" / "caffe.desc"
            schema = descriptor_pb2.FileDescriptorSet.FromString(path.read_bytes())
            add_messages(schema, block.text)
            path.write_bytes(schema.SerializeToString())
        else:
            with open(tmp_path / place[1], "a") as file:
                file.write(block.text)
    (test,) = [place for place in places if "test_" in place]
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    # In a process of its own: this one has the schema and the layer types loaded.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
