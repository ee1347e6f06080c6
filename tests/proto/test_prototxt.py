"""Nets and solvers from prototxt files: what is read, what is kept, what is refused."""

import gzip
import json
import logging
import os
import time
from pathlib import Path

import pytest
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st
from paths import FIXTURES

from pycaffe_lite.errors import FileLookupError, PrototxtError
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.prototxt import Document, UnknownField, parse, read_net, read_solver
from pycaffe_lite.proto.text_strings import BACKSLASH

SHARED = os.environ.get("PYCAFFE_LITE_SHARED")


def net(text: str, **options) -> Document:
    return parse(text, caffe_pb2.NetParameter, name="net.prototxt", **options)


def file(tmp_path, monkeypatch, text: str | bytes, name="net.prototxt") -> str:
    """A file in the working directory, so that messages hold its bare name."""
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return name


# What is read --------------------------------------------------------------------------------


def test_net_with_lines():
    document = net(
        'name: "n"\n'
        "# a comment\n"
        "layer {\n"
        '  name: "conv"  type: "Convolution"\n'
        "  convolution_param {\n"
        "    num_output: 20\n"
        "    kernel_size: [3, 5]\n"
        "  }\n"
        "}\n"
        'layer { name: "relu" }\n'
    )
    conv = caffe_pb2.LayerParameter(name="conv", type="Convolution")
    conv.convolution_param.num_output = 20
    conv.convolution_param.kernel_size.extend([3, 5])
    relu = caffe_pb2.LayerParameter(name="relu")
    assert document.message == caffe_pb2.NetParameter(name="n", layer=[conv, relu])
    assert document.path is None
    assert document.unknown == ()
    lines = {
        ("name",): 1,
        ("layer", 0): 3,
        ("layer", 0, "type"): 4,
        ("layer", 0, "convolution_param"): 5,
        ("layer", 0, "convolution_param", "kernel_size", 1): 7,
        ("layer", 1): 10,
        ("layer", 2): None,
        ("layer", 0, "convolution_param", "stride", 0): None,
    }
    assert {path: document.line_of(path) for path in lines} == lines


def test_document_of_a_message_alone():
    document = Document(caffe_pb2.NetParameter(), path=Path("net.prototxt"))
    assert (document.unknown, document.line_of(("layer", 0))) == ((), None)


def test_file(tmp_path, monkeypatch):
    path = file(tmp_path, monkeypatch, '\ufeffname: "n"\r\nlayer { name: "é" }\r\n')
    document = read_net(path)
    assert document.message == caffe_pb2.NetParameter(name="n", layer=[caffe_pb2.LayerParameter(name="é")])
    assert document.path == Path("net.prototxt")
    assert document.line_of(("layer", 0)) == 2


def test_comment_in_another_encoding(tmp_path, monkeypatch):
    path = file(tmp_path, monkeypatch, '# 卷积\nname: "n"'.encode("gbk"))
    assert read_net(path).message == caffe_pb2.NetParameter(name="n")


def test_solver_is_given_its_snapshot_prefix(tmp_path, monkeypatch):
    path = file(tmp_path, monkeypatch, 'net: "net.prototxt"', "my.solver.prototxt")
    expected = caffe_pb2.SolverParameter(net="net.prototxt", snapshot_prefix="my.solver")
    assert read_solver(path).message == expected


def test_long_file_is_read_fast():
    layer = 'layer {\n  name: "l"\n  bottom: "a"\n  convolution_param {\n    num_output: 3\n  }\n}\n'
    text = layer * 1500  # 10,500 lines; takes 0.1 s
    start = time.process_time()
    assert len(net(text).message.layer) == 1500
    assert time.process_time() - start < 1


# Unknown fields --------------------------------------------------------------------------------


