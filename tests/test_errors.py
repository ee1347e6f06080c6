import re

import pytest

from pycaffe_lite import errors
from pycaffe_lite.errors import (
    ArgumentError,
    ArgumentTypeError,
    FileLookupError,
    ImageError,
    InputArrayError,
    KernelError,
    LayerError,
    LayerImportError,
    NameLookupError,
    NetError,
    PycaffeError,
    blame,
    blamed,
)

ALL = [kind for kind in vars(errors).values() if isinstance(kind, type)]


@pytest.mark.parametrize("kind", ALL)
def test_one_class_catches_them_all(kind):
    assert issubclass(kind, PycaffeError)
    assert str(kind("what is wrong")) == "what is wrong"


@pytest.mark.parametrize(
    ("kind", "of_python"),
    [
        (ArgumentError, ValueError),
        (ArgumentTypeError, TypeError),
        (NameLookupError, KeyError),
        (NameLookupError, AttributeError),
        (InputArrayError, RuntimeError),
        (FileLookupError, RuntimeError),
        (LayerImportError, ImportError),
        (ImageError, OSError),
        (KernelError, RuntimeError),
    ],
)
def test_what_programs_catch_as_pythons_own(kind, of_python):
    assert issubclass(kind, of_python)


def test_the_drawing_shows_the_tree():
    """A name stands below the class that it derives from, one step to its right."""
    above = {0: PycaffeError}
    drawn = {PycaffeError}
    for line in errors.__doc__.splitlines():
        if found := re.match(r"([│ ]*)[├└]── (\w+) ", line):
            depth = len(found[1]) // 4 + 1
            kind = getattr(errors, found[2])
            assert above[depth - 1] in kind.__bases__
            above[depth] = kind
            drawn.add(kind)
    assert drawn == set(ALL)


def test_messages_are_one_printable_line():
    assert str(LayerError("a\nb\x1b[2J")) == r"a\nb\x1b[2J"
    assert len(str(NetError("x" * 10**6))) < 10**4
    assert PycaffeError(3).args == (3,)


def test_an_exception_of_a_users_code_keeps_its_class_and_gets_its_place():
    error = ValueError("what")
    blame(error, "net.prototxt:3: layer 'h' (Python): Half.forward")
    assert str(error) == "net.prototxt:3: layer 'h' (Python): Half.forward: what"
    assert blamed(error) == "net.prototxt:3: layer 'h' (Python): Half.forward raised ValueError: what"


def test_an_exception_is_blamed_once():
    first, second = ValueError("x"), ValueError("y")
    blame(first, "inner")
    blame(first, "outer")
    assert (str(first), blamed(first), blamed(second)) == ("inner: x", "inner raised ValueError: x", None)


@pytest.mark.parametrize(
    "error", [OSError(2, "No such file", "a"), KeyError("k"), ValueError("a", "b"), ValueError(3)]
)
def test_an_exception_that_says_more_keeps_what_it_says(error):
    args, text = error.args, str(error)
    blame(error, "place")
    assert (error.args, str(error)) == (args, text)
    assert blamed(error) == f"place raised {type(error).__name__}: {text}"
    assert getattr(error, "__notes__", ["raised by place"]) == ["raised by place"]


def test_an_exception_without_words():
    error = RuntimeError()
    blame(error, "place")
    assert blamed(error) == "place raised RuntimeError"


def test_an_exception_that_lets_nothing_be_set():
    class ClosedError(Exception):
        def __setattr__(self, name, value):
            raise TypeError

    blame(ClosedError("x"), "place")
