import sys
import traceback
import types

import numpy as np
import pytest
from layer_check import build_layer, check_layer

import pycaffe_lite
from pycaffe_lite.alias import is_installed_as_caffe, uninstall_as_caffe
from pycaffe_lite.errors import LayerError, blamed
from pycaffe_lite.layer.utility.python import PythonLayer, PythonLayerBase, UserBlobs
from pycaffe_lite.layer.utility.stand_ins import register_stand_in
from pycaffe_lite.net.net import Net
from pycaffe_lite.proto import caffe_pb2

USER_LAYERS = """
import sys

import numpy as np
from pycaffe_lite.layer.utility.python import PythonLayerBase


class Affine(PythonLayerBase):
    '''y = factor x + b, with the factor from param_str and b learnt.'''

    def setup(self, bottom, top):
        self.factor = float(self.param_str or 2)
        self.blobs.add_blob(*bottom[0].shape[1:])

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.factor * bottom[0].data + self.blobs[0].data

    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[...] += top[0].diff.sum(axis=0)
        if propagate_down[0]:
            bottom[0].diff[...] = self.factor * top[0].diff


class PhaseAndName(PythonLayerBase):
    def __init__(self, layer_param):
        self.given_name = layer_param.name  # without the base's __init__

    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        top[0].data[0] = self.phase


class Breaks(PythonLayerBase):
    def setup(self, bottom, top):
        if self.param_str == "setup":
            raise ValueError("wrong\\n  setup")

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)
        if self.param_str == "reshape":
            raise KeyError("size")

    def forward(self, bottom, top):
        if self.param_str == "forward":
            self.broken_line()
        if self.param_str == "file":
            raise FileNotFoundError(2, "No such file", "none")
        if self.param_str == "custom":
            raise Custom("mine")

    def broken_line(self):
        raise AssertionError


class Custom(Exception):
    pass


class Exits(PythonLayerBase):
    def exit(self, verb):
        if self.param_str == verb:
            sys.exit(0)

    def setup(self, bottom, top):
        self.exit("setup")

    def reshape(self, bottom, top):
        top[0].reshape(1)
        self.exit("reshape")

    def forward(self, bottom, top):
        self.exit("forward")

    def backward(self, top, propagate_down, bottom):
        self.exit("backward")


class Unfinished(PythonLayerBase):
    def reshape(self, bottom, top):
        pass


class NeedsMore(PythonLayerBase):
    def __init__(self, layer_param, more):
        pass


class NoLayer:
    pass


not_a_class = 3
"""


@pytest.fixture(autouse=True)
def user_module(tmp_path, monkeypatch):
    (tmp_path / "user_layers_of_test.py").write_text(USER_LAYERS)
    (tmp_path / "broken_module_of_test.py").write_text("import module_that_there_is_not\n")
    monkeypatch.syspath_prepend(tmp_path)


def python_param(layer, options="", module="user_layers_of_test"):
    return f'type: "Python" python_param {{ module: "{module}" layer: "{layer}" {options} }}'


@pytest.mark.parametrize(("options", "factor"), [("", 2), ('param_str: "-3"', -3)])
def test_user_layer(options, factor):
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    check_layer(python_param("Affine", options), [x], lambda bottoms, blobs: [factor * bottoms[0] + blobs[0]])


@pytest.mark.parametrize("phase", [caffe_pb2.TRAIN, caffe_pb2.TEST])
def test_object_knows_its_phase_and_message(phase):
    rig = build_layer(python_param("PhaseAndName"), [], phase=phase)
    assert rig.forward()[0] == [phase]
    assert rig.layer.given_name == "layer"


def test_attributes_and_blobs_are_those_of_the_object():
    layer = build_layer(python_param("Affine"), [np.ones((2, 3))]).layer
    assert isinstance(layer, PythonLayer)
    assert layer.factor == 2
    assert layer.blobs is layer.user.blobs
    assert isinstance(layer.blobs, UserBlobs)
    assert layer.blobs[0].data.tolist() == [0, 0, 0]
    with pytest.raises(AttributeError, match="'Affine' object has no attribute 'nothing'"):
        _ = layer.nothing


def test_no_attribute_of_the_object_before_setup():
    layer = PythonLayer.__new__(PythonLayer)
    with pytest.raises(AttributeError, match="user"):
        _ = layer.factor


def test_blobs_of_the_prototxt_are_used():
    text = python_param("Affine") + " blobs { shape { dim: 2 } data: [5, 6] }"
    assert build_layer(text, [[[1.0, 1.0]]]).forward()[0].tolist() == [[7, 8]]


