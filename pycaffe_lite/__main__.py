"""`python -m pycaffe_lite`: the command line, or a pycaffe program that says `import caffe`."""

import runpy
import sys
from pathlib import Path

from pycaffe_lite.alias import install_as_caffe
from pycaffe_lite.printable import printable

_SHADOW = "--shadow-caffe"


def main() -> None:
    """Runs a script, `script.py args…`, or a module, `-m module args…`; all else is the command line.

    A script finds this package under the name caffe. Where the real Caffe is installed, it finds that, unless
    `--shadow-caffe` comes first; then Python layers of a net on the command line do, too.
    """
    args = sys.argv[1:]
    shadow = args[:1] == [_SHADOW]
    args = args[shadow:]
    if shadow:
        install_as_caffe(shadow=True)
        sys.argv[1:] = args
    is_module = args[:1] == ["-m"] and len(args) > 1
    if not is_module and not (args and args[0].endswith(".py")):
        from pycaffe_lite.cli import main as command_line

        command_line()
        return
    install_as_caffe()
    sys.argv = args[is_module:]
    # As Python has it: the script's folder is the first place to look for modules, for -m the present one;
    # with `python -P` neither is.
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = str(Path.cwd() if is_module else Path(args[0]).resolve().parent)
    if is_module:
        runpy.run_module(args[1], run_name="__main__", alter_sys=True)
    elif Path(args[0]).is_file():
        runpy.run_path(args[0], run_name="__main__")
    else:
        raise SystemExit(f"pycaffe_lite: there is no script {printable(args[0])}")


if __name__ == "__main__":
    main()