def test_unknown_fields_are_kept_and_said_once(caplog):
    text = (
        "quantize: true\n"
        "layer {\n"
        "  pooling_param { torch_pooling: true pool: AVE kernel_d: 3; more: [1, -2.5] }\n"
        "}\n"
        "layer {\n"
        "  coeff_schedule_param {\n"
        '    order < a: "}" > [some.where/name]: 1\n'
        "  }\n"
        "  pooling_param { pad_3d: 1 }\n"
        "}\n"
    )
    with caplog.at_level(logging.WARNING):
        document = net(text)
    expected = caffe_pb2.NetParameter(layer=[caffe_pb2.LayerParameter(), caffe_pb2.LayerParameter()])
    expected.layer[0].pooling_param.pool = caffe_pb2.PoolingParameter.AVE
    expected.layer[1].pooling_param.SetInParent()
    assert document.message == expected
    assert document.unknown == (
        UnknownField((), "NetParameter", "quantize", "quantize: true", 1, 1),
        UnknownField(
            ("layer", 0, "pooling_param"), "PoolingParameter", "torch_pooling", "torch_pooling: true", 3, 19
        ),
        UnknownField(("layer", 0, "pooling_param"), "PoolingParameter", "kernel_d", "kernel_d: 3", 3, 49),
        UnknownField(("layer", 0, "pooling_param"), "PoolingParameter", "more", "more: [1, -2.5]", 3, 62),
        UnknownField(
            ("layer", 1),
            "LayerParameter",
            "coeff_schedule_param",
            'coeff_schedule_param {\n    order < a: "}" > [some.where/name]: 1\n  }',
            6,
            3,
        ),
        UnknownField(
            ("layer", 1, "pooling_param"),
            "PoolingParameter",
            "pad_3d",
            "pad_3d: 1",
            9,
            19,
        ),
    )
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", f"net.prototxt:3: unknown field '{name}' in PoolingParameter is ignored")
        for name in ("kernel_d", "more")
    ]


def test_misspelt_message_is_kept_with_a_hint(caplog):
    assert len(net("layer { convolution_parm { num_output: 20 } }").unknown) == 1
    assert [record.getMessage() for record in caplog.records] == [
        "net.prototxt:1: unknown field 'convolution_parm' in LayerParameter is ignored, "
        "did you mean 'convolution_param'?"
    ]


def test_unknown_engine_is_left_out(caplog):
    text = (
        "layer { convolution_param { engine: MKL2017 } }\n"
        "layer { convolution_param { engine: MKL2017 } }\n"
        'layer { relu_param { engine: "MKLDNN" } }\n'
        "layer { pooling_param { engine: 7 } }\n"
    )
    document = net(text)
    assert not any(
        getattr(layer, param).HasField("engine")
        for layer, param in zip(
            document.message.layer,
            ["convolution_param", "convolution_param", "relu_param", "pooling_param"],
            strict=True,
        )
    )
    assert [record.getMessage() for record in caplog.records] == [
        "net.prototxt:1: unknown engine MKL2017 in ConvolutionParameter is left out (2 times)",
        'net.prototxt:3: unknown engine "MKLDNN" in ReLUParameter is left out',
        "net.prototxt:4: unknown engine 7 in PoolingParameter is left out",
    ]


SLIPS = {
    "layer {\n  convolution_param {\n    num_outputs: 20\n  }\n}": (
        "net.prototxt:3:5: unknown field 'num_outputs' in ConvolutionParameter, did you mean 'num_output'? "
        '— "    num_outputs: 20"'
    ),
    "layer { pooling_param { kernal_size: 2 } }": (
        "net.prototxt:1:25: unknown field 'kernal_size' in PoolingParameter, did you mean 'kernel_size'? "
        '— "layer { pooling_param { kernal_size: 2 } }"'
    ),
    'layer { botom: "a" }': (
        "net.prototxt:1:9: unknown field 'botom' in LayerParameter, did you mean 'bottom'? "
        '— "layer { botom: "a" }"'
    ),
}


@pytest.mark.parametrize("text", SLIPS)
def test_slip_is_an_error(text):
    with pytest.raises(PrototxtError) as error:
        net(text)
    assert str(error.value) == SLIPS[text]