def test_module_in_the_folder_of_the_prototxt(tmp_path):
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "beside_the_net_of_test.py").write_text(USER_LAYERS)
    text = python_param("Affine", module="beside_the_net_of_test")
    (folder / "net.prototxt").write_text(
        'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 1 } } }'
        f'layer {{ name: "y" bottom: "x" top: "y" {text} }}'
    )
    net = Net(folder / "net.prototxt", caffe_pb2.TEST)
    assert net.forward(x=[[4]])["y"].tolist() == [[8]]


def test_share_in_parallel_is_said_to_have_no_effect(caplog):
    caplog.set_level("INFO")
    build_layer(python_param("Affine", "share_in_parallel: true"), [np.ones((1, 1))])
    assert caplog.messages == [
        "layer 'layer' (Python): share_in_parallel has no effect, each process has a layer of its own"
    ]


def run(text):
    rig = build_layer(text, [np.ones((1, 1))])
    rig.forward()
    rig.backward([np.ones((1, 1))])


def failure(text):
    with pytest.raises(LayerError) as error:
        run(text)
    assert str(error.value).startswith("layer 'layer' (Python): ")
    return str(error.value).removeprefix("layer 'layer' (Python): "), error.value.__cause__


def test_missing_module():
    message, cause = failure(python_param("Affine", module="module_that_there_is_not"))
    assert message == (
        "cannot import module 'module_that_there_is_not' from sys.path: "
        "ModuleNotFoundError: No module named 'module_that_there_is_not'; "
        "it belongs to the net: take it from where the net comes from"
    )
    assert isinstance(cause, ModuleNotFoundError)


def test_missing_module_names_the_folder_of_the_prototxt(tmp_path):
    (tmp_path / "net.prototxt").write_text(
        f'layer {{ name: "y" {python_param("A", module="module_that_there_is_not")} }}'
    )
    with pytest.raises(LayerError) as error:
        Net(tmp_path / "net.prototxt", caffe_pb2.TEST)
    assert str(error.value) == (
        f"{tmp_path / 'net.prototxt'}:1: layer 'y' (Python): cannot import module "
        f"'module_that_there_is_not' from sys.path, {tmp_path}, the folders above it, or lib/, python/, "
        "tools/ of these: ModuleNotFoundError: No module named 'module_that_there_is_not'; it belongs to the "
        "net: take it from where the net comes from"
    )


def test_module_that_fails_itself():
    message, cause = failure(python_param("Affine", module="broken_module_of_test"))
    assert message == (
        "cannot import module 'broken_module_of_test' from sys.path: "
        "ModuleNotFoundError: No module named 'module_that_there_is_not'"
    )
    assert "broken_module_of_test.py" in "".join(traceback.format_exception(cause))


def test_missing_class():
    message, _ = failure(python_param("Missing"))
    file = sys.modules["user_layers_of_test"].__file__
    assert message == f"module 'user_layers_of_test' ({file}) has no class 'Missing'"


@pytest.mark.parametrize("name", ["NoLayer", "not_a_class"])
def test_class_that_is_no_layer(name):
    message, _ = failure(python_param(name))
    assert message == f"'{name}' of module 'user_layers_of_test' is not a subclass of pycaffe_lite.Layer"


@pytest.mark.parametrize(("text", "field"), [('layer: "A"', "module"), ('module: "m"', "layer")])
def test_module_and_layer_must_be_given(text, field):
    message, _ = failure(f'type: "Python" python_param {{ {text} }}')
    assert message == f"python_param {{ {field}: ... }} is missing"


@pytest.mark.parametrize(
    ("layer", "verb", "says", "kind"),
    [
        ("Breaks", "setup", "Breaks.setup: wrong\n  setup", ValueError),
        ("Breaks", "reshape", "Breaks.reshape", KeyError),
        ("Breaks", "forward", "Breaks.forward", AssertionError),
        ("Breaks", "backward", "Breaks.backward: Breaks has no backward(top, propagate_down, bottom)", None),
        ("Unfinished", "", "Unfinished.forward: Unfinished has no forward(bottom, top)", None),
        ("NeedsMore", "", "NeedsMore.__init__: NeedsMore.__init__() missing 1 required", TypeError),
        ("Breaks", "file", "Breaks.forward", FileNotFoundError),
        ("Breaks", "custom", "Breaks.forward: mine", None),
    ],
)
def test_exceptions_of_the_user_come_out_as_they_are(layer, verb, says, kind):
    with pytest.raises(Exception) as raised:  # noqa: PT011 (its class is what this is about)
        run(python_param(layer, f'param_str: "{verb}"'))
    error = raised.value
    assert type(error) is (kind or error.__class__)
    assert not isinstance(error, LayerError)
    notes = getattr(error, "__notes__", [])
    place = f"layer 'layer' (Python): {says}"
    assert str(error).startswith(place) or (notes == [f"raised by {place}"] or sys.version_info < (3, 11))
    assert blamed(error).startswith(f"layer 'layer' (Python): {says.partition(':')[0]} raised ")
    assert "in run" in "".join(traceback.format_exception(error))


