"""Text from files as it is shown: on one line, of bounded length, without effect on a terminal."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycaffe_lite.errors import ArgumentError, FileLookupError, LayerError
from pycaffe_lite.printable import LINE_LIMIT, NAME_LIMIT, Lines, printable, printable_line, printable_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("conv1", "conv1"),
        ("couche_é/日本語 🙂", "couche_é/日本語 🙂"),
        ("C:\\models\\new", "C:\\models\\new"),
        ("[red]it's[/red]", "[red]it's[/red]"),
        ("a\033[2J\033]0;pwn\007", r"a\x1b[2J\x1b]0;pwn\x07"),
        ("a\nTraceback\r\t\0", r"a\nTraceback\r\t\x00"),
        ("\u202eevil\u2066\u200f\ufeff", r"\u202eevil\u2066\u200f\ufeff"),
        ("a\u2028b\u2029c\x85d\x9be", r"a\u2028b\u2029c\x85d\x9be"),
        ("\U000e0041", r"\U000e0041"),
        ("caf\udce9 \ud800", r"caf\xe9 \ud800"),
    ],
)
def test_escapes(text, shown):
    assert printable(text) == printable_line(text) == shown


def test_the_middle_of_long_texts_is_left_out():
    assert printable("a" * NAME_LIMIT) == "a" * NAME_LIMIT
    shown = printable("a" * 10_000 + "b" * 10_000)
    assert len(shown) == NAME_LIMIT
    head, tail = shown.split("…")
    assert (set(head), set(tail)) == ({"a"}, {"b"})
    assert printable("abcdefghij", limit=7) == "abcd…ij"


def test_a_long_name_leaves_the_rest_of_the_message():
    shown = printable_line(f"net.prototxt:3: layer '{'x' * 100_000}' (ReLU): needs one bottom")
    assert shown.startswith("net.prototxt:3: layer 'xxx")
    assert shown.endswith(" (ReLU): needs one bottom")
    assert len(shown) < 600
    assert len(printable_line("a b " * 10_000)) == LINE_LIMIT


@given(st.text(), st.integers(10, 50))
def test_any_text(text, limit):
    for show in (lambda t: printable(t, limit), printable_line):
        shown = show(text)
        assert shown.isprintable()
        assert show(shown) == shown
    assert len(printable(text, limit)) <= limit


def test_lines_stay_lines():
    shown = printable_lines("a\n\033[2J\n")
    assert shown == "a\n\\x1b[2J\n"
    assert isinstance(shown, Lines)


@pytest.mark.parametrize("error_class", [LayerError, ArgumentError, FileLookupError])
def test_errors_make_their_messages_printable(error_class):
    error = error_class(f"layer 'a\n\033[2J' {'x' * 9000}: no")
    assert str(error).startswith("layer 'a\\n\\x1b[2J' xxx")
    assert str(error).endswith("xxx: no")
    assert str(error).isprintable()
    assert len(str(error)) < 600
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(error_class()) == ""
