"""Python: runs a layer that the user writes."""

from __future__ import annotations

import importlib
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from pycaffe_lite.alias import find_real_caffe, install_as_caffe
from pycaffe_lite.blob import BlobVec
from pycaffe_lite.errors import LayerError, LayerImportError, NetError, blame
from pycaffe_lite.layer.base import Blobs, Layer
from pycaffe_lite.layer.registry import register_layer
from pycaffe_lite.layer.utility.stand_ins import is_of_users_data, stand_in_for, why_needed
from pycaffe_lite.proto import caffe_pb2
from pycaffe_lite.proto.paths import upwards

log = logging.getLogger(__name__)

# Where, in the prototxt's folder and in those above it, the modules of a net's repository lie.
MODULE_FOLDERS = ("", "lib", "python", "tools")


class UserBlobs(BlobVec):
    """The learnable blobs of a layer that the user writes."""

    def __init__(self, layer: Layer[Any]) -> None:
        super().__init__()
        self._layer = layer

    def add_blob(self, *dims: int) -> None:
        """Makes the next learnable blob, filled with zeros; for use in `setup`."""
        self._layer.add_blob(dims)


class PythonLayerBase:
    """The base class of layers that users write, known to them as `pycaffe_lite.Layer`.

    A subclass overrides the four verbs. It reads `bottom[i].data` and `top[i].diff`, writes
    `top[i].data[...]` and `bottom[i].diff[...]`, and shapes its tops with `top[i].reshape(*dims)`; gradients
    of learnable blobs are added to `self.blobs[i].diff`.

        class Double(pycaffe_lite.Layer):
            def setup(self, bottom, top):
                self.factor = float(self.param_str or 2)

            def reshape(self, bottom, top):
                top[0].reshape(*bottom[0].shape)

            def forward(self, bottom, top):
                top[0].data[...] = self.factor * bottom[0].data

            def backward(self, top, propagate_down, bottom):
                if propagate_down[0]:
                    bottom[0].diff[...] = self.factor * top[0].diff

    Attributes:
        param_str: the layer's `python_param { param_str: ... }`.
        phase: `pycaffe_lite.TRAIN` or `pycaffe_lite.TEST`.
        blobs: the learnable blobs; `self.blobs.add_blob(*dims)` in `setup` makes one. All three attributes
            exist from `setup` on, but not yet in `__init__`.
    """

    param_str: str
    phase: int
    blobs: UserBlobs

    def __init__(self, layer_param: caffe_pb2.LayerParameter) -> None:
        self.layer_param = layer_param

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        """Checks the parameters and makes the learnable blobs; runs once, before the first reshape."""

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        """Shapes the tops; runs before every forward."""
        raise NotImplementedError(f"{type(self).__name__} has no reshape(bottom, top)")

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        """Computes the tops' data from the bottoms' data."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(bottom, top)")

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        """Computes gradients from the tops' diff: overwrites the wanted bottoms' diff, adds to the blobs'."""
        raise NotImplementedError(f"{type(self).__name__} has no backward(top, propagate_down, bottom)")