def test_an_exception_keeps_what_it_carries():
    with pytest.raises(FileNotFoundError) as raised:
        run(python_param("Breaks", 'param_str: "file"'))
    assert (raised.value.errno, raised.value.filename) == (2, "none")
    assert blamed(raised.value).endswith("raised FileNotFoundError: [Errno 2] No such file: 'none'")


@pytest.mark.parametrize("verb", ["setup", "reshape", "forward", "backward"])
def test_sys_exit_is_an_error(verb):
    message, cause = failure(python_param("Exits", f'param_str: "{verb}"'))
    assert message == f"Exits.{verb} called sys.exit(0)"
    assert isinstance(cause, SystemExit)


def test_a_module_that_exits(tmp_path):
    (tmp_path / "exits_at_import_of_test.py").write_text("raise SystemExit")
    message, _ = failure(python_param("Affine", module="exits_at_import_of_test"))
    assert message == "module 'exits_at_import_of_test' called sys.exit(None)"


def test_a_module_that_raises(tmp_path):
    (tmp_path / "raises_at_import_of_test.py").write_text("raise ValueError('unfinished')")
    with pytest.raises(ValueError, match="module 'raises_at_import_of_test': unfinished"):
        run(python_param("Affine", module="raises_at_import_of_test"))


def test_ctrl_c_is_none_of_the_layers_business(tmp_path):
    (tmp_path / "interrupted_of_test.py").write_text("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        run(python_param("Affine", module="interrupted_of_test"))


@pytest.mark.parametrize(
    ("module", "says"),
    [
        ("./sub/lay", "write sub.lay"),
        ("sub/lay.py", "write sub.lay"),
        ("lay.py", "write lay"),
        (".lay", "write lay"),
        ("sub\\\\lay.py", "write sub.lay"),
        ("../lay.py", "write lay, with the folder of the file in PYTHONPATH"),
        ("/home/me/lay.py", "write lay, with the folder of the file in PYTHONPATH"),
        ("C:/me/lay.py", "write lay, with the folder of the file in PYTHONPATH"),
    ],
)
def test_a_file_is_not_a_module(module, says):
    message, _ = failure(python_param("Affine", module=module))
    shown = module.replace("\\\\", "\\")
    assert message == f"module '{shown}' must be a name as after import, not a file: {says}"


IMPORTS_CAFFE = """
class Layer(caffe.Layer):
    def reshape(self, bottom, top):
        top[0].reshape(1)

    def forward(self, bottom, top):
        pass

    def backward(self, top, propagate_down, bottom):
        pass
"""


@pytest.fixture
def without_alias():
    yield
    if is_installed_as_caffe():
        uninstall_as_caffe()


@pytest.mark.usefixtures("without_alias")
@pytest.mark.parametrize(
    "line",
    ["import caffe", "import caffe.io", "from caffe import io as unused, Layer\ncaffe = __import__('caffe')"],
)
def test_a_module_that_imports_caffe_gets_this_package(tmp_path, monkeypatch, line):
    (tmp_path / "imports_caffe_of_test.py").write_text(line + IMPORTS_CAFFE)
    monkeypatch.delitem(sys.modules, "imports_caffe_of_test", raising=False)
    run(python_param("Layer", module="imports_caffe_of_test"))
    assert sys.modules["caffe"] is pycaffe_lite


def test_a_module_that_imports_the_real_caffe(tmp_path):
    (tmp_path / "caffe.py").write_text("class Layer: pass")
    (tmp_path / "real_caffes_of_test.py").write_text("import caffe\nclass Mine(caffe.Layer): pass")
    try:
        message, _ = failure(python_param("Mine", module="real_caffes_of_test"))
    finally:
        sys.modules.pop("caffe", None)
    assert message == (
        "'Mine' of module 'real_caffes_of_test' is not a subclass of pycaffe_lite.Layer; import caffe gives "
        f"the one at {tmp_path / 'caffe.py'}: write import pycaffe_lite as caffe, call "
        "pycaffe_lite.install_as_caffe(shadow=True) first, or start with "
        "python -m pycaffe_lite --shadow-caffe"
    )


def test_what_is_not_there_is_an_import_error():
    for text in (python_param("Affine", module="module_that_there_is_not"), python_param("Missing")):
        with pytest.raises(ImportError):
            run(text)


def test_base_class_shapes_nothing():
    with pytest.raises(NotImplementedError, match=r"^PythonLayerBase has no reshape\(bottom, top\)$"):
        PythonLayerBase(caffe_pb2.LayerParameter()).reshape([], [])


def test_an_error_of_our_tree_that_a_user_raises_is_named_too(monkeypatch):
    class Picky(PythonLayerBase):
        def reshape(self, bottom, top):
            raise LayerError("mine")

    module = types.ModuleType("picky_layers_of_test")
    module.Picky = Picky
    monkeypatch.setitem(sys.modules, module.__name__, module)
    text = f'type: "Python" python_param {{ module: "{module.__name__}" layer: "Picky" }}'
    with pytest.raises(LayerError, match=r"layer 'layer' \(Python\): Picky.reshape: mine"):
        build_layer(text, [np.zeros(1)])


# ------------------------------------------------------- modules of a net's repository, and stand-ins

IN_REPOSITORY = """
from pycaffe_lite import Layer
from package_of_test_{name}.others import FACTOR


class Times(Layer):
    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = FACTOR * bottom[0].data
"""


@pytest.mark.parametrize("place", ["models/net", "models", "lib", "models/python", "tools"])
def test_module_in_a_folder_of_the_repository(tmp_path, place):
    name = place.replace("/", "_")
    package = tmp_path / place / f"package_of_test_{name}"
    package.mkdir(parents=True)
    (tmp_path / "models" / "net").mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text("")
    (package / "others.py").write_text("FACTOR = 3")
    (package / "layers.py").write_text(IN_REPOSITORY.format(name=name))
    file = tmp_path / "models" / "net" / "net.prototxt"
    file.write_text(
        'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 } } } '
        'layer { name: "y" bottom: "x" top: "y" '
        + python_param("Times", module=f"package_of_test_{name}.layers")
        + " }"
    )
    before = list(sys.path)
    net = Net(file, caffe_pb2.TEST)
    assert sys.path == before
    net.blobs["x"].data[...] = 2
    net.forward()
    np.testing.assert_array_equal(net.blobs["y"].data, [6, 6])


class StandIn(PythonLayerBase):
    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = 7


@pytest.fixture
def stand_in(request, monkeypatch):
    monkeypatch.setattr("pycaffe_lite.layer.utility.stand_ins._stand_ins", {})
    register_stand_in(request.param)(StandIn)
    return request.param


@pytest.mark.parametrize("stand_in", ["package_that_there_is_not.layers"], indirect=True)
def test_stand_in_for_a_module_that_is_not_there(stand_in, caplog):
    caplog.set_level("INFO")
    assert build_layer(python_param("StandIn", module=stand_in), [np.ones((1, 1))]).forward()[0] == 7
    assert caplog.messages == [
        f"layer 'layer' (Python): module '{stand_in}' is not there: the built-in one takes its place"
    ]


@pytest.mark.parametrize("stand_in", ["python2_module_of_test"], indirect=True)
def test_stand_in_for_a_module_of_another_python(stand_in, tmp_path, monkeypatch, caplog):
    (tmp_path / f"{stand_in}.py").write_text("print 'an old one'")
    monkeypatch.syspath_prepend(tmp_path)
    assert build_layer(python_param("StandIn", module=stand_in), [np.ones((1, 1))]).forward()[0] == 7
    (message,) = caplog.messages
    assert message.startswith(f"layer 'layer' (Python): cannot import module '{stand_in}' (SyntaxError: ")
    assert message.endswith("): the built-in one takes its place")


@pytest.mark.parametrize("stand_in", ["user_layers_of_test"], indirect=True)
def test_a_users_own_module_wins(stand_in):
    assert build_layer(python_param("Affine", module=stand_in), [np.ones((1, 1))]).forward()[0] == 2


def test_module_of_the_users_data_of_another_python(tmp_path, monkeypatch):
    (tmp_path / "roi_data_layer").mkdir()
    (tmp_path / "roi_data_layer" / "__init__.py").touch()
    (tmp_path / "roi_data_layer" / "layer.py").write_text("print 'an old one'")
    monkeypatch.syspath_prepend(tmp_path)
    message, _ = failure(python_param("RoIDataLayer", module="roi_data_layer.layer"))
    sys.modules.pop("roi_data_layer")
    assert message.startswith(
        "cannot import module 'roi_data_layer.layer' from sys.path: SyntaxError: Missing parentheses"
    )
    assert "(layer.py, line 1); it reads pictures and boxes of a data set of yours" in message


def test_module_of_the_users_data():
    message, _ = failure(python_param("RoIDataLayer", module="roi_data_layer.layer"))
    assert message == (
        "cannot import module 'roi_data_layer.layer' from sys.path: ModuleNotFoundError: No module named "
        "'roi_data_layer'; it reads pictures and boxes of a data set of yours: give the net Input layers "
        "with its tops (data, im_info and gt_boxes with HAS_RPN) and write into their blobs, or write a "
        "Python layer"
    )
