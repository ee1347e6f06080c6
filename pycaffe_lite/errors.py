"""The errors that pycaffe-lite raises on purpose: one base class catches them all.

PycaffeError
├── PrototxtError       a prototxt that cannot be read: names file, line and column
├── ArgumentError       a name or value that a call cannot take (also a ValueError, as in pycaffe)
│   ├── ArgumentTypeError   an argument that is missing, or of another kind (also a TypeError)
│   ├── NameLookupError     a blob or top of a name that there is not (also a KeyError and AttributeError)
│   └── InputArrayError     arrays that a MemoryData layer cannot take (also a RuntimeError)
├── FileLookupError     a file that is not there (also a RuntimeError, which pycaffe raises)
├── NetError            layers that do not fit together: unknown or doubly made blobs, bad sharing
│   ├── NetPicklingError    a net handed to pickle (also a RuntimeError, as in pycaffe, and a TypeError)
│   └── LayerError      what one layer needs and did not get: names the layer, its type, the shapes
│       └── LayerImportError    a Python layer whose module or class is not there (also an ImportError)
├── WeightsError        a .caffemodel that cannot be read or does not fit the net
├── OnnxError           an ONNX model that cannot be read, or that Caffe's layers cannot express
├── DataError           a database, image or list file that cannot serve
│   └── ImageError          a picture that cannot be read (also an OSError)
├── SolverError         a solver whose settings contradict each other or that cannot go on
│   └── SnapshotError   a snapshot that cannot be written or restored
└── KernelError         compiled code that cannot run here (threads after a fork)

Each message is one line that says what is wrong, where, and what to do about it. It may hold names from
files as they are: errors make their messages printable.
"""

import contextlib

from pycaffe_lite.printable import printable_line

_BLAME = "_pycaffe_lite_blame"


class PycaffeError(Exception):
    """Base of every error that pycaffe-lite raises on purpose.

    Its message is one printable line of bounded length, whatever the text holds that it is made with.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(printable_line(arg) if isinstance(arg, str) else arg for arg in args))


class PrototxtError(PycaffeError):
    """A prototxt file or text that cannot be read."""


class ArgumentError(PycaffeError, ValueError):
    """A name or value that a call cannot take."""


class ArgumentTypeError(ArgumentError, TypeError):
    """An argument that is missing, or of another kind than a call takes."""


class NameLookupError(ArgumentError, KeyError, AttributeError):
    """A blob or top of a name that there is not; a KeyError, as in pycaffe, that `hasattr` understands."""

    __str__ = Exception.__str__  # that of KeyError puts the message in quotes


class InputArrayError(ArgumentError, RuntimeError):
    """Arrays that `Net.set_input_arrays` cannot take."""


class FileLookupError(PycaffeError, RuntimeError):
    """A file or folder that is not where the prototxt or the caller says."""


class NetError(PycaffeError):
    """A net whose layers do not fit together."""


class NetPicklingError(NetError, RuntimeError, TypeError):
    """A net that was handed to pickle, perhaps on its way to another process."""


class LayerError(NetError):
    """A layer that did not get what it needs."""


class LayerImportError(LayerError, ImportError):
    """A Python layer whose module or class cannot be imported."""


class WeightsError(PycaffeError):
    """Weights that cannot be read, or that do not fit the net."""


class OnnxError(PycaffeError):
    """An ONNX model that cannot be read, or that Caffe's layers cannot express.

    Attributes:
        problems: where several nodes are at fault, a sentence about each.
    """

    def __init__(self, message: str, problems: list[str] | tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.problems = [printable_line(problem) for problem in problems]


class DataError(PycaffeError):
    """A data source that cannot serve what is asked of it."""


class ImageError(DataError, OSError):
    """A picture that cannot be read."""


class SolverError(PycaffeError):
    """A solver that cannot be built or cannot go on."""


class SnapshotError(SolverError):
    """A snapshot that cannot be written or restored."""


class KernelError(PycaffeError, RuntimeError):
    """Compiled code that cannot run in this process."""


def blame(error: Exception, place: str) -> None:
    """Adds to an exception of a user's code where it comes from; its class stays the same.

    The place goes before the exception's text if that is its only argument, else into a note, which
    tracebacks show (PEP 678). An exception that passes through nested code of users keeps the first place.

    Args:
        error: the exception. place: `net.prototxt:3: layer 'h' (Python): Half.forward`.
    """
    if blamed(error) is not None:
        return
    place, text = printable_line(place), printable_line(str(error))
    with contextlib.suppress(Exception):  # a class of the user's that lets nothing be set
        setattr(error, _BLAME, f"{place} raised {type(error).__name__}: {text}".removesuffix(": "))
        args = error.args
        if type(error).__str__ is BaseException.__str__ and len(args) == 1 and isinstance(args[0], str):
            error.args = (f"{place}: {args[0]}",)
        elif hasattr(error, "add_note"):  # from Python 3.11 on
            error.add_note(f"raised by {place}")


def blamed(error: BaseException) -> str | None:
    """An exception of a user's code in one line, with its place; None for any other."""
    return getattr(error, _BLAME, None)
