"""Compiled kernels on disk: what names their folder, and what happens where it cannot be used."""

import errno
import io
import logging
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from pycaffe_lite.kernels.runtime import cache as _cache

COMPILE_ONE = """
import logging, sys
logging.basicConfig(level=logging.DEBUG, format="%(name)s: %(message)s", stream=sys.stdout)
logging.getLogger("numba").setLevel(logging.WARNING)
import numpy as np
from pycaffe_lite.kernels.hinge_loss import forward
print("loss:", forward(np.zeros((1, 3)), np.zeros(1), False))
"""


def run(folder, script=COMPILE_ONE, **variables):
    """The lines that a process prints that has its compiled kernels in a folder."""
    environment = {**os.environ, "PYCAFFE_LITE_CACHE_DIR": str(folder), **variables}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def announcement(folder):
    return f"pycaffe_lite.kernels: compiling kernels for this machine; done once, kept in {folder}"


def test_compiles_once_and_says_so(tmp_path):
    assert run(tmp_path) == [announcement(tmp_path), "loss: 3.0"]
    assert run(tmp_path) == ["loss: 3.0"]


def test_other_cpu_has_its_own_code(tmp_path):
    run(tmp_path)
    generic = run(tmp_path, NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="")
    assert generic == [announcement(tmp_path), "loss: 3.0"]
    assert len(list(tmp_path.iterdir())) == 2


def test_several_processes_at_once(tmp_path):
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(run, [tmp_path] * 3))
    assert [lines[-1] for lines in results] == ["loss: 3.0"] * 3
    assert not list(tmp_path.rglob("*.tmp"))
    assert run(tmp_path) == ["loss: 3.0"]


COMPILE_EACH_KIND = (
    COMPILE_ONE
    + """
from pycaffe_lite.kernels import absval
y = np.empty(1, np.float32)
absval.forward(np.full_like(y, -12), y)
print("magnitude:", y.item())
"""
)


