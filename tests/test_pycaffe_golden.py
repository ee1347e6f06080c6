"""What scripts get from pycaffe itself: recorded from Caffe 1.0, compared with what they get here.

Each function in fixtures/pycaffe/cases_*.py is a script. It is called with the module and a `Help` and gives
a dict of arrays and plain values; what Caffe gave stands in the .npz files and in results.json. The types of
errors are compared, not their texts; "aborts" says that Caffe ended the process there.
"""

import importlib
import importlib.util
import json
import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from paths import FIXTURES

import pycaffe_lite
from pycaffe_lite.layer.registry import layer_types
from pycaffe_lite.proto import caffe_pb2

FOLDER = FIXTURES / "pycaffe"
GOLDEN = json.loads((FOLDER / "results.json").read_text())
LEFT_OUT = {
    "training_hdf5_shuffled",  # depends on what else the process has drawn from C's rand()
    "module_layer_types",  # there are more here: test_caffes_layer_types
}


def _cases():
    for path in sorted(FOLDER.glob("cases_*.py")):
        spec = importlib.util.spec_from_file_location(f"golden_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for name, value in vars(module).items():
            if isinstance(value, types.FunctionType) and not name.startswith("_"):
                yield f"{path.stem.removeprefix('cases_')}_{name}", value


CASES = {name: case for name, case in _cases() if name not in LEFT_OUT}


class Help:
    """What the scripts may use besides the module."""

    images = str(FOLDER / "data" / "images")

    def sub(self, name):
        return importlib.import_module(f"pycaffe_lite.{name}")

    def write(self, name, text):
        Path(name).write_text(text)
        return str(Path(name).absolute())

    def net(self, text, phase=1, **options):
        return pycaffe_lite.Net(self.write("net.prototxt", text), phase, **options)

    def fill(self, net, seed=1, scale=0.3):
        random = np.random.RandomState(seed)
        for blobs in net.params.values():
            for blob in blobs:
                blob.data[...] = random.normal(0, scale, blob.shape)
        return net

    def array(self, seed, *shape):
        return np.random.RandomState(seed).normal(0, 1, shape).astype(np.float32)

    def image(self, seed, height, width, channels=3):
        return np.random.RandomState(seed).uniform(0, 1, (height, width, channels)).astype(np.float32)

    def raises(self, function, *args, **options):
        try:
            value = function(*args, **options)
        except Exception as error:
            return {"error": type(error).__name__, "mro": [c.__name__ for c in type(error).__mro__]}
        return {"value": value if isinstance(value, (int, float, str, type(None))) else repr(value)}

    def aborts(self, function, *args, **options):
        return "aborts" if "error" in self.raises(function, *args, **options) else "ok"

    def plain(self, value):
        if hasattr(value, "items"):
            return [[key, self.plain(item)] for key, item in value.items()]
        if isinstance(value, (np.ndarray, np.generic)):
            return value.tolist()
        if isinstance(value, (str, int, float, type(None))):
            return value
        return [self.plain(item) for item in value]

    def dot(self, graph):
        """The statements of a graph, sorted."""
        nodes, edges, rest = [], [], []
        for line in re.sub(r",\s*\n", ", ", graph.to_string()).split("\n"):
            head, attributes = re.fullmatch(r"(.*?)\s*(?:\[(.*)\])?", line.strip().rstrip(";")).groups()
            if head in ("", "}"):
                continue
            found = re.findall(r'\w+=(?:"[^"]*"|[^,\]]+)', attributes or "")
            attributes = sorted(part.strip().replace('"', "") for part in found)
            head = head.replace('"', "")
            if "->" in head:
                edges.append([*re.split(r"\s*->\s*", head), attributes])
            elif attributes:
                nodes.append([head, attributes])
            else:
                rest.append(head)
        return {"nodes": sorted(nodes), "edges": sorted(edges), "graph": sorted(rest)}


def check(got, want, where, rel):
    """Asserts that a plain value is what Caffe gave, as far as it is compared."""
    if isinstance(want, dict) and "error" in want:
        assert "error" in got, f"{where}: {want['error']} expected, got {got}"
        # These come from the binding's inside.
        is_accident = want["error"] in ("SystemError", "OverflowError") or "StopIteration" in want["text"]
        assert is_accident or {want["base"], want["error"]} & set(got["mro"]), f"{where}: {got}"
    elif isinstance(want, dict):
        assert sorted(got) == sorted(want), where
        for key in want:
            check(got[key], want[key], f"{where}.{key}", rel)
    elif isinstance(want, list):
        assert len(got) == len(want), f"{where}: {got}"
        for i, (one, other) in enumerate(zip(got, want, strict=True)):
            check(one, other, f"{where}[{i}]", rel)
    elif isinstance(want, float):
        assert got == pytest.approx(want, rel=rel, abs=1e-6, nan_ok=True), where
    elif isinstance(want, str) and want.startswith(("layer {", "name: ")):
        # How a float is written depends on protobuf's version.
        messages = [text_format.Parse(text, caffe_pb2.NetParameter()) for text in (got, want)]
        assert messages[0] == messages[1], where
    else:
        assert (type(got), got) == (type(want), want), where


# The scripts open files and leave them to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", CASES)
def test_golden(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "golden_layers", raising=False)
    (tmp_path / "hdf5").mkdir()  # the scripts would copy the folder of this name, which is not needed
    case, want = CASES[name], GOLDEN[name]
    got = case(pycaffe_lite, Help())
    monkeypatch.delitem(sys.modules, "golden_layers", raising=False)
    rel = getattr(case, "rel", 1e-5)
    for key, value in want["values"].items():
        if not key.startswith("info:"):
            check(json.loads(json.dumps(got[key])), value, key, rel)
    if want["arrays"]:
        with np.load(FOLDER / f"{name}.npz") as arrays:
            for key, value in arrays.items():
                mine = np.asarray(got[key])
                assert (mine.shape, mine.dtype) == (value.shape, value.dtype), key
                if value.size and value.dtype.kind == "f":
                    atol = rel * np.abs(value).max() + 1e-6
                    np.testing.assert_allclose(mine, value, rtol=0, atol=atol, err_msg=key)
                else:
                    assert np.array_equal(mine, value), key


def test_caffes_layer_types():
    mine = pycaffe_lite.layer_type_list()
    assert mine == sorted(mine)
    # Other tests register types of their own.
    packaged = [n for n, entry in layer_types().items() if "pycaffe_lite" in entry.layer_class.__module__]
    assert [name for name in mine if name in packaged] == GOLDEN["module_layer_types"]["values"]["types"]
    assert set(packaged) <= set(pycaffe_lite.layer_type_list(forks=True))
