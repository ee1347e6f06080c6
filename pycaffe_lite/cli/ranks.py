"""Several ranks on the command line: the options, starting them, and ending them together."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from pycaffe_lite import kernels
from pycaffe_lite.cli.command import INTERRUPTED, line_of
from pycaffe_lite.cli.output import (
    FOR_FILES_ONLY,
    SCREEN,
    TERMINAL_VARIABLE,
    be_silent,
    echo,
    interactive,
    say,
)
from pycaffe_lite.distributed.launcher import (
    THREADS_VARIABLE,
    Job,
    environment_of_ranks,
    launch_command,
    launched,
    own_command,
    stop_with_starter,
)
from pycaffe_lite.distributed.ranks import MpiRanks
from pycaffe_lite.distributed.reduction import PATIENCE
from pycaffe_lite.errors import SolverError

log = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])

_META = "pycaffe_lite.ranks"
# Options that the started ranks do not get: they are for who starts them.
_STARTING = ("ranks", "launch", "restarts")
# Of a resumed run, in place of these.
_RESUMING = ("snapshot", "weights")


def _keep(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    ctx.meta.setdefault(_META, {})[param.name] = value
    return value


def ranks_options(function: F) -> F:
    """`--ranks N`, `--launch COMMAND`, `--mpi` and `--no-mpi`."""
    function = click.option(
        "--mpi/--no-mpi",
        "mpi",
        default=None,
        expose_value=False,
        callback=_keep,
        help="Insist on ranks that an MPI launcher has started, or take no notice of it.  [default: "
        "noticed from the launcher's environment]",
    )(function)
    function = click.option(
        "--launch",
        default="",
        metavar="COMMAND",
        expose_value=False,
        callback=_keep,
        help="Start the ranks with this command, 'srun' or 'mpiexec -hosts a,b' say; --ranks adds its -n N.",
    )(function)
    return click.option(
        "--ranks",
        type=click.IntRange(1),
        metavar="N",
        expose_value=False,
        callback=_keep,
        help="Start N processes that share the work, by MPI's mpiexec on this machine.",
    )(function)


def training_ranks_options(function: F) -> F:
    """`--patience SECONDS` and `--restarts N`."""
    function = click.option(
        "--patience",
        type=click.FloatRange(0, min_open=True),
        metavar="SECONDS",
        default=PATIENCE,
        show_default=True,
        expose_value=False,
        callback=_keep,
        help="How long ranks wait for each other before they give up; in the first iteration, and while one "
        "tests or writes a snapshot, 20 times as long.",
    )(function)
    return click.option(
        "--restarts",
        type=click.IntRange(0),
        metavar="N",
        default=0,
        show_default=True,
        expose_value=False,
        callback=_keep,
        help="With --ranks or --launch: start again from the latest snapshot so many times, if a rank fails.",
    )(function)


# ------------------------------------------------------------------------------------------------- starting


def start_ranks(latest: Callable[[float], Path | None] = lambda since: None) -> None:
    """Starts ranks if the options ask for it, and leaves the command with their exit status.

    Args:
        latest: gives the latest snapshot that was written since a time, from which a restarted run goes on.

    Raises:
        SolverError: there is no launcher, or the ranks were started by one already.
    """
    ctx = click.get_current_context()
    given = ctx.meta.get(_META, {})
    ranks, launch, restarts = given.get("ranks"), given.get("launch"), given.get("restarts", 0)
    if ranks is None and not launch:
        if restarts:
            raise click.UsageError("--restarts is for who starts the ranks: give --ranks or --launch too.")
        return
    if given.get("mpi") is False:
        raise click.UsageError("--ranks and --launch start ranks of MPI, which --no-mpi forbids.")
    place = launched()
    if place is not None and place.ranks != 1:
        raise SolverError(
            f"a launcher has started this rank already (by {place.variable}): give no --ranks or --launch"
        )
    arguments = without_options(sys.argv[1:], _STARTING)
    environment = environment_of_ranks(None if launch else ranks)
    if interactive():
        environment.update(
            {TERMINAL_VARIABLE: "1", "COLUMNS": str(SCREEN.width), "LINES": str(SCREEN.height)}
        )
    job, start = Job(), time.time()
    for left in range(restarts, -1, -1):
        status = job.run([*launch_command(ranks, launch), *own_command([*arguments, "--mpi"])], environment)
        if status == 0 or job.stopping or not left:
            break
        snapshot = latest(start)
        if snapshot is not None:
            arguments = [*without_options(arguments, _RESUMING), "--snapshot", str(snapshot)]
        where = f"from '{snapshot}'" if snapshot else "from the beginning: there is no snapshot yet"
        echo(f"The ranks ended with status {status}; starting again {where} ({left} left)", err=True)
    ctx.exit(status)


def without_options(arguments: Sequence[str], names: Sequence[str]) -> list[str]:
    """Arguments of a command line less some options that take a value, in any of Caffe's spellings."""
    kept: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        name, equals, _ = argument.lstrip("-").partition("=")
        if not (argument.startswith("-") and name.replace("_", "-") in names):
            kept.append(argument)
        elif not equals:
            next(rest, None)
    return kept