STRICT = {
    "layer {\n  coeff_schedule_param { }\n}": (
        "net.prototxt:2:3: unknown field 'coeff_schedule_param' in LayerParameter "
        '— "  coeff_schedule_param { }"'
    ),
    "layer { convolution_parm { } }": (
        "net.prototxt:1:9: unknown field 'convolution_parm' in LayerParameter, "
        "did you mean 'convolution_param'? — \"layer { convolution_parm { } }\""
    ),
    "// a comment": "net.prototxt:1:1: unexpected '//': comments start with '#' — \"// a comment\"",
    "/* a comment */": "net.prototxt:1:1: unexpected '/*': comments start with '#' — \"/* a comment */\"",
    "layer { data_param { backend: IMAGEDB } }": (
        "net.prototxt:1:31: unknown value IMAGEDB for 'backend', which only forks have (MyCaffe) "
        '(known: LEVELDB, LMDB, IMAGEDB) — "layer { data_param { backend: IMAGEDB } }"'
    ),
    "layer { relu_param { engine: MKL2017 } }": (
        "net.prototxt:1:30: unknown value MKL2017 for 'engine' (known: DEFAULT, CAFFE, CUDNN) "
        '— "layer { relu_param { engine: MKL2017 } }"'
    ),
}


def test_comments_in_the_way_of_c():
    text = 'name: "a // b" // c\n/* layer {\n} */ input: "x" # /* d\ninput: "y" /**/'
    read = net(text).message
    assert (read.name, list(read.input), len(read.layer)) == ("a // b", ["x", "y"], 0)


@pytest.mark.parametrize("text", STRICT)
def test_strict_refuses_what_caffe_refuses(text):
    net(text)
    with pytest.raises(PrototxtError) as error:
        net(text, strict=True)
    assert str(error.value) == STRICT[text]


# Errors ------------------------------------------------------------------------------------------

BROKEN = {
    "layer {\n  convolution_param {\n  num_output 20\n": (
        "3:14: expected ':' after 'num_output' — \"  num_output 20\""
    ),
    "layer { some_param 3 }": "1:20: expected ':' or '{' after 'some_param' — \"layer { some_param 3 }\"",
    "layer { convolution_param: 3 }": (
        "1:28: expected '{' after 'convolution_param' — \"layer { convolution_param: 3 }\""
    ),
    'name: "a"\nlayer {\n  name: "b"\n': (
        "2:1: this block is not closed: '}' is missing, the text ends at line 3 — \"layer {\""
    ),
    "layer {\n  relu_param {\n}\nlayer {\n}\n": (
        "4:1: expected '}' before 'layer': the block of line 1 is not closed — \"layer {\""
    ),
    "layer {\n}\n}\n": "3:1: unexpected '}': no block is open — \"}\"",
    "layer {\n  relu_param < }\n}": (
        "2:16: expected '>' to close the block of line 2, got '}' — \"  relu_param < }\""
    ),
    'name: "a\n"': '1:7: this string is not closed on its line — "name: "a"',
    "name: a": "1:7: expected a string in quotes for 'name' — \"name: a\"",
    r'name: "\q"': "1:7: unknown escape '\\q' in a string; " + BACKSLASH + ' — "name: "\\q""',
    r'name: "\ud800"': f"1:7: there is no character with the code 0xd800; {BACKSLASH}"
    ' — "name: "\\ud800""',
    r'name: "\377"': "1:7: the string for 'name' is not UTF-8 — \"name: \"\\377\"\"",
    'name: "a"\nname: "b"': "2:1: 'name' is given twice, first in line 1 — \"name: \"b\"\"",
    "layer { relu_param {} relu_param {} }": (
        "1:23: 'relu_param' is given twice, first in line 1 — \"layer { relu_param {} relu_param {} }\""
    ),
    "x: 1 /* a comment": "1:6: this comment is not closed: '*/' is missing — \"x: 1 /* a comment\"",
    "\tname： 'a'": "1:6: unexpected character '：' (U+FF1A) — \" name： 'a'\"",
    "name: \x00": "1:7: unexpected character '\\x00' — \"name: \\x00\"",
    "name = 'a'": "1:6: expected ':' after 'name' — \"name = 'a'\"",
    "3: 4": "1:1: expected the name of a field, got '3' — \"3: 4\"",
    "input_dim: 1.5": "1:12: expected an integer for 'input_dim' — \"input_dim: 1.5\"",
    "input_dim: 2147483648": (
        "1:12: 'input_dim' must be within -2147483648 and 2147483647, got 2147483648 "
        '— "input_dim: 2147483648"'
    ),
    "layer { convolution_param { num_output: -1 } }": (
        "1:41: 'num_output' must be within 0 and 4294967295, got -1 "
        '— "layer { convolution_param { num_output: -1 } }"'
    ),
    "input_dim: 09": "1:12: malformed octal number '09' for 'input_dim' — \"input_dim: 09\"",
    "input_dim: 3x3": "1:12: malformed number '3x3' — \"input_dim: 3x3\"",
    "input_dim: [1, 2": "1:17: expected ',' or ']' in the list of 'input_dim' — \"input_dim: [1, 2\"",
    "input_dim: [1 2]": "1:15: expected ',' or ']' in the list of 'input_dim' — \"input_dim: [1 2]\"",
    "layer { loss_weight: 0x1 }": (
        "1:22: expected a number for 'loss_weight' — \"layer { loss_weight: 0x1 }\""
    ),
    "force_backward: yes": "1:17: expected true or false for 'force_backward' — \"force_backward: yes\"",
    "layer { phase: 'TRAIN' }": (
        "1:16: expected one of TRAIN, TEST, RUN for 'phase' — \"layer { phase: 'TRAIN' }\""
    ),
    "layer { pooling_param { pool: max } }": (
        "1:31: unknown value max for 'pool', did you mean MAX? (known: MAX, AVE, STOCHASTIC) "
        '— "layer { pooling_param { pool: max } }"'
    ),
    "layer { pooling_param { pool: 3 } }": (
        "1:31: unknown value 3 for 'pool' (known: MAX, AVE, STOCHASTIC) "
        '— "layer { pooling_param { pool: 3 } }"'
    ),
    "layer {\n  clip_param { max: 1 }\n}": "2:3: ClipParameter needs 'min' — \"  clip_param { max: 1 }\"",
    "layer {\n  clip_param { }\n}": "2:3: ClipParameter needs 'min' and 'max' — \"  clip_param { }\"",
    "x: " + "9" * 200 + " #" + "y" * 50 + "\n:": "2:1: expected the name of a field, got ':' — \":\"",
    "a { " * 65: "1:257: blocks are nested more than 64 deep — \"… " + "a { " * 24 + "a {\"",
}  # fmt: skip


