"""Who may import whom: each room imports from its left only."""

import ast
from pathlib import Path

import pytest

import pycaffe_lite

PACKAGE = Path(pycaffe_lite.__file__).parent
# Rooms in order; those in one entry may import each other.
ORDER = [
    {"printable", "extras"},
    {"errors"},
    {"glog", "mode", "proto", "kernels"},
    {"blob", "random"},
    {"fillers"},
    {"io", "data"},
    {"layers"},
    {"net"},
    {"solver"},
    {"cli", "__init__", "__main__"},
]
RANK = {room: rank for rank, rooms in enumerate(ORDER) for room in rooms}
FILES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def room_of(parts: tuple[str, ...]) -> str:
    return Path(parts[0]).stem


def imported_rooms(path: Path) -> set[str]:
    """The rooms of ours that a file imports; a plain `from pycaffe_lite import x` counts as x."""
    rooms = set()
    for node in ast.walk(ast.parse((PACKAGE / path).read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "pycaffe_lite":
            names = [f"pycaffe_lite.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        rooms |= {name.split(".")[1] for name in names if name.startswith("pycaffe_lite.")}
    return rooms


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_go_left(path):
    room = room_of(path.parts)
    wrong = {other for other in imported_rooms(path) if other != room and RANK[other] > RANK[room]}
    assert not wrong, f"{path} is in '{room}' and imports from {sorted(wrong)}"


def test_kernels_know_arrays_only():
    for path in FILES:
        if path.parts[0] == "kernels":
            assert imported_rooms(path) <= {"kernels", "errors"}, path


def test_every_room_has_a_place():
    assert {room_of(path.parts) for path in FILES} == set(RANK)


def calls(path: Path) -> set[str]:
    """What a file calls, as it is written there: `click.echo`."""
    tree = ast.parse((PACKAGE / path).read_text())
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def test_one_place_writes_what_users_see():
    """It makes names from files printable, which the others can forget."""
    writing = {"print", "click.echo", "click.secho", "Console", "sys.stdout.write", "sys.stderr.write"}
    wrong = {str(path) for path in FILES if calls(path) & writing} - {"cli/output.py"}
    assert not wrong, f"{sorted(wrong)} should write through cli/output.py"
