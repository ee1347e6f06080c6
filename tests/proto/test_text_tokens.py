import pytest

from pycaffe_lite.proto.text_tokens import Source


def words(text, **options):
    return [(token.kind, token.text) for token in Source(text, "a").tokens(**options)]


def test_kinds_of_words():
    assert words("layer_1{ pad: -3 x: 0x1F .5e-3f 2. 1f 's\\'s' [") == [
        ("name", "layer_1"),
        ("symbol", "{"),
        ("name", "pad"),
        ("symbol", ":"),
        ("symbol", "-"),
        ("int", "3"),
        ("name", "x"),
        ("symbol", ":"),
        ("int", "0x1F"),
        ("float", ".5e-3f"),
        ("float", "2."),
        ("float", "1f"),
        ("string", "'s\\'s'"),
        ("symbol", "["),
        ("end", ""),
    ]


def test_words_know_their_place():
    text = "a # b\n  'c'  "
    a, c, end = Source(text, "a").tokens()
    assert [text[token.start : token.stop] for token in (a, c)] == ["a", "'c'"]
    assert end.start == c.stop  # where something is missing


@pytest.mark.parametrize("text", ["a // b\n c", "a /* b\n */ c"])
def test_comments_of_c_are_left_out_unless_strict(text):
    assert words(text) == [("name", "a"), ("name", "c"), ("end", "")]
    assert words(text, strict=True)[:3] == [("name", "a"), ("symbol", "/"), words(text, strict=True)[2]]


@pytest.mark.parametrize(
    ("text", "last"), [("a 'b\n' c", ("unclosed", "'")), ("a ? c", ("bad", "?")), ("a \0 c", ("bad", "\0"))]
)
def test_the_first_word_that_cannot_be_is_the_last_one(text, last):
    assert words(text) == [("name", "a"), last]


def test_lines_and_columns_count_from_1():
    source = Source("ab\n\nc", "net.prototxt")
    places = [(source.line(offset), source.column(offset)) for offset in range(6)]
    assert places == [(1, 1), (1, 2), (1, 3), (2, 1), (3, 1), (3, 2)]


def test_an_error_quotes_its_line():
    source = Source("a\n\tb: \x1b c \nd", "net.prototxt")
    assert str(source.error(3, "what")) == 'net.prototxt:2:2: what — " b: \\x1b c"'


def test_of_a_long_line_an_error_quotes_what_is_around():
    source = Source("x" * 200 + "!" + "y" * 200, "n")
    assert str(source.error(200, "what")) == f'n:1:201: what — "…{"x" * 50}!{"y" * 49}…"'
    assert str(source.error(0, "what")) == f'n:1:1: what — "{"x" * 100}…"'
    assert str(source.error(400, "what")) == f'n:1:401: what — "…{"y" * 100}"'
