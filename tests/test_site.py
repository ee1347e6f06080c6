"""What makes docs/ a site: links into the code, pictures, extensions, and that nothing is left out."""

import importlib
import re
import sys

import pytest
from paths import ROOT

import pycaffe_lite

DOCS = ROOT / "docs"


@pytest.fixture(autouse=True)
def modules(monkeypatch):
    """The modules of docs/ are found by their names, as they are when a page is built."""
    monkeypatch.syspath_prepend(str(DOCS))
    monkeypatch.syspath_prepend(str(DOCS / "extensions"))
    yield
    for name, module in list(sys.modules.items()):
        if str(DOCS) in str(getattr(module, "__file__", None)):
            del sys.modules[name]


# ------------------------------------------------------------------------------------ the links into the code


def test_links_lead_to_the_lines_that_they_name():
    """`python docs/source_lines.py` puts them right."""
    source_lines = importlib.import_module("source_lines")
    for page in source_lines.pages():
        assert page.read_text() == source_lines.refreshed(page), f"{page.name}: python docs/source_lines.py"


def test_each_page_on_backpropagation_links_into_the_code():
    source_lines = importlib.import_module("source_lines")
    for page in sorted((DOCS / "backpropagation").glob("*.md")):
        if page.stem != "index":
            assert len(source_lines.LINK.findall(page.read_text())) >= 4, page.name


def test_a_link_to_a_function_that_is_gone_is_an_error(tmp_path):
    source_lines = importlib.import_module("source_lines")
    (tmp_path / "code.py").write_text("\n\ndef f():\n    pass\n\nclass C:\n    def g(self):\n        pass\n")
    page = tmp_path / "page.md"
    page.write_text("[`code.f`](code.py#L1) [`C.g`](code.py#L1) [`C`](code.py#L9)")
    assert source_lines.refreshed(page) == "[`code.f`](code.py#L3) [`C.g`](code.py#L7) [`C`](code.py#L6)"
    page.write_text("[`code.h`](code.py#L1)")
    with pytest.raises(KeyError, match="h"):
        source_lines.refreshed(page)


# ----------------------------------------------------------------------------------------------- the pictures


def test_pictures_are_up_to_date():
    """`python docs/pictures.py` draws them anew."""
    drawn = dict(importlib.import_module("pictures").drawn())
    shown = set()
    for page in (DOCS / "backpropagation").glob("*.md"):
        shown |= set(re.findall(r"!\[[^\]]+\]\(([\w-]+\.svg)\)", page.read_text()))
    assert shown == drawn.keys() == {file.name for file in (DOCS / "backpropagation").glob("*.svg")}
    for name, picture in drawn.items():
        kept = (DOCS / "backpropagation" / name).read_text()
        assert len(kept) < 100_000
        # The last digits of LeNet's probabilities, and so its colours, differ from one processor to another.
        if name == "lenet-heat-map.svg":
            kept, picture = (re.sub(r'fill="#\w+"', "", text) for text in (kept, picture))
        assert picture == kept, f"{name}: python docs/pictures.py"


# ----------------------------------------------------------------------------------------------- the contents


def test_all_public_names_are_in_the_reference():
    reference = "".join(file.read_text() for file in (DOCS / "api").glob("*.rst"))
    modules = re.findall(r"automodule:: ([\w.]+)\n   :members:$", reference, re.MULTILINE)
    documented = set(re.findall(r":: pycaffe_lite\.(\w+)$", reference, re.MULTILINE))
    for module in map(importlib.import_module, modules):
        documented |= {name for name, thing in vars(module).items() if thing is vars(pycaffe_lite).get(name)}
    for some in re.findall(r"^   :members: (.*)$", reference, re.MULTILINE):
        documented |= set(some.split(", "))
    constants = {"TEST", "TRAIN"}
    left_out = set(pycaffe_lite.__all__) - documented - constants
    assert not left_out, f"docs/api/ lacks {left_out}"


def test_the_contents_are_those_of_the_front_page():
    contents = importlib.import_module("contents")
    text = "# T\n\n- [z](z.md)\n\n## A\n\n- [a](a.md), [b](x/b.rst): [out](../c.py)\n\n## B\n- [gone](d.md)\n"
    assert contents.listed(text, {"a", "x/b", "z"}) == {"": ["z"], "A": ["a", "x/b"], "B": []}


# ----------------------------------------------------------------------------------------------- docstrings


def test_docstrings_become_restructured_text():
    docstrings = importlib.import_module("docstrings")
    lines = """First `x_` line, |x| * y_.

    h <- mu h

Args:
    net: a net. name: of a layer,
        or a blob. x, y: more.

Raises:
    NetError: none.

MAX   first
AVE   second""".splitlines()
    assert list(docstrings.rewritten(lines)) == [
        *("First ``x_`` line, \\|x\\| \\* y\\_.", ""),
        *("::", "", "    h <- mu h", ""),
        *("Args:", "    net: a net.", "    name: of a layer, or a blob.", "    x, y: more.", ""),
        *("Raises:", "    NetError: none.", ""),
        *("::", "", "    MAX   first", "    AVE   second", ""),
    ]


# -------------------------------------------------------------------------------------- the finished site


def test_what_comes_from_elsewhere_is_found(tmp_path):
    self_contained = importlib.import_module("self_contained")
    (tmp_path / "a.html").write_text(
        '<link rel="stylesheet" href="style.css"><script src="https://x.org/m.js"></script><p id="here">'
        '<img src="//x.org/p.png"><a href="https://x.org">fine</a> <a href="b.html#there">b</a>'
        '<a href="#here">c</a> <a href="gone.html">d</a> <a href="#gone">e</a>'
    )
    (tmp_path / "b.html").write_text('<p id="there">')
    (tmp_path / "style.css").write_text("@import 'https://x.org/s.css'; p { background: url(p.png) }")
    assert sorted(self_contained.faults(tmp_path)) == [
        "a.html links to #gone: that page has no such place",
        "a.html links to gone.html, which is not there",
        "a.html loads //x.org/p.png",
        "a.html loads https://x.org/m.js",
        "style.css loads https://x.org/s.css",
    ]
