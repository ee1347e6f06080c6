"""docs/coming-from-pycaffe.md: pycaffe's names are there, take its arguments, and stand on the page."""

import importlib.util
import inspect

import pytest
from paths import ROOT

spec = importlib.util.spec_from_file_location("pycaffe_names", ROOT / "docs" / "pycaffe_names.py")
pycaffe_names = importlib.util.module_from_spec(spec)
spec.loader.exec_module(pycaffe_names)

NAMES = [f"{owner}.{name}" for owner, names in pycaffe_names.NAMES.items() for name in names.split()]


@pytest.mark.parametrize("given", NAMES)
def test_the_name_is_there_and_takes_pycaffes_arguments(given):
    name, bracket, arguments = given.partition("(")
    thing = pycaffe_names.find(name)
    assert (thing is None) == (name in pycaffe_names.ATTRIBUTES), name
    if not bracket:
        return
    wanted = inspect.signature(eval(f"lambda {arguments.removesuffix(')')}: 0")).parameters.values()
    has = [p for p in inspect.signature(thing).parameters.values() if p.name != "self"]
    for mine, theirs in zip(has, wanted, strict=False):
        if mine.kind is not inspect.Parameter.VAR_KEYWORD:
            assert mine.name == theirs.name
            assert theirs.default in (mine.default, inspect.Parameter.empty)
    # What there is besides can be left out.
    for more in has[len(wanted) :]:
        assert more.default is not more.empty or more.kind is more.VAR_KEYWORD


def test_notes_are_on_names_that_there_are():
    known = {name.partition("(")[0] for name in NAMES} | set(pycaffe_names.NAMES)
    assert set(pycaffe_names.NOTES) <= known


def test_the_page_is_up_to_date():
    text = pycaffe_names.PAGE.read_text()
    assert text == pycaffe_names.page(text), "run: python docs/pycaffe_names.py"
