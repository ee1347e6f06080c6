import pytest

from pycaffe_lite.proto.text_strings import unquote


@pytest.mark.parametrize(
    ("word", "stands_for"),
    [
        ("''", b""),
        ('"it\'s"', b"it's"),
        ("'größe'", "größe".encode()),
        (r"'\a\b\f\n\r\t\v\\\?\'\"'", b"\a\b\f\n\r\t\v\\?'\""),
        (r"'\0\1012\377\7777'", b"\0A2\xff\xff7"),  # at most three octal digits, of which 8 bits count
        (r"'\x4a\xAz\X41'", b"J\nzA"),
        (r"'\u00e9\U0001F600'", "é😀".encode()),
        (r"'\ud83d\ude00'", "😀".encode()),
        ("'\udcff'", b"\xff"),  # a byte that is not UTF-8, as it is read from a file
    ],
)
def test_what_a_word_stands_for(word, stands_for):
    assert unquote(word) == stands_for


@pytest.mark.parametrize(
    ("word", "says"),
    [
        (r"'C:\models\net'", r"unknown escape '\\m' in a string"),
        (r"'\ud83d'", "there is no character with the code 0xd83d"),
        (r"'\ude00\ud83d'", "there is no character with the code 0xde00"),
        (r"'\U00110000'", "there is no character with the code 0x110000"),
    ],
)
def test_escapes_without_a_meaning(word, says):
    with pytest.raises(ValueError, match=says):
        unquote(word)