@pytest.mark.parametrize("text", BROKEN)
def test_error_names_the_place_and_quotes_the_line(text):
    with pytest.raises(PrototxtError) as error:
        net(text)
    assert str(error.value) == f"net.prototxt:{BROKEN[text]}"


def test_long_line_is_quoted_around_the_place():
    with pytest.raises(PrototxtError) as error:
        net(" " * 500 + "name" + " " * 500 + "'a'" + " " * 500 + "#")
    quoted = "…" + " " * 50 + "'a'" + " " * 47 + "…"
    assert str(error.value) == f"net.prototxt:1:1005: expected ':' after 'name' — \"{quoted}\""


def test_missing_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileLookupError) as error:
        read_net("no/net.prototxt")
    assert str(error.value) == "no such file: 'no/net.prototxt'"
    with pytest.raises(FileLookupError) as error:
        read_solver(".")
    assert str(error.value) == "cannot read '.': Is a directory"
    with pytest.raises(FileLookupError) as error:
        read_solver("a\0b")
    assert str(error.value) == "cannot read 'a\\x00b': embedded null byte"


FILES = {
    b"\n\x05LeNet\x00\x01": "net.prototxt: this is a binary file, a prototxt is expected here",
    "name: 'n'".encode("utf-16"): "net.prototxt: this is UTF-16 text, save it as UTF-8",
    "name: 'é'".encode("latin-1"): (
        "net.prototxt:1:7: the string for 'name' is not UTF-8 — \"name: '\\xe9'\""
    ),
    b"\xe9: 1": "net.prototxt:1:1: unexpected character '\\xe9' — \"\\xe9: 1\"",
    b"# it learns\nnet: 'a'\nbase_lr: 0.1\n": (
        "net.prototxt:2:1: unexpected 'net': this is a solver, a net is expected here — \"net: 'a'\""
    ),
}  # fmt: skip


@pytest.mark.parametrize("content", FILES)
def test_file_that_is_no_net(content, tmp_path, monkeypatch):
    with pytest.raises(PrototxtError) as error:
        read_net(file(tmp_path, monkeypatch, content))
    assert str(error.value) == FILES[content]


