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
    {"alias"},
    {"blob", "random"},
    {"fillers"},
    {"formats", "data"},
    {"layer"},
    {"net"},
    {"solver"},
    {"view", "distributed", "export"},
    {"timer", "parallel", "io", "net_spec", "coord_map"},
    {"pycaffe", "_caffe", "classifier", "classify", "detector", "detections", "draw", "surgery"},
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


# Rooms inside kernels/, in order; the families, which are modules, come last.
ENGINE = [{"runtime"}, {"simd"}, {"products"}, {"convolution", "pooling"}]
ENGINE_RANK = {room: rank for rank, rooms in enumerate(ENGINE) for room in rooms}


def engine_room(name: str) -> str:
    return name if (PACKAGE / "kernels" / name).is_dir() else "families"


def imported_from(path: Path, package: str) -> set[str]:
    """The names below a package that a file imports; of `from package import x`, x."""
    names = set()
    for node in ast.walk(ast.parse((PACKAGE / path).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name.removeprefix(f"{package}.") for name in names if name.startswith(f"{package}.")}


KERNELS = [path for path in FILES if path.parts[0] == "kernels" and path.name != "__init__.py"]


@pytest.mark.parametrize("path", KERNELS, ids=str)
def test_walls_inside_kernels(path):
    here = engine_room(path.parts[1])
    last = len(ENGINE)
    for name in imported_from(path, "pycaffe_lite.kernels"):
        there = engine_room(name.split(".")[0])
        assert (
            there == here
            or ENGINE_RANK.get(there, last) < ENGINE_RANK.get(here, last)
            or (here == there == "families")
        ), f"{path} is in '{here}' and imports {name}"


def test_only_the_face_and_the_families_of_kernels_are_seen_from_outside():
    """Families are what is on the ground floor, and the rooms that are a family themselves."""
    for path in FILES:
        if path.parts[0] == "kernels":
            continue
        for name in imported_from(path, "pycaffe_lite.kernels"):
            first, _, rest = name.partition(".")
            assert first not in ("runtime", "simd", "products"), f"{path} imports {name}"
            if first in ENGINE_RANK:
                assert "." not in rest, f"{path} imports {name}"


def test_kernels_know_arrays_only():
    for path in FILES:
        if path.parts[0] == "kernels":
            assert imported_rooms(path) <= {"kernels", "errors"}, path


def test_the_base_of_layers_knows_nothing_of_the_engine():
    """What a type offers for fusing and replay stands in files that the base does not need."""
    base = PACKAGE.joinpath("layer", "base.py").relative_to(PACKAGE)
    assert "kernels" not in imported_rooms(base)
    assert not imported_from(base, "pycaffe_lite.layer")
    for path in FILES:
        if path.parts[0] in ("cli", "solver"):
            assert not {"fusing", "replay"} & {
                name.split(".")[0] for name in imported_from(path, "pycaffe_lite.layer")
            }, path


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