@register_layer("Python", param="python_param")
class PythonLayer(Layer[caffe_pb2.PythonParameter]):
    """Runs an object of the user's class `layer` from the Python module `module`; see `pycaffe_lite.Layer`.

    The module is imported by name, from sys.path, or else from the folder of the prototxt, one above it, or
    the folder lib, python or tools of one of these. Where it says `import caffe` and the real one is not
    installed, that gives this package from then on. If it is not there or cannot be imported, and is one that
    nets name without bringing it along (Faster R-CNN's `rpn`), the package's own takes its place. Attributes
    of the object can be read through this layer, `net.layers[0].factor`, as in pycaffe.

    Bottom, top, blobs: as many as the class wants, and of the shapes that it wants.
    Raises LayerImportError for a module or class that does not exist. An exception of the user's code keeps
    its type and gets the layer's name, in its text or, if the exception makes its text itself, in a note (PEP
    678). Raises LayerError for sys.exit() in that code, since a layer must not end the program.
    Source: BVLC/caffe include/caffe/layers/python_layer.hpp
    """

    def __getattr__(self, name: str) -> Any:
        if name == "user":  # not made yet
            raise AttributeError(name)
        return getattr(self.user, name)

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        if self.param.share_in_parallel:
            log.info(
                "layer '%s' (%s): share_in_parallel has no effect, each process has a layer of its own",
                self.name,
                self.type,
            )
        user_class = self._load_class()
        self.user: PythonLayerBase = self._run("__init__", user_class, self.layer_param)
        self.user.param_str = self.param.param_str
        self.user.phase = self.phase
        self.blobs = self.user.blobs = UserBlobs(self)
        self._run("setup", self.user.setup, bottom, top)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        self._run("reshape", self.user.reshape, bottom, top)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        self._run("forward", self.user.forward, bottom, top)

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        self._run("backward", self.user.backward, top, propagate_down, bottom)

    def _run(self, verb: str, function: Callable[..., Any], *args: Any) -> Any:
        """Calls the user's code, and adds the layer's name to what it raises."""
        with self._named(f"{self.param.layer}.{verb}"):
            return function(*args)

    @contextmanager
    def _named(self, what: str) -> Iterator[None]:
        """Gives the layer's name to what the user's code raises. what: that code."""
        try:
            yield
        except LayerError as error:
            if self.where() not in str(error):  # the user's, not one of ours
                blame(error, f"{self.where()}: {what}")
            raise
        except NetError as error:
            raise self.error(f"{what} raised {_one_line(error)}") from error
        except Exception as error:
            blame(error, f"{self.where()}: {what}")
            raise
        except SystemExit as error:
            raise self.error(f"{what} called sys.exit({error.code!r})") from error

    def _load_class(self) -> type[PythonLayerBase]:
        module_name, class_name = self.param.module, self.param.layer
        for field in ("module", "layer"):
            if not getattr(self.param, field):
                raise self.error(f"python_param {{ {field}: ... }} is missing")
        module = self._import(module_name)
        user_class = getattr(module, class_name, None)
        if user_class is None:
            place = getattr(module, "__file__", None) or "no file"
            raise self._import_error(f"module '{module_name}' ({place}) has no class '{class_name}'")
        if not (isinstance(user_class, type) and issubclass(user_class, PythonLayerBase)):
            message = f"'{class_name}' of module '{module_name}' is not a subclass of pycaffe_lite.Layer"
            if (real := find_real_caffe()) is not None:
                message += (
                    f"; import caffe gives the one at {real}: write import pycaffe_lite as caffe, call "
                    "pycaffe_lite.install_as_caffe(shadow=True) first, or start with "
                    "python -m pycaffe_lite --shadow-caffe"
                )
            raise self.error(message)
        return user_class

    def _import(self, name: str) -> Any:
        if suggestion := _name_of_file(name):
            raise self._import_error(
                f"module '{name}' must be a name as after import, not a file: write {suggestion}"
            )
        with self._named(f"module '{name}'"):
            try:
                return self._import_from_folders(name)
            except (ImportError, SyntaxError) as error:
                stand_in = stand_in_for(name)
                if stand_in is not None:
                    self._note_stand_in(name, error)
                    return stand_in
                of_users_data = is_of_users_data(name)
                if isinstance(error, SyntaxError) and not of_users_data:
                    raise
                message = f"cannot import module '{name}' from {self._places()}: {_one_line(error)}"
                if of_users_data or _is_missing(error, name):
                    message += f"; {why_needed(name)}"
                raise self._import_error(message) from error

    def _import_from_folders(self, name: str) -> Any:
        """Imports a module from sys.path or else from a folder of the net's repository."""
        folder = self.context.folder
        try:
            return _import_module(name)
        except ModuleNotFoundError as error:
            if folder is None or not _is_missing(error, name):
                raise
        # The path is absolute because Python remembers a folder's files by its name, and "." may change.
        place = str(_folder_of_module(name, folder.absolute()))
        sys.path.append(place)
        importlib.invalidate_caches()
        try:
            return _import_module(name)
        finally:
            sys.path.remove(place)

    def _places(self) -> str:
        """Where modules are looked for, in words."""
        folder = self.context.folder
        if folder is None:
            return "sys.path"
        others = ", ".join(f"{name}/" for name in MODULE_FOLDERS if name)
        return f"sys.path, {folder}, the folders above it, or {others} of these"

    def _note_stand_in(self, name: str, error: Exception) -> None:
        """Says that the package's own module takes the place of one that cannot be imported."""
        if _is_missing(error, name):
            log.info("%s: module '%s' is not there: the built-in one takes its place", self.where(), name)
        else:
            log.warning(
                "%s: cannot import module '%s' (%s): the built-in one takes its place",
                self.where(),
                name,
                _one_line(error),
            )

    def _import_error(self, message: str) -> LayerImportError:
        return LayerImportError(str(self.error(message)))


def _is_missing(error: Exception, name: str) -> bool:
    """Whether what was not found is the module itself, or a package that it is in, not what it imports."""
    parts = name.split(".")
    packages = {".".join(parts[: i + 1]) for i in range(len(parts))}
    return isinstance(error, ModuleNotFoundError) and error.name in packages


def _folder_of_module(name: str, folder: Path) -> Path:
    """The first folder of a net's repository that has the module; the prototxt's own if none has.

    Args:
        name: of the module. folder: the prototxt's, absolute.
    """
    file = Path(*name.split("."))
    for above in upwards(folder):
        for place in MODULE_FOLDERS:
            found = above / place / file
            if found.with_name(f"{found.name}.py").is_file() or (found / "__init__.py").is_file():
                return above / place
    return folder


def users_frames(error: BaseException) -> TracebackType | None:
    """The part of a traceback that lies in a user's module, from where it is entered; None: there is none."""
    frames, is_inside = error.__traceback__, False
    while frames is not None:
        code = frames.tb_frame.f_code
        is_ours = code in (PythonLayer._run.__code__, _import_module.__code__)
        if is_inside and not is_ours and "importlib" not in code.co_filename:
            break
        is_inside |= is_ours
        frames = frames.tb_next
    return frames


def _import_module(name: str) -> Any:
    """Imports a module; if what it lacks is Caffe, once more with this package under that name."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        is_of_caffe = (error.name or "").partition(".")[0] == "caffe" != name
        if not (is_of_caffe and find_real_caffe() is None and install_as_caffe()):
            raise
    return importlib.import_module(name)


def _name_of_file(name: str) -> str | None:
    """The module's name if a file is given, `sub.lay` for './sub/lay.py'; None if a name is given."""
    if not (set("/\\") & set(name) or name.startswith(".") or name.endswith(".py")):
        return None
    steps = [part for part in re.split(r"[/\\]", name.removesuffix(".py")) if part not in ("", ".")]
    if os.path.isabs(name) or ".." in steps or not steps or ":" in name:
        module = (steps or [""])[-1].strip(".")
        return f"{module or 'its name'}, with the folder of the file in PYTHONPATH"
    return ".".join(steps).strip(".")


def _one_line(error: Exception) -> str:
    """`ValueError: what it says`, without line breaks."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