def test_damaged_files_are_compiled_anew(tmp_path):
    """Also those of machine code, in which LLVM would end the process without a word."""
    results = ["loss: 3.0", "magnitude: 12.0"]
    run(tmp_path, COMPILE_EACH_KIND)
    files = sorted(file for file in tmp_path.rglob("*") if file.is_file())
    assert {file.suffix for file in files} == {".nbc", ".o"}
    for damage in (lambda code: code[: len(code) // 2], lambda code: code[:-1] + bytes([code[-1] ^ 1])):
        for file in files:
            file.write_bytes(damage(file.read_bytes()))
        lines = run(tmp_path, COMPILE_EACH_KIND)
        assert sum("compiled code is damaged" in line for line in lines) > 1
        assert [line for line in lines if line in results] == results
        assert run(tmp_path, COMPILE_EACH_KIND) == results


def test_folder_that_cannot_be_written(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    lines = run(blocked)
    said, result = lines
    assert re.sub(r"/\w{24}'", "/…'", said) == (
        "pycaffe_lite.kernels: compiling kernels for this machine, as at every start: cannot write to "
        f"'{blocked}/…': Not a directory; set PYCAFFE_LITE_CACHE_DIR to a writable folder"
    )
    assert result == "loss: 3.0"


def full_disk(*_arguments):
    raise OSError(errno.ENOSPC, "No space left on device")


class RoomForANameOnly(io.BytesIO):
    """A file on a full disk, in the place of a temporary one."""

    def __init__(self, dir):
        super().__init__()

    write = full_disk


def write_a_part(path, content):
    with path.open("wb") as file:
        file.write(content[:2])
    full_disk()


@pytest.mark.parametrize("full_from", ["the start", "the first file"])
def test_full_disk(tmp_path, monkeypatch, caplog, full_from):
    monkeypatch.setenv("PYCAFFE_LITE_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(_cache, "_announced", False)
    monkeypatch.setattr(_cache, "_said_not_kept", False)
    target = ("some", "cpu", "")
    if full_from == "the start":
        monkeypatch.setattr(_cache.tempfile, "TemporaryFile", RoomForANameOnly)
    with caplog.at_level(logging.INFO):
        assert _cache.load_file("a", target) is None
        monkeypatch.setattr(Path, "write_bytes", write_a_part)
        for name in ("a", "b"):
            _cache.save_file(name, target, b"code")
    *before, said = caplog.messages
    assert before == (
        [] if full_from == "the start" else [announcement(tmp_path).removeprefix("pycaffe_lite.kernels: ")]
    )
    (folder,) = tmp_path.iterdir()
    assert said == (
        f"compiling kernels for this machine, as at every start: cannot write to '{folder}': No space left "
        "on device; set PYCAFFE_LITE_CACHE_DIR to a writable folder"
    )
    assert not list(folder.iterdir())


def test_functions_of_users_keep_numbas_cache(tmp_path):
    (tmp_path / "mine.py").write_text("import numba\n@numba.njit(cache=True)\ndef f(x):\n    return x + 1\n")
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n" + COMPILE_ONE + "\nimport mine; mine.f(1)"
    run(tmp_path / "kernels", script)
    assert list((tmp_path / "__pycache__").glob("mine.f-*.nbc"))
    assert not list((tmp_path / "kernels").rglob("mine*"))


def test_build_hash_follows_all_that_code_depends_on(monkeypatch):
    target = ("x86_64-unknown-linux-gnu", "znver4", "+avx2")
    hashes = [_cache.build_hash(target), _cache.build_hash((*target[:2], ""))]
    assert _cache.build_hash(target) == hashes[0]
    versions = (_cache.np, "__version__"), (_cache.numba, "__version__"), (_cache.llvmlite, "__version__")
    for place, name in (*versions, (_cache.numba.config, "OPT"), (_cache.numba.config, "BOUNDSCHECK")):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, "another")
            hashes.append(_cache.build_hash(target))
    with monkeypatch.context() as patch:
        patch.setattr(_cache.platform, "python_version", lambda: "another")
        hashes.append(_cache.build_hash(target))
    assert len(set(hashes)) == len(hashes) == 8


def outer():
    def inner():
        pass

    return inner


def files_of(function, options, *signatures):
    cache = _cache.KernelCache(function, options)
    return [cache._file(signature) for signature in signatures]


def test_names_of_files(monkeypatch):
    """They tell kernel, options and signature apart; `<locals>` is no name for some file systems."""
    monkeypatch.setattr(_cache, "function_hash", lambda function: function.content)
    kernel = outer()
    kernel.__module__, kernel.content = "pycaffe_lite.kernels.pooling.windows", "first"
    names = [
        *files_of(kernel, {"parallel": False}, "(int64,)", "(float64,)"),
        *files_of(kernel, {}, "(int64,)"),
    ]
    kernel.content = "second"
    names += files_of(kernel, {}, "(int64,)")
    assert len(set(names)) == 4
    for name in names:
        assert re.fullmatch(r"pooling\.windows\.outer\.locals\.inner-\w{16}\.nbc", name)
    kernel.content = None
    assert files_of(kernel, {}, "(int64,)") == [None]


def test_a_disabled_cache_neither_reads_nor_writes(monkeypatch):
    done = []
    monkeypatch.setattr(_cache, "function_hash", lambda function: "content")
    monkeypatch.setattr(_cache, "load_file", lambda name, target: done.append("read"))
    monkeypatch.setattr(_cache, "save_file", lambda name, target, content: done.append("written"))
    monkeypatch.setattr(_cache, "dumps", lambda data: b"")
    codegen = SimpleNamespace(codegen=lambda: SimpleNamespace(magic_tuple=tuple), refresh=lambda: None)
    library = SimpleNamespace(has_dynamic_globals=False)
    code = SimpleNamespace(library=library, target_context=codegen, _reduce=lambda: None)
    cache = _cache.KernelCache(outer(), {})
    for switch in (cache.disable, cache.enable):
        switch()
        assert cache.load_overload("(int64,)", codegen) is None
        cache.save_overload("(int64,)", code)
        assert done == ([] if switch == cache.disable else ["read", "written"])
    library.has_dynamic_globals = True  # addresses of this process
    cache.save_overload("(int64,)", code)
    assert done == ["read", "written"]


@pytest.mark.parametrize(
    ("variables", "root"),
    [
        ({"PYCAFFE_LITE_CACHE_DIR": "/chosen"}, "/chosen"),
        ({"XDG_CACHE_HOME": "/cache"}, "/cache/pycaffe-lite"),
        ({"HOME": "/home/me"}, "/home/me/.cache/pycaffe-lite"),
    ],
)
def test_where_it_lies_on_linux(monkeypatch, variables, root):
    for name in ("PYCAFFE_LITE_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(_cache.cache_root()) == root