def test_net_that_is_read_as_a_solver(tmp_path, monkeypatch):
    with pytest.raises(PrototxtError) as error:
        read_solver(file(tmp_path, monkeypatch, "debug_info: true\nlayer { }"))
    assert str(error.value) == (
        "net.prototxt:2:1: unexpected 'layer': this is a net, a solver is expected here — \"layer { }\""
    )


@settings(deadline=None)
@given(st.binary() | st.text("{}<>[]:;,.-/\"'\\# \nabf01x").map(str.encode))
def test_any_file_is_read_or_refused_by_one_line(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.prototxt"
    path.write_bytes(content)
    for read in (read_net, read_solver):
        try:
            read(path)
        except PrototxtError as error:
            assert "\n" not in str(error)  # noqa: PT017


LENET = (FIXTURES / "lenet" / "lenet.net.prototxt").read_text()


@settings(deadline=None)
@given(st.integers(0, len(LENET)), st.text("{}<>[]:;,.-/\"'\\# \nabf01x", max_size=3), st.integers(0, 40))
def test_damaged_file_is_read_or_refused_by_one_line(at, inserted, removed):
    try:
        net(LENET[:at] + inserted + LENET[at + removed :])
    except PrototxtError as error:
        assert "\n" not in str(error)  # noqa: PT017


# Nets of the wild ----------------------------------------------------------------------------------

if SHARED:
    WILD = Path(SHARED) / "wild"
    with gzip.open(Path(SHARED) / "golden" / "wild_shapes.json.gz") as statuses:
        STATUS = json.load(statuses)
    NOT_READ = {
        "MyCaffe__MyCaffe/MyCaffe.test__test_data__models__bvlc_nin__train_val.prototxt": "either 'layer' or",
    }

    @pytest.mark.parametrize("name", sorted(STATUS))
    def test_wild_net(name):
        if name in NOT_READ:
            with pytest.raises(PrototxtError, match=NOT_READ[name]):
                read_net(WILD / name)
            return
        text = (WILD / name).read_bytes().decode("utf-8", "surrogateescape")
        document = net(text)
        if STATUS[name]["status"] == "parse":  # the real Caffe refuses it
            with pytest.raises(PrototxtError):
                net(text, strict=True)
        else:
            assert not document.unknown
            assert document.message == text_format.Parse(text, caffe_pb2.NetParameter())
        lines = text.split("\n")
        upgraded = read_net(WILD / name)
        for i in range(len(upgraded.message.layer)):
            start = lines[upgraded.line_of(("layer", i)) - 1].strip()
            assert start.startswith("layer") or (i == 0 and start.startswith("input"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "layer { pooling_param { pool: LOWRES } }",
            "1:31: unknown value LOWRES for 'pool', which only forks have (happynear)",
        ),
        (
            "layer { data_param { backend: LEVELDBB } }",
            "1:31: unknown value LEVELDBB for 'backend', did you mean LEVELDB?",
        ),
        (
            'layers {\n  type: "Input"\n}',
            "2:9: 'layers' is the old format, whose types are words; write 'layer' for a type in quotes",
        ),
        (
            "layers { type: Convolution }",
            "1:16: unknown value Convolution for 'type', did you mean CONVOLUTION?",
        ),
    ],
)
def test_values_that_are_not_caffes(text, says):
    with pytest.raises(PrototxtError) as raised:
        net(text)
    assert str(raised.value).startswith(f"net.prototxt:{says}")


def test_a_forks_field_is_no_slip():
    """One letter may tell a fork's field from one of Caffe's: `stride_shape` and `kernel_shape` are meant."""
    assert [
        field.name for field in net("layer { transform_param { scale_min: 1 aspect_min: 3 } }").unknown
    ] == [
        "scale_min",
        "aspect_min",
    ]


def test_a_part_is_a_document_of_its_own():
    text = 'base_lr: 1\nnet_param {\n layer { name: "a"\n bogus_x: 1 } }'
    whole = parse(text, caffe_pb2.SolverParameter)
    part = whole.part(("net_param",), whole.message.net_param)
    assert part.message.layer[0].name == "a"
    assert part.line_of(("layer", 0)) == 3
    assert [(field.path, field.name, field.line) for field in part.unknown] == [(("layer", 0), "bogus_x", 4)]
