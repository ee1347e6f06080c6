"""The team: threads that run the steps of a job together with the caller, or rest when that costs too much.

The caller is member 0. The other members are started once and sleep until there is a job, which is a row of
steps. One number, the position, says which step is open to all members (even numbers), or that it is over
(odd numbers): no task of it is left, but some members may still be at work on theirs. The position only
grows, so that a step of one job is never taken for a step of another. A member that wants to take part marks
itself as busy and then looks again whether the step is still open. If it is not, the member stays away, since
the memory of that step may already be in use by another. When a step is over and no member is busy, the
first member that sees this opens the next step.

So nobody waits for a member that has not come, nor for one that lost its core between two steps: the members
that are there do what it has not begun. But they must wait for a task that a member has begun and cannot
finish because another program has its core. On a machine that is shared, that happens again and again, and
each time may take as long as a hundred tasks. Therefore an account is kept. The time for which the other
members worked on cores of their own is added; the time that the caller lost, waiting for them or without a
core itself, is subtracted. When the account is overdrawn, the team rests for PATIENCE times as long as was
lost: the caller works alone and the others sleep. Then the team is tried again. However busy the machine is,
such trials take a few hundredths of the time, and the team is back a second after the load has gone, at the
latest. To wake members for jobs that are over before they come is a loss, too, and ends in the same way.

There is one team in a process. If several Python threads call kernels at once, one of them gets it and the
others work alone: together they keep all cores busy.
"""

import _thread
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic

from pycaffe_lite.kernels.runtime.atomic import compare_and_swap, exchange, fetch_increment, load, pause
from pycaffe_lite.kernels.runtime.calls import CALL_BYTES, LINE, SLOTS, TRAMPOLINE, Array
from pycaffe_lite.kernels.runtime.compile import kernel, serial_kernel
from pycaffe_lite.kernels.runtime.llvm import INT64
from pycaffe_lite.kernels.runtime.locks import team_start
from pycaffe_lite.kernels.runtime.system import (
    SYSTEM_NUMBERS,
    lock,
    notify_all,
    now,
    own_time,
    unlock,
    wait,
    write_system,
)