# ---------------------------------------------------------------------------------------------- being ranks


@contextmanager
def several_ranks() -> Iterator[MpiRanks | None]:
    """The ranks among which this process is one, if a launcher has started several; what fails ends all.

    Ranks other than the first write no results and no log but errors.

    Raises:
        SolverError: --mpi is given and there is no MPI.
    """
    ctx = click.get_current_context()
    wanted = ctx.meta.get(_META, {}).get("mpi")
    place = launched()
    is_one_of_many = place is not None and place.ranks != 1
    if wanted is False or not (wanted or is_one_of_many):
        yield None
        return
    if wanted and place is None:
        raise SolverError(
            "--mpi is given, but no launcher has started this process: start it as "
            "'mpiexec -n 4 pycaffe-lite ...', or give --ranks 4"
        )
    stop_with_starter()
    given = ctx.meta.get(_META, {})
    ranks = MpiRanks.of_world(place, patience=given.get("patience", PATIENCE))
    if ranks.count == 1:
        yield ranks
        return
    with _ending_together(ranks):
        if ranks.rank:
            be_silent()
        if not _threads_are_chosen(ctx):
            kernels.set_num_threads(ranks.fair_threads())
        yield ranks


def _threads_are_chosen(ctx: click.Context) -> bool:
    source = ctx.get_parameter_source("threads")
    by_option = source is not None and source is not click.core.ParameterSource.DEFAULT
    return by_option or bool({THREADS_VARIABLE, "OMP_NUM_THREADS"} & os.environ.keys())


@contextmanager
def _ending_together(ranks: MpiRanks) -> Iterator[None]:
    """Ends all ranks where one fails, with one message that says which, where and why."""
    try:
        yield
    except click.exceptions.Exit:
        raise
    except KeyboardInterrupt:
        ranks.wait_to_speak()
        echo("Interrupted.", err=True)
        ranks.end_all(INTERRUPTED)
    except Exception as error:
        ranks.wait_to_speak()
        cause = error.format_message() if isinstance(error, click.ClickException) else line_of(error)
        message = f"{ranks.name(ranks.rank)}: {cause or 'nobody reads its output any more'}"
        log.error("%s", message, extra=FOR_FILES_ONLY)
        echo(f"Error: {message}", err=True)
        ranks.end_all(1)


def file_of_rank(file: Path, ranks: MpiRanks | None) -> Path:
    """A log file of this rank: the first has the file itself, rank 3 has `FILE.rank3`."""
    return file if ranks is None or not ranks.rank else file.with_name(f"{file.name}.rank{ranks.rank}")


def say_ranks(ranks: MpiRanks, batches: str) -> None:
    """Says in the log, and on a terminal, who trains together."""
    line = f"Training on {ranks.count} ranks, on {ranks.hosts_in_words()}; {batches}"
    log.info("%s", line)
    log.info("Each rank uses %d threads", kernels.get_num_threads())
    if interactive():
        say(line)
