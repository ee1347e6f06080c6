"""Commands that take Caffe's command lines as they are, and report what goes wrong in one line."""

from __future__ import annotations

import io
import logging
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from pycaffe_lite import glog
from pycaffe_lite.cli.options import OptionalNumber
from pycaffe_lite.cli.output import FOR_FILES_ONLY, echo
from pycaffe_lite.errors import PycaffeError, blamed
from pycaffe_lite.layer.utility.python import users_frames
from pycaffe_lite.printable import printable, printable_line
from pycaffe_lite.proto.text_slips import nearest

log = logging.getLogger(__name__)

# gflags takes one dash or two; there are no one-letter options but -h: `-s` would swallow `-solver`.
_OPTION = re.compile(r"--?([A-Za-z][\w-]+)(=.*)?", re.DOTALL)
_HELP = ["--help", "-h"]
# glog's flags: that the log goes to stderr is so in any case; what stands in for the others.
_LOG_TO_STDERR = re.compile(r"--(no)?(also)?logtostderr(=.*)?")
_GLOG_FLAGS = {
    "--minloglevel": "set the environment variable GLOG_minloglevel",
    "--log-dir": "'train --log-file FILE' writes the log to a file",
}
# What Caffe's programs are called beyond the names of commands: classify.py, caffe.bin.
_SUFFIX = re.compile(r"\.(bin|exe|py|sh)$")
INTERRUPTED = 130  # as shells have it: 128 + SIGINT
# As gflags reads them.
_TRUE, _FALSE = ("1", "t", "true", "y", "yes"), ("0", "f", "false", "n", "no")


class CaffeCommand(click.Command):
    """A command with Caffe's spelling of options: `-solver x`, `-solver=x`, `--sigint_effect`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Brings the options into the spelling that click knows."""
        args = self._alone(ctx, [self._plain_flag(ctx, arg) for arg in _without_glog(_spelled_out(args))])
        options = {
            name: option.is_flag
            for option in self.get_params(ctx)
            if isinstance(option, click.Option)
            for name in option.opts
        }
        for name, following in zip(args, [*args[1:], "--"], strict=False):
            if hint := _GLOG_FLAGS.get(_dashed(name.partition("=")[0])):
                raise click.UsageError(f"No such option '{name}': {hint}.", ctx)
            # click would take the next option's name for the value.
            if options.get(_dashed(name)) is False and following.startswith("--"):
                raise click.BadOptionUsage(name, f"Option '{name}' requires an argument.", ctx)
        return super().parse_args(ctx, args)

    def _alone(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The same arguments, with a 0 for each option that may stand alone and does."""
        names = {
            name
            for option in self.get_params(ctx)
            if isinstance(option, OptionalNumber)
            for name in option.opts
        }
        return [
            f"{arg}=0" if _dashed(arg) in names and not following.isdecimal() else arg
            for arg, following in zip(args, [*args[1:], ""], strict=False)
        ]

    def _plain_flag(self, ctx: click.Context, arg: str) -> str:
        """`--gray` for gflags' `--gray=true`, `--nogray` for `--gray=false`."""
        name, _, value = arg.partition("=")
        for option in self.get_params(ctx):
            if isinstance(option, click.Option) and option.secondary_opts and _dashed(name) in option.opts:
                if value.lower() in _TRUE:
                    return option.opts[0]
                if value.lower() in _FALSE:
                    return option.secondary_opts[0]
        return arg

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; what goes wrong becomes one line, Ctrl-C the exit status that shells expect."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            # Names in a prototxt may have letters that the user's encoding has not.
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            echo("Interrupted.", err=True)
            ctx.exit(INTERRUPTED)
        except Exception as error:
            message = line_of(error)
            if message is None:
                raise
        if glog.has_destination():
            log.error("%s", message, extra=FOR_FILES_ONLY)
        raise click.ClickException(message)


class CaffeGroup(click.Group):
    """A group of such commands; options may stand before the command too.

    Attributes:
        same: names of Caffe's programs that take the arguments of a command here, and that command's name.
        meant: other words that users of Caffe write, and what to write here.
    """

    command_class = CaffeCommand

    def __init__(
        self,
        *args: Any,
        same: Mapping[str, str] | None = None,
        meant: Mapping[str, str] | None = None,
        **attributes: Any,
    ) -> None:
        self.same, self.meant = dict(same or {}), dict(meant or {})
        settings = {
            "help_option_names": _HELP,
            "max_content_width": 100,
            "token_normalize_func": _dashed,
        }
        super().__init__(*args, context_settings=settings, **attributes)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order in which they were added."""
        return list(self.commands)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Reads the arguments; what is wrong with them is said in a printable line."""
        with _printable_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; what goes wrong is said in a printable line."""
        with _printable_errors():
            return super().invoke(ctx)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Moves the command to the front: gflags takes options on either side of it."""
        args = _spelled_out(args) or ["--help"]
        if args[0].startswith("--") and args[0] not in (*_HELP, "--version"):
            for i, arg in enumerate(args):
                if _dashed(arg) in self.commands or _dashed(arg) in self.same:
                    args = [arg, *args[:i], *args[i + 1 :]]
                    break
            else:
                raise click.UsageError(f"Missing command. Commands: {', '.join(self.commands)}.", ctx)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the command; for an unknown one the error says what may be meant, and names all."""
        name = _dashed(args[0])
        if name in self.same:
            args = [self.same[name], *args[1:]]
        elif name not in self.commands:
            plain = _SUFFIX.sub("", name)
            close = self.meant.get(plain) or self.same.get(plain) or nearest(plain, self.commands)
            meant = f" Did you mean '{close}'?" if close else ""
            known = ", ".join(self.commands)
            raise click.UsageError(f"No such command '{printable(name)}'.{meant} Commands: {known}.", ctx)
        return super().resolve_command(ctx, args)


def line_of(error: Exception) -> str | None:
    """What to say of an error; None if click says it. An unforeseen or a user's one is traced first."""
    if line := blamed(error):  # of a layer that the user has written, whatever it is
        if frames := users_frames(error):
            _show(["Traceback (most recent call last):\n", *traceback.format_tb(frames)])
        return line
    if isinstance(error, (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError)):
        return None
    if isinstance(error, PycaffeError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"not enough memory: {error}".rstrip(": ") + "; a smaller batch_size needs less"
    if isinstance(error, OSError):
        return f"{error.strerror}: '{error.filename}'" if error.filename else str(error.strerror)
    _show(traceback.format_exception(error))
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def _show(lines: Iterable[str]) -> None:
    for line in "".join(lines).splitlines():
        echo(line, err=True)


@contextmanager
def _printable_errors() -> Iterator[None]:
    """Makes the message of an error printable: it may hold a name from a file, or the name of a file."""
    try:
        yield
    except click.ClickException as error:
        vars(error)["message"] = printable_line(error.message)  # for type checkers the attribute is final
        raise


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _without_glog(args: list[str]) -> list[str]:
    """The same arguments without the flags that send the log to stderr."""
    end = args.index("--") if "--" in args else len(args)
    return [arg for arg in args[:end] if not _LOG_TO_STDERR.fullmatch(arg)] + args[end:]


def _spelled_out(args: list[str]) -> list[str]:
    """The same arguments with two dashes before each option."""
    end = args.index("--") if "--" in args else len(args)
    return [_OPTION.sub(r"--\1\2", arg) if _OPTION.fullmatch(arg) else arg for arg in args[:end]] + args[end:]