# A team shares one int64 array: first come the system's numbers, then the numbers at these indices. Those
# that are written often have a cache line each.
_LINES = -(-SYSTEM_NUMBERS // LINE)
POSITION, OWNED, CALLER_SLEEPS, OTHERS_SLEEP = ((_LINES + i) * LINE for i in range(4))
ROOM, ROWS, COUNTS, WORKERS, FIRST, LAST = ((_LINES + 4) * LINE + i for i in range(6))  # the job
RESTING, ASIDE, ENDED, MEMBERS = ((_LINES + 5) * LINE + i for i in range(4))
ACCOUNT, REST_END, SEEN, WAITED, START, OWN = ((_LINES + 6) * LINE + i for i in range(6))  # the caller's own
_MEMBER_LINE = _LINES + 7  # followed by a line for each member; others read its first two numbers only
BUSY, DONE, TASK_TIME, WALL_START, OWN_START = range(5)

CALLERS_CONDITION, OTHERS_CONDITION = 0, 1

# A member that waits spins so many times, for 25 to 50 ns each, and then sleeps; waking it takes 30 us. To
# yield would be worse: another program might then keep the core until the system looks again, for 4 ms.
MOST_SPINS = 8000
FREE_SPINS = 50  # after so many, the caller begins to count the time

# All in nanoseconds.
MOST_SAVED = 100_000_000  # enough for the bursts of other work that every system has
FIRST_CREDIT = 200_000  # what a trial after a rest may lose
PATIENCE = 40
LONGEST_REST = 1_000_000_000
WAKE_TIME = 50_000  # more than it takes to wake a thread of Numba's
REPORT = 100_000  # how often a member reads the clock of its own time, which takes 0.3 us


@intrinsic
def _enter(_context: Any, call: Any, taken: Any, workers: Any, worker: Any) -> Any:
    """Make the packed call at an address, as one of its workers."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        slots, counts = (builder.inttoptr(address, SLOTS) for address in args[:2])
        trampoline = builder.inttoptr(builder.load(slots), TRAMPOLINE.as_pointer())
        builder.call(trampoline, [slots, counts, args[2], args[3]])
        return _context.get_dummy_value()

    return types.void(*[types.int64] * 4), codegen


@intrinsic
def _number_at(_context: Any, address: Any, index: Any) -> Any:
    """Return the int64 number with an index among those that start at an address."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        numbers = builder.inttoptr(args[0], INT64.as_pointer())
        return builder.load(builder.gep(numbers, [args[1]]))

    return types.int64(types.int64, types.int64), codegen


@kernel
def _place(member: int) -> int:
    return (_MEMBER_LINE + member) * LINE


# -------------------------------------------------------------------------------------------------- steps


@kernel
def _take_part(state: Array, member: int, position: int) -> int:
    """Do a member's part of the step that is open at a position.

    Returns the last position of the step's job, or 0 if the step is over already.
    """
    place, last = _place(member), 0
    exchange(state, place + BUSY, 1)
    if load(state, POSITION) == position:
        last = state[LAST]
        step, workers = (position - state[FIRST]) // 2, state[WORKERS]
        rows = _number_at(state[ROWS], step)
        taken = state[COUNTS] + 8 * step * (workers + 1) * LINE
        came = taken + 8 * workers * LINE
        number = member if state[MEMBERS] <= rows else fetch_increment(came, 0)
        if number < rows:
            start = now(state) if member > 0 else 0
            _enter(state[ROOM] + step * CALL_BYTES, taken, rows, number)
            compare_and_swap(state, POSITION, position, position + 1)
            if member > 0:
                _report(state, place, start)
    exchange(state, place + BUSY, 0)
    return last


@kernel
def _nobody_busy(state: Array) -> bool:
    busy = 0
    for member in range(state[MEMBERS]):
        busy += load(state, _place(member) + BUSY)
    return busy == 0


@kernel
def _open_next(state: Array, position: int) -> int:
    """Open the step that follows one that is over; return how long it took to wake others."""
    return _wake_others(state) if compare_and_swap(state, POSITION, position, position + 1) else 0


@kernel
def _wake_others(state: Array) -> int:
    """Wake the members that sleep, unless the team rests; return how long that took."""
    if load(state, RESTING) != 0 or load(state, OTHERS_SLEEP) == 0 or exchange(state, OTHERS_SLEEP, 0) == 0:
        return 0
    start = now(state)
    notify_all(state, OTHERS_CONDITION)
    return now(state) - start


@kernel
def _has_something_to_do(state: Array, member: int, seen: int, last: int) -> bool:
    """Whether a member need not wait any longer.

    seen: the position of the last step that it took part in. last: the last position of that step's job.
    """
    if member > 0:
        if load(state, ENDED) != 0:
            return True
        if load(state, RESTING) != 0:
            return False
    position = load(state, POSITION)
    if position % 2 == 0:
        return bool(position != seen)
    if member > 0 and (position != seen + 1 or position >= last):
        return False  # of a job that it has no part in, or that is done
    return _nobody_busy(state)


@kernel
def _wait(state: Array, member: int, seen: int, last: int) -> None:
    """Wait until there is something to do; the caller counts how long, except for the first spins."""
    looks, start = 0, 0
    while not _has_something_to_do(state, member, seen, last):
        looks += 1
        if member > 0 and (looks > MOST_SPINS or load(state, RESTING) + load(state, ASIDE) != 0):
            _report(state, _place(member), now(state))
            _sleep(state, member, seen, last, OTHERS_CONDITION, OTHERS_SLEEP)
            _start_report(state, _place(member))
        elif looks <= MOST_SPINS:
            pause()
        else:
            _sleep(state, member, seen, last, CALLERS_CONDITION, CALLER_SLEEPS)
        if member == 0 and looks == FREE_SPINS:
            start = now(state)
    if start != 0:
        state[WAITED] += now(state) - start


@kernel
def _sleep(state: Array, member: int, seen: int, last: int, condition: int, flag: int) -> None:
    """Sleep until there is something to do. A thread that gives something to do then looks at the flag."""
    lock(state, condition)
    exchange(state, flag, 1)
    while not _has_something_to_do(state, member, seen, last):
        wait(state, condition)
        exchange(state, flag, 1)
    unlock(state, condition)


# ------------------------------------------------------------------------------------------------ account


@kernel
def _start_report(state: Array, place: int) -> None:
    state[place + TASK_TIME] = 0
    state[place + WALL_START], state[place + OWN_START] = now(state), own_time(state)


@kernel
def _report(state: Array, place: int, task_start: int) -> None:
    """Count a member's time at a task; now and then, report for how much of it the member had a core."""
    end = now(state)
    state[place + TASK_TIME] += end - task_start
    wall = end - state[place + WALL_START]
    if wall >= REPORT:
        without_core = wall - (own_time(state) - state[place + OWN_START])
        state[place + DONE] += max(0, state[place + TASK_TIME] - without_core)
        _start_report(state, place)


@serial_kernel
def settle(state: Array, done: int, lost: int, time: int) -> None:
    """Enter into the account what the others have done and what the caller has lost, in nanoseconds.

    If that overdraws the account, the team rests from `time` on.
    """
    state[ACCOUNT] = min(MOST_SAVED, state[ACCOUNT] + done - lost)
    if state[ACCOUNT] < 0:
        rest = PATIENCE * (FIRST_CREDIT - state[ACCOUNT])
        state[REST_END] = time + min(LONGEST_REST, rest)
        state[ACCOUNT] = FIRST_CREDIT
        exchange(state, RESTING, 1)


@kernel
def _look_after(state: Array, time: int) -> None:
    """End a rest that is over, or settle the account; the caller does this before each step."""
    if state[RESTING] != 0:
        if time >= state[REST_END]:
            exchange(state, RESTING, 0)
            state[WAITED] += _wake_others(state)
        return
    without_core = 0
    if time - state[START] >= REPORT:
        own = own_time(state)
        if state[OWN] != 0:
            without_core = time - state[START] - (own - state[OWN])
        state[START], state[OWN] = time, own
    if without_core > 0 or state[WAITED] != 0:
        done = 0
        for member in range(1, state[MEMBERS]):
            done += state[_place(member) + DONE]
        settle(state, done - state[SEEN], max(state[WAITED], without_core), time)
        state[SEEN], state[WAITED] = done, 0


# ------------------------------------------------------------------------------------------------- members


@serial_kernel
def lead(state: Array, room: int, rows: Array, counts: Array, workers: int) -> None:
    """Run all steps of a job, with the team if it is free.

    Args:
        state: the team's.
        room: the address of the packed calls.
        rows: for how many workers each step has memory.
        counts: for each step, how many tasks are taken of each worker's share, and how many workers came; a
            cache line for each number.
        workers: the largest of `rows`.
    """
    counts[:] = 0
    if rows.size == 0:
        return
    counts_at = counts.ctypes.data
    if state[MEMBERS] == 1 or workers <= 1 or not compare_and_swap(state, OWNED, 0, 1):
        for step in range(rows.size):
            taken = counts_at + 8 * step * (workers + 1) * LINE
            _enter(room + step * CALL_BYTES, taken, rows[step], 0)
        return
    first = state[POSITION] + 1
    last = first + 2 * rows.size - 1
    state[ROOM], state[ROWS], state[COUNTS], state[WORKERS] = room, rows.ctypes.data, counts_at, workers
    state[FIRST], state[LAST] = first, last
    time = now(state)
    state[START], state[OWN] = time, 0
    _look_after(state, time)
    state[WAITED] += _open_next(state, first - 1)
    seen = first - 1
    while True:
        position = load(state, POSITION)
        if position % 2 == 0 and position != seen:
            _take_part(state, 0, position)
            seen = position
        elif position % 2 == 1 and _nobody_busy(state):
            if position == last:
                break
            _look_after(state, now(state))
            state[WAITED] += _open_next(state, position)
        else:
            _wait(state, 0, seen, last)
    exchange(state, OWNED, 0)


@serial_kernel
def follow(state: Array, member: int) -> None:
    """Take part in all jobs until the team is ended; what the threads of the team run."""
    seen, last = 0, 0
    _start_report(state, _place(member))
    while True:
        _wait(state, member, seen, last)
        if load(state, ENDED) != 0:
            return
        position = load(state, POSITION)
        if position % 2 == 1:
            if position == seen + 1 and position < last and _nobody_busy(state):
                _open_next(state, position)
        elif position != seen:
            job = _take_part(state, member, position)
            if job != 0:
                seen, last = position, job
        if load(state, CALLER_SLEEPS) != 0 and exchange(state, CALLER_SLEEPS, 0) != 0:
            notify_all(state, CALLERS_CONDITION)


class Team:
    """A team of threads.

    Attributes:
        members: how many threads take part at most, including the caller.
        state: the numbers that they share, including what they sleep on. Each thread holds this array, so
            that it lives until the last of them has ended, even if the team itself has long been forgotten.
    """

    def __init__(self, members: int) -> None:
        count = _place(members)
        memory = np.zeros(count + LINE, np.int64)
        start = -memory.ctypes.data // memory.itemsize % LINE
        self.members, self.state = members, memory[start : start + count]
        write_system(self.state)
        self.state[POSITION], self.state[MEMBERS], self.state[ACCOUNT] = 1, members, FIRST_CREDIT

    def start(self) -> None:
        """Start the threads of the members."""
        self.state[ENDED] = 1
        follow(self.state, 0)  # returns at once: it is compiled here, not in all threads at the same time
        self.state[ENDED] = 0
        for member in range(1, self.members):
            try:
                _thread.start_new_thread(follow, (self.state, member))
            except RuntimeError:  # the system allows no more threads; those that there are do the work
                return

    def end(self) -> None:
        """Have each member end its thread as soon as it has nothing to do."""
        wake_to_end(self.state)

    def is_resting(self) -> bool:
        """Whether the caller should work alone for now."""
        return bool(self.state[RESTING] != 0 and time.monotonic_ns() < self.state[REST_END])

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Have the other members sleep as soon as they are idle, since Numba's threads need their cores."""
        self.state[ASIDE] = 1
        try:
            yield
        finally:
            self.state[ASIDE] = 0

    def settle_loop(self, wall: int, own: int) -> None:
        """Enter a loop on Numba's threads into the account.

        The caller slept until the last thread was done. How long the others worked is not known; it is taken
        to be as long as the caller did.

        Args:
            wall: how long the loop took, in nanoseconds.
            own: for how much of that the caller had a core.
        """
        if wall - own > WAKE_TIME:
            settle(self.state, (self.members - 1) * own, wall - own, time.monotonic_ns())


@serial_kernel
def wake_to_end(state: Array) -> None:
    """Mark the team as ended and wake its members."""
    exchange(state, ENDED, 1)
    notify_all(state, OTHERS_CONDITION)


_team: Team | None = None


def team_of(members: int) -> Team:
    """Return the process's team of that many members; a team of another size is ended."""
    global _team
    team = _team
    if team is None or team.members != members:
        with team_start:
            team = _team
            if team is None or team.members != members:
                if team is not None:
                    team.end()
                team = _team = Team(members)
                team.start()
    return team


def _after_fork_in_child() -> None:
    """Forget the team, whose threads exist in the parent only."""
    global _team
    _team = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
